# -*- coding: utf-8 -*-
"""What a reply is held to that must be a call, or an object of some schema.

A grammar, and a number of tokens within which all that follows it has ended: a
reply that has so much room is never cut into something that is no JSON. Knows
no models. Raises ConfigError for schemas that no grammar can be made of,
GenerationError where nothing fits, and without llguidance.
"""

import json
from collections.abc import Mapping, Sequence
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
    values = [(f.name, f.schema, f.before, f.after) for f in forms]
    return _grammar(json.dumps(values), limits)


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
    return 1 + max(
        len((form.before + form.after).encode())
        + longest_json(_bounded(form, limits))
        for form in forms
    )


def held_replies(
    forms: Sequence[Form],
    wanted: int,
    room: int,
) -> tuple[HeldReply, ...]:
    """What a reply is held to, the next one where that was cut.

    The first has values as long as usually fit, the last is sure to end.

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
    lengths = [longest_tokens(forms, limits) for limits in LADDER]
    sure = _first_within(room, lengths)
    if sure is None:
        names = ", ".join(repr(form.name) for form in forms)
        raise GenerationError(
            f"a reply that fits {names} may need {lengths[-1]} tokens, and "
            f"the prompt leaves room for {room}",
            fix="shorten the conversation, or give the schema smaller bounds",
        )
    likely = _first_within(_BYTES * min(wanted, room), lengths)
    if likely is None:
        likely = len(LADDER) - 1
    chosen = (likely,) if likely >= sure else (likely, sure)
    return tuple(
        HeldReply(
            forms_grammar(forms, LADDER[index]),
            min(room, lengths[index]),
        )
        for index in chosen
    )


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


@lru_cache(_KEPT)
def _grammar(forms_json: str, limits: SchemaLimits) -> str:
    forms = [Form(*one) for one in json.loads(forms_json)]
    rules = []
    for number, form in enumerate(forms):
        parts = [
            *([literal(form.before)] if form.before else []),
            json_value(_bounded(form, limits)),
            *([literal(form.after)] if form.after else []),
        ]
        rule = " ".join(parts)
        check_grammar(f"start: {rule}\n", _named(form))
        rules.append(f"form{number}: {rule}\n")
    choice = " | ".join(f"form{number}" for number in range(len(forms)))
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


def _first_within(limit: int, lengths: Sequence[int]) -> int | None:
    fitting = (i for i, length in enumerate(lengths) if length <= limit)
    return next(fitting, None)
