# -*- coding: utf-8 -*-
"""Tools as text: the schemas, the calls and the results, in both directions.

The one protocol for training data and for chat; knows no tokens, no template
and no data format. What cannot be parsed becomes a value, ParseFailure: the
text of a model is never an error of the program.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

TOOLS_START, TOOLS_END = "<tools>", "</tools>"
CALL_START, CALL_END = "<tool_call>", "</tool_call>"
RESULT_START, RESULT_END = "<tool_response>", "</tool_response>"

_CALL_MARK = re.compile(f"{CALL_START}|{CALL_END}")
_ANY_MARK = re.compile(r"<(?=/?(?:tools|tool_call|tool_response)>)")
_SPACE = re.compile(r"\s*")
_RESULT = re.compile(
    rf"\s*{RESULT_START}\n?(.*?)\n?{RESULT_END}\s*",
    re.DOTALL,
)

_FORM = '{"name": ..., "arguments": {...}}'
_OFFER_START = f"These tools can be called:\n{TOOLS_START}\n"
_OFFER_END = f"""
{TOOLS_END}
A call is a name and its arguments as one JSON object, between marks:
{CALL_START}
{_FORM}
{CALL_END}
Its result follows in the next turn."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool's name, and the arguments by their names, as JSON has them."""

    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ParseFailure:
    """Why something is no tool call, and at which character of the text."""

    reason: str
    position: int = 0


def render_tools(tools: Sequence[Mapping[str, Any]]) -> str:
    """Write the block of the system text that offers tools.

    Args:
        tools (`Sequence[Mapping[str, Any]]`):
            Schemas without a `tool_problem`: name, description, parameters;
            bare, or as `function` of an object.

    Returns:
        `str`: The block; empty without tools.
    """
    if not tools:
        return ""
    schemas = [_json(tool.get("function", tool)) for tool in tools]
    return _OFFER_START + "\n".join(schemas) + _OFFER_END


def offer_tools(text: str, tools: Sequence[Mapping[str, Any]]) -> str:
    """Put the block that offers tools behind a system text.

    Args:
        text (`str`):
            The system text; may be blank.
        tools (`Sequence[Mapping[str, Any]]`):
            As `render_tools` takes them.
    """
    parts = [one for one in (text, render_tools(tools)) if one.strip()]
    return "\n\n".join(parts)


def parse_offer(text: str) -> tuple[tuple[dict[str, Any], ...], str]:
    """Read the tools that a text offers; `offer_tools` wrote it.

    Args:
        text (`str`):
            Any text.

    Returns:
        `tuple[tuple[dict[str, Any], ...], str]`:
            The schemas, none where there is no such block, and the text
            without the block.
    """
    before, start, rest = text.partition(_OFFER_START)
    schemas, end, after = rest.partition(_OFFER_END)
    if not (start and end):
        return (), text
    try:
        tools = [_DECODER.decode(line) for line in schemas.splitlines()]
    except (ValueError, RecursionError):
        return (), text
    if any(map(tool_problem, tools)):
        return (), text
    kept = [one for one in (before.strip(), after.strip()) if one]
    return tuple(tools), "\n\n".join(kept)


def render_call(call: ToolCall) -> str:
    """Write one call as an assistant's text; `parse_calls` reads it back.

    Args:
        call (`ToolCall`):
            What `call_of` gave, or its like.
    """
    value = {"name": call.name, "arguments": call.arguments}
    return f"{CALL_START}\n{_json(value)}\n{CALL_END}"


def render_result(text: str) -> str:
    r"""Write what a tool answered, as a user's text.

    A mark inside gets a backslash, which in JSON changes nothing
    (`<\/tool_response>`): a tool cannot end its own result.

    Args:
        text (`str`):
            The answer, of any form.
    """
    inner = text.replace(RESULT_END, RESULT_END.replace("/", "\\/"))
    return f"{RESULT_START}\n{inner}\n{RESULT_END}"


def parse_results(text: str) -> tuple[str, ...]:
    """Read the results in a text that holds nothing else.

    Args:
        text (`str`):
            Any text.

    Returns:
        `tuple[str, ...]`:
            The answers without their marks, in their order; none where other
            text stands around a result.
    """
    found, rest = split_results(text)
    return () if rest else found


def split_results(text: str) -> tuple[tuple[str, ...], str]:
    """Read the results that a text begins with.

    Args:
        text (`str`):
            Any text.

    Returns:
        `tuple[tuple[str, ...], str]`:
            The answers without their marks, in their order, and what stands
            behind them.
    """
    found: list[str] = []
    position = 0
    while match := _RESULT.match(text, position):
        found.append(match[1])
        position = match.end()
    return tuple(found), text[position:]


