# -*- coding: utf-8 -*-
"""Rows whose columns or positions say who speaks: LIMA, Alpaca, plain text.

Reads one row of a known format. Raises DatasetError for a row that is wrong,
RowDropped for one left out.
"""

from .chat_format import PLAIN_TEXT, Role, Turn
from .row_values import (
    Row,
    WrittenTurn,
    list_of,
    optional_text,
    text_of,
    wrong_type,
)


def read_lima(row: Row, where: str) -> list[WrittenTurn]:
    """Reads `conversations`: texts, the user's first.

    Args:
        row (`dict`):
            The row, by column.
        where (`str`):
            The place of the row, for messages.
    """
    texts = list_of(row, "conversations", where)
    roles: tuple[Role, ...] = ("user", "assistant")
    return [
        _turn(roles[index % 2], text, where, f"turn {index + 1}")
        for index, text in enumerate(texts)
    ]


def read_alpaca(row: Row, where: str) -> list[WrittenTurn]:
    """Reads `instruction` and `output`, `input`, `system` and `history`.

    Args:
        row (`dict`):
            The row, by column.
        where (`str`):
            The place of the row, for messages.
    """
    turns = []
    system = optional_text(row, "system", where)
    if system:
        turns.append(_turn("system", system, where, "system"))
    for number, pair in enumerate(list_of(row, "history", where), start=1):
        turns += _read_pair(pair, where, f"history {number}")
    instruction = text_of(row["instruction"], f"{where}, instruction")
    asked = [instruction, optional_text(row, "input", where)]
    text = "\n".join(text for text in asked if text)
    turns.append(_turn("user", text, where, "instruction"))
    turns.append(_turn("assistant", row["output"], where, "output"))
    return turns


def read_text(row: Row, where: str) -> list[WrittenTurn]:
    """Reads `text`: one turn that nobody speaks.

    Args:
        row (`dict`):
            The row, by column.
        where (`str`):
            The place of the row, for messages.
    """
    return [_turn(PLAIN_TEXT, row["text"], where, "text")]


def _read_pair(pair: object, where: str, place: str) -> list[WrittenTurn]:
    if not isinstance(pair, list) or len(pair) != 2:
        wanted = "a list of question and answer"
        raise wrong_type(f"{where}, {place}", pair, wanted)
    return [
        _turn("user", pair[0], where, place),
        _turn("assistant", pair[1], where, place),
    ]


def _turn(role: Role, text: object, where: str, place: str) -> WrittenTurn:
    return WrittenTurn(Turn(role, text_of(text, f"{where}, {place}")), place)
