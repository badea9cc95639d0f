# -*- coding: utf-8 -*-
"""A call that cannot be made says what would be right."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_team import CITY, TIME, TOOLS

from alpha_umi.calls import CallResult, call_key, fault_of, read_arguments
from alpha_umi.protocol import Call, Tool


def fault_text(name: str, arguments: str) -> str:
    fault = fault_of(Call(name, arguments), TOOLS)
    assert fault is not None
    return fault.text


@pytest.mark.parametrize(
    "call",
    [
        Call("weather", '{"city": "Rome"}'),
        Call("weather", ' {"days": 2, "city": ""} '),
        Call("time", "{}"),
        Call("time", '{"anything": [null]}'),
    ],
)
def test_a_call_that_fits_its_tool_has_no_fault(call: Call) -> None:
    assert fault_of(call, TOOLS) is None


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("none", "No tool was called. Tools: weather, time."),
        ("x", "There is no tool x. Tools: weather, time."),
        (
            "Weather",
            "There is no tool Weather. Did you mean weather? "
            "Tools: weather, time.",
        ),
    ],
)
def test_a_tool_that_is_not_there_is_said(name: str, text: str) -> None:
    fault = fault_of(Call(name, "{}"), TOOLS)
    assert fault is not None
    assert (fault.result, fault.text) == (CallResult.UNKNOWN_TOOL, text)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("Rome", "are no JSON: Expecting value: line 1 column 1 (char 0)."),
        ("{'city': 'Rome'}", "are no JSON: Expecting property name"),
        ('{"city": NaN}', "are no JSON: NaN is no value of JSON."),
        ("[" * 100_000, "are no JSON: maximum recursion depth"),
        ('["Rome"]', "must be a JSON object, with braces."),
        ('"Rome"', "must be a JSON object, with braces."),
        ("null", "must be a JSON object, with braces."),
        ("{}", "do not fit: 'city' is a required property."),
        ('{"city": 1}', "do not fit: city: 1 is not of type 'string'."),
        ('{"city": "", "d": 1}', "('d' was unexpected)."),
    ],
)
def test_arguments_that_do_not_fit_say_why(arguments: str, text: str) -> None:
    fault = fault_of(Call("weather", arguments), TOOLS)
    assert fault is not None
    assert fault.result is CallResult.INVALID_ARGUMENTS
    assert text in fault.text
    assert fault.text.startswith("The arguments of weather ")
    assert fault.text.endswith("It takes: city, days.")


def test_a_tool_without_a_schema_names_the_arguments_of_its_text() -> None:
    assert fault_text("time", "[]").endswith("It takes: zone.")


def test_a_text_of_any_length_makes_a_short_fault() -> None:
    long = json.dumps({"city": ["x" * 1_000_000]})
    assert len(fault_text("weather", long)) < 1024
    assert len(fault_text("x" * 1_000_000, "{}")) < 1024


def test_many_tools_are_not_all_listed() -> None:
    tools = [Tool(f"t{n}") for n in range(100)]
    fault = fault_of(Call("none", "{}"), tools)
    assert fault is not None
    assert fault.text.endswith("t18, t19, ....")


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "no type"},
        {"properties": {"a": {"pattern": "("}}},
        {"$ref": "https://example.org/schema.json"},
        {"$ref": "#/nowhere"},
        {"$ref": "#"},
    ],
)
def test_a_tool_whose_schema_is_broken_is_not_run(schema: dict) -> None:
    fault = fault_of(Call("a", '{"a": "b"}'), [Tool("a", schema=schema)])
    assert fault is not None
    assert "cannot be checked, its schema is broken" in fault.text


def test_a_schema_is_not_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[object] = []
    monkeypatch.setattr("urllib.request.urlopen", fetched.append)
    schema = {"$ref": "https://example.org/schema.json"}
    fault_of(Call("a", "{}"), [Tool("a", schema=schema)])
    assert fetched == []


def test_what_was_never_made_is_not_valid() -> None:
    invalid = {one for one in CallResult if not one.is_valid}
    assert invalid == {
        CallResult.UNKNOWN_TOOL,
        CallResult.INVALID_ARGUMENTS,
    }


def test_arguments_are_read_where_they_are_an_object() -> None:
    assert read_arguments(Call("a", '{"b": 1}')) == {"b": 1}
    assert read_arguments(Call("a", "[1]")) is None
    assert read_arguments(Call("a", "{")) is None


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ('{"a": 1, "b": 2}', '{ "b":2,"a":1 }', True),
        ('{"a": 5}', '{"a": 5.0}', True),
        ('{"a": 5}', '{"a": 5.5}', False),
        ('{"a": 1}', '{"a": "1"}', False),
        ('{"a": 1}', '{"a": true}', False),
        ('{"a": "\\u00e9"}', '{"a": "é"}', True),
        ("no json", " no json\n", True),
        ('{"a": 1e999}', '{"a": 2e999}', True),
    ],
)
def test_calls_are_the_same_where_their_values_are(
    one: str,
    other: str,
    is_same: bool,
) -> None:
    keys = call_key(Call("a", one)), call_key(Call("a", other))
    assert (keys[0] == keys[1]) is is_same
    assert call_key(Call("b", one)) != keys[0]


@given(st.text(), st.text())
def test_no_text_of_a_caller_raises(name: str, arguments: str) -> None:
    call = Call(name, arguments)
    fault_of(call, [CITY, TIME, Tool(name, schema=CITY.schema)])
    read_arguments(call)
    call_key(call)
