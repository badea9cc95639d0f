# -*- coding: utf-8 -*-
"""Messages, ShareGPT and prompt/completion become turns, tools included."""

import json
from typing import Any

import pytest

from local_llm.errors import DatasetError
from local_llm.message_formats import (
    read_messages,
    read_prompt_completion,
    read_sharegpt,
)
from local_llm.row_values import RowDropped, WrittenTurn
from local_llm.tool_calls import ToolCall, render_call, render_result

WHERE = "data.json row 12"
CALL = render_call(ToolCall("weather", {"city": "Paris"}))
RESULT = render_result("18 degrees")
ARGUMENTS = '{"city": "Paris"}'
SCHEMA = {"type": "function", "function": {"name": "weather"}}


def message(role: object, content: object, **more: object) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


def said(speaker: object, value: object) -> dict[str, Any]:
    return {"from": speaker, "value": value}


def plain(turns: list[WrittenTurn]) -> list[tuple[str, str]]:
    return [(one.turn.role, one.turn.text) for one in turns]


def test_a_conversation_with_tools_is_the_same_in_both_formats() -> None:
    call = {"id": "1", "function": {"name": "weather", "arguments": ARGUMENTS}}
    messages = [
        message("user", "Warm in Paris?"),
        message("assistant", None, tool_calls=[call]),
        message("tool", "18 degrees", tool_call_id="1"),
        message("assistant", "Mild."),
    ]
    conversations = [
        said("human", "Warm in Paris?"),
        said(
            "function_call", f'{{"name": "weather", "arguments": {ARGUMENTS}}}'
        ),
        said("observation", "18 degrees"),
        said("gpt", "Mild."),
    ]
    one = read_messages({"messages": messages, "tools": [SCHEMA]}, WHERE)
    other = read_sharegpt(
        {"conversations": conversations, "tools": '[{"name": "weather"}]'},
        WHERE,
    )
    assert plain(one) == plain(other)
    assert plain(one)[1:] == [
        ("user", "Warm in Paris?"),
        ("assistant", CALL),
        ("user", RESULT),
        ("assistant", "Mild."),
    ]
    assert one[0].turn.role == "system"
    assert '{"name": "weather"}' in one[0].turn.text


def test_places_are_those_of_the_messages_though_a_turn_was_added() -> None:
    row = {"messages": [message("user", "hi")], "tools": [SCHEMA]}
    assert [one.place for one in read_messages(row, WHERE)] == [
        *("tools", "turn 1"),
    ]


def test_the_old_form_of_a_call_is_read() -> None:
    call = {"name": "weather", "arguments": ARGUMENTS}
    messages = [
        message("user", "Warm?"),
        message("assistant", "", function_call=call),
        message("function", "18 degrees", name="weather"),
    ]
    assert plain(read_messages({"messages": messages}, WHERE))[1:] == [
        ("assistant", CALL),
        ("user", RESULT),
    ]


@pytest.mark.parametrize(
    ("speaker", "role"),
    [
        ("system", "system"),
        ("human", "user"),
        ("user", "user"),
        ("gpt", "assistant"),
        ("assistant", "assistant"),
        ("chatgpt", "assistant"),
    ],
)
def test_the_speakers_of_sharegpt_have_their_roles(
    speaker: str,
    role: str,
) -> None:
    row = {"conversations": [said(speaker, "a")]}
    assert plain(read_sharegpt(row, WHERE)) == [(role, "a")]


@pytest.mark.parametrize(
    "speaker", ["tool", "observation", "function_response"]
)
def test_every_name_of_a_result_is_known(speaker: str) -> None:
    call = {"name": "weather", "arguments": {"city": "Paris"}}
    turns = [said("function_call", [call, call]), said(speaker, "18 degrees")]
    row = {"conversations": turns, "system": "Be brief."}
    assert plain(read_sharegpt(row, WHERE)) == [
        ("system", "Be brief."),
        ("assistant", f"{CALL}\n{CALL}"),
        ("user", RESULT),
    ]


@pytest.mark.parametrize(
    ("turn", "text"),
    [
        ("hi", "turn 1 is text, want an object with from and value"),
        (said("Human", "a"), "turn 1: unknown from 'Human'; did you mean"),
        (said(None, "a"), "turn 1: unknown from None"),
        (said(["gpt"], "a"), "turn 1: unknown from ['gpt']"),
        ({"value": "a"}, "turn 1 has no from; its keys: 'value'"),
        ({"from": "gpt", "text": "a"}, "turn 1 has no value; its keys: "),
        (said("gpt", 5), "turn 1 is a number, want text"),
        (said("function_call", "f()"), "turn 1 is text, want an object"),
    ],
)
def test_a_wrong_turn_of_sharegpt_is_an_error(turn: object, text: str) -> None:
    with pytest.raises(DatasetError) as caught:
        read_sharegpt({"conversations": [turn]}, WHERE)
    assert caught.value.message.startswith(f"{WHERE}, {text}")


def test_a_list_of_the_other_kind_says_how_to_name_its_column() -> None:
    with pytest.raises(DatasetError) as caught:
        read_sharegpt({"conversations": [message("user", "a")]}, WHERE)
    assert caught.value.fix == 'set columns to {"messages": "conversations"}'
    with pytest.raises(DatasetError) as caught:
        read_messages({"messages": [said("human", "a")]}, WHERE)
    assert caught.value.fix == 'set columns to {"conversations": "messages"}'


@pytest.mark.parametrize("weight", [0, 0.0])
def test_an_answer_of_weight_0_is_read_and_not_learned(weight: float) -> None:
    call = {"name": "weather", "arguments": ARGUMENTS}
    messages = [
        message("user", "a", weight=weight),
        message("assistant", "b", weight=weight),
        message("user", "c"),
        message("assistant", None, tool_calls=[call], weight=weight),
        message("tool", "18"),
        message("assistant", "d", weight=1),
    ]
    turns = read_messages({"messages": messages}, WHERE)
    learned = [one.turn.learned for one in turns]
    assert learned == [True, False, True, False, True, True]


