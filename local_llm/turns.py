# -*- coding: utf-8 -*-
"""Turns of a conversation, and what makes them fit a chat template.

Who speaks, and what. Knows no tokens, no template and no AgentScope. Raises
nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

Role = Literal["system", "user", "assistant", "text"]

PLAIN_TEXT: Role = "text"
"""The role of a text without speakers; it is the only turn then."""

OPENING_TEXT = "Please begin."
"""What the user says where a conversation would start with the assistant."""

CONTINUE_TEXT = "Please continue."
"""What the user says where the assistant is asked after its own turn."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a conversation.

    Attributes:
        role (`Role`):
            Who speaks.
        text (`str`):
            What.
        learned (`bool`):
            Whether training learns it, where the assistant speaks; a turn
            that is not learned is read only.
    """

    role: Role
    text: str
    learned: bool = True


def merge_same_role(turns: Iterable[Turn]) -> list[Turn]:
    """Join consecutive turns of one role with a blank line between.

    Of the joined turn nothing is learned where a part is not to be.
    """
    merged: list[Turn] = []
    for turn in turns:
        if merged and merged[-1].role == turn.role:
            text = f"{merged[-1].text}\n\n{turn.text}"
            learned = merged[-1].learned and turn.learned
            merged[-1] = Turn(turn.role, text, learned)
        else:
            merged.append(turn)
    return merged


def fold_system(turns: Sequence[Turn]) -> list[Turn]:
    """Put the text of system turns before the first user turn.

    Without a user turn the system text becomes one.
    """
    system = [turn.text for turn in turns if turn.role == "system"]
    rest = [turn for turn in turns if turn.role != "system"]
    if not system:
        return rest
    return merge_same_role([Turn("user", "\n\n".join(system)), *rest])


def starting_with_the_user(turns: Sequence[Turn]) -> list[Turn]:
    """Let the user open a conversation that the assistant would begin."""
    started = list(turns)
    spoken = [turn for turn in turns if turn.role != "system"]
    if spoken and spoken[0].role == "assistant":
        started.insert(started.index(spoken[0]), Turn("user", OPENING_TEXT))
    return started


def ending_with_the_user(turns: Sequence[Turn]) -> list[Turn]:
    """Let the user ask for the reply where nobody has."""
    if turns and turns[-1].role != "assistant":
        return list(turns)
    text = CONTINUE_TEXT if turns else OPENING_TEXT
    return [*turns, Turn("user", text)]
