# -*- coding: utf-8 -*-
"""Turns one row of training data, in any known format, into chat turns.

Reads no files and knows nothing of tokens; each row is judged on its own.
Raises DatasetError for a row that is wrong, RowDropped for one left out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from difflib import SequenceMatcher, get_close_matches
from typing import Any

from .chat_format import Turn
from .errors import DatasetError

Row = dict[str, Any]

TURN_WITHOUT_TEXT = "turn without text"
TOOL_TURNS = "tool turns are not supported yet"

ROLES = ("system", "user", "assistant")
TOOL_ROLES = ("tool", "function")
# Under this likeness a hint would point at a format that nobody meant.
NEAREST_AT_LEAST = 0.6

_KINDS: tuple[tuple[type, str], ...] = (
    (str, "text"),
    (int, "a number"),
    (float, "a number"),
    (dict, "an object"),
    (list, "a list"),
)


class RowDropped(Exception):
    """A row that is left out and counted; never reaches a user as such.

    Args:
        where (`str`):
            The row, and the turn where one turn is the cause.
        reason (`str`):
            The reason under which the row is counted.
    """

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(f"{where}: {reason}")
        self.where = where
        self.reason = reason


@dataclass(frozen=True, slots=True)
class ConversationFormat:
    """A way to write a conversation into a row."""

    columns: tuple[str, ...]
    """The columns without which a row is not of this format."""
    wants: str
    """What the columns hold, for people."""
    accepts: Callable[[Row], bool]
    """Whether a row that has the columns is of this format."""
    read: Callable[[Row, str], list[Turn]]
    """The turns of a row; the text is the row's place."""


def to_turns(row: Row, where: str) -> tuple[str, list[Turn]]:
    """Reads one row, whatever its format.

    Args:
        row (`dict`):
            The row, by column.
        where (`str`):
            The place of the row, for messages.

    Returns:
        `tuple[str, list[Turn]]`:
            The name of the format, and the turns as written: not cleaned.
    """
    name = detect_format(row, where)
    return name, FORMATS[name].read(row, where)


def detect_format(row: Row, where: str) -> str:
    """Names the format of one row.

    Tables fill the columns that a row does not use with null, so a format
    whose columns are all filled comes before one that has them as null.

    Args:
        row (`dict`):
            The row, by column.
        where (`str`):
            The place of the row, for messages.

    Returns:
        `str`:
            A key of `FORMATS`.
    """
    filled = {name for name, value in row.items() if value is not None}
    for columns in (filled, row.keys()):
        for name, known in FORMATS.items():
            if columns >= set(known.columns) and known.accepts(row):
                return name
    raise _unknown_format(row, where)


def _read_messages(row: Row, where: str) -> list[Turn]:
    return [
        _read_message(message, f"{where}, turn {number}")
        for number, message in enumerate(_list(row, "messages", where), 1)
    ]


def _read_message(message: object, where: str) -> Turn:
    if not isinstance(message, dict):
        raise _wrong_type(where, message, "an object with role and content")
    role = message.get("role")
    if role in TOOL_ROLES or _calls_a_tool(message):
        raise RowDropped(where, TOOL_TURNS)
    if role not in ROLES:
        raise _unknown_role(message, where)
    if "content" not in message:
        raise DatasetError(
            f"{where} has no content; its keys: {_names(message)}",
            fix="put the text of the turn under the key content",
        )
    return Turn(role, _text(message["content"], where))


def _calls_a_tool(message: Row) -> bool:
    return bool(message.get("tool_calls") or message.get("function_call"))


def _read_lima(row: Row, where: str) -> list[Turn]:
    texts = _list(row, "conversations", where)
    return [
        Turn(
            "assistant" if number % 2 == 0 else "user",
            _text(text, f"{where}, turn {number}"),
        )
        for number, text in enumerate(texts, start=1)
    ]


def _is_not_list_of_objects(row: Row) -> bool:
    texts = row["conversations"]
    first = texts[0] if isinstance(texts, list) and texts else None
    return not isinstance(first, dict)


def _read_instruction(row: Row, where: str) -> list[Turn]:
    turns = []
    system = _optional_text(row, "system", where)
    if system:
        turns.append(Turn("system", system))
    for number, pair in enumerate(_list(row, "history", where), start=1):
        turns += _read_pair(pair, f"{where}, history {number}")
    instruction = _text(row["instruction"], f"{where}, instruction")
    asked = [instruction, _optional_text(row, "input", where)]
    turns.append(Turn("user", "\n".join(text for text in asked if text)))
    output = _text(row["output"], f"{where}, output")
    return [*turns, Turn("assistant", output)]


