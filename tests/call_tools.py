# -*- coding: utf-8 -*-
"""Tools with all kinds of schemas, and what is wrong with a call of one."""

import json
from collections.abc import Sequence
from typing import Any

from jsonschema import Draft202012Validator

from alpha_umi.call_grammar import arguments_schema
from alpha_umi.protocol import Tool, read_call


def _tool(name: str, *required: str, **properties: Any) -> Tool:
    """A tool as a Python function's signature makes it."""
    schema = {
        "type": "object",
        "properties": properties,
        "required": list(required),
    }
    return Tool(name, f"Does {name}.", schema=schema)


_TREE = {
    "type": "object",
    "properties": {"root": {"$ref": "#/$defs/node"}},
    "required": ["root"],
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "children": {
                    "type": "array",
                    "items": {"$ref": "#/$defs/node"},
                },
            },
            "required": ["name"],
        },
    },
}

TOOLS = [
    _tool(
        "weather",
        "city",
        city={"type": "string"},
        days={"type": "integer", "minimum": 1, "maximum": 14},
        unit={"enum": ["celsius", "fahrenheit"]},
    ),
    _tool("now"),
    _tool(
        "calculate",
        "left",
        "operator",
        "right",
        left={"type": "number"},
        operator={"enum": ["+", "-", "*", "/"]},
        right={"type": "number", "exclusiveMinimum": 0, "maximum": 0.5},
    ),
    _tool(
        "remind",
        "text",
        text={"type": "string", "minLength": 1, "maxLength": 8},
        at={"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]},
        repeat={"type": ["boolean", "null"]},
    ),
    _tool(
        "send",
        "to",
        to={
            "type": "array",
            "items": {"type": "string", "pattern": "^[a-z]+@[a-z]+$"},
            "minItems": 1,
        },
        labels={"type": "array", "items": {"enum": ["a", "b"]}},
    ),
    _tool(
        "größe_messen",
        "länge",
        länge={"type": "number", "minimum": -1.5, "maximum": 2},
        **{"单位": {"enum": ["米", "厘米", "\U0001f4cf"]}},
    ),
    _tool(
        "book",
        "guest",
        guest={
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "address": {
                    "type": "object",
                    "properties": {"zip": {"type": "string"}},
                    "required": ["zip"],
                    "additionalProperties": False,
                },
            },
            "required": ["name", "address"],
        },
    ),
    Tool("tree", schema=_TREE),
    _tool("set", "values", values={"type": "object"}, any={}),
    _tool(
        "pay",
        "by",
        by={
            "oneOf": [
                {
                    "type": "object",
                    "properties": {
                        "kind": {"const": kind},
                        key: {"type": "string"},
                    },
                    "required": ["kind", key],
                }
                for kind, key in (("card", "number"), ("bill", "address"))
            ],
        },
    ),
    Tool(
        'odd "name" \\ {x}|y?',
        arguments={
            "q": "string, what to ask",
            "n": "integer",
            "x": "Number, ",
            "ok": "boolean, yes or no",
            "odd": "enum, one of a few",
        },
    ),
    _tool("say", "text", text={"enum": ["Action: x", "Action Input: {}"]}),
]


def faults(texts: Sequence[str], tools: Sequence[Tool]) -> list[str]:
    """What is wrong with texts that should be calls of these tools."""
    return [fault for text in texts for fault in _faults(text, tools)]


def _faults(text: str, tools: Sequence[Tool]) -> list[str]:
    call = read_call(text)
    named = {tool.name: tool for tool in tools}
    if call.name not in named:
        return [f"no tool: {text!r}"]
    if call.text != text:
        return [f"read as {call.text!r}: {text!r}"]
    try:
        arguments = json.loads(call.arguments)
    except ValueError as error:
        return [f"{error}: {text!r}"]
    validator = Draft202012Validator(arguments_schema(named[call.name]))
    found = validator.iter_errors(arguments)
    return [f"{one.message}: {text!r}" for one in found]
