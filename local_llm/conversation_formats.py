# -*- coding: utf-8 -*-
"""Turns one row of training data, in any known format, into chat turns.

Reads no files and knows nothing of tokens; each row is judged on its own.
Raises DatasetError for a row that is wrong, RowDropped for one left out.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import SequenceMatcher

from .errors import DatasetError
from .message_formats import (
    read_messages,
    read_prompt_completion,
    read_sharegpt,
)
from .row_values import Row, WrittenTurn, decoded, names_of
from .text_formats import read_alpaca, read_lima, read_text
from .turns import Turn

# Under this likeness a hint would point at a format that nobody meant.
NEAREST_AT_LEAST = 0.6
# Compared with the names of columns, which may be of any length.
LONGEST_NAME = 64
QUESTIONS = (("instruction", "output"), ("prompt", "completion"))
LIST_COLUMNS = ("messages", "conversations", "history")


@dataclass(frozen=True, slots=True)
class ConversationFormat:
    """A way to write a conversation into a row."""

    columns: tuple[str, ...]
    """The columns without which a row is not of this format."""
    optional: tuple[str, ...]
    """The columns that are read where they are there."""
    wants: str
    """What the columns hold, for people."""
    accepts: Callable[[Row], bool]
    """Whether a row that has the columns is of this format."""
    read: Callable[[Row, str], list[WrittenTurn]]
    """The turns of a row; the text is the row's place."""


@dataclass(frozen=True, slots=True)
class FormatChoice:
    """What a user says of the format, in place of detection."""

    data_format: str | None = None
    """A key of `FORMATS`; None detects it row by row."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """The data's own names of columns, by the names of the format."""

    def renamed(self, row: Row) -> Row:
        """Gives the columns of a row the names that the formats know.

        Args:
            row (`dict`):
                The row, by column.
        """
        own = {
            name: row[column]
            for name, column in self.columns.items()
            if column in row
        }
        if not own:
            return row
        taken = set(self.columns.values())
        return {k: v for k, v in row.items() if k not in taken} | own


DETECT = FormatChoice()


@dataclass(frozen=True, slots=True)
class ReadRow:
    """A row that was understood."""

    data_format: str
    turns: list[Turn]
    """As written: not cleaned."""
    places: list[str]
    """Where in the row each turn stands, such as "turn 3"."""


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
    read = read_row(row, where)
    return read.data_format, read.turns


def read_row(row: Row, where: str, choice: FormatChoice = DETECT) -> ReadRow:
    """Reads one row in the format that was chosen, or that it shows.

    Args:
        row (`dict`):
            The row, by column.
        where (`str`):
            The place of the row, for messages.
        choice (`FormatChoice`, optional):
            What to use in place of detection.

    Returns:
        `ReadRow`:
            The format and the turns with their places.
    """
    named = _decoded_lists(choice.renamed(row), where)
    name = choice.data_format
    if name is None:
        name = detect_format(named)
        if name is None:
            raise _unknown_format(row, named, where, choice)
    elif not named.keys() >= set(FORMATS[name].columns):
        raise _not_as_chosen(row, where, choice)
    written = FORMATS[name].read(named, where)
    return ReadRow(
        data_format=name,
        turns=[one.turn for one in written],
        places=[one.place for one in written],
    )


def detect_format(row: Row) -> str | None:
    """Names the format of one row.

    Tables fill the columns that a row does not use with null, so a format
    whose columns are all filled comes before one that has them as null.

    Args:
        row (`dict`):
            The row, by column, in the names of the formats.

    Returns:
        `str | None`:
            A key of `FORMATS`; None for a row of none of them.
    """
    filled = {name for name, value in row.items() if value is not None}
    for columns in (filled, row.keys()):
        for name, known in FORMATS.items():
            if columns >= set(known.columns) and known.accepts(row):
                return name
    return None


def _decoded_lists(row: Row, where: str) -> Row:
    """The row with its lists as lists where a table holds them as text."""
    texts = [name for name in LIST_COLUMNS if isinstance(row.get(name), str)]
    if not texts:
        return row
    lists = {name: decoded(row[name], f"{where}, {name}") for name in texts}
    return row | lists


