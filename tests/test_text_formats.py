# -*- coding: utf-8 -*-
"""LIMA, Alpaca and plain text are read with their places."""

import pytest

from local_llm.errors import DatasetError
from local_llm.row_values import RowDropped, WrittenTurn
from local_llm.text_formats import read_alpaca, read_lima, read_text
from local_llm.tool_calls import render_tools
from local_llm.turns import PLAIN_TEXT, Turn

WHERE = "data.json row 12"


def written(role: str, text: str, place: str) -> WrittenTurn:
    return WrittenTurn(Turn(role, text), place)


def test_lima_turns_alternate_and_have_numbers() -> None:
    assert read_lima({"conversations": ["a", "b", "c"]}, WHERE) == [
        written("user", "a", "turn 1"),
        written("assistant", "b", "turn 2"),
        written("user", "c", "turn 3"),
    ]


def test_alpaca_is_read_in_the_order_of_the_conversation() -> None:
    row = {
        "instruction": "Add.",
        "input": "2 and 3",
        "output": "5",
        "system": "Be brief.",
        "history": [["Hi", "Hello"]],
    }
    assert read_alpaca(row, WHERE) == [
        written("system", "Be brief.", "system"),
        written("user", "Hi", "history 1"),
        written("assistant", "Hello", "history 1"),
        written("user", "Add.\n2 and 3", "instruction"),
        written("assistant", "5", "output"),
    ]


def test_tools_are_offered_in_the_system_turn() -> None:
    tools = [{"name": "f"}]
    offer = render_tools(tools)
    asked = {"instruction": "a", "output": "b", "tools": tools}
    assert read_alpaca(asked, WHERE)[0] == written("system", offer, "tools")
    told = read_alpaca({**asked, "system": "Be brief."}, WHERE)[0]
    assert told == written("system", f"Be brief.\n\n{offer}", "system")
    texts = {"conversations": ["a", "b"], "tools": '[{"name": "f"}]'}
    assert read_lima(texts, WHERE)[0] == written("system", offer, "tools")


def test_a_text_is_one_turn_that_nobody_speaks() -> None:
    row = {"text": " <b>as it is</b>\n"}
    assert read_text(row, WHERE) == [
        written(PLAIN_TEXT, " <b>as it is</b>\n", "text"),
    ]


def test_a_text_of_another_type_is_an_error_and_null_drops_the_row() -> None:
    with pytest.raises(DatasetError, match="row 12, text is a list, want"):
        read_text({"text": ["a"]}, WHERE)
    with pytest.raises(RowDropped, match="row 12, text: turn without text"):
        read_text({"text": None}, WHERE)
