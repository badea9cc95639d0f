# -*- coding: utf-8 -*-
"""A value of a row is taken as it is wanted, or named with its place."""

import pytest

from local_llm.errors import DatasetError
from local_llm.row_values import (
    RowDropped,
    TableObject,
    around,
    decoded,
    describe,
    list_of,
    names_of,
    optional_text,
    own_members,
    shorten,
    shown,
    text_of,
)


def nested(depth: int) -> object:
    value: object = "x"
    for _ in range(depth):
        value = [value]
    return value


def test_text_stays_as_it_is_and_null_drops_the_row() -> None:
    assert text_of(" a\n", "here") == " a\n"
    with pytest.raises(RowDropped) as caught:
        text_of(None, "here")
    assert str(caught.value) == "here: turn without text"


def test_blank_optional_text_counts_as_none() -> None:
    row = {"a": " \n", "b": None, "c": " x "}
    assert [optional_text(row, one, "here") for one in "abcd"] == [
        *("", "", " x ", ""),
    ]


@pytest.mark.parametrize("nothing", [None, "", []])
def test_an_empty_column_is_an_empty_list(nothing: object) -> None:
    assert list_of({"a": nothing}, "a", "here") == []
    assert list_of({}, "a", "here") == []


@pytest.mark.parametrize("text", ["[1", "{'a': 1}", "[" * 100_000, "[NaN,"])
def test_text_that_only_looks_like_json_is_an_error(text: str) -> None:
    with pytest.raises(DatasetError) as caught:
        decoded(text, "here")
    assert caught.value.message.startswith("here looks like JSON and is not: ")
    assert len(caught.value.message) < 200


@pytest.mark.parametrize("value", ["plain", "", 5, None, [1]])
def test_what_does_not_look_like_json_stays(value: object) -> None:
    assert decoded(value, "here") is value


def test_objects_of_a_table_lose_their_nulls_and_those_of_json_do_not() -> (
    None
):
    written = {"kept": None}
    value = TableObject(
        a=None,
        b=[TableObject(c=None, d=1), None],
        e=written,
        f=TableObject(g=None),
    )
    assert own_members(value, "here") == {
        "b": [{"d": 1}, None],
        "e": written,
        "f": {},
    }
    assert own_members(written, "here") is written
    assert own_members([value], "here") == [value]


def test_an_object_of_a_table_that_is_nested_too_deeply_is_an_error() -> None:
    with pytest.raises(DatasetError, match="here is nested too deeply"):
        own_members(TableObject(a=nested(50_000)), "here")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "null"),
        (True, "true"),
        (5, "a number"),
        (0.5, "a number"),
        ({}, "an object"),
        ([], "a list"),
        (b"", "of the type bytes"),
    ],
)
def test_values_are_described_in_words_of_json(
    value: object,
    said: str,
) -> None:
    assert describe(value) == said


@pytest.mark.parametrize(
    "value",
    [nested(50_000), "x" * 10**6, {"k" * 10**6: 1}, [1] * 10**6],
)
def test_any_value_is_shown_in_a_line(value: object) -> None:
    assert len(shown(value)) < 200


def test_texts_are_cut_for_messages() -> None:
    assert shorten("a" * 61) == "a" * 60 + "..."
    assert shorten("abc") == "abc"
    assert around("x" * 100 + "!" + "y" * 100, 100) == (
        "x" * 30 + "!" + "y" * 29
    )
    assert names_of({}) == "none"
    assert len(names_of({f"column {n}": n for n in range(99)})) < 210
