# -*- coding: utf-8 -*-
"""A narrow schema has only values of the wide one, none longer than known."""

import json

import pytest
from jsonschema import Draft202012Validator
from random_schemas import random_schema
from random_values import accepts, greedy_text, random_text

from local_llm.bounded_schemas import SchemaLimits, bounded_schema
from local_llm.bounded_values import longest_json
from local_llm.errors import ConfigError
from local_llm.grammars import json_grammar, json_value

SMALL = SchemaLimits(
    characters=12,
    item_characters=6,
    items=3,
    nested_items=2,
    recursion=1,
)
SCHEMAS = 150
"""Random schemas of the test; 20,000 of them were tried once."""


def narrow(schema, limits=SMALL):
    return bounded_schema(schema, "here", limits)


def takes(schema, *values):
    """Which of these values the grammar of a schema allows."""
    grammar = f"start: {json_value(narrow(schema))}"
    return [
        accepts(grammar, json.dumps(one, ensure_ascii=False)) for one in values
    ]


def test_values_of_random_schemas_fit_them_and_end_in_time() -> None:
    refused = 0
    for seed in range(SCHEMAS):
        schema = random_schema(seed)
        try:
            grammar = json_grammar(schema, limits=SMALL)
        except ConfigError:
            refused += 1
            continue
        longest = longest_json(narrow(schema))
        validator = Draft202012Validator(schema)
        for draw in range(4):
            text = random_text(grammar, draw)
            assert len(text.encode()) <= longest, (seed, text)
            assert validator.is_valid(json.loads(text)), (seed, text)
    assert refused < SCHEMAS / 10


@pytest.mark.parametrize("wanted", ["a", " ", "\n", "1", "[", "{", '"', "0"])
def test_who_never_wants_to_end_comes_to_an_end(wanted):
    bounded = narrow({})
    text = greedy_text(f"start: {json_value(bounded)}", wanted)
    json.loads(text)
    assert len(text.encode()) <= longest_json(bounded)


def test_an_object_has_the_properties_that_are_named_and_no_others() -> None:
    schema = {"properties": {"a": {"type": "null"}}, "required": ["b"]}
    assert takes(
        schema,
        {"a": None, "b": 1},
        {"b": "x"},
        {"a": None},
        {"b": 1, "c": 1},
        3,
    ) == [True, True, False, False, False]


def test_an_object_without_named_properties_has_short_keys() -> None:
    schema = {"type": "object", "additionalProperties": {"type": "null"}}
    assert takes(
        schema,
        {},
        {"k" * 32: None},
        {"k" * 33: None},
        dict.fromkeys("abc"),
        dict.fromkeys("abcd"),
    ) == [True, True, False, True, False]


def test_keys_that_are_listed_are_properties() -> None:
    schema = {
        "type": "object",
        "additionalProperties": {"type": "integer"},
        "propertyNames": {"enum": ["x", "y"]},
    }
    assert takes(schema, {"x": 1}, {"y": 2}, {"z": 3}) == [True, True, False]


def test_a_property_must_be_what_a_pattern_of_its_name_says() -> None:
    schema = {
        "properties": {"x-a": {}, "b": {}},
        "patternProperties": {"^x-": {"type": "null"}},
    }
    assert takes(
        schema, {"x-a": None}, {"x-a": 1}, {"b": 1}, {"x-b": None}
    ) == [
        True,
        False,
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("more", "properties", "required"),
    [
        ({}, ["a", "b", "c"], ["b"]),
        ({"minProperties": 2}, ["a", "b", "c"], ["b", "a"]),
        ({"maxProperties": 2}, ["a", "b"], ["b"]),
        ({"maxProperties": 1}, ["b"], ["b"]),
        ({"minProperties": 1}, ["a", "b", "c"], ["b"]),
    ],
)
def test_the_number_of_properties_is_kept(more, properties, required):
    schema = {"properties": dict.fromkeys("abc", True), "required": ["b"]}
    found = narrow({**schema, **more})
    assert [*found["properties"]] == properties
    assert found["required"] == required


def test_an_array_has_as_many_items_as_it_may_and_must_have() -> None:
    items = {"type": "array", "items": {"type": "null"}}
    sizes = [(3, {}), (3, {"maxItems": 9}), (2, {"maxItems": 2})]
    sizes += [(5, {"minItems": 5})]
    for most, more in sizes:
        assert narrow({**items, **more})["maxItems"] == most
    inner = narrow({**items, "items": items})["items"]
    assert inner["maxItems"] == SMALL.nested_items


def test_the_first_items_may_each_be_of_their_kind() -> None:
    first = [{"type": "null"}, {"type": "boolean"}]
    schema = {"type": "array", "prefixItems": first, "items": False}
    assert takes(schema, [None, True], [None], [True], [None, True, 1]) == [
        True,
        True,
        False,
        False,
    ]


def test_no_value_comes_twice_where_none_may() -> None:
    listed = {"enum": ["a", "b", "c"]}
    schema = {"type": "array", "items": listed, "uniqueItems": True}
    assert takes(schema, [], ["a", "c"], ["a", "b", "c"], ["a", "a"]) == [
        True,
        True,
        True,
        False,
    ]
    texts = {"type": "array", "items": {}, "uniqueItems": True}
    assert takes(texts, ["x"], ["x", "y"]) == [True, False]


def test_what_cannot_be_true_is_left_out() -> None:
    schema = {
        "properties": {"a": False, "b": {"enum": []}, "c": {"type": "null"}},
    }
    assert [*narrow(schema)["properties"]] == ["c"]
    assert narrow({"anyOf": [False, {"type": "null"}]}) == {"type": "null"}


def test_a_tree_is_as_deep_as_it_may_be() -> None:
    tree = {"properties": {"left": {"$ref": "#"}}}
    assert takes(
        tree,
        {},
        {"left": {}},
        {"left": {"left": {}}},
        {"left": {"left": {"left": {}}}},
    ) == [True, True, True, False]


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        (False, "schema /: no value fits it"),
        ({"properties": {"a": False}, "required": ["a"]}, "no value fits it"),
        ({"minItems": 2, "maxItems": 1}, "no value fits it"),
        ({"properties": {}, "minProperties": 1}, "no value fits it"),
        (
            {"type": "object", "minProperties": 2},
            "schema /: 'minProperties' above 1",
        ),
        (
            {"patternProperties": {"a": {}}},
            "'patternProperties' without 'properties' is not supported",
        ),
        (
            {"properties": {"a": {}}, "patternProperties": {"(": {}}},
            "schema /: a pattern: missing )",
        ),
        (
            {"propertyNames": {"pattern": "a"}},
            "schema /propertyNames: only 'enum' is supported",
        ),
        (
            {"properties": {"a": {"uniqueItems": True, "minItems": 2}}},
            "schema /properties/a: 'uniqueItems' of such items",
        ),
        (
            {"enum": [{}], "properties": {"a": {}}},
            "schema /: 'properties' beside 'enum'",
        ),
        (
            {"items": {"anyOf": [{"not": {}}]}},
            "schema /items/anyOf/0: 'not' is not supported",
        ),
    ],
)
def test_what_cannot_be_bounded_is_named_with_its_place(schema, problem):
    with pytest.raises(ConfigError) as caught:
        narrow(schema)
    assert problem in caught.value.problems[0]
    assert caught.value.where == "here"
    assert caught.value.fix
