# -*- coding: utf-8 -*-
"""A schema comes apart into plain alternatives, or says why it does not."""

import pytest

from local_llm.errors import ConfigError
from local_llm.schema_parts import MOST_PARTS, Place, SchemaParts


def alternatives(schema, recursion=1):
    parts = SchemaParts(schema, "here", recursion)
    return [found for found, _ in parts.alternatives(schema, Place())]


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (True, [{}]),
        (False, []),
        ({"title": "T", "default": 3}, [{}]),
        ({"anyOf": [{"minimum": 1}, False]}, [{"minimum": 1}]),
        (
            {"type": "string", "anyOf": [{"minLength": 1}, {"pattern": "a"}]},
            [
                {"type": ["string"], "minLength": 1},
                {"type": ["string"], "pattern": "a"},
            ],
        ),
        (
            {"allOf": [{"minimum": 1}, {"maximum": 3}]},
            [
                {"minimum": 1, "maximum": 3},
            ],
        ),
        ({"allOf": [{"type": "string"}, {"type": "null"}]}, []),
        (
            {"oneOf": [{"type": "string"}, {"type": "null"}]},
            [{"type": ["string"]}, {"type": ["null"]}],
        ),
    ],
)
def test_a_schema_is_as_many_alternatives_as_it_allows(schema, expected):
    assert alternatives(schema) == expected


@pytest.mark.parametrize(
    "reference",
    ["#/$defs/a~1b", "#/%24defs/a~1b", "#/$defs/list/1"],
)
def test_a_reference_leads_into_the_schema(reference):
    defs = {"a/b": {"minimum": 1}, "list": [True, {"minimum": 1}]}
    schema = {"$ref": reference, "maximum": 2, "$defs": defs}
    assert alternatives(schema) == [{"maximum": 2, "minimum": 1}]


@pytest.mark.parametrize("recursion", [0, 1, 3])
def test_a_definition_stands_in_itself_as_often_as_it_may(recursion):
    schema = {"items": {"$ref": "#"}}
    parts = SchemaParts(schema, "here", recursion)
    found = parts.alternatives(schema, Place())
    depth = 0
    while found:
        ((keywords, place),) = found
        found = parts.alternatives(keywords["items"], place)
        depth += 1
    assert depth == recursion + 2


TAGGED = [
    {
        "type": "object",
        "properties": {"kind": {"const": kind}},
        "required": ["kind"],
    }
    for kind in ("a", "b")
]


@pytest.mark.parametrize(
    "branches",
    [
        TAGGED,
        [{"enum": [1, 2]}, {"enum": [3]}],
        [{"type": "string"}, {"enum": [1]}],
        [{"$ref": "#/$defs/text"}, {"type": ["null", "integer"]}],
        [*TAGGED, {"type": "array"}],
    ],
)
def test_parts_of_one_of_that_exclude_each_other_are_alternatives(branches):
    schema = {"oneOf": branches, "$defs": {"text": {"type": "string"}}}
    assert len(alternatives(schema)) == len(branches)


@pytest.mark.parametrize(
    "branches",
    [
        [{"type": "integer"}, {"type": "number"}],
        [{"enum": [1, 2]}, {"enum": [2]}],
        [{"type": "string"}, {"minLength": 1}],
        [TAGGED[0], {**TAGGED[1], "required": []}],
        [TAGGED[0], {"type": "object"}],
    ],
)
def test_parts_of_one_of_that_may_hold_at_once_are_refused(branches):
    with pytest.raises(ConfigError, match="more than one part of 'oneOf'"):
        alternatives({"oneOf": branches})


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ({"not": {}}, "schema /: 'not' is not supported"),
        (
            {"anyOf": [{"allOf": [{"if": {}}]}]},
            "schema /anyOf/0/allOf/0: 'if' is not supported",
        ),
        ({"minLength": "3"}, "schema /: 'minLength' cannot be '3'"),
        ({"anyOf": {}}, "schema /: 'anyOf' cannot be {}"),
        ({"type": "text"}, "schema /: 'type' cannot be 'text'"),
        ({"$ref": "#/a"}, "schema /: there is no '#/a'"),
        ({"$ref": "b.json#"}, "schema /: 'b.json#' is outside the schema"),
        (
            {"$ref": "#a", "$defs": {"a": {"$anchor": "a"}}},
            "schema /: '#a' is no path from the root",
        ),
        (
            {"$ref": "#/a/\u00b2", "a": [1]},
            "schema /: there is no '#/a/\u00b2'",
        ),
        ({"allOf": [3]}, "schema /allOf/0: a schema is wanted, not 3"),
        (
            {"pattern": "a", "allOf": [{"pattern": "b"}]},
            "schema /: more than one 'pattern' at once",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_place(schema, problem):
    with pytest.raises(ConfigError) as caught:
        alternatives(schema)
    assert caught.value.where == "here"
    assert caught.value.problems == [problem]


def test_a_schema_that_grows_beyond_measure_is_refused() -> None:
    choice = {"anyOf": [{"minimum": one} for one in range(10)]}
    assert 10**5 > MOST_PARTS
    with pytest.raises(ConfigError, match="the schema is too large"):
        alternatives({"allOf": [choice] * 5})
