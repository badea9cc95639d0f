# -*- coding: utf-8 -*-
"""What planner, caller and summarizer say to each other, and how it is read.

The one place that knows the phrases of a decision, the two lines of a call and
the misspelt keys of published data. Knows no prompts and no models. Raises
DatasetError for a record that is no trajectory; text of models never raises.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, get_args

from local_llm.errors import DatasetError

Speaker = Literal["user", "assistant", "caller", "observation", "conclusion"]
"""Who speaks in a trajectory; the planner speaks as `assistant`."""

_SPEAKER_ALIASES: Mapping[str, Speaker] = {
    "planner": "assistant",
    "asssitant": "assistant",
    "dispath": "assistant",
    "summarizer": "conclusion",
}
"""Other names in published files, two of them misspelt there."""

NO_TOOL = "none"
"""The name of the tool where a text calls none."""

NO_ANSWER = "none"
"""What stands in place of an answer that the data do not have."""

_ACTION, _ARGUMENTS = "Action:", "Action Input:"

_WHOLE_CALL = re.compile(
    rf"{_ACTION}(?P<name>.*)\n{_ARGUMENTS}(?P<arguments>(?s:.*))",
)


class Decision(StrEnum):
    """Whose turn it is after the planner's."""

    CALL = "caller"
    CONCLUDE = "conclusion"
    GIVE_UP = "give up"

    @property
    def phrase(self) -> str:
        """How a planner states it."""
        return f"Next: {self.value}"


_ORDER = (Decision.GIVE_UP, Decision.CONCLUDE, Decision.CALL)
"""Which phrase counts where a text has several; as in the paper's code."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool as the roles read of it.

    Attributes:
        name (`str`):
            Its name in a call.
        description (`str`):
            What it does.
        arguments (`Mapping[str, str]`):
            By name, type and description: `"string, the city"`.
        schema (`Mapping[str, Any] | None`):
            JSON schema of the arguments' object, None where only the texts
            are known.
    """

    name: str
    description: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict)
    schema: Mapping[str, Any] | None = None

    def as_document(self) -> dict[str, Any]:
        """The object that files and the paper's prompts have of a tool."""
        return {
            "Name": self.name,
            "function": self.description,
            "input": dict(self.arguments),
        }


@dataclass(frozen=True, slots=True)
class Utterance:
    """What one speaker says in a trajectory."""

    speaker: Speaker
    text: str


@dataclass(frozen=True, slots=True)
class Trajectory:
    """A task, its tools, and all that was said until it ended.

    Attributes:
        tools (`tuple[Tool, ...]`):
            What may be called.
        instruction (`str`):
            The task.
        utterances (`tuple[Utterance, ...]`):
            From the user's first one on.
        name (`str`):
            Where it comes from, for messages and tables.
    """

    tools: tuple[Tool, ...]
    instruction: str
    utterances: tuple[Utterance, ...]
    name: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """A planner's text, read.

    Attributes:
        text (`str`):
            Up to the end of the decision's phrase, which it always has.
        decision (`Decision`):
            Whose turn it is.
        is_stated (`bool`):
            Whether the planner said it itself.
    """

    text: str
    decision: Decision
    is_stated: bool


@dataclass(frozen=True, slots=True)
class Call:
    """A caller's text, read.

    Attributes:
        name (`str`):
            The tool, `NO_TOOL` where none is named.
        arguments (`str`):
            JSON as written, `{}` where none is.
    """

    name: str
    arguments: str

    @property
    def text(self) -> str:
        """The two lines of a caller."""
        return f"{_ACTION} {self.name}\n{_ARGUMENTS} {self.arguments}"


def read_plan(text: str) -> Plan:
    """Read a planner's text; without a decision it is the caller's turn."""
    for decision in _ORDER:
        end = _end_of_phrase(text, decision)
        if end is not None:
            return Plan(text[:end], decision, True)
    call = Decision.CALL
    return Plan(f"{text.rstrip()} {call.phrase}.", call, False)


def up_to_decision(text: str) -> str:
    """What a planner says until it first names whose turn it is."""
    ends = (_end_of_phrase(text, decision) for decision in Decision)
    return text[: min((end for end in ends if end), default=len(text))]


