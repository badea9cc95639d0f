# -*- coding: utf-8 -*-
"""Annotations as types of JSON values: judged, told in words, as a schema."""

from typing import Any

import pytest

from local_llm.value_kinds import (
    accepts,
    described,
    kinds_schema,
    parse_annotation,
)


@pytest.mark.parametrize(
    ("annotation", "right", "wrong"),
    [
        ("bool", [True, False], [0, 1, "True", None]),
        ("int", [0, -3], [True, 1.0, "1"]),
        ("float", [0, 1.5], [True, "2e-4", None]),
        ("str", ["", "x"], [1, None, ["x"]]),
        ("Optional[int]", [1, None], ["1"]),
        ("int | str | None", [1, "x", None], [1.5, True]),
        ("Union[list[str], str]", ["x", ["x", "y"], []], [["x", 1], 1]),
        ("list[int] | int", [[1], 2], [[True], ["1"]]),
        ("dict[str, list[int]]", [{"a": [1]}, {}], [{"a": 1}, []]),
        ("dict", [{}, {"a": 1}], ["{}"]),
        ("list[tuple[int, int]]", [[[0, 4]]], [[0, 4]]),
        ('Literal["none", "all"]', ["none"], ["some", None, 1]),
        ("str | Literal[False]", ["x", False], [True, 0]),
        ('bool | Literal["pissa_niter_[n]"]', ["pissa_niter_16"], ["pissa"]),
        ('"int | None"', [3, None], ["x"]),
        ("typing.Any", [1, "x", None, {}], []),
        ("SomeConfig | dict", [1, {}, None], []),
        ("Literal[*NAMES]", ["x", 1], []),
    ],
)
def test_a_value_fits_its_annotation(
    annotation: str,
    right: list[Any],
    wrong: list[Any],
) -> None:
    kinds = parse_annotation(annotation)
    assert [value for value in right if not accepts(kinds, value)] == []
    assert [value for value in wrong if accepts(kinds, value)] == []


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        ("int | None", "an integer or null"),
        ("list[str] | str", "a list of strings or a string"),
        ("bool", "true or false"),
        ('Literal["a", "b"]', "one of 'a', 'b'"),
        ('Literal["a"]', "'a'"),
    ],
)
def test_an_annotation_is_told_in_words(annotation: str, words: str) -> None:
    assert described(parse_annotation(annotation)) == words


@pytest.mark.parametrize(
    ("annotation", "schema"),
    [
        ("int | None", {"type": ["integer", "null"]}),
        ("float", {"type": "number"}),
        ("list[str]", {"type": "array", "items": {"type": "string"}}),
        ('Literal["a"]', {"enum": ["a"]}),
        ("SomeConfig | None", {}),
    ],
)
def test_an_annotation_is_a_schema(annotation: str, schema: dict) -> None:
    assert kinds_schema(parse_annotation(annotation)) == schema
