# -*- coding: utf-8 -*-
"""What a reply is held to that must be a call, or an object of some schema.

A grammar, and a number of tokens within which all that follows it has ended: a
reply that has so much room is never cut into something that is no JSON. Knows
no models. Raises ConfigError for schemas that no grammar can be made of,
GenerationError where nothing fits, and without llguidance.
"""

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from .bounded_schemas import USUAL_LIMITS, SchemaLimits, bounded_schema
from .bounded_values import Bounded, longest_json
from .errors import ConfigError, GenerationError
from .grammars import check_grammar, json_value, literal
from .schema_keywords import Schema

LADDER = (
    SchemaLimits(2048, 256, 16, 8),
    USUAL_LIMITS,
    SchemaLimits(96, 32, 4, 2, recursion=1),
    SchemaLimits(32, 16, 2, 1, recursion=1),
    SchemaLimits(12, 8, 1, 1, recursion=1),
)
"""How long values may be, the longest first."""

_BYTES = 12
"""Of the longest reply for a token of a usual one: its characters have one
byte, not four, and its tokens more than one."""

_KEPT = 64


@dataclass(frozen=True, slots=True)
class Form:
    """What a reply may be: an object of a schema, with text around it.

    Attributes:
        name (`str`):
            The tool that it calls, or what the object is, for messages.
        schema (`Schema`):
            Of the object.
        before (`str`):
            The text before it.
        after (`str`):
            The text behind it.
    """

    name: str
    schema: Schema
    before: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class HeldReply:
    """What a reply must be.

    Attributes:
        grammar (`str`):
            What it follows; see `Request.grammar`.
        tokens (`int`):
            Within so many it has ended. A reply that has less room may be
            cut, and is then nothing.
    """

    grammar: str
    tokens: int


def forms_grammar(
    forms: Sequence[Form],
    limits: SchemaLimits = USUAL_LIMITS,
) -> str:
    """The grammar of a reply in one of these forms.

    Args:
        forms (`Sequence[Form]`):
            At least one.
        limits (`SchemaLimits`, optional):
            How long values may be where a schema does not demand more.

    Raises:
        `ConfigError`: A schema is malformed, uses what is not supported, or
            is not one of objects; says which.
        `GenerationError`: llguidance is not installed.
    """
    return _grammar(_written(forms), limits)


def longest_tokens(
    forms: Sequence[Form],
    limits: SchemaLimits = USUAL_LIMITS,
) -> int:
    """A number of tokens within which every such reply has ended.

    One for each byte of the longest and one for its end: no model needs more,
    most need a quarter.

    Args:
        forms (`Sequence[Form]`):
            As `forms_grammar` gets them.
        limits (`SchemaLimits`, optional):
            As `forms_grammar` gets them.

    Raises:
        `ConfigError`: As `forms_grammar`, which notices more.
    """
    return _longest(_written(forms), limits)


def held_replies(
    forms: Sequence[Form],
    wanted: int,
    room: int,
) -> Iterator[HeldReply]:
    """What a reply is held to, the next one where that was cut.

    The first has values as long as usually fit, the last is sure to end; a
    second one is made when it is asked for.

    Args:
        forms (`Sequence[Form]`):
            What the reply may be.
        wanted (`int`):
            About how long it should be at most, in tokens.
        room (`int`):
            How long it can be at most, in tokens.

    Raises:
        `ConfigError`: As `forms_grammar`.
        `GenerationError`: Even the shortest values may not fit; says the
            numbers. Or llguidance is not installed.
    """
    shortest = longest_tokens(forms, LADDER[-1])
    if shortest > room:
        names = ", ".join(repr(form.name) for form in forms)
        raise GenerationError(
            f"a reply that fits {names} may need {shortest} tokens, and "
            f"the prompt leaves room for {room}",
            fix="shorten the conversation, or give the schema smaller bounds",
        )
    likely = _limits_within(_BYTES * min(wanted, room), forms)
    first = _held_reply(forms, likely, room)
    return itertools.chain([first], _sure_reply(forms, likely, room))


def object_schema(schema: Schema) -> dict[str, Any]:
    """The schema of arguments, as objects; none but those that it names."""
    if not isinstance(schema, Mapping):
        return {"type": "object", "properties": {}}
    whole = dict(schema)
    if whole.keys().isdisjoint(_ARGUMENTS_FROM):
        whole["properties"] = {}
    if "$ref" not in whole and _may_be_object(whole.get("type", "object")):
        whole["type"] = "object"
    return whole


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


def _held_reply(
    forms: Sequence[Form],
    limits: SchemaLimits,
    room: int,
) -> HeldReply:
    tokens = min(room, longest_tokens(forms, limits))
    return HeldReply(forms_grammar(forms, limits), tokens)


def _sure_reply(
    forms: Sequence[Form],
    likely: SchemaLimits,
    room: int,
) -> Iterator[HeldReply]:
    """The one that is sure to end, where the likely one is not."""
    if longest_tokens(forms, likely) > room:
        yield _held_reply(forms, _limits_within(room, forms), room)


def _limits_within(tokens: int, forms: Sequence[Form]) -> SchemaLimits:
    """The longest values with which a reply ends in time, or the shortest."""
    fitting = (one for one in LADDER if longest_tokens(forms, one) <= tokens)
    return next(fitting, LADDER[-1])


def _written(forms: Sequence[Form]) -> str:
    """Forms as what a cache can be asked for."""
    return json.dumps([(f.name, f.schema, f.before, f.after) for f in forms])


def _read(forms_json: str) -> list[Form]:
    return [Form(*one) for one in json.loads(forms_json)]


@lru_cache(_KEPT * len(LADDER))
def _longest(forms_json: str, limits: SchemaLimits) -> int:
    return 1 + max(
        len((form.before + form.after).encode())
        + longest_json(_bounded(form, limits))
        for form in _read(forms_json)
    )


@lru_cache(_KEPT)
def _grammar(forms_json: str, limits: SchemaLimits) -> str:
    rules = []
    for number, form in enumerate(_read(forms_json)):
        parts = [
            *([literal(form.before)] if form.before else []),
            json_value(_bounded(form, limits)),
            *([literal(form.after)] if form.after else []),
        ]
        rule = " ".join(parts)
        check_grammar(f"start: {rule}\n", _named(form))
        rules.append(f"form{number}: {rule}\n")
    choice = " | ".join(f"form{number}" for number in range(len(rules)))
    return f"start: {choice}\n{''.join(rules)}"


def _bounded(form: Form, limits: SchemaLimits) -> Bounded:
    bounded = bounded_schema(form.schema, _named(form), limits)
    options = bounded.get("anyOf", [bounded])
    if any(option.get("type") != "object" for option in options):
        raise ConfigError(
            _named(form),
            ["schema /: arguments are an object"],
            fix='let the schema have the type "object"',
        )
    return bounded


def _named(form: Form) -> str:
    return f"tool {form.name!r}"


def _may_be_object(kind: object) -> bool:
    return kind == "object" or (isinstance(kind, list) and "object" in kind)
