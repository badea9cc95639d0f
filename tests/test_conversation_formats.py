# -*- coding: utf-8 -*-
"""Rows of every known format become the turns they hold, or say why not."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_llm.conversation_formats import (
    FORMATS,
    FormatChoice,
    read_row,
    to_turns,
)
from local_llm.errors import DatasetError
from local_llm.row_values import TURN_WITHOUT_TEXT, RowDropped
from local_llm.settings_values import DATA_COLUMNS, DATA_FORMATS
from local_llm.turn_repair import clean_turns
from local_llm.turns import Turn

WHERE = "data.json row 12"


def user(text: str) -> Turn:
    return Turn("user", text)


def assistant(text: str) -> Turn:
    return Turn("assistant", text)


def message(role: object, content: object, **more: object) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


def as_messages(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    roles = ("user", "assistant")
    return {
        "messages": [
            message(role, text)
            for pair in pairs
            for role, text in zip(roles, pair, strict=True)
        ],
    }


def as_lima(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    texts = [text for pair in pairs for text in pair]
    return {"conversations": texts, "source": "test"}


def as_alpaca(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    *history, (question, answer) = pairs
    return {
        "instruction": question,
        "input": "",
        "output": answer,
        "history": [list(pair) for pair in history],
    }


benign_text = st.text(
    st.characters(exclude_categories=("Cs",)),
    min_size=1,
).filter(str.strip)


@settings(max_examples=100, derandomize=True)
@given(st.lists(st.tuples(benign_text, benign_text), min_size=1, max_size=5))
def test_the_three_formats_of_one_conversation_give_the_same_turns(
    pairs: list[tuple[str, str]],
) -> None:
    expected = [turn for q, a in pairs for turn in (user(q), assistant(a))]
    for name, write in (
        ("messages", as_messages),
        ("lima", as_lima),
        ("alpaca", as_alpaca),
    ):
        found, turns = to_turns(write(pairs), WHERE)
        assert found == name
        assert clean_turns(turns, WHERE) == expected


def test_lima_is_read_over_all_its_turns() -> None:
    row = {"conversations": ["a", "b", "c", "d"], "source": "multi_turn"}
    assert to_turns(row, WHERE) == (
        "lima",
        [user("a"), assistant("b"), user("c"), assistant("d")],
    )


def test_messages_keep_their_system_turn() -> None:
    row = {
        "messages": [
            message("system", "be brief"),
            message("user", "hi", tool_calls=None),
            message("assistant", "hello", tool_calls=[]),
        ],
    }
    assert to_turns(row, WHERE)[1] == [
        Turn("system", "be brief"),
        user("hi"),
        assistant("hello"),
    ]


def test_history_comes_before_the_instruction_and_input_after_it() -> None:
    row = {
        "instruction": "Add them.",
        "input": "2 and 3",
        "output": "5",
        "history": [["Hi", "Hello"], ["Can you add?", "Yes"]],
    }
    assert [turn.text for turn in to_turns(row, WHERE)[1]] == [
        *("Hi", "Hello", "Can you add?", "Yes"),
        *("Add them.\n2 and 3", "5"),
    ]


def test_the_system_column_of_an_instruction_row_is_its_system_turn() -> None:
    row = {"instruction": "a", "output": "b", "system": "be brief"}
    assert to_turns(row, WHERE)[1][0] == Turn("system", "be brief")


@pytest.mark.parametrize("nothing", [None, "", " "])
def test_an_instruction_row_needs_no_input_system_or_history(
    nothing: str | None,
) -> None:
    plain = {"instruction": "a", "output": "b"}
    filled = {**plain, "input": nothing, "system": nothing}
    expected = [user("a"), assistant("b")]
    assert to_turns(plain, WHERE)[1] == expected
    assert to_turns(filled, WHERE)[1] == expected


@pytest.mark.parametrize("nothing", [None, "", []])
def test_an_empty_history_is_no_history(nothing: object) -> None:
    row = {"instruction": "a", "output": "b", "history": nothing}
    assert len(to_turns(row, WHERE)[1]) == 2


@pytest.mark.parametrize("filled", ["messages", "lima", "alpaca"])
def test_columns_that_a_table_fills_with_null_do_not_decide_the_format(
    filled: str,
) -> None:
    columns = {c: None for f in FORMATS.values() for c in f.columns}
    write = {
        "messages": as_messages,
        "lima": as_lima,
        "alpaca": as_alpaca,
    }[filled]
    row = {**columns, **write([("a", "b")])}
    assert to_turns(row, WHERE) == (filled, [user("a"), assistant("b")])


@pytest.mark.parametrize("column", ["messages", "conversations"])
@pytest.mark.parametrize("empty", [None, []])
def test_a_row_without_turns_gives_none(column: str, empty: object) -> None:
    assert to_turns({column: empty}, WHERE)[1] == []


@pytest.mark.parametrize(
    ("row", "where"),
    [
        ({"messages": [message("user", None)]}, f"{WHERE}, turn 1"),
        ({"conversations": ["a", None]}, f"{WHERE}, turn 2"),
        ({"instruction": None, "output": "b"}, f"{WHERE}, instruction"),
        ({"instruction": "a", "output": None}, f"{WHERE}, output"),
        (
            {"instruction": "a", "output": "b", "history": [["c", None]]},
            f"{WHERE}, history 1",
        ),
    ],
)
def test_a_row_with_null_for_a_text_is_dropped(
    row: dict[str, Any],
    where: str,
) -> None:
    with pytest.raises(RowDropped) as caught:
        to_turns(row, WHERE)
    assert (caught.value.where, caught.value.reason) == (
        where,
        TURN_WITHOUT_TEXT,
    )


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (7, "a number"),
        (0.5, "a number"),
        (True, "true"),
        (["a"], "a list"),
        ({"text": "a"}, "an object"),
    ],
)
@pytest.mark.parametrize("write", ["messages", "lima", "alpaca"])
def test_a_text_of_another_type_names_row_turn_and_type(
    content: object,
    kind: str,
    write: str,
) -> None:
    row, place = {
        "messages": (
            {"messages": [message("user", "a"), message("user", content)]},
            "turn 2",
        ),
        "lima": ({"conversations": ["a", content]}, "turn 2"),
        "alpaca": ({"instruction": "a", "output": content}, "output"),
    }[write]
    with pytest.raises(DatasetError) as caught:
        to_turns(row, WHERE)
    assert f"{WHERE}, {place} is {kind}, want text" in str(caught.value)


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"messages": "hi"}, "messages is text, want a list"),
        ({"messages": {"a": 1}}, "messages is an object, want a list"),
        ({"messages": ["hi"]}, "turn 1 is text, want an object"),
        ({"messages": [None]}, "turn 1 is null, want an object"),
        ({"conversations": "hi"}, "conversations is text, want a list"),
        (
            {"instruction": "a", "output": "b", "history": {"q": "a"}},
            "history is an object, want a list",
        ),
        (
            {"instruction": "a", "output": "b", "history": [["q"]]},
            "history 1 is a list, want a list of question and answer",
        ),
        (
            {"instruction": "a", "output": "b", "input": 5},
            "input is a number, want text",
        ),
    ],
)
def test_a_column_of_the_wrong_shape_is_an_error_with_its_place(
    row: dict[str, Any],
    text: str,
) -> None:
    with pytest.raises(DatasetError) as caught:
        to_turns(row, WHERE)
    assert f"{WHERE}, {text}" in str(caught.value)


@pytest.mark.parametrize(
    ("role", "text"),
    [
        ("wizard", "unknown role 'wizard'"),
        ("User", "unknown role 'User'; did you mean 'user'?"),
        ("asssitant", "unknown role 'asssitant'; did you mean 'assistant'?"),
        (None, "unknown role None"),
        ({"name": "user"}, "unknown role {'name': 'user'}"),
    ],
)
def test_an_unknown_role_is_an_error_with_row_and_turn(
    role: object,
    text: str,
) -> None:
    row = {"messages": [message("user", "a"), message(role, "b")]}
    with pytest.raises(DatasetError) as caught:
        to_turns(row, WHERE)
    assert f"{WHERE}, turn 2: {text}" in str(caught.value)
    assert "system, user, assistant" in str(caught.value.fix)


def test_a_missing_role_is_an_error_that_names_the_keys_found() -> None:
    with pytest.raises(DatasetError) as caught:
        to_turns({"messages": [{"from": "user", "content": "a"}]}, WHERE)
    assert caught.value.message == (
        f"{WHERE}, turn 1 has no role; its keys: 'from', 'content'"
    )


def test_a_missing_content_is_an_error_that_names_the_keys_found() -> None:
    with pytest.raises(DatasetError) as caught:
        to_turns({"messages": [{"role": "user", "text": "a"}]}, WHERE)
    assert caught.value.message == (
        f"{WHERE}, turn 1 has no content; its keys: 'role', 'text'"
    )


@pytest.mark.parametrize(
    ("row", "nearest"),
    [
        ({"message": []}, "messages"),
        ({"conversation": ["a", "b"]}, "lima"),
        ({"instruction": "a", "response": "b"}, "alpaca"),
        ({"prompt": "a", "completions": "b"}, "prompt_completion"),
    ],
)
def test_an_unknown_format_names_columns_known_formats_and_the_nearest(
    row: dict[str, Any],
    nearest: str,
) -> None:
    with pytest.raises(DatasetError) as caught:
        to_turns(row, WHERE)
    text = str(caught.value)
    assert all(repr(column) in caught.value.message for column in row)
    assert all(f"{name} (" in text for name in FORMATS)
    assert f"nearest: {nearest}" in caught.value.message


@pytest.mark.parametrize(
    "row", [{}, {"x": 1}, {"question": "a", "answer": "b"}]
)
def test_no_format_is_called_near_when_none_is(row: dict[str, Any]) -> None:
    with pytest.raises(DatasetError, match="of no known format") as caught:
        to_turns(row, WHERE)
    assert "nearest" not in caught.value.message


def test_a_row_with_thousands_of_columns_still_gives_a_short_message() -> None:
    with pytest.raises(DatasetError) as caught:
        to_turns({f"column {n}": n for n in range(3000)}, WHERE)
    assert len(str(caught.value)) < 1200


def test_the_settings_name_the_formats_and_columns_that_are_read() -> None:
    columns = {
        name for one in FORMATS.values() for name in one.columns + one.optional
    }
    assert DATA_FORMATS == tuple(FORMATS)
    assert set(DATA_COLUMNS) == columns


def test_the_columns_of_the_data_get_the_names_of_the_format() -> None:
    choice = FormatChoice(columns={"instruction": "q", "output": "a"})
    row = {"q": "1+1?", "a": "2", "text": None}
    assert read_row(row, WHERE, choice).turns == [user("1+1?"), assistant("2")]


def test_two_columns_may_change_places() -> None:
    choice = FormatChoice(
        columns={"prompt": "completion", "completion": "prompt"}
    )
    row = {"prompt": "answer", "completion": "question"}
    turns = read_row(row, WHERE, choice).turns
    assert turns == [user("question"), assistant("answer")]


def test_a_chosen_format_is_read_though_another_would_be_detected() -> None:
    row = {"messages": [], "text": "a"}
    read = read_row(row, WHERE, FormatChoice("text"))
    assert (read.data_format, read.turns) == ("text", [Turn("text", "a")])


def test_a_row_that_is_not_of_the_chosen_format_is_an_error() -> None:
    choice = FormatChoice("alpaca", {"instruction": "questoin"})
    with pytest.raises(DatasetError) as caught:
        read_row({"question": "a", "output": "b"}, WHERE, choice)
    assert caught.value.message == (
        f"{WHERE} is not of the format alpaca, which data_format names: "
        "columns 'question', 'output'; `columns` names 'questoin', not found "
        "here"
    )


def test_places_name_the_turn_or_the_column() -> None:
    row = {**as_alpaca([("a", "b"), ("c", "d")]), "system": "s"}
    assert read_row(row, WHERE).places == [
        *("system", "history 1", "history 1", "instruction", "output"),
    ]


def test_lists_that_a_table_holds_as_json_text_are_read() -> None:
    row = {"conversations": '["a", "b"]', "messages": None}
    assert to_turns(row, WHERE) == ("lima", [user("a"), assistant("b")])
    row = {"conversations": '[{"from": "human", "value": "a"}]'}
    assert to_turns(row, WHERE) == ("sharegpt", [user("a")])


def test_turns_of_sharegpt_may_be_json_text_and_other_json_is_lima() -> None:
    spoken = '{"from": "human", "value": "a"}'
    row = {"conversations": [spoken]}
    assert to_turns(row, WHERE) == ("sharegpt", [user("a")])
    for other in ('{"form": "human"}', "{", "a"):
        row = {"conversations": [spoken, other]}
        turns = [user(spoken), assistant(other)]
        assert to_turns(row, WHERE) == ("lima", turns)


@pytest.mark.parametrize(
    "row",
    [
        {"instruction": "a", "output": None, "text": "### a"},
        {"prompt": "a", "completion": None, "text": "### a"},
    ],
)
def test_a_question_without_answer_is_no_plain_text(
    row: dict[str, Any],
) -> None:
    with pytest.raises(RowDropped, match=TURN_WITHOUT_TEXT):
        to_turns(row, WHERE)


def test_a_text_beside_columns_without_a_question_is_one() -> None:
    row = {"instruction": None, "output": None, "prompt": "a", "text": "b"}
    assert to_turns(row, WHERE) == ("text", [Turn("text", "b")])


def test_text_that_looks_like_a_list_and_is_no_json_is_an_error() -> None:
    with pytest.raises(DatasetError) as caught:
        to_turns({"messages": "[{'role': 'user'}]"}, WHERE)
    assert f"{WHERE}, messages looks like JSON and is not" in str(caught.value)