def _read_pair(pair: object, where: str) -> list[Turn]:
    if not isinstance(pair, list) or len(pair) != 2:
        raise _wrong_type(where, pair, "a list of question and answer")
    question, answer = (_text(text, where) for text in pair)
    return [Turn("user", question), Turn("assistant", answer)]


def _list(row: Row, column: str, where: str) -> list[object]:
    """The list in a column; null, absent and "" count as an empty one."""
    value = row.get(column)
    if value is None or value == "":
        return []
    if not isinstance(value, list):
        raise _wrong_type(f"{where}, {column}", value, "a list")
    return value


def _text(value: object, where: str) -> str:
    if value is None:
        raise RowDropped(where, TURN_WITHOUT_TEXT)
    if not isinstance(value, str):
        raise _wrong_type(where, value, "text")
    return value


def _optional_text(row: Row, column: str, where: str) -> str:
    value = row.get(column)
    text = "" if value is None else _text(value, f"{where}, {column}")
    return text if text.strip() else ""


def _wrong_type(where: str, value: object, wanted: str) -> DatasetError:
    return DatasetError(
        f"{where} is {describe(value)}, want {wanted}",
        fix="write it in that form, or take the row out",
    )


def _unknown_role(message: Row, where: str) -> DatasetError:
    known = ", ".join(ROLES)
    if "role" not in message:
        text = f"{where} has no role; its keys: {_names(message)}"
        return DatasetError(text, fix=f"give it one of the roles {known}")
    role = message["role"]
    near = get_close_matches(str(role).lower(), ROLES, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return DatasetError(
        f"{where}: unknown role {shorten(repr(role))}{hint}",
        fix=f"use one of the roles {known}",
    )


def _unknown_format(row: Row, where: str) -> DatasetError:
    near, likeness = max(
        ((name, _likeness(known, row)) for name, known in FORMATS.items()),
        key=lambda pair: pair[1],
    )
    known_formats = "; ".join(f"{n} ({f.wants})" for n, f in FORMATS.items())
    hint = ""
    shared = row.keys() & set(FORMATS[near].columns)
    if shared or likeness >= NEAREST_AT_LEAST:
        hint = f"; nearest: {near}, which wants {FORMATS[near].wants}"
    return DatasetError(
        f"{where} is of no known format: columns {_names(row)}{hint}",
        fix=f"write the rows in one of the formats {known_formats}",
    )


def _likeness(known: ConversationFormat, row: Row) -> float:
    """How near the columns of a row come to those of a format, 0 to 1."""
    best = [
        max(
            (SequenceMatcher(None, wanted, name).ratio() for name in row),
            default=0.0,
        )
        for wanted in known.columns
    ]
    return sum(best) / len(best)


def _names(row: Row) -> str:
    return shorten(", ".join(repr(name) for name in row) or "none", 200)


def shorten(text: str, length: int = 60) -> str:
    """Cuts a text to a length that a message can carry.

    Args:
        text (`str`):
            Any text.
        length (`int`, defaults to `60`):
            The most characters to keep.

    Returns:
        `str`:
            The text, or its beginning and three dots.
    """
    return text if len(text) <= length else f"{text[:length]}..."


def describe(value: object) -> str:
    """Says what a JSON value is, for messages.

    Args:
        value (`object`):
            A value that came out of JSON or a table.

    Returns:
        `str`:
            Its kind, with the article.
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    for kind, name in _KINDS:
        if isinstance(value, kind):
            return name
    return f"of the type {type(value).__name__}"


def _any_row(_row: Row) -> bool:
    return True


FORMATS: dict[str, ConversationFormat] = {
    "messages": ConversationFormat(
        columns=("messages",),
        wants="messages: a list of {role, content}",
        accepts=_any_row,
        read=_read_messages,
    ),
    "lima": ConversationFormat(
        columns=("conversations",),
        wants="conversations: a list of texts, the user's first",
        accepts=_is_not_list_of_objects,
        read=_read_lima,
    ),
    "instruction": ConversationFormat(
        columns=("instruction", "output"),
        wants="instruction and output: texts; input, system: texts or none; "
        "history: a list of [question, answer] or none",
        accepts=_any_row,
        read=_read_instruction,
    ),
}