def without_decision(text: str) -> str:
    """A planner's rationale alone."""
    starts = (text.find(decision.phrase) for decision in Decision)
    first = min((start for start in starts if start >= 0), default=len(text))
    return text[:first].strip()


def states_decision(text: str) -> bool:
    """Whether a text names whose turn it is."""
    return any(decision.phrase in text for decision in Decision)


def decides(utterance: Utterance) -> bool:
    """Whether this is a planner's text that names whose turn it is."""
    return utterance.speaker == "assistant" and states_decision(utterance.text)


def gives_up(utterance: Utterance) -> bool:
    """Whether this is a planner's text that ends the attempt."""
    if not decides(utterance):
        return False
    return read_plan(utterance.text).decision is Decision.GIVE_UP


def is_blank(text: str) -> bool:
    """Whether a text has no word."""
    return re.search(r"\w", text) is None


def read_call(text: str) -> Call:
    """Read a caller's text; what is missing gets its default.

    Words of the form count where they stand last, as in the paper's code,
    unless the text is one call as a whole: an argument may have them too.
    """
    whole = _WHOLE_CALL.fullmatch(text.strip())
    if whole is not None and _is_object(whole["arguments"]):
        name, arguments = whole["name"].strip(), whole["arguments"].strip()
        return Call(name or NO_TOOL, arguments)
    call = call_as_written(text)
    return Call(call.name or NO_TOOL, call.arguments or "{}")


def call_as_written(text: str) -> Call:
    """Read a caller's text; what is missing gets its default, what is there
    and empty stays so, as the published evaluation has it."""
    name, arguments = NO_TOOL, "{}"
    if _ACTION in text:
        name = text.rpartition(_ACTION)[2].partition(_ARGUMENTS)[0].strip()
    if _ARGUMENTS in text:
        arguments = text.rpartition(_ARGUMENTS)[2].strip()
    return Call(name, arguments)


def write_call(name: str, arguments: Mapping[str, Any]) -> Call:
    """The call of a tool with these arguments."""
    return Call(name, json.dumps(dict(arguments), ensure_ascii=False))


def read_tool(raw: Mapping[str, Any]) -> Tool:
    """A tool from its object in a file."""
    return Tool(
        name=str(raw["Name"]),
        description=str(raw["function"]),
        arguments={str(k): str(v) for k, v in raw["input"].items()},
    )


def read_trajectory(raw: object, where: str) -> Trajectory:
    """A trajectory from its object in a file: tools, instruction, and
    conversations as `{"from", "value"}`.

    Args:
        raw (`object`):
            One element of the file's list.
        where (`str`):
            File and number of it, for messages.

    Raises:
        `DatasetError`: It is none; says what is missing.
    """
    try:
        return Trajectory(
            tools=tuple(read_tool(one) for one in raw["tools"]),
            instruction=str(raw["instruction"]),
            utterances=tuple(
                Utterance(_speaker(one["from"], where), _text(one["value"]))
                for one in raw["conversations"]
            ),
            name=where,
        )
    except (AttributeError, KeyError, TypeError) as error:
        raise DatasetError(
            f"{where}: no trajectory, {type(error).__name__}: {error}",
            fix="give tools, instruction and conversations as in "
            "data/tool_trajectories.json",
        ) from error


def trajectory_as_dict(trajectory: Trajectory) -> dict[str, Any]:
    """The object of a trajectory in a file."""
    return {
        "tools": [tool.as_document() for tool in trajectory.tools],
        "instruction": trajectory.instruction,
        "conversations": [
            {"from": one.speaker, "value": one.text}
            for one in trajectory.utterances
        ],
    }


def _end_of_phrase(text: str, decision: Decision) -> int | None:
    """Where a decision's phrase ends with its full stop; None without it."""
    place = text.find(decision.phrase)
    if place < 0:
        return None
    end = place + len(decision.phrase)
    return end + (text[end : end + 1] == ".")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a value is {type(value).__name__}, want text")
    return value


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _speaker(name: str, where: str) -> Speaker:
    speaker = _SPEAKER_ALIASES.get(name, name)
    if speaker not in get_args(Speaker):
        raise DatasetError(
            f"{where}: nobody is called {name!r}",
            fix=f"use one of {', '.join(get_args(Speaker))}",
        )
    return speaker
