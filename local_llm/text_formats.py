# -*- coding: utf-8 -*-
"""Rows whose columns or positions say who speaks: LIMA, Alpaca, plain text.

Reads one row of a known format. Raises DatasetError for a row that is wrong,
RowDropped for one left out.
"""

from .row_values import (
    Row,
    WrittenTurn,
    list_of,
    optional_text,
    text_of,
    wrong_type,
)
from .tool_turns import TurnWriter, read_tools
from .turns import PLAIN_TEXT, Turn


def read_lima(row: Row, where: str) -> list[WrittenTurn]:
    """Reads `conversations`: texts, the user's first; and `tools`.

    Args:
        row (`dict`):
            The row, by column.
        where (`str`):
            The place of the row, for messages.
    """
    writer = TurnWriter(where)
    for index, text in enumerate(list_of(row, "conversations", where)):
        place = f"turn {index + 1}"
        said = text_of(text, f"{where}, {place}")
        writer.say("assistant" if index % 2 else "user", said, place)
    writer.offer(read_tools(row, where))
    return writer.turns


def read_alpaca(row: Row, where: str) -> list[WrittenTurn]:
    """Reads `instruction` and `output`, `input`, `system`, `history`, `tools`.

    Args:
        row (`dict`):
            The row, by column.
        where (`str`):
            The place of the row, for messages.
    """
    writer = TurnWriter(where)
    system = optional_text(row, "system", where)
    if system:
        writer.say("system", system, "system")
    for number, pair in enumerate(list_of(row, "history", where), start=1):
        _add_pair(writer, pair, f"history {number}")
    instruction = text_of(row["instruction"], f"{where}, instruction")
    asked = [instruction, optional_text(row, "input", where)]
    text = "\n".join(text for text in asked if text)
    writer.say("user", text, "instruction")
    output = text_of(row["output"], f"{where}, output")
    writer.say("assistant", output, "output")
    writer.offer(read_tools(row, where))
    return writer.turns


def read_text(row: Row, where: str) -> list[WrittenTurn]:
    """Reads `text`: one turn that nobody speaks.

    Args:
        row (`dict`):
            The row, by column.
        where (`str`):
            The place of the row, for messages.
    """
    text = text_of(row["text"], f"{where}, text")
    return [WrittenTurn(Turn(PLAIN_TEXT, text), "text")]


def _add_pair(writer: TurnWriter, pair: object, place: str) -> None:
    here = f"{writer.where}, {place}"
    if not isinstance(pair, list) or len(pair) != 2:
        raise wrong_type(here, pair, "a list of question and answer")
    writer.say("user", text_of(pair[0], here), place)
    writer.say("assistant", text_of(pair[1], here), place)
