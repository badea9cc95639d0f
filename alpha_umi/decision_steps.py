# -*- coding: utf-8 -*-
"""The steps that are measured: what was to be decided, and what was.

Cuts trajectories into decision steps with their true history, and reads the
texts of models by the published rules. Knows no models and no scores. Raises
nothing: every text is some decision.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from .protocol import (
    Call,
    Decision,
    Trajectory,
    Utterance,
    call_as_written,
    decides,
    read_plan,
)

SILENCE = "none"
"""What stands for the text of a model that says nothing."""

_END = "</s>"
_ANSWER = "conclusion: "
_BLANK = {"", ".", ","}
"""Texts that count as silence, in the published code."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What one step came to, as evaluated.

    Attributes:
        decision (`Decision`):
            To call, to conclude or to give up.
        call (`Call | None`):
            As written: a name and arguments may be empty. None where nothing
            is called.
        answer (`str | None`):
            What the user is told, None where the task goes on or is given up.
    """

    decision: Decision
    call: Call | None = None
    answer: str | None = None


@dataclass(frozen=True, slots=True)
class Reference:
    """What one step should have come to.

    Attributes:
        decision (`Decision`):
            To call, to conclude or to give up.
        call (`Call | None`):
            The true call; None where there is none, or the data lack it.
        answer (`str | None`):
            The true answer; None where there is none, or the data lack it.
        tool_names (`tuple[str, ...]`):
            What could be called.
    """

    decision: Decision
    call: Call | None = None
    answer: str | None = None
    tool_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One decision of a trajectory, with all that was said before it.

    Attributes:
        reference (`Reference`):
            What is right here.
        history (`tuple[Utterance, ...]`):
            What was truly said, so that errors do not pile up; turns of the
            assistant that decide nothing stand in it.
        trajectory (`Trajectory`):
            Where the step comes from.
        number (`int`):
            Of the trajectory in its test set: steps of one number are not
            independent.
    """

    reference: Reference
    history: tuple[Utterance, ...]
    trajectory: Trajectory
    number: int


def steps_of(trajectories: Iterable[Trajectory]) -> list[Step]:
    """The decision steps of a test set, its trajectories numbered from 0."""
    return [
        step
        for number, trajectory in enumerate(trajectories)
        for step in references_of(trajectory, number)
    ]


def references_of(trajectory: Trajectory, number: int = 0) -> list[Step]:
    """The decision steps of a trajectory, in order.

    Args:
        trajectory (`Trajectory`):
            Its turns of the assistant without a decision are no steps.
        number (`int`, defaults to `0`):
            What its steps have in common, for intervals.
    """
    said = trajectory.utterances
    return [
        Step(_reference(trajectory, place), said[:place], trajectory, number)
        for place, one in enumerate(said)
        if decides(one)
    ]


def team_prediction(
    planner: str,
    caller: str = "",
    summarizer: str = "",
) -> Prediction:
    """Read what the three roles say in one step.

    The published rules, over the planner's text up to its decision and the
    text of the role that follows: `Next: give up` anywhere gives up; else
    `Next: conclusion` anywhere answers with what stands after the last
    `conclusion: `; else it is a call, whatever the planner said.

    Args:
        planner (`str`):
            The planner's text; without a decision it is the caller's turn.
        caller (`str`, optional):
            The caller's text, read only where it is its turn.
        summarizer (`str`, optional):
            The summarizer's text, read only where it is its turn.
    """
    plan = read_plan(_said(planner))
    if plan.decision is Decision.GIVE_UP:
        return Prediction(Decision.GIVE_UP)
    if plan.decision is Decision.CONCLUDE:
        return _read_joined(plan.text, _ANSWER + _said(summarizer))
    return _read_joined(plan.text, f"caller: {_said(caller)}")


def single_prediction(text: str) -> Prediction:
    """Read what one model says that plays all roles.

    The published rules: `conclusion: give up` anywhere gives up; else what
    stands after the last `conclusion: ` is the answer; else it is a call.

    Args:
        text (`str`):
            Rationale and call, or rationale and answer.
    """
    text = _said(text)
    if f"{_ANSWER}{Decision.GIVE_UP}" in text:
        return Prediction(Decision.GIVE_UP)
    if _ANSWER in text:
        answer = text.rpartition(_ANSWER)[2]
        return Prediction(Decision.CONCLUDE, answer=answer)
    return Prediction(Decision.CALL, call=call_as_written(text))


def _reference(trajectory: Trajectory, place: int) -> Reference:
    plan = trajectory.utterances[place].text
    following = trajectory.utterances[place + 1 : place + 2]
    names = tuple(tool.name for tool in trajectory.tools)
    decision = read_plan(plan).decision
    wanted = {Decision.CALL: "caller", Decision.CONCLUDE: "conclusion"}
    for one in following:
        if one.speaker == wanted.get(decision):
            read = _read_joined(plan, f"{one.speaker}: {one.text}")
            return Reference(read.decision, read.call, read.answer, names)
    # Nothing that follows a decision to give up is part of it; a call or an
    # answer that is missing, where the published code stops, is not scored.
    return Reference(decision, tool_names=names)


def _read_joined(plan: str, spoken: str) -> Prediction:
    """Read a planner's text and the next role's as the one string that the
    published files have of them."""
    text = f"assistant: {plan}{_END}{spoken}{_END}"
    if Decision.GIVE_UP.phrase in text:
        return Prediction(Decision.GIVE_UP)
    if Decision.CONCLUDE.phrase in text:
        answer = text.rpartition(_ANSWER)[2].replace(_END, "")
        return Prediction(Decision.CONCLUDE, answer=answer)
    return Prediction(Decision.CALL, call=call_as_written(text.split(_END)[1]))


def _said(text: str) -> str:
    text = text.removeprefix(": ")
    return SILENCE if text.strip() in _BLANK else text
