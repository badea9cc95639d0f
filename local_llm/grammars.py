# -*- coding: utf-8 -*-
"""Grammars that replies follow, written in the Lark syntax of llguidance.

Pieces of text, values of JSON schemas, and a check of the whole. Knows no
tokenizers and no models. Raises ConfigError for a grammar or a schema that
cannot be used, GenerationError where llguidance is not installed.
"""

import importlib.util
import json
from types import ModuleType

from .bounded_schemas import (
    USUAL_LIMITS,
    SchemaLimits,
    bounded_schema,
)
from .bounded_values import Bounded
from .errors import ConfigError, GenerationError
from .schema_keywords import Schema

_STYLE = {
    "whitespace_flexible": False,
    "item_separator": ", ",
    "key_separator": ": ",
    "json_allowed_escapes": 'nrbtf\\"',
}
"""JSON as Python writes it, without a choice of white space: a model could
pad with it for ever, and all that learned from such JSON expects it."""

_LONGEST_MESSAGE = 300

INSTALLING = "pip install llguidance"
"""What to do where replies cannot follow grammars."""


def json_grammar(
    schema: Schema,
    where: str = "the schema",
    limits: SchemaLimits = USUAL_LIMITS,
) -> str:
    """The grammar of one value that fits a JSON schema.

    Args:
        schema (`Schema`):
            What the value must fit.
        where (`str`, optional):
            What the schema belongs to, for messages.
        limits (`SchemaLimits`, optional):
            How long values may be where the schema does not demand more.

    Returns:
        `str`: For `Request.grammar`.

    Raises:
        `ConfigError`: The schema is malformed or uses what is not supported.
        `GenerationError`: llguidance is not installed.
    """
    bounded = bounded_schema(schema, where, limits)
    grammar = f"start: {json_value(bounded)}\n"
    check_grammar(grammar, where)
    return grammar


def json_value(bounded: Bounded) -> str:
    """The part of a rule that stands for a value of a schema.

    Args:
        bounded (`Bounded`):
            What `bounded_schema` gives.
    """
    return f"%json {json.dumps({**bounded, 'x-guidance': _STYLE})}"


def literal(text: str) -> str:
    """The part of a rule that stands for this very text."""
    return json.dumps(text)


def check_grammar(grammar: str, where: str) -> None:
    """See that a grammar can be followed.

    Args:
        grammar (`str`):
            In Lark syntax, with a rule `start`.
        where (`str`):
            What it belongs to, for messages.

    Raises:
        `ConfigError`: It cannot; says why.
        `GenerationError`: llguidance is not installed.
    """
    problem = grammar_problem(grammar)
    if problem:
        raise ConfigError(
            where,
            [problem],
            fix="change the schema or the grammar, or do without it",
        )


def grammar_problem(grammar: str) -> str:
    """Why a grammar cannot be followed; empty if it can.

    Raises:
        `GenerationError`: llguidance is not installed.
    """
    matcher = guidance().LLMatcher
    message = matcher.validate_grammar(matcher.grammar_from_lark(grammar))
    return "" if message.startswith("WARNING") else short(message)


def short(message: str) -> str:
    """What llguidance says, without the grammar that it shows with it."""
    lines = message.partition("\n   1 |")[0].split("<state>")[0].split()
    return " ".join(lines)[:_LONGEST_MESSAGE]


def is_installed() -> bool:
    """Whether grammars can be followed here."""
    return importlib.util.find_spec("llguidance") is not None


def guidance() -> ModuleType:
    """The library that compiles grammars.

    Raises:
        `GenerationError`: It is not installed.
    """
    try:
        import llguidance
    except ImportError as error:
        raise GenerationError(
            "replies that follow a grammar need llguidance",
            fix=INSTALLING,
        ) from error
    return llguidance
