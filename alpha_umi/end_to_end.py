# -*- coding: utf-8 -*-
"""How whole tasks went on simulated tools: solved, steps, calls, invalid ones.

Reads what was said and how it ended; runs no tool and knows no models. Raises
nothing.
"""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from .calls import fault_of, read_arguments
from .limits import Outcome
from .protocol import Call, Tool, Utterance, read_call
from .scores import Scores, collected


class TaskMetric(StrEnum):
    """What is measured of a task."""

    SOLVED = "solved"
    STEPS = "steps"
    CALLS = "calls"
    INVALID = "invalid_calls"


@dataclass(frozen=True, slots=True)
class Expected:
    """What solves a task.

    Attributes:
        calls (`tuple[Call, ...]`):
            To be made in this order, others may stand between them; one is
            made where its tool is called with all of its arguments, and
            perhaps more.
        facts (`tuple[tuple[str, ...], ...]`):
            What the answer must have: of each fact one of its wordings, as
            whole words; case, spaces and commas in numbers do not count.
    """

    calls: tuple[Call, ...] = ()
    facts: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class TaskFigures:
    """How one task went.

    Attributes:
        outcome (`Outcome`):
            How it ended.
        steps (`int`):
            Turns of the planner.
        calls (`int`):
            Calls that were written, valid or not.
        faults (`tuple[str, ...]`):
            What is wrong with each invalid call.
        has_calls (`bool`):
            Whether all expected calls were made.
        has_facts (`bool`):
            Whether the answer has all expected facts.
    """

    outcome: Outcome
    steps: int
    calls: int
    faults: tuple[str, ...]
    has_calls: bool
    has_facts: bool

    @property
    def solved(self) -> bool:
        """Whether it ended in an answer that is right, on the right way."""
        is_answered = self.outcome is Outcome.ANSWERED
        return is_answered and self.has_calls and self.has_facts

    def as_dict(self) -> dict[str, Any]:
        """As values of JSON."""
        return {**asdict(self), "solved": self.solved}


def task_figures(
    tools: Sequence[Tool],
    utterances: Sequence[Utterance],
    outcome: Outcome,
    answer: str,
    expected: Expected,
) -> TaskFigures:
    """How a task went.

    Args:
        tools (`Sequence[Tool]`):
            What could be called.
        utterances (`Sequence[Utterance]`):
            All that was said.
        outcome (`Outcome`):
            How it ended.
        answer (`str`):
            What the user was told, empty where nothing.
        expected (`Expected`):
            What solves it.
    """
    made = [read_call(u.text) for u in utterances if u.speaker == "caller"]
    faults = [one for call in made if (one := fault_of(call, tools))]
    return TaskFigures(
        outcome,
        sum(one.speaker == "assistant" for one in utterances),
        len(made),
        tuple(one.text for one in faults),
        _are_made(expected.calls, made),
        all(_is_told(fact, answer) for fact in expected.facts),
    )


def task_scores(figures: Sequence[TaskFigures]) -> Scores:
    """The figures of one run, each task a unit of its own.

    Args:
        figures (`Sequence[TaskFigures]`):
            Of all tasks, in the same order in every run.
    """
    rows = [
        {
            TaskMetric.SOLVED: float(one.solved),
            TaskMetric.STEPS: float(one.steps),
            TaskMetric.CALLS: float(one.calls),
            TaskMetric.INVALID: float(len(one.faults)),
        }
        for one in figures
    ]
    return collected(range(len(rows)), rows, list(TaskMetric))


def _are_made(expected: Sequence[Call], made: Sequence[Call]) -> bool:
    """Whether the calls are among those that were made, in their order."""
    rest = iter(made)
    return all(any(_fulfils(one, call) for one in rest) for call in expected)


def _fulfils(made: Call, expected: Call) -> bool:
    given, wanted = map(read_arguments, (made, expected))
    if made.name != expected.name or given is None or wanted is None:
        return False
    return all(k in given and given[k] == v for k, v in wanted.items())


def _is_told(wordings: Sequence[str], answer: str) -> bool:
    return any(_stands_in(one, answer) for one in wordings)


def _stands_in(wording: str, answer: str) -> bool:
    """Whether a wording stands in an answer as words of its own: 3 is in
    neither of 13, 3.5 and -3."""
    wanted, told = map(_normal, (wording, answer))
    before = r"(?<!\w)(?<!\d\.)(?<!\s-)(?<!^-)"
    pattern = rf"{before}{re.escape(wanted)}(?!\w|\.\d)"
    return re.search(pattern, told) is not None


def _normal(text: str) -> str:
    without_commas = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text)
    return " ".join(without_commas.casefold().split())
