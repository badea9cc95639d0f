# -*- coding: utf-8 -*-
"""Calls match golden ones by name and arguments, placeholders match all."""

import json

import pytest

from alpha_umi.protocol import Call, write_call
from alpha_umi.toolalpaca_golden import (
    ASK_USER,
    GoldenCall,
    exact_match,
    read_golden,
)


def golden(text: str, name: str = "find") -> GoldenCall:
    return read_golden({"Action": name, "Action_Input": text})


def calls(*arguments: dict[str, object]) -> list[Call]:
    return [write_call("find", one) for one in arguments]


def test_a_golden_call_has_name_and_arguments() -> None:
    assert golden('{"a": 1, "b": ""}') == GoldenCall("find", {"a": 1})


def test_an_optional_call_is_told_apart() -> None:
    assert golden("{}", "[Optional]find") == GoldenCall("find", {}, True)


@pytest.mark.parametrize(
    "text",
    [
        '{"a": ${id from search}}',
        '{"a": "${id}"}',
        '{"a": "{start date}"}',
        '{"a": ${start date}"}',
        '{"a": ${id from search, "b": 1}',
        '{"a": [${some of them}]}',
        '{"a": [{"b": "${one}"}]}',
    ],
)
def test_a_placeholder_is_read_however_it_is_quoted(text: str) -> None:
    assert not golden(text).is_concrete


def test_a_call_without_placeholders_is_concrete() -> None:
    assert golden('{"a": "{} of $5", "b": [1, {"c": 2}]}').is_concrete


@pytest.mark.parametrize("text", ["[1]", "{", '"a"'])
def test_arguments_that_are_no_object_are_a_fault(text: str) -> None:
    with pytest.raises(ValueError):
        golden(text)


@pytest.mark.parametrize(
    ("arguments", "text", "matches"),
    [
        ({"a": 1, "b": "x"}, '{"b": "x", "a": 1}', True),
        ({"a": 1}, '{"a": 1, "b": ""}', True),
        ({"a": 1, "b": ""}, '{"a": 1}', True),
        ({"a": "1"}, '{"a": 1}', False),
        ({"a": True}, '{"a": 1}', False),
        ({"a": 1}, '{"a": 1, "b": 2}', False),
        ({"a": 1, "b": 2}, '{"a": 1}', False),
        ({"a": 7}, '{"a": ${id}}', True),
        ({}, '{"a": ${id}}', False),
        ({"a": [1, 2]}, '{"a": [${some}]}', True),
        ({"a": [1, 2]}, '{"a": [2, 1]}', False),
        ({"a": [{"b": 1}]}, '{"a": [{"b": "${x}"}]}', True),
    ],
)
def test_arguments_are_compared_as_json(
    arguments: dict[str, object],
    text: str,
    matches: bool,
) -> None:
    assert exact_match(calls(arguments), [golden(text)]) == matches


def test_names_count() -> None:
    assert not exact_match([write_call("seek", {})], [golden("{}")])


def test_order_and_number_of_calls_count() -> None:
    wanted = [golden('{"a": 1}'), golden('{"a": 2}')]
    assert exact_match(calls({"a": 1}, {"a": 2}), wanted)
    assert not exact_match(calls({"a": 2}, {"a": 1}), wanted)
    assert not exact_match(calls({"a": 1}), wanted)
    assert not exact_match(calls({"a": 1}, {"a": 2}, {"a": 2}), wanted)


def test_an_optional_call_may_lack() -> None:
    wanted = [golden("{}"), golden('{"a": 1}', "[Optional]find"), golden("{}")]
    assert exact_match(calls({}, {}), wanted)
    assert exact_match(calls({}, {"a": 1}, {}), wanted)
    assert not exact_match(calls({}, {"a": 2}, {}), wanted)


def test_how_the_user_is_asked_is_free() -> None:
    ask = golden('{"Question": "Who?"}', ASK_USER)
    assert exact_match([write_call(ASK_USER, {"Question": "Name?"})], [ask])


@pytest.mark.parametrize("text", ["", "{", "[]", json.dumps("x"), "[" * 9999])
def test_a_call_whose_arguments_cannot_be_read_matches_none(
    text: str,
) -> None:
    assert not exact_match([Call("find", text)], [golden("{}")])
