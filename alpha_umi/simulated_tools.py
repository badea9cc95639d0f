# -*- coding: utf-8 -*-
"""Tools that replay a trajectory, which makes a task of it.

A call that the trajectory made brings what it brought there; any other call
brings an error. Knows no models. Raises nothing.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from .calls import call_key, fault_of
from .protocol import NO_ANSWER, Call, Tool, Trajectory, read_call


@dataclass(frozen=True, slots=True)
class ExpectedCall:
    """A call that the task needs, and what it brings."""

    call: Call
    observation: str


@dataclass(frozen=True, slots=True)
class SimulatedTask:
    """A task whose right calls are known.

    Attributes:
        name (`str`):
            Where it comes from, for tables.
        tools (`tuple[Tool, ...]`):
            What may be called.
        instruction (`str`):
            The task.
        expected (`tuple[ExpectedCall, ...]`):
            In the trajectory's order, repetitions too.
        answer (`str | None`):
            The trajectory's, None where it gave up.
    """

    name: str
    tools: tuple[Tool, ...]
    instruction: str
    expected: tuple[ExpectedCall, ...]
    answer: str | None


def task_of(trajectory: Trajectory) -> SimulatedTask:
    """Make a task of a trajectory.

    Args:
        trajectory (`Trajectory`):
            Its calls are the expected ones, but those that could not be
            made: of tools that are not there, or with broken arguments.
    """
    said = trajectory.utterances
    expected = [
        ExpectedCall(read_call(one.text), following.text)
        for one, following in zip(said, said[1:], strict=False)
        if one.speaker == "caller" and following.speaker == "observation"
    ]
    answers = [
        one.text
        for one in said
        if one.speaker == "conclusion" and one.text != NO_ANSWER
    ]
    return SimulatedTask(
        name=trajectory.name,
        tools=trajectory.tools,
        instruction=trajectory.instruction,
        expected=tuple(
            one
            for one in expected
            if fault_of(one.call, trajectory.tools) is None
        ),
        answer=answers[-1] if answers else None,
    )


class SimulatedTools:
    """The tools of one attempt at a task.

    A call that the trajectory repeats brings its observations one after the
    other, then the last one again.

    Args:
        expected (`Iterable[ExpectedCall]`):
            What may be called, with which result.
    """

    def __init__(self, expected: Iterable[ExpectedCall]) -> None:
        self._results: dict[tuple[str, str], list[str]] = defaultdict(list)
        for one in expected:
            self._results[call_key(one.call)].append(one.observation)

    async def run(self, call: Call) -> str:
        """Bring what the trajectory brought."""
        results = self._results.get(call_key(call))
        if results is None:
            return f"Error: {call.name} has no result for these arguments."
        return results.pop(0) if len(results) > 1 else results[0]
