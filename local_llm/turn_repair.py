# -*- coding: utf-8 -*-
"""Makes the turns of a row fit a chat template: checked, merged, trimmed.

Knows no format and no template; does not shorten texts.
Raises DatasetError for a row that is wrong, RowDropped for one left out.
"""

from collections.abc import Sequence
from itertools import groupby

from .errors import DatasetError
from .row_values import RowDropped
from .turns import PLAIN_TEXT, Turn

NO_TURNS = "no turns"
EMPTY_TURN = "empty turn"
SYSTEM_IN_THE_MIDDLE = "system turn in the middle"
ASSISTANT_FIRST = "assistant speaks first"
NO_ASSISTANT_TURN = "no assistant turn"
NOTHING_LEARNED = "no turn to be learned"
PARTLY_LEARNED = "turns of one role, not all of them to be learned"

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
            assistant last; or one plain text.
    """
    return repair_turns(turns, where, merge_same_role)[0]


def repair_turns(
    turns: Sequence[Turn],
    where: str,
    merge_same_role: bool,
    places: Sequence[str] | None = None,
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
        places (`Sequence[str] | None`, optional):
            Where in the row each turn stands; by their numbers if not given.

    Returns:
        `tuple[list[Turn], list[str]]`:
            The turns, and the adjustments that were made.
    """
    names = places or [f"turn {n}" for n in range(1, len(turns) + 1)]
    here = [f"{where}, {name}" for name in names]
    if not turns:
        raise RowDropped(where, NO_TURNS)
    _check_texts(turns, here)
    if turns[0].role == PLAIN_TEXT:
        return list(turns), []
    _check_order(turns, where, here)
    _check_learned(turns, where)
    if not merge_same_role:
        _refuse_same_role(turns, here)
    _check_same_role(turns, here)
    merged = _merge_same_role(turns)
    answered = merged if merged[-1].role == "assistant" else merged[:-1]
    adjustments = []
    if len(merged) < len(turns):
        adjustments.append(TURNS_MERGED)
    if len(answered) < len(merged):
        adjustments.append(LAST_USER_TURN_REMOVED)
    return answered, adjustments


def _check_texts(turns: Sequence[Turn], here: Sequence[str]) -> None:
    for turn, place in zip(turns, here, strict=True):
        _refuse_surrogates(turn.text, place)
    for turn, place in zip(turns, here, strict=True):
        if not turn.text.strip():
            raise RowDropped(place, EMPTY_TURN)


def _refuse_surrogates(text: str, where: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DatasetError(
            f"{where}: half a character (lone surrogate "
            f"U+{ord(text[error.start]):04X}) at position {error.start + 1}",
            fix="write the text again from its source, as UTF-8",
        ) from error


def _refuse_same_role(turns: Sequence[Turn], here: Sequence[str]) -> None:
    for index in range(1, len(turns)):
        role = turns[index].role
        if role == turns[index - 1].role:
            raise DatasetError(
                f"{here[index]}: two {role} turns in a row",
                fix="join them in the data, or set merge_same_role",
            )


def _check_same_role(turns: Sequence[Turn], here: Sequence[str]) -> None:
    """A turn is learned as a whole or not at all."""
    for index in range(1, len(turns)):
        before, turn = turns[index - 1 : index + 1]
        if turn.role == before.role and turn.learned != before.learned:
            raise RowDropped(here[index], PARTLY_LEARNED)


def _merge_same_role(turns: Sequence[Turn]) -> list[Turn]:
    return [
        Turn(role, "\n\n".join(turn.text for turn in same), learned)
        for (role, learned), same in groupby(
            turns,
            key=lambda turn: (turn.role, turn.learned),
        )
    ]


def _check_learned(turns: Sequence[Turn], where: str) -> None:
    if not any(turn.role == "assistant" and turn.learned for turn in turns):
        raise RowDropped(where, NOTHING_LEARNED)


def _check_order(
    turns: Sequence[Turn],
    where: str,
    here: Sequence[str],
) -> None:
    spoken = [turn.role for turn in turns if turn.role != "system"]
    opening = len(turns) - len(spoken)
    for turn, place in zip(turns[opening:], here[opening:], strict=True):
        if turn.role == "system":
            raise RowDropped(place, SYSTEM_IN_THE_MIDDLE)
    if "assistant" not in spoken:
        raise RowDropped(where, NO_ASSISTANT_TURN)
    if spoken[0] == "assistant":
        raise RowDropped(here[opening], ASSISTANT_FIRST)
