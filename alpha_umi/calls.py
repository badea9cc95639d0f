# -*- coding: utf-8 -*-
"""Calls against the tools that are there: what is wrong with one, which ask
the same.

Says what is wrong in words that a planner can use. Knows no models and runs
nothing. Raises nothing.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from typing import Any

from local_llm.schema_checks import mismatch

from .protocol import NO_TOOL, Call, Tool

_LONGEST_NAME = 64
_LONGEST_PROBLEM = 200
_MOST_TOOLS = 20
"""How much of a name, a problem and a list an observation repeats; it is cut
at 1,024 characters, and the hint comes last."""


class CallResult(StrEnum):
    """What became of a call."""

    RETURNED = "returned"
    RAISED = "raised"
    TIMED_OUT = "timed out"
    UNKNOWN_TOOL = "unknown tool"
    INVALID_ARGUMENTS = "invalid arguments"

    @property
    def is_valid(self) -> bool:
        """Whether the call could be made at all."""
        return self not in _NEVER_MADE


_NEVER_MADE = (CallResult.UNKNOWN_TOOL, CallResult.INVALID_ARGUMENTS)


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a call cannot be made.

    Attributes:
        result (`CallResult`):
            `UNKNOWN_TOOL` or `INVALID_ARGUMENTS`.
        text (`str`):
            What is wrong, and what would be right.
    """

    result: CallResult
    text: str


def fault_of(call: Call, tools: Sequence[Tool]) -> Fault | None:
    """Say why a call cannot be made.

    Args:
        call (`Call`):
            What a caller wrote.
        tools (`Sequence[Tool]`):
            What may be called. Arguments of a tool without a schema need
            only be a JSON object.

    Returns:
        `Fault | None`: None for a call that can be made.
    """
    tool = next((one for one in tools if one.name == call.name), None)
    if tool is None:
        return Fault(CallResult.UNKNOWN_TOOL, _no_tool(call.name, tools))
    try:
        value = _read_json(call.arguments)
    except (ValueError, RecursionError) as error:
        problem = f"are no JSON: {first_words(str(error))}"
    else:
        problem = _problem(value, tool.schema)
    if not problem:
        return None
    text = (
        f"The arguments of {first_words(tool.name)} {problem}. {_usage(tool)}"
    )
    return Fault(CallResult.INVALID_ARGUMENTS, text)


def read_arguments(call: Call) -> dict[str, Any] | None:
    """The arguments by name, None where the text is no JSON object."""
    try:
        value = _read_json(call.arguments)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def call_key(call: Call) -> tuple[str, str]:
    """Equal for calls of one tool with equal arguments.

    The order of the keys, space and `5.0` for `5` make no difference.
    """
    try:
        value = json.loads(call.arguments, parse_float=_number)
        return call.name, json.dumps(value, sort_keys=True)
    except (ValueError, RecursionError):
        return call.name, call.arguments.strip()


def first_words(text: str, limit: int = _LONGEST_PROBLEM) -> str:
    """A text on one line, of at most so many characters and a mark."""
    text = " ".join(text.split())
    return text if len(text) <= limit else f"{text[:limit]}..."


def _read_json(text: str) -> object:
    return json.loads(text, parse_constant=_no_constant)


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no value of JSON")


def _number(text: str) -> int | float:
    value = float(text)
    return int(value) if value.is_integer() else value


def _no_tool(name: str, tools: Sequence[Tool]) -> str:
    names = [one.name for one in tools]
    if name == NO_TOOL:
        start = "No tool was called."
    else:
        start = f"There is no tool {first_words(name, _LONGEST_NAME)}."
    near = get_close_matches(name[:_LONGEST_NAME], names, n=1)
    if near:
        start += f" Did you mean {near[0]}?"
    return f"{start} Tools: {_listed(names)}."


def _listed(names: Sequence[str]) -> str:
    more = ["..."] if len(names) > _MOST_TOOLS else []
    return ", ".join([*names[:_MOST_TOOLS], *more]) or "none"


def _problem(value: object, schema: Mapping[str, Any] | None) -> str:
    if not isinstance(value, dict):
        return "must be a JSON object, with braces"
    if schema is None:
        return ""
    return first_words(mismatch(value, schema))


def _usage(tool: Tool) -> str:
    names = [
        first_words(name, _LONGEST_NAME) for name in _argument_names(tool)
    ]
    return f"It takes: {_listed(names)}."


def _argument_names(tool: Tool) -> list[str]:
    properties = (tool.schema or {}).get("properties")
    if isinstance(properties, Mapping):
        return [str(name) for name in properties]
    return list(tool.arguments)
