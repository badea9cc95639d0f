# -*- coding: utf-8 -*-
"""Values are checked against schemas, and broken schemas are a reason."""

import pytest

from local_llm.schema_checks import mismatch

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"maximum": 9}},
    "required": ["city"],
}


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({"city": "Paris"}, ""),
        ({"city": "Paris", "days": 10}, "do not fit: days: 10 is greater"),
        ({}, "do not fit: 'city' is a required property"),
        ([], "do not fit: [] is not of type 'object'"),
    ],
)
def test_what_does_not_fit_is_named_with_its_place(value, problem) -> None:
    assert mismatch(value, SCHEMA).startswith(problem)
    assert bool(mismatch(value, SCHEMA)) == bool(problem)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "no type"},
        {"$ref": "https://example.com/a.json"},
        {"$ref": "#/nowhere"},
        {"pattern": "("},
    ],
)
def test_a_broken_schema_is_told_and_nothing_is_fetched(schema) -> None:
    assert "its schema is broken" in mismatch("text", schema)