def test_a_weight_of_sharegpt_is_heeded() -> None:
    call = said("function_call", '{"name": "weather"}')
    conversations = [
        said("human", "a"),
        {**said("gpt", "b"), "weight": 0},
        said("human", "c"),
        {**call, "weight": 0},
        said("observation", "18"),
        {**said("gpt", "d"), "weight": 1},
    ]
    turns = read_sharegpt({"conversations": conversations}, WHERE)
    learned = [one.turn.learned for one in turns]
    assert learned == [True, False, True, False, True, True]


@pytest.mark.parametrize(
    "nothing", [{"tool_calls": []}, {"function_call": None}]
)
def test_an_assistant_that_neither_speaks_nor_calls_drops_the_row(
    nothing: dict[str, Any],
) -> None:
    messages = [message("user", "a"), {"role": "assistant", **nothing}]
    with pytest.raises(RowDropped, match="turn 2: turn without text"):
        read_messages({"messages": messages}, WHERE)


def test_only_the_assistant_calls_tools() -> None:
    turn = message("user", "a", tool_calls=[{"name": "f"}])
    with pytest.raises(DatasetError, match="called by the role 'user'"):
        read_messages({"messages": [turn]}, WHERE)


def test_a_call_without_value_drops_the_row() -> None:
    for nothing in (None, "[]"):
        row = {"conversations": [said("function_call", nothing)]}
        with pytest.raises(RowDropped, match="turn 1: turn without text"):
            read_sharegpt(row, WHERE)


def test_prompt_and_completion_are_a_question_and_its_answer() -> None:
    turns = read_prompt_completion({"prompt": "a", "completion": "b"}, WHERE)
    assert plain(turns) == [("user", "a"), ("assistant", "b")]
    assert [one.place for one in turns] == ["prompt", "completion"]


def test_prompt_and_completion_may_be_messages() -> None:
    row = {
        "prompt": [message("system", "s"), message("user", "a")],
        "completion": [message("assistant", "b")],
    }
    turns = read_prompt_completion(row, WHERE)
    assert plain(turns) == [("system", "s"), ("user", "a"), ("assistant", "b")]
    assert [one.place for one in turns] == [
        *("prompt turn 1", "prompt turn 2", "completion turn 1"),
    ]


def test_prompt_and_completion_may_be_messages_as_json_text() -> None:
    prompt, completion = [message("user", "a")], [message("assistant", "b")]
    row = {"prompt": json.dumps(prompt), "completion": json.dumps(completion)}
    turns = read_prompt_completion(row, WHERE)
    assert turns == read_prompt_completion(
        {"prompt": prompt, "completion": completion},
        WHERE,
    )


@pytest.mark.parametrize(
    ("prompt", "completion"),
    [
        ('[{"role": "user", "content": "a"}]', "b"),
        ('[{"role": "user", "content": "a"}]', "[]"),
        ('[{"role": "user", "content": "a"}]', "[1, 2]"),
        ('[{"role": "user", "content": "a"}]', '[{"rule": "b"}]'),
        ("[1, 2]", "[3"),
        ('{"role": "user"}', '{"role": "assistant"}'),
    ],
)
def test_other_prompts_and_completions_that_look_like_json_are_texts(
    prompt: str,
    completion: str,
) -> None:
    row = {"prompt": prompt, "completion": completion}
    turns = plain(read_prompt_completion(row, WHERE))
    assert turns == [("user", prompt), ("assistant", completion)]


def test_the_tools_of_a_prompt_that_is_text_are_offered() -> None:
    row = {"prompt": "a", "completion": "b", "tools": [SCHEMA]}
    turns = plain(read_prompt_completion(row, WHERE))
    assert [role for role, _ in turns] == ["system", "user", "assistant"]


def test_a_turn_may_be_json_text_of_one() -> None:
    messages = [message("user", "a"), message("assistant", "b")]
    texts = {"messages": [json.dumps(one) for one in messages]}
    assert read_messages(texts, WHERE) == read_messages(
        {"messages": messages},
        WHERE,
    )
    turns = [said("human", "a"), said("gpt", "b")]
    texts = {"conversations": [json.dumps(one) for one in turns]}
    assert read_sharegpt(texts, WHERE) == read_sharegpt(
        {"conversations": turns},
        WHERE,
    )


def test_of_a_conversation_as_prompt_nothing_is_learned() -> None:
    call = {"name": "weather", "arguments": ARGUMENTS}
    row = {
        "prompt": [
            message("user", "a"),
            message("assistant", "b"),
            message("user", "c"),
            message("assistant", None, tool_calls=[call]),
            message("tool", "18"),
        ],
        "completion": [message("assistant", "d")],
    }
    turns = read_prompt_completion(row, WHERE)
    learned = [one.turn.learned for one in turns]
    assert learned == [True, False, True, False, True, True]


@pytest.mark.parametrize(
    ("prompt", "completion", "text"),
    [
        ("a", [], "completion is a list and the other is text"),
        ([], "a", "prompt is a list and the other is text"),
        ({}, [], "completion is a list and the other is an object"),
        (5, "a", "prompt is a number, want text"),
    ],
)
def test_prompt_and_completion_of_two_kinds_are_an_error(
    prompt: object,
    completion: object,
    text: str,
) -> None:
    row = {"prompt": prompt, "completion": completion}
    with pytest.raises(DatasetError) as caught:
        read_prompt_completion(row, WHERE)
    assert caught.value.message.startswith(f"{WHERE}, {text}")
