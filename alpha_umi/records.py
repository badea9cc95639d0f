# -*- coding: utf-8 -*-
"""Trajectories as the records that each role learns from, one for each step.

A record is a prompt and the text that its role answers there; only that text
is learned. Fields are those of the published files. Knows no models and no
files. Raises nothing.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from .prompts import PromptStyle
from .protocol import (
    NO_ANSWER,
    Trajectory,
    Utterance,
    decides,
    gives_up,
    read_call,
)
from .roles import Role, merge_for_backbone, role_prompt

INVALID_TOOL = "invalid_hallucination_function_name"
"""What ToolBench calls in place of a tool that a model has made up."""


@dataclass(frozen=True, slots=True)
class Record:
    """One text that a role learns.

    Attributes:
        role (`Role`):
            Whose text it is.
        trajectory (`Trajectory`):
            Where it comes from.
        history (`tuple[Utterance, ...]`):
            What was said before; the backbone's prompt has it merged.
        input (`str`):
            The role's prompt.
        target (`str`):
            What it answers.
    """

    role: Role
    trajectory: Trajectory
    history: tuple[Utterance, ...]
    input: str
    target: str

    def as_dict(self) -> dict[str, Any]:
        """The object of a record in the published files."""
        return {
            "tools": [tool.as_document() for tool in self.trajectory.tools],
            "history": [
                {"from": one.speaker, "value": one.text}
                for one in self.history
            ],
            "input": self.input,
            "target": self.target,
        }


def records_of(
    trajectory: Trajectory,
    role: Role,
    style: PromptStyle = "paper",
) -> list[Record]:
    """All that one role learns from a trajectory."""
    return [
        Record(
            role,
            trajectory,
            tuple(history),
            role_prompt(role, style, trajectory.tools, history),
            target,
        )
        for history, target in _STEPS[role](trajectory)
    ]


Step = tuple[list[Utterance], str]


def _planner_steps(trajectory: Trajectory) -> Iterator[Step]:
    said = trajectory.utterances
    for index, one in enumerate(said):
        following = said[index + 1 : index + 2]
        if decides(one) and not any(map(_calls_invalid, following)):
            yield list(said[:index]), one.text


def _caller_steps(trajectory: Trajectory) -> Iterator[Step]:
    said = trajectory.utterances
    for index, one in enumerate(said):
        if one.speaker == "caller" and _is_learned(one):
            seen = [past for past in said[:index] if not _calls_invalid(past)]
            yield seen, one.text


def _summarizer_steps(trajectory: Trajectory) -> Iterator[Step]:
    for index, one in enumerate(trajectory.utterances):
        if one.speaker == "conclusion" and _is_learned(one):
            yield list(trajectory.utterances[:index]), one.text


def _backbone_steps(trajectory: Trajectory) -> Iterator[Step]:
    said = trajectory.utterances
    for index, one in enumerate(said):
        if not decides(one):
            continue
        # The decision together with the call or the answer that follows it.
        end = index + 1 if gives_up(one) else index + 2
        turn = said[index:end]
        if len(turn) == end - index and all(map(_is_learned, turn[1:])):
            yield list(said[:index]), merge_for_backbone(turn)[0].text


_STEPS: dict[Role, Callable[[Trajectory], Iterator[Step]]] = {
    Role.BACKBONE: _backbone_steps,
    Role.PLANNER: _planner_steps,
    Role.CALLER: _caller_steps,
    Role.SUMMARIZER: _summarizer_steps,
}


def _calls_invalid(one: Utterance) -> bool:
    is_call = one.speaker == "caller"
    return is_call and read_call(one.text).name == INVALID_TOOL


def _is_learned(one: Utterance) -> bool:
    """Whether this is a call or an answer that the data really have."""
    if one.speaker == "caller":
        return not _calls_invalid(one)
    return one.speaker == "conclusion" and one.text != NO_ANSWER
