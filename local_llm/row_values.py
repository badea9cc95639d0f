# -*- coding: utf-8 -*-
"""The values of one row of data: taken as text, list or object, or refused.

Knows no format and no file; says of a value what it is and where it stands.
Raises DatasetError for a value that is wrong, RowDropped for a missing text.
"""

import json
import reprlib
from dataclasses import dataclass
from typing import Any

from .errors import DatasetError
from .turns import Turn

Row = dict[str, Any]

TURN_WITHOUT_TEXT = "turn without text"
CONTEXT_CHARACTERS = 30

_KINDS: tuple[tuple[type, str], ...] = (
    (str, "text"),
    (int, "a number"),
    (float, "a number"),
    (dict, "an object"),
    (list, "a list"),
)
_REPR = reprlib.Repr()  # bounded: a value may be nested as deep as JSON may
_REPR.maxstring = _REPR.maxother = 60


class TableObject(dict[str, Any]):
    """An object out of a typed table, which has the members of all rows: null
    are also those that its own row never had."""


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
class WrittenTurn:
    """A turn as a row has it, and its place there, such as "turn 3"."""

    turn: Turn
    place: str


def text_of(value: object, where: str) -> str:
    """Takes a value as text.

    Args:
        value (`object`):
            What the row holds.
        where (`str`):
            Its place, for messages.
    """
    if value is None:
        raise RowDropped(where, TURN_WITHOUT_TEXT)
    if not isinstance(value, str):
        raise wrong_type(where, value, "text")
    return value


def optional_text(row: Row, column: str, where: str) -> str:
    """Takes a column as text; absent, null and blank count as an empty one.

    Args:
        row (`dict`):
            The row, by column.
        column (`str`):
            The name of the column.
        where (`str`):
            The place of the row, for messages.
    """
    value = row.get(column)
    text = "" if value is None else text_of(value, f"{where}, {column}")
    return text if text.strip() else ""


def list_of(row: Row, column: str, where: str) -> list[object]:
    """Takes a column as a list, or as JSON text of one; absent, null and
    "" count as an empty one.

    Args:
        row (`dict`):
            The row, by column.
        column (`str`):
            The name of the column.
        where (`str`):
            The place of the row, for messages.
    """
    place = f"{where}, {column}"
    value = decoded(row.get(column), place)
    if value is None or value == "":
        return []
    if not isinstance(value, list):
        raise wrong_type(place, value, "a list")
    return value


def decoded(value: object, where: str) -> object:
    """Decodes a text that looks like a JSON list or object, as tables hold
    them; any other value stays as it is.

    Args:
        value (`object`):
            What the row holds.
        where (`str`):
            Its place, for messages.
    """
    if not isinstance(value, str) or not value.lstrip().startswith(("[", "{")):
        return value
    try:
        return json.loads(value)
    except json.JSONDecodeError as error:
        problem = f"{error.msg}, near {around(value, error.pos)!r}"
    except (ValueError, RecursionError):
        problem = "nested too deeply, or a number with too many digits"
    raise DatasetError(
        f"{where} looks like JSON and is not: {problem}",
        fix="write it as JSON, with double quotes, or take the row out",
    )


def own_members(value: object, where: str) -> object:
    """Takes the members that are null out of an object of a typed table, and
    of those inside; any other value stays as it is.

    Args:
        value (`object`):
            What the row holds.
        where (`str`):
            Its place, for messages.
    """
    if not isinstance(value, TableObject):
        return value
    try:
        return _without_nulls(value)
    except RecursionError as error:
        raise DatasetError(
            f"{where} is nested too deeply",
            fix="take the row out",
        ) from error


def _without_nulls(value: object) -> object:
    if isinstance(value, list):
        return [_without_nulls(one) for one in value]
    if not isinstance(value, TableObject):
        return value
    return {
        key: _without_nulls(member)
        for key, member in value.items()
        if member is not None
    }


def around(text: str, position: int) -> str:
    """Cuts out what stands around a position, for messages.

    Args:
        text (`str`):
            A text of any length.
        position (`int`):
            Where to look.
    """
    start = max(0, position - CONTEXT_CHARACTERS)
    return text[start : position + CONTEXT_CHARACTERS]


def wrong_type(where: str, value: object, wanted: str) -> DatasetError:
    """Makes the error for a value of another type than wanted.

    Args:
        where (`str`):
            The place of the value.
        value (`object`):
            What was found.
        wanted (`str`):
            What is wanted, with the article.
    """
    return DatasetError(
        f"{where} is {describe(value)}, want {wanted}",
        fix="write it in that form, or take the row out",
    )


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


def names_of(row: Row) -> str:
    """Lists the keys of a row or of an object in it, for messages.

    Args:
        row (`dict`):
            The row, by column.
    """
    return shorten(", ".join(repr(name) for name in row) or "none", 200)


def shown(value: object) -> str:
    """Shows any value in a line, for messages.

    Args:
        value (`object`):
            A value that came out of JSON or a table.
    """
    return shorten(_REPR.repr(value))


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
