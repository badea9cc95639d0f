# -*- coding: utf-8 -*-
"""The grammar that a caller's text follows: a tool's name and its arguments.

Whatever a model would rather say, the call fits the tool's schema, and it ends
within a known number of tokens. Knows no models. Raises ConfigError for tools
that no grammar can be made of, GenerationError without llguidance.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from local_llm.bounded_schemas import USUAL_LIMITS, SchemaLimits
from local_llm.errors import ConfigError
from local_llm.held_replies import (
    Form,
    forms_grammar,
    longest_tokens,
    object_schema,
)

from .protocol import Call, Tool, read_call, write_call

_TYPES: Mapping[str, str] = {
    "string": "string",
    "str": "string",
    "integer": "integer",
    "int": "integer",
    "number": "number",
    "float": "number",
    "boolean": "boolean",
    "bool": "boolean",
    "array": "array",
    "list": "array",
    "object": "object",
    "dict": "object",
}
"""The types that an argument's text may begin with."""


def call_grammar(
    tools: Sequence[Tool],
    limits: SchemaLimits = USUAL_LIMITS,
) -> str:
    """The grammar of a call of one of these tools.

    Args:
        tools (`Sequence[Tool]`):
            What may be called.
        limits (`SchemaLimits`, optional):
            How long arguments may be where a schema does not demand more.

    Returns:
        `str`: For `Request.grammar`; `longest_call_tokens` says how many
            tokens it needs.

    Raises:
        `ConfigError`: There are no tools, two of one name, one whose name
            cannot stand in a call, or one whose schema is malformed or uses
            what is not supported; says which.
        `GenerationError`: llguidance is not installed.
    """
    return forms_grammar(_forms(tools), limits)


def longest_call_tokens(
    tools: Sequence[Tool],
    limits: SchemaLimits = USUAL_LIMITS,
) -> int:
    """A number of tokens within which every call has ended.

    One for each byte of the longest call and one for its end: no model needs
    more, most need a quarter.

    Args:
        tools (`Sequence[Tool]`):
            As `call_grammar` gets them.
        limits (`SchemaLimits`, optional):
            As `call_grammar` gets them.

    Raises:
        `ConfigError`: As `call_grammar`, which notices more.
    """
    return longest_tokens(_forms(tools), limits)


def arguments_schema(tool: Tool) -> dict[str, Any]:
    """The schema of a tool's arguments, its own or one made of their texts.

    Of a text the word before the first comma is the type; where that is none,
    the argument may be anything. No argument is required then, and there are
    none but those.
    """
    if tool.schema is None:
        types = {
            name: _TYPES.get(text.partition(",")[0].strip().lower())
            for name, text in tool.arguments.items()
        }
        return {
            "type": "object",
            "properties": {
                name: {"type": kind} if kind else {}
                for name, kind in types.items()
            },
        }
    return object_schema(tool.schema)


def _forms(tools: Sequence[Tool]) -> list[Form]:
    _check_names(tools)
    return [
        Form(tool.name, arguments_schema(tool), Call(tool.name, "").text)
        for tool in tools
    ]


def _is_read_again(name: str) -> bool:
    """Also where an argument has the words of a call's form."""
    call = write_call(name, {"text": f"{name}\nAction: f\nAction Input: {{}}"})
    return read_call(call.text) == call


def _check_names(tools: Sequence[Tool]) -> None:
    names = [tool.name for tool in tools]
    problems = [
        f"{name!r} cannot stand in a call"
        for name in dict.fromkeys(names)
        if not _is_read_again(name)
    ]
    problems += [
        f"{name!r} is there {names.count(name)} times"
        for name in dict.fromkeys(names)
        if names.count(name) > 1
    ]
    if not tools:
        problems = ["there are none"]
    if problems:
        raise ConfigError("tools", problems, fix="give each tool its own name")
