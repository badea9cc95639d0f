# -*- coding: utf-8 -*-
"""The grammar that a caller's text follows: a tool's name and its arguments.

Whatever a model would rather say, the call fits the tool's schema, and it ends
within a known number of tokens. Knows no models. Raises ConfigError for tools
that no grammar can be made of, GenerationError without llguidance.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from local_llm.bounded_schemas import (
    USUAL_LIMITS,
    SchemaLimits,
    bounded_schema,
)
from local_llm.bounded_values import Bounded, longest_json
from local_llm.errors import ConfigError
from local_llm.grammars import check_grammar, json_value, literal

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
    _check_names(tools)
    rules = []
    for number, tool in enumerate(tools):
        start = literal(_before_arguments(tool))
        value = json_value(_bounded(tool, limits))
        check_grammar(f"start: {start} {value}\n", _named(tool))
        rules.append(f"call{number}: {start} {value}\n")
    calls = " | ".join(f"call{number}" for number in range(len(tools)))
    return f"start: {calls}\n{''.join(rules)}"


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
    _check_names(tools)
    return 1 + max(
        len(_before_arguments(tool).encode())
        + longest_json(_bounded(tool, limits))
        for tool in tools
    )


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
    schema = dict(tool.schema)
    if schema.keys().isdisjoint(_ARGUMENTS_FROM):
        schema["properties"] = {}
    if "$ref" not in schema and _may_be_object(schema.get("type", "object")):
        schema["type"] = "object"
    return schema


_ARGUMENTS_FROM = frozenset(
    {
        "properties",
        "additionalProperties",
        "patternProperties",
        "propertyNames",
        "required",
        "const",
        "enum",
        "$ref",
        "allOf",
        "anyOf",
        "oneOf",
    },
)
"""Keywords without which a schema of arguments names none."""


def _may_be_object(kind: object) -> bool:
    return kind == "object" or (isinstance(kind, list) and "object" in kind)


def _bounded(tool: Tool, limits: SchemaLimits) -> Bounded:
    bounded = bounded_schema(arguments_schema(tool), _named(tool), limits)
    options = bounded.get("anyOf", [bounded])
    if any(option.get("type") != "object" for option in options):
        raise ConfigError(
            _named(tool),
            ["schema /: arguments are an object"],
            fix='let the schema have the type "object"',
        )
    return bounded


def _before_arguments(tool: Tool) -> str:
    return Call(tool.name, "").text


def _named(tool: Tool) -> str:
    return f"tool {tool.name!r}"


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
