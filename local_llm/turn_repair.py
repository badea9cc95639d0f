# -*- coding: utf-8 -*-
"""Makes the turns of a row fit a chat template: checked, merged, trimmed.

Knows no format and no template; does not shorten texts.
Raises DatasetError for a row that is wrong, RowDropped for one left out.
"""

from collections.abc import Sequence
from itertools import groupby

from .chat_format import Turn
from .conversation_formats import RowDropped
from .errors import DatasetError

NO_TURNS = "no turns"
EMPTY_TURN = "empty turn"
SYSTEM_IN_THE_MIDDLE = "system turn in the middle"
ASSISTANT_FIRST = "assistant speaks first"
NO_ASSISTANT_TURN = "no assistant turn"

TURNS_MERGED = "turns of one role merged"
LAST_USER_TURN_REMOVED = "last user turn removed"


def clean_turns(
    turns: Sequence[Turn],
    where: str,
    merge_same_role: bool = True,
) -> list[Turn]:
    """Gives turns that a chat template takes: what `repair_turns` returns,
    without the names of the adjustments.

    Args:
        turns (`Sequence[Turn]`):
            The turns as written.
        where (`str`):
            The place of the row, for messages.
        merge_same_role (`bool`, defaults to `True`):
            Whether neighbouring turns of one role become one turn.

    Returns:
        `list[Turn]`:
            At most one system turn, then user and assistant in turn, the
            assistant last.
    """
    return repair_turns(turns, where, merge_same_role)[0]


def repair_turns(
    turns: Sequence[Turn],
    where: str,
    merge_same_role: bool,
) -> tuple[list[Turn], list[str]]:
    """Checks and repairs the turns of a row.

    Args:
        turns (`Sequence[Turn]`):
            The turns as written.
        where (`str`):
            The place of the row, for messages.
        merge_same_role (`bool`):
            Whether neighbouring turns of one role become one turn, with a
            blank line between; otherwise they are a DatasetError.

    Returns:
        `tuple[list[Turn], list[str]]`:
            The turns, and the adjustments that were made.
    """
    _check_texts(turns, where)
    _check_order(turns, where)
    if not merge_same_role:
        _refuse_same_role(turns, where)
    merged = _merge_same_role(turns)
    answered = merged if merged[-1].role == "assistant" else merged[:-1]
    adjustments = []
    if len(merged) < len(turns):
        adjustments.append(TURNS_MERGED)
    if len(answered) < len(merged):
        adjustments.append(LAST_USER_TURN_REMOVED)
    return answered, adjustments


def _check_texts(turns: Sequence[Turn], where: str) -> None:
    if not turns:
        raise RowDropped(where, NO_TURNS)
    for number, turn in enumerate(turns, start=1):
        _refuse_surrogates(turn.text, f"{where}, turn {number}")
    for number, turn in enumerate(turns, start=1):
        if not turn.text.strip():
            raise RowDropped(f"{where}, turn {number}", EMPTY_TURN)


def _refuse_surrogates(text: str, where: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DatasetError(
            f"{where}: half a character (lone surrogate "
            f"U+{ord(text[error.start]):04X}) at position {error.start + 1}",
            fix="write the text again from its source, as UTF-8",
        ) from error


def _refuse_same_role(turns: Sequence[Turn], where: str) -> None:
    for number in range(1, len(turns)):
        role = turns[number].role
        if role == turns[number - 1].role:
            raise DatasetError(
                f"{where}, turn {number + 1}: two {role} turns in a row",
                fix="join them in the data, or set merge_same_role",
            )


def _merge_same_role(turns: Sequence[Turn]) -> list[Turn]:
    return [
        Turn(role, "\n\n".join(turn.text for turn in same))
        for role, same in groupby(turns, key=lambda turn: turn.role)
    ]


def _check_order(turns: Sequence[Turn], where: str) -> None:
    spoken = [turn.role for turn in turns if turn.role != "system"]
    opening = len(turns) - len(spoken)
    for number, turn in enumerate(turns, start=1):
        if turn.role == "system" and number > opening:
            raise RowDropped(f"{where}, turn {number}", SYSTEM_IN_THE_MIDDLE)
    if "assistant" not in spoken:
        raise RowDropped(where, NO_ASSISTANT_TURN)
    if spoken[0] == "assistant":
        raise RowDropped(f"{where}, turn {opening + 1}", ASSISTANT_FIRST)
