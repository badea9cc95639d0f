# -*- coding: utf-8 -*-
"""JSON schemas drawn at random, of all that is supported and a little more."""

import random
from collections.abc import Callable
from typing import Any

Schema = dict[str, Any]
Draw = random.Random

_VALUES: list[Any] = [
    *["a", "é\n", '"q\\', "", "\x01", "\U0001f600"],
    *[1, 2.5, -3, 1e5, None, True],
    *[[1, "x"], {"k": 1, "é": None}],
]
_NAMES = ["a", "b", "é", 'k"', "x y", "c", "\n", "日本"]
_PATTERNS = ["^[A-Z]{2,4}$", "\\d", "^a", "z$", "^\\w+$", "^[^ ]*$", "x|y"]
_FORMATS = ["date", "email", "int32", "uuid", "date-time", "ipv4", "uri"]
_DEEPEST = 3


def random_schema(seed: int) -> Schema:
    """A schema with definitions that its parts refer to."""
    draw = random.Random(seed)
    schema = _any(draw, 0)
    schema["$defs"] = {
        "leaf": _any(draw, _DEEPEST),
        "tree": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "kids": {"type": "array", "items": {"$ref": "#/$defs/tree"}},
            },
        },
    }
    return schema


def _any(draw: Draw, depth: int) -> Schema:
    kinds = _DEEP if depth < _DEEPEST else _FLAT
    schema = draw.choice(kinds)(draw, depth + 1)
    if draw.random() < 0.1:
        schema["description"] = "anything"
    return schema


def _sometimes(draw: Draw, **values: Any) -> Schema:
    return {k: v for k, v in values.items() if draw.random() < 0.25}


def _string(draw: Draw, depth: int) -> Schema:
    return {
        "type": "string",
        **_sometimes(
            draw,
            minLength=draw.randint(0, 3),
            maxLength=draw.randint(3, 20),
        ),
    }


def _patterned(draw: Draw, depth: int) -> Schema:
    key, values = draw.choice([("pattern", _PATTERNS), ("format", _FORMATS)])
    return {"type": "string", key: draw.choice(values)}


def _number(draw: Draw, depth: int) -> Schema:
    low = draw.randint(-1000, 1000) / draw.choice([1, 1, 10, 1000, 7])
    low = draw.choice([0, 0.0, low])
    return {
        "type": draw.choice(["integer", "number"]),
        **_sometimes(
            draw,
            minimum=low,
            exclusiveMinimum=low - 1,
            maximum=low + draw.randint(1, 20),
            exclusiveMaximum=low + draw.randint(2, 20),
            multipleOf=draw.choice([1, 2, 5, 0.5, 0.25, 2.5]),
        ),
    }


def _listed(draw: Draw, depth: int) -> Schema:
    return {"enum": draw.sample(_VALUES, draw.randint(2, 5))}


def _array(draw: Draw, depth: int) -> Schema:
    return {
        "type": "array",
        "items": _any(draw, depth),
        **_sometimes(
            draw,
            minItems=draw.randint(0, 3),
            maxItems=draw.randint(3, 6),
        ),
    }


def _tuple(draw: Draw, depth: int) -> Schema:
    first = [_any(draw, depth) for _ in range(draw.randint(1, 3))]
    items = draw.choice([False, True, _any(draw, depth)])
    return {"type": "array", "prefixItems": first, "items": items}


def _set(draw: Draw, depth: int) -> Schema:
    items = draw.choice([{"enum": ["a", "b", 1]}, {"type": "string"}])
    return {"type": "array", "uniqueItems": True, "items": items}


def _record(draw: Draw, depth: int) -> Schema:
    names = draw.sample(_NAMES, draw.randint(0, 4))
    return {
        "type": "object",
        "properties": {name: _any(draw, depth) for name in names},
        "required": [name for name in names if draw.random() < 0.5],
        **_sometimes(
            draw,
            additionalProperties=draw.choice([False, {"type": "integer"}]),
            minProperties=draw.randint(0, len(names)),
            maxProperties=draw.randint(len(names), 5),
            anyOf=[{"required": [name]} for name in names] or [True],
        ),
    }


def _map(draw: Draw, depth: int) -> Schema:
    return {"type": "object", "additionalProperties": _any(draw, depth)}


def _either(draw: Draw, depth: int) -> Schema:
    return {"anyOf": [_any(draw, depth) for _ in range(draw.randint(1, 3))]}


def _tagged(draw: Draw, depth: int) -> Schema:
    parts = [
        {
            "type": "object",
            "properties": {"kind": {"const": kind}, "v": _any(draw, depth)},
            "required": ["kind"],
        }
        for kind in ("x", "y")
    ]
    return {"oneOf": parts}


def _joined(draw: Draw, depth: int) -> Schema:
    return {"allOf": [_any(draw, depth)]}


def _reference(draw: Draw, depth: int) -> Schema:
    return {"$ref": draw.choice(["#/$defs/leaf", "#/$defs/tree"])}


def _types(draw: Draw, depth: int) -> Schema:
    kinds = ["string", "integer", "number", "null", "array", "object"]
    return {"type": draw.sample(kinds, 2)}


def _untyped(draw: Draw, depth: int) -> Schema:
    return dict(draw.choice([{}, {"minLength": 2}, {"minimum": 3}]))


_FLAT: list[Callable[[Draw, int], Schema]] = [
    _string,
    _string,
    _patterned,
    _number,
    _number,
    _listed,
    _untyped,
]
_DEEP: list[Callable[[Draw, int], Schema]] = [
    *_FLAT,
    _array,
    _tuple,
    _set,
    _record,
    _record,
    _map,
    _either,
    _tagged,
    _joined,
    _reference,
    _types,
]