def _holds_objects(row: Row) -> bool:
    turns = row["conversations"]
    if not isinstance(turns, list) or not turns:
        return False
    return isinstance(turns[0], dict) or all(map(_is_turn_as_text, turns))


def _is_turn_as_text(value: object) -> bool:
    """Whether a text is a turn of ShareGPT, as some tables hold it; a text of
    LIMA may be any other JSON."""
    if not isinstance(value, str) or not value.startswith("{"):
        return False
    try:
        return "from" in json.loads(value)
    except (ValueError, RecursionError):
        return False


def _holds_no_objects(row: Row) -> bool:
    return not _holds_objects(row)


def _is_text_alone(row: Row) -> bool:
    """Whether a row has no question whose answer is null: such a row is not
    a plain text, though a column `text` may repeat the question."""
    return not any(
        row.get(question) is not None and answer in row
        for question, answer in QUESTIONS
    )


def _any_row(_row: Row) -> bool:
    return True


def _not_as_chosen(row: Row, where: str, choice: FormatChoice) -> DatasetError:
    name = str(choice.data_format)
    return DatasetError(
        f"{where} is not of the format {name}, which data_format names: "
        f"columns {names_of(row)}{_unfound(row, choice)}",
        fix=f"{name} wants {FORMATS[name].wants}; take data_format out, or "
        "name the columns in `columns`",
    )


def _unknown_format(
    row: Row,
    named: Row,
    where: str,
    choice: FormatChoice,
) -> DatasetError:
    near, likeness = max(
        ((name, _likeness(known, named)) for name, known in FORMATS.items()),
        key=lambda pair: pair[1],
    )
    known_formats = "; ".join(f"{n} ({f.wants})" for n, f in FORMATS.items())
    hint = ""
    shared = named.keys() & set(FORMATS[near].columns)
    if shared or likeness >= NEAREST_AT_LEAST:
        hint = f"; nearest: {near}, which wants {FORMATS[near].wants}"
    return DatasetError(
        f"{where} is of no known format: columns {names_of(row)}"
        f"{_unfound(row, choice)}{hint}",
        fix="name your columns in `columns`, or write the rows in one of the "
        f"formats {known_formats}",
    )


def _unfound(row: Row, choice: FormatChoice) -> str:
    """The names in `columns` that the row has not, which may be typos."""
    names = [one for one in choice.columns.values() if one not in row]
    listed = ", ".join(map(repr, names))
    return f"; `columns` names {listed}, not found here" if names else ""


def _likeness(known: ConversationFormat, row: Row) -> float:
    """How near the columns of a row come to those of a format, 0 to 1."""
    best = [
        max(
            (
                SequenceMatcher(None, wanted, name[:LONGEST_NAME]).ratio()
                for name in row
            ),
            default=0.0,
        )
        for wanted in known.columns
    ]
    return sum(best) / len(best)


FORMATS: dict[str, ConversationFormat] = {
    "messages": ConversationFormat(
        columns=("messages",),
        optional=("tools",),
        wants="messages: a list of {role, content}",
        accepts=_any_row,
        read=read_messages,
    ),
    "lima": ConversationFormat(
        columns=("conversations",),
        optional=("tools",),
        wants="conversations: a list of texts, the user's first",
        accepts=_holds_no_objects,
        read=read_lima,
    ),
    "sharegpt": ConversationFormat(
        columns=("conversations",),
        optional=("system", "tools"),
        wants="conversations: a list of {from, value}",
        accepts=_holds_objects,
        read=read_sharegpt,
    ),
    "alpaca": ConversationFormat(
        columns=("instruction", "output"),
        optional=("input", "system", "history", "tools"),
        wants="instruction and output: texts; input, system: texts or none; "
        "history: a list of [question, answer] or none",
        accepts=_any_row,
        read=read_alpaca,
    ),
    "prompt_completion": ConversationFormat(
        columns=("prompt", "completion"),
        optional=("tools",),
        wants="prompt and completion: two texts, or two lists of "
        "{role, content}",
        accepts=_any_row,
        read=read_prompt_completion,
    ),
    "text": ConversationFormat(
        columns=("text",),
        optional=(),
        wants="text: a text without roles",
        accepts=_is_text_alone,
        read=read_text,
    ),
}
