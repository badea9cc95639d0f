# -*- coding: utf-8 -*-
"""Functions are tools: their signature is read, their calls are checked."""

from typing import Literal

import pytest

from alpha_umi.protocol import Call, write_call
from alpha_umi.python_tools import runner_of, tool_of_schema, tools_of


def greet(name: str, times: int = 1, mood: Literal["good", "bad"] = "good"):
    """Greet somebody.

    Args:
        name (`str`):
            whom
        times (`int`):
            how often
        mood (`Literal["good", "bad"]`):
            how
    """
    if not name:
        raise ValueError("nobody is there")
    return f"a {mood} hello {name}" * times


class Counter:
    """Holds a number."""

    def __init__(self) -> None:
        self.count = 0

    def count_up(self) -> int:
        """Count one up."""
        self.count += 1
        return self.count


def test_a_tool_is_read_from_signature_and_docstring() -> None:
    (tool,) = tools_of([greet])
    assert tool.as_document() == {
        "Name": "greet",
        "function": "Greet somebody.",
        "input": {
            "name": "string, whom",
            "times": "integer, how often",
            "mood": "one of good | bad, how",
        },
    }


def test_a_tool_has_the_schema_of_its_arguments() -> None:
    (tool,) = tools_of([greet])
    assert tool.schema == {
        "type": "object",
        "properties": {
            "name": {"type": "string", "description": "whom"},
            "times": {
                "type": "integer",
                "description": "how often",
                "default": 1,
            },
            "mood": {
                "type": "string",
                "enum": ["good", "bad"],
                "description": "how",
                "default": "good",
            },
        },
        "required": ["name"],
        "additionalProperties": False,
    }


def test_a_bound_method_is_a_tool_without_its_object() -> None:
    (tool,) = tools_of([Counter().count_up])
    assert (tool.name, dict(tool.arguments)) == ("count_up", {})


def test_a_schema_without_types_and_texts_is_a_tool_too() -> None:
    tool = tool_of_schema("any", "Does.", {"properties": {"x": {}}})
    assert dict(tool.arguments) == {"x": "any, "}


@pytest.mark.parametrize(
    ("arguments", "observation"),
    [
        ({"name": "you"}, "a good hello you"),
        ({"name": 7}, "a good hello 7"),
        ({"name": "x", "times": "2"}, "a good hello xa good hello x"),
    ],
)
def test_a_call_is_run_as_it_is_meant(
    arguments: dict,
    observation: str,
) -> None:
    assert runner_of([greet])(write_call("greet", arguments)) == observation


@pytest.mark.parametrize(
    ("call", "observation"),
    [
        (Call("meet", "{}"), "Error: unknown tool meet, use one of greet"),
        (Call("none", "{}"), "Error: unknown tool none, use one of greet"),
        (Call("greet", "{}"), "Error: name: Field required"),
        (Call("greet", "{name: 1}"), "Error: the arguments are no JSON: "),
        (Call("greet", "[" * 9999), "Error: the arguments are no JSON: "),
        (Call("greet", "[1]"), "Error: arguments: Input should be a valid"),
        (Call("greet", '{"name": ""}'), "Error: nobody is there"),
        (Call("greet", '{"name": "x", "times": ' + "9" * 9999), "Error: "),
        (
            write_call("greet", {"name": "x", "mood": "odd", "place": "y"}),
            "Error: mood: Input should be 'good' or 'bad'; place: Extra "
            "inputs are not permitted",
        ),
    ],
)
def test_what_is_wrong_with_a_call_is_its_observation(
    call: Call,
    observation: str,
) -> None:
    assert runner_of([greet])(call).startswith(observation)


def test_an_object_behind_a_tool_keeps_its_state() -> None:
    run = runner_of([Counter().count_up])
    call = write_call("count_up", {})
    assert [run(call), run(call)] == ["1", "2"]
