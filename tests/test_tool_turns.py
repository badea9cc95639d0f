# -*- coding: utf-8 -*-
"""Calls, results and tools of a row become turns of text."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from local_llm.errors import DatasetError
from local_llm.row_values import RowDropped, TableObject
from local_llm.tool_calls import ToolCall, render_call, render_result
from local_llm.tool_turns import (
    CALL_WITHOUT_RESULT,
    RESULT_WITHOUT_CALL,
    TurnWriter,
    read_call,
    read_calls,
    read_tools,
)
from local_llm.turns import Role

WHERE = "data.json row 12"
CALL = ToolCall("f", {"x": 1})
ROWS_CALL = {"name": "f", "arguments": {"x": 1}}


def after_calls(*ids: str | None) -> TurnWriter:
    writer = TurnWriter(WHERE)
    writer.say("user", "go", "turn 1")
    writer.call("", [(one, CALL) for one in ids], "turn 2")
    return writer


def texts_of(writer: TurnWriter) -> list[tuple[str, str]]:
    return [(one.turn.role, one.turn.text) for one in writer.turns]


def test_a_call_follows_what_is_said_before_it() -> None:
    writer = TurnWriter(WHERE)
    writer.call("Let me look.", [(None, CALL), (None, CALL)], "turn 1")
    call = render_call(CALL)
    assert texts_of(writer) == [
        ("assistant", f"Let me look.\n{call}\n{call}"),
    ]


@pytest.mark.parametrize(
    "answers",
    [
        [("1", "a"), ("2", "b"), ("3", "c")],
        [("3", "c"), ("1", "a"), ("2", "b")],
        [("1", None), ("3", "c"), ("2", "b")],
    ],
)
def test_results_in_a_row_are_one_user_turn_in_the_order_of_their_calls(
    answers: list[tuple[str, str | None]],
) -> None:
    writer = after_calls("a", "b", "c")
    for number, (text, call_id) in enumerate(answers, start=3):
        writer.answer(text, call_id, f"turn {number}")
    expected = "\n".join(map(render_result, "123"))
    assert texts_of(writer)[2:] == [("user", expected)]
    assert writer.turns[-1].place == "turn 3"


def test_calls_that_are_text_already_wait_for_results() -> None:
    writer = TurnWriter(WHERE)
    text = f"Let me look.\n{render_call(CALL)}\n{render_call(CALL)}"
    writer.say("assistant", text, "turn 1")
    writer.answer("1", None, "turn 2")
    writer.answer("2", "b", "turn 3")
    results = f"{render_result('1')}\n{render_result('2')}"
    assert texts_of(writer) == [("assistant", text), ("user", results)]


@pytest.mark.parametrize("role", ["user", "system"])
def test_only_the_assistant_calls_by_text(role: Role) -> None:
    writer = TurnWriter(WHERE)
    writer.say(role, render_call(CALL), "turn 1")
    with pytest.raises(RowDropped, match=RESULT_WITHOUT_CALL):
        writer.answer("1", None, "turn 2")


@pytest.mark.parametrize(
    "text",
    [
        f"{render_result('1')}\n{render_result('2')}",
        "<tool_response>1</tool_response><tool_response>2</tool_response>\n",
    ],
)
def test_results_that_have_their_marks_do_not_get_them_twice(
    text: str,
) -> None:
    writer = after_calls(None, None)
    writer.answer(text, None, "turn 3")
    results = f"{render_result('1')}\n{render_result('2')}"
    assert texts_of(writer)[2:] == [("user", results)]


def without_result() -> TurnWriter:
    return after_calls("a")


def without_any_id() -> TurnWriter:
    return after_calls(None)


def without_one_of_two() -> TurnWriter:
    writer = after_calls("a", "b")
    writer.answer("1", "a", "turn 3")
    return writer


@pytest.mark.parametrize(
    "write", [without_result, without_any_id, without_one_of_two]
)
@pytest.mark.parametrize("calls", [[], [(None, CALL)]])
def test_an_assistant_that_does_not_wait_for_a_result_drops_the_row(
    write: Callable[[], TurnWriter],
    calls: list[tuple[None, ToolCall]],
) -> None:
    with pytest.raises(RowDropped) as caught:
        write().call("It is 18.", calls, "turn 4")
    assert caught.value.where == f"{WHERE}, turn 2"
    assert caught.value.reason == CALL_WITHOUT_RESULT


def test_calls_in_several_turns_may_wait_together() -> None:
    writer = after_calls("a")
    writer.call("", [("b", CALL)], "turn 3")
    writer.answer("2", "b", "turn 4")
    writer.answer("1", "a", "turn 5")
    writer.say("assistant", "Done.", "turn 6")
    results = f"{render_result('1')}\n{render_result('2')}"
    assert texts_of(writer)[3:] == [
        ("user", results),
        ("assistant", "Done."),
    ]


def test_one_result_without_id_may_answer_several_calls() -> None:
    writer = after_calls(None, None)
    writer.answer("1 and 2", None, "turn 3")
    writer.say("assistant", "Done.", "turn 4")
    assert len(writer.turns) == 4


@pytest.mark.parametrize(
    ("ids", "answered"),
    [
        ([], None),
        (["a"], "b"),
        (["a"], "c"),
        ([None], None),
    ],
)
def test_a_result_that_answers_no_call_drops_the_row(
    ids: list[str | None],
    answered: str | None,
) -> None:
    writer = after_calls(*ids)
    if ids == [None]:
        writer.answer("1", None, "turn 3")
    with pytest.raises(RowDropped) as caught:
        writer.answer("2", answered, "turn 4")
    assert caught.value.where == f"{WHERE}, turn 4"
    assert caught.value.reason == RESULT_WITHOUT_CALL


@pytest.mark.parametrize(
    ("call_id", "answered"),
    [("a", None), (None, "a"), (None, None), ("a", "a")],
)
def test_ids_matter_where_both_have_one(
    call_id: str | None,
    answered: str | None,
) -> None:
    writer = after_calls(call_id)
    writer.answer("1", answered, "turn 3")
    assert len(writer.turns) == 3


def test_what_is_said_in_between_ends_the_wait_for_results() -> None:
    writer = after_calls("a")
    writer.say("user", "never mind", "turn 3")
    with pytest.raises(RowDropped):
        writer.answer("1", "a", "turn 4")


def test_tools_join_the_system_turn_or_make_one() -> None:
    told, plain = TurnWriter(WHERE), TurnWriter(WHERE)
    told.say("system", "Be brief.", "turn 1")
    for writer in (told, plain):
        writer.say("user", "hi", "turn 2")
        writer.offer("TOOLS")
    assert texts_of(told)[0] == ("system", "Be brief.\n\nTOOLS")
    assert texts_of(plain)[0] == ("system", "TOOLS")
    assert plain.turns[0].place == "tools"


@pytest.mark.parametrize("nothing", [None, "", [], "[]"])
def test_no_tools_change_nothing(nothing: object) -> None:
    writer = TurnWriter(WHERE)
    writer.offer(read_tools({"tools": nothing}, WHERE))
    assert writer.turns == []


@pytest.mark.parametrize(
    "tools",
    [
        [{"name": "f"}],
        '[{"name": "f"}]',
        ['{"name": "f"}'],
        [{"type": "function", "function": {"name": "f"}}],
    ],
)
def test_tools_are_read_from_lists_and_from_json_text(tools: object) -> None:
    assert '\n{"name": "f"}\n' in read_tools({"tools": tools}, WHERE)


@pytest.mark.parametrize("nothing", [None, "", []])
def test_functions_are_the_old_name_of_tools(nothing: object) -> None:
    row = {"tools": nothing, "functions": [{"name": "f"}]}
    assert '\n{"name": "f"}\n' in read_tools(row, WHERE)
    both = {"tools": [{"name": "g"}], "functions": [{"name": "f"}]}
    assert read_tools(both, WHERE) == read_tools(
        {"tools": [{"name": "g"}]},
        WHERE,
    )


@pytest.mark.parametrize("option", [None, "", "auto", "none"])
def test_an_option_of_a_request_says_nothing_of_the_row(
    option: object,
) -> None:
    assert read_tools({"function_call": option}, WHERE) == ""


def test_a_call_beside_the_turns_is_an_error() -> None:
    with pytest.raises(DatasetError) as caught:
        read_tools({"function_call": ROWS_CALL}, WHERE)
    assert caught.value.message == (
        f"{WHERE}, function_call is an object beside the turns, where "
        "nothing reads it"
    )


def test_what_a_table_fills_is_no_part_of_tools_and_calls() -> None:
    arguments = TableObject(x=1, y=None)
    call = TableObject(name="f", arguments=arguments, args=None)
    assert read_call(call, WHERE) == CALL
    tool = TableObject(name="f", parameters=TableObject(x=None))
    plain = {"name": "f", "parameters": {}}
    assert read_tools({"tools": [tool]}, WHERE) == read_tools(
        {"tools": [plain]},
        WHERE,
    )


def test_null_as_an_argument_stays_in_json() -> None:
    call = {"name": "f", "arguments": {"x": None}}
    assert read_call(call, WHERE) == ToolCall("f", {"x": None})


@pytest.mark.parametrize(
    ("tools", "text"),
    [
        ({"name": "f"}, "tools is an object, want a list"),
        ("search", "tools is text, want a list"),
        ("[{'name': 'f'}]", "tools looks like JSON and is not"),
        ([{"name": "f"}, {}], "tool 2: a tool has no name"),
        (["f"], "tool 1: a tool is not an object"),
    ],
)
def test_tools_of_another_shape_are_an_error(tools: object, text: str) -> None:
    with pytest.raises(DatasetError) as caught:
        read_tools({"tools": tools}, WHERE)
    assert caught.value.message.startswith(f"{WHERE}, {text}")


@pytest.mark.parametrize(
    "call",
    [
        ROWS_CALL,
        {"id": "1", "type": "function", "function": ROWS_CALL},
        {"function": {"name": "f", "arguments": '{"x": 1}'}},
        {"name": "f", "parameters": {"x": 1}},
        {"function": {"name": "f", "parameters": '{"x": 1}'}, "index": 0},
        {"name": "f", "parameters": {"x": 1}, "arguments": None, "args": None},
        {**ROWS_CALL, "function": None},
        '{"name": "f", "arguments": {"x": 1}}',
    ],
)
def test_every_way_to_write_a_call_gives_the_same(call: object) -> None:
    assert read_call(call, WHERE) == CALL


@pytest.mark.parametrize("nothing", [None, "", " ", {}])
def test_a_call_may_have_no_arguments(nothing: object) -> None:
    call = read_call({"name": "f", "arguments": nothing}, WHERE)
    assert call == ToolCall("f", {})


@pytest.mark.parametrize(
    ("call", "text"),
    [
        ("f(1)", " is text, want an object with name and arguments"),
        ([ROWS_CALL], " is a list, want an object with name and arguments"),
        ({"function": "f"}, ", function is text, want an object"),
        ({"name": "f", "arguments": "x=1"}, ", arguments is text that is no"),
        ({"name": "f", "arguments": '{"x": 1'}, ", arguments looks like JSON"),
        ({"name": "f", "arguments": "[1]"}, ": the arguments of a call are"),
        ({"arguments": {}}, ": a call has no name"),
        ({"name": "f", "args": {}}, ": a call has the unknown key 'args'"),
        (
            {"function": {"name": "f", "input": {}}},
            ": a call has the unknown key 'input'",
        ),
        (
            {"function": {"name": "f"}, "arguments": {"x": 1}},
            ": a call has the unknown key 'arguments'",
        ),
        (
            {**ROWS_CALL, "parameters": {"x": 2}},
            ": a call has both arguments and parameters",
        ),
    ],
)
def test_a_broken_call_is_an_error_with_its_place(
    call: object,
    text: str,
) -> None:
    with pytest.raises(DatasetError) as caught:
        read_call(call, WHERE)
    assert caught.value.message.startswith(f"{WHERE}{text}")


def test_calls_of_a_message_have_their_ids() -> None:
    message: dict[str, Any] = {
        "tool_calls": [
            {"id": "a", **ROWS_CALL},
            ROWS_CALL,
            json.dumps({"id": "b", "function": ROWS_CALL}),
        ],
    }
    assert read_calls(message, WHERE) == [
        ("a", CALL),
        (None, CALL),
        ("b", CALL),
    ]
    assert read_calls({"function_call": ROWS_CALL}, WHERE) == [(None, CALL)]
    assert read_calls({"tool_calls": None, "function_call": None}, WHERE) == []
