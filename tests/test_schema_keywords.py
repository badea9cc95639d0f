# -*- coding: utf-8 -*-
"""Keywords of JSON schemas hold what they may, and two become one."""

import pytest

from local_llm.schema_keywords import (
    common_types,
    common_values,
    holds,
    is_of,
    joined,
    plain_keywords,
    types_of,
)


@pytest.mark.parametrize(
    ("keyword", "value", "expected"),
    [
        ("minLength", 3, True),
        ("minLength", True, False),
        ("minLength", "3", False),
        ("exclusiveMinimum", True, False),
        ("minimum", 0.5, True),
        ("type", "string", True),
        ("type", ["string", "null"], True),
        ("type", "text", False),
        ("type", ["string", 3], False),
        ("items", [{}], True),
        ("items", 3, False),
        ("properties", [], False),
        ("x-order", 3, True),
    ],
)
def test_a_keyword_holds_what_it_may(keyword, value, expected):
    assert holds(keyword, value) is expected


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string", "title": "T"}, {"type": ["string"]}),
        ({"const": None}, {"enum": [None]}),
        ({"const": 1, "enum": [1, 2]}, {"enum": [1]}),
        ({"const": True, "enum": [1, 2]}, {"enum": []}),
        (
            {"items": [{}, True], "additionalItems": False},
            {"prefixItems": [{}, True], "items": False},
        ),
        ({"items": [{}]}, {"prefixItems": [{}], "items": True}),
        ({"items": {}, "additionalItems": False}, {"items": {}}),
    ],
)
def test_the_same_is_written_in_one_way(schema, expected):
    assert plain_keywords(schema) == expected


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (1, "integer", True),
        (1.0, "integer", True),
        (1.5, "integer", False),
        (1, "number", True),
        (True, "integer", False),
        (True, "boolean", True),
        (None, "null", True),
        ({}, "object", True),
        ("", "array", False),
    ],
)
def test_a_value_has_the_types_that_json_gives_it(value, kind, expected):
    assert is_of(value, kind) is expected


def test_a_choice_without_a_type_has_those_of_its_values() -> None:
    assert types_of({"enum": ["a", None]}) == ["string", "null"]
    assert len(types_of({})) == 7


def test_an_integer_is_a_number_too() -> None:
    assert common_types(["integer", "null"], ["number"]) == ["integer"]
    assert common_types(["number"], ["string", "number"]) == ["number"]
    assert common_types(["string"], ["null"]) == []


def test_true_is_not_one() -> None:
    assert common_values([1, True, "a"], [True]) == [True]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ({"minimum": 1}, {"minimum": 3}, {"minimum": 3}),
        ({"maxLength": 5}, {"maxLength": 2}, {"maxLength": 2}),
        ({"type": ["string"]}, {"type": ["null"]}, None),
        ({"enum": [1, 2]}, {"enum": [3]}, None),
        ({"required": ["a"]}, {"required": ["b", "a"]}, ["a", "b"]),
        ({"pattern": "x"}, {"pattern": "x"}, {"pattern": "x"}),
        ({}, {"pattern": "x"}, {"pattern": "x"}),
    ],
)
def test_two_keywords_of_a_name_become_the_narrower_one(one, other, expected):
    if isinstance(expected, list):
        expected = {"required": expected}
    assert joined(one, other) == expected


def test_a_property_of_both_must_be_what_both_say() -> None:
    one = {"properties": {"a": {"type": "string"}, "b": True}}
    other = {"properties": {"a": {"minLength": 2}, "b": {"type": "null"}}}
    both = joined(one, other)
    assert both is not None and both["properties"] == {
        "a": {"allOf": [{"type": "string"}, {"minLength": 2}]},
        "b": {"type": "null"},
    }


def test_a_closed_object_closes_the_other_part_too() -> None:
    one = {"properties": {"a": True}, "additionalProperties": False}
    both = joined(one, {"properties": {"b": {"type": "null"}}})
    assert both is not None and both["properties"] == {
        "b": {"allOf": [False, {"type": "null"}]},
        "a": True,
    }


@pytest.mark.parametrize(
    ("one", "other", "message"),
    [
        (
            {"pattern": "a"},
            {"pattern": "b"},
            "more than one 'pattern' at once",
        ),
        (
            {"patternProperties": {"a": True}},
            {"properties": {"a": True}},
            "'patternProperties' together with another part's 'properties'",
        ),
        (
            {"items": True},
            {"prefixItems": [True]},
            "'prefixItems' together with another part's 'items'",
        ),
    ],
)
def test_what_cannot_be_joined_is_named(one, other, message):
    with pytest.raises(ValueError, match=message):
        joined(one, other)
