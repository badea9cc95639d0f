# -*- coding: utf-8 -*-
"""Turns are made to fit what chat templates want."""

from local_llm.turns import (
    CONTINUE_TEXT,
    OPENING_TEXT,
    Turn,
    ending_with_the_user,
    merge_same_role,
    starting_with_the_user,
)

HELLO, WELL = Turn("user", "Hello."), Turn("assistant", "Well.")
SYSTEM = Turn("system", "Be brief.")


def test_a_conversation_that_the_assistant_begins_is_opened() -> None:
    opened = [SYSTEM, Turn("user", OPENING_TEXT), WELL]
    assert starting_with_the_user([SYSTEM, WELL]) == opened
    assert starting_with_the_user([SYSTEM, HELLO, WELL])[1] == HELLO


def test_somebody_always_asks_for_the_reply() -> None:
    assert ending_with_the_user([HELLO]) == [HELLO]
    assert ending_with_the_user([HELLO, WELL])[-1].text == CONTINUE_TEXT
    assert ending_with_the_user([]) == [Turn("user", OPENING_TEXT)]


def test_of_a_joined_turn_nothing_is_learned_that_a_part_hides() -> None:
    hidden = Turn("assistant", "Hm.", learned=False)
    assert merge_same_role([WELL, hidden]) == [
        Turn("assistant", "Well.\n\nHm.", learned=False),
    ]
