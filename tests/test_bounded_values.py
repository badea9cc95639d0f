# -*- coding: utf-8 -*-
"""Single values get bounds inside those that they have."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_values import accepts, random_text

from local_llm.bounded_values import (
    FORMAT_CHARACTERS,
    bounded_choice,
    bounded_integer,
    bounded_number,
    bounded_string,
    is_writable,
    longest_json,
)
from local_llm.grammars import json_value

LARGE = 10**15 - 1


@pytest.mark.parametrize(
    ("keywords", "expected"),
    [
        ({}, {"maxLength": 10}),
        ({"maxLength": 3}, {"maxLength": 3}),
        ({"maxLength": 30}, {"maxLength": 10}),
        ({"minLength": 20}, {"minLength": 20, "maxLength": 20}),
        ({"format": "date"}, {"format": "date", "maxLength": 64}),
        ({"format": "int32"}, {"maxLength": 10}),
    ],
)
def test_a_string_is_as_long_as_it_may_and_must_be(keywords, expected):
    assert FORMAT_CHARACTERS == 64
    assert bounded_string(keywords, 10) == {"type": "string", **expected}


def test_a_string_that_must_be_longer_than_it_may_be_has_no_value() -> None:
    assert bounded_string({"minLength": 3, "maxLength": 2}, 10) is None


@pytest.mark.parametrize(
    ("keywords", "expected"),
    [
        ({}, (-LARGE, LARGE)),
        ({"minimum": 0}, (0, LARGE)),
        ({"exclusiveMinimum": 0, "maximum": 5}, (1, 5)),
        ({"minimum": 0.5, "exclusiveMaximum": 4}, (1, 3)),
        ({"minimum": 2, "exclusiveMinimum": 2, "maximum": 9.5}, (3, 9)),
        ({"minimum": 4, "exclusiveMinimum": 2, "maximum": 4}, (4, 4)),
        ({"minimum": 10**15}, (10**15, 10**15 + LARGE)),
        ({"maximum": -(10**15)}, (-(10**15) - LARGE, -(10**15))),
    ],
)
def test_an_integer_lies_between_two_others(keywords, expected):
    found = bounded_integer(keywords)
    assert found is not None
    assert (found["minimum"], found["maximum"]) == expected


@pytest.mark.parametrize("bounded", [bounded_integer, bounded_number])
def test_a_number_above_its_maximum_does_not_exist(bounded):
    assert bounded({"minimum": 3, "maximum": 2}) is None


@pytest.mark.parametrize(
    ("keywords", "step"),
    [
        ({}, 1e-6),
        ({"minimum": 0, "maximum": 10**12}, 0.01),
        ({"minimum": 0, "maximum": 10**15}, 1),
        ({"minimum": 1e-8, "maximum": 1}, 1e-8),
        ({"minimum": 0, "maximum": 1 / 3}, 1e-10),
        ({"multipleOf": 0.25}, 0.25),
    ],
)
def test_a_number_has_no_more_digits_than_a_double_keeps(keywords, step):
    found = bounded_number(keywords)
    assert found is not None and found["multipleOf"] == step


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "minimum": st.floats(-1e12, 0).map(lambda x: round(x, 3)),
            "exclusiveMaximum": st.integers(1, 10**13),
        },
    ),
    st.integers(0, 10**9),
)
def test_a_number_that_a_grammar_allows_is_read_as_one_in_its_range(
    keywords: dict[str, float],
    seed: int,
) -> None:
    bounded = bounded_number(keywords)
    assert bounded is not None
    text = random_text(f"start: {json_value(bounded)}", seed)
    assert len(text) <= longest_json(bounded)
    value = float(text)
    assert keywords.get("minimum", value) <= value
    assert value < keywords.get("exclusiveMaximum", 10**14)


@pytest.mark.parametrize(
    ("keywords", "expected"),
    [
        ({"exclusiveMinimum": 0, "maximum": 0.5}, [False, True, True, False]),
        ({"minimum": 0, "exclusiveMaximum": 0.5}, [True, True, False, False]),
        (
            {"minimum": 0, "exclusiveMinimum": 0, "maximum": 1},
            [False, True, True, True],
        ),
        (
            {"minimum": -1, "exclusiveMinimum": -2, "exclusiveMaximum": 1},
            [True, True, True, False],
        ),
    ],
)
def test_an_excluded_bound_is_not_allowed_and_others_are(keywords, expected):
    bounded = bounded_number(keywords)
    assert bounded is not None
    grammar = f"start: {json_value(bounded)}"
    found = [accepts(grammar, text) for text in ("0", "0.1", "0.5", "1")]
    assert found == expected


def test_between_equal_bounds_there_is_one_number_or_none() -> None:
    found = bounded_number({"minimum": 2, "maximum": 2})
    assert found is not None and accepts(f"start: {json_value(found)}", "2")
    assert bounded_number({"exclusiveMinimum": 2, "maximum": 2}) is None


def test_a_choice_keeps_the_values_of_its_type_that_can_be_written() -> None:
    values = ["a", 1, None, "\x01", "\ud800", 2.0]
    kept = {"enum": values, "type": ["string", "integer"]}
    assert bounded_choice(kept) == {"enum": ["a", 1, 2.0]}
    assert bounded_choice({"enum": ["\x7f"]}) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('a\n\t"\\é😀', True),
        ({"k": ["\x00"]}, False),
        ({"\x1f": 1}, False),
        (3, True),
    ],
)
def test_control_characters_without_a_short_escape_are_not_written(
    value,
    expected,
):
    assert is_writable(value) is expected


STRING = {"type": "string", "maxLength": 3}
RECORD = {"type": "object", "additionalProperties": False}


@pytest.mark.parametrize(
    ("bounded", "longest"),
    [
        (STRING, '"\U0001f600\U0001f600\U0001f600"'),
        ({"type": "boolean"}, "false"),
        ({"type": "null"}, "null"),
        ({"type": "integer", "minimum": -12, "maximum": 5}, "-12"),
        (
            {
                "type": "number",
                "minimum": -12,
                "maximum": 5,
                "multipleOf": 0.01,
            },
            "-11.99",
        ),
        ({"enum": ["é", {"a": [1, 2]}]}, '{"a": [1, 2]}'),
        ({"anyOf": [{"type": "null"}, {"type": "boolean"}]}, "false"),
        (
            {"type": "array", "items": {"type": "null"}, "maxItems": 3},
            "[null, null, null]",
        ),
        (
            {
                "type": "array",
                "prefixItems": [{"type": "null"}],
                "items": {"type": "boolean"},
                "maxItems": 2,
            },
            "[null, false]",
        ),
        ({"type": "array", "items": False, "maxItems": 0}, "[]"),
        ({**RECORD, "properties": {}}, "{}"),
        (
            {
                **RECORD,
                "properties": {"é": {"type": "null"}, "b": {"enum": [1]}},
            },
            '{"é": null, "b": 1}',
        ),
    ],
)
def test_the_longest_value_can_be_written_and_nothing_is_longer(
    bounded,
    longest,
):
    assert longest_json(bounded) == len(longest.encode())
    assert accepts(f"start: {json_value(bounded)}", longest)