def parse_calls(text: str) -> tuple[ToolCall, ...] | ParseFailure:
    """Read the calls in an assistant's text.

    Args:
        text (`str`):
            Any text; what stands around the calls does not matter.

    Returns:
        `tuple[ToolCall, ...] | ParseFailure`:
            The calls in their order, none where there is no mark. A failure
            where any call is unclosed, nested, not JSON or of wrong types:
            of several calls none counts then.
    """
    found = split_calls(text)
    return found if isinstance(found, ParseFailure) else found[1]


def split_calls(text: str) -> tuple[str, tuple[ToolCall, ...]] | ParseFailure:
    """Part an assistant's text into what it says and what it calls.

    Args:
        text (`str`):
            Any text.

    Returns:
        `tuple[str, tuple[ToolCall, ...]] | ParseFailure`:
            The text around the calls, and the calls in their order; a failure
            as `parse_calls` gives it.
    """
    said: list[str] = []
    calls: list[ToolCall] = []
    position = 0
    while mark := _CALL_MARK.search(text, position):
        if mark[0] == CALL_END:
            return ParseFailure("closed but never opened", mark.start())
        found = _parse_call(text, mark.end())
        if isinstance(found, ParseFailure):
            return found
        said.append(text[position : mark.start()].strip())
        call, position = found
        calls.append(call)
    said.append(text[position:].strip() if calls else text)
    return "\n".join(filter(None, said)), tuple(calls)


def call_of(value: object) -> ToolCall | ParseFailure:
    """Judge a decoded call.

    Args:
        value (`object`):
            Wanted is an object with `name`, a text, and `arguments`, an
            object or absent; nothing else.
    """
    if not isinstance(value, dict):
        return ParseFailure("a call is not an object")
    more = [key for key in value if key not in ("name", "arguments")]
    if more:
        return ParseFailure(
            f"a call has the unknown key {str(more[0])[:60]!r}"
        )
    name, arguments = value.get("name"), value.get("arguments", {})
    if not isinstance(name, str) or not name.strip():
        return ParseFailure("a call has no name")
    if not isinstance(arguments, dict):
        return ParseFailure("the arguments of a call are not an object")
    problem = _json_problem(value)
    return ParseFailure(problem) if problem else ToolCall(name, arguments)


def tool_problem(tool: object) -> str:
    """Say why a tool's schema cannot be offered; empty where it can.

    Args:
        tool (`object`):
            A decoded schema.
    """
    if not isinstance(tool, dict):
        return "a tool is not an object"
    function = tool.get("function", tool)
    if not isinstance(function, dict):
        return "the function of a tool is not an object"
    name = function.get("name")
    if not isinstance(name, str) or not name.strip():
        return "a tool has no name"
    return _json_problem(function)


def decode(text: str) -> Any:
    """Read JSON, and nothing that only Python takes for it.

    Args:
        text (`str`):
            Any text.

    Returns:
        `Any`: The value, or a `ParseFailure`.
    """
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        return ParseFailure(f"not JSON ({error.msg})", error.pos)
    except (ValueError, RecursionError):
        return ParseFailure("JSON that cannot be read")


def _parse_call(text: str, start: int) -> tuple[ToolCall, int] | ParseFailure:
    """The call after an opening mark, and where its closing mark ends."""
    start = _after_space(text, start)
    if text.startswith(CALL_START, start):
        return ParseFailure("opened inside a call", start)
    if text.find(CALL_END, start) < 0:
        return ParseFailure("opened but never closed", start)
    try:
        value, end = _DECODER.raw_decode(text, start)
    except json.JSONDecodeError as error:
        return ParseFailure(f"not JSON ({error.msg})", error.pos)
    except (ValueError, RecursionError):
        return ParseFailure("JSON that cannot be read", start)
    end = _after_space(text, end)
    if not text.startswith(CALL_END, end):
        return ParseFailure("more than one value in a call", end)
    call = call_of(value)
    if isinstance(call, ParseFailure):
        return ParseFailure(call.reason, start)
    return call, end + len(CALL_END)


def _after_space(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _json_problem(value: object) -> str:
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except UnicodeEncodeError:
        return "half a character (lone surrogate)"
    except (TypeError, ValueError, RecursionError):
        return "a value that JSON has not, or nested too deeply"
    return ""


def _json(value: object) -> str:
    # A mark inside a value would end the block; JSON can spell it otherwise.
    return _ANY_MARK.sub(
        r"\\u003c",
        json.dumps(value, ensure_ascii=False, allow_nan=False),
    )


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


_DECODER = json.JSONDecoder(parse_constant=_no_constant)
