# -*- coding: utf-8 -*-
"""Grammars are texts that llguidance takes, or errors that say why not."""

import sys

import pytest
from random_values import accepts

from local_llm.bounded_schemas import SchemaLimits
from local_llm.errors import ConfigError, GenerationError
from local_llm.grammars import (
    check_grammar,
    grammar_problem,
    json_grammar,
    literal,
)


@pytest.mark.parametrize(
    "text",
    ['a"b\\c/d', "é😀", "tab\tline\n", "\x01\x7f", "a{2}|b", "// # %json <x>"],
)
def test_a_literal_stands_for_its_very_text(text):
    grammar = f'start: {literal(text)} "!"'
    assert accepts(grammar, f"{text}!")
    assert not accepts(grammar, "!")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": "x", "b": [1, 2]}', True),
        ('{"b": [1, 2]}', True),
        ('{"a":"x"}', False),
        ('{"a": "x" }', False),
        (' {"a": "x"}', False),
        ('{"b": [], "a": "x"}', False),
        ('{"a": "\\u00e9"}', False),
        ('{"a": "xyzxyzxyz"}', False),
        ('{"c": 1}', False),
    ],
)
def test_json_has_one_spelling_and_the_order_of_the_schema(text, expected):
    schema = {
        "type": "object",
        "properties": {
            "a": {"type": "string"},
            "b": {"type": "array", "items": {"type": "integer"}},
        },
    }
    grammar = json_grammar(schema, limits=SchemaLimits(characters=8))
    assert accepts(grammar, text) is expected


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ({"pattern": "(?=a)b"}, "look-around"),
        ({"pattern": "^a{9}$", "maxLength": 3}, "Unsatisfiable"),
        ({"enum": ["a"], "minLength": 2}, "Unsatisfiable"),
    ],
)
def test_a_schema_that_llguidance_refuses_is_named(schema, problem):
    with pytest.raises(ConfigError, match=problem) as caught:
        json_grammar(schema, "tool 'x'")
    assert caught.value.where == "tool 'x'"
    assert "\n" not in caught.value.problems[0]
    assert "start:" not in caught.value.problems[0]


@pytest.mark.parametrize(
    ("grammar", "problem"),
    [
        ("", "Empty grammar"),
        ("start: missing", 'unknown name: "missing"'),
        ("other: /a/", "no start rule found"),
        ("start: /(/", "unclosed group"),
    ],
)
def test_a_broken_grammar_is_named(grammar, problem):
    assert problem in grammar_problem(grammar)
    with pytest.raises(ConfigError, match=problem):
        check_grammar(grammar, "the grammar")


def test_without_the_library_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "llguidance", None)
    with pytest.raises(GenerationError, match="pip install llguidance"):
        json_grammar({"type": "null"})
