# -*- coding: utf-8 -*-
"""What leaves the repair fits a chat template; what does not says why."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_llm.errors import DatasetError
from local_llm.row_values import RowDropped
from local_llm.turn_repair import (
    ASSISTANT_FIRST,
    EMPTY_TURN,
    LAST_USER_TURN_REMOVED,
    NO_ASSISTANT_TURN,
    NO_TURNS,
    NOTHING_LEARNED,
    PARTLY_LEARNED,
    SYSTEM_IN_THE_MIDDLE,
    TURNS_MERGED,
    clean_turns,
    repair_turns,
)
from local_llm.turns import Turn

WHERE = "data.json row 12"
ROLES = {"s": "system", "u": "user", "a": "assistant"}


def turns_of(roles: str) -> list[Turn]:
    """One turn a letter: s, u, a; the text is its number."""
    return [Turn(ROLES[r], str(n)) for n, r in enumerate(roles, start=1)]


def roles_of(turns: list[Turn]) -> str:
    return "".join(turn.role[0] for turn in turns)


@pytest.mark.parametrize("roles", ["ua", "uaua", "sua", "suaua"])
def test_turns_in_order_stay_as_they_are(roles: str) -> None:
    turns = turns_of(roles)
    assert repair_turns(turns, WHERE, True) == (turns, [])
    assert repair_turns(turns, WHERE, False) == (turns, [])


@pytest.mark.parametrize(
    ("roles", "where", "reason"),
    [
        ("", WHERE, NO_TURNS),
        ("u", WHERE, NO_ASSISTANT_TURN),
        ("s", WHERE, NO_ASSISTANT_TURN),
        ("su", WHERE, NO_ASSISTANT_TURN),
        ("a", f"{WHERE}, turn 1", ASSISTANT_FIRST),
        ("aua", f"{WHERE}, turn 1", ASSISTANT_FIRST),
        ("saua", f"{WHERE}, turn 2", ASSISTANT_FIRST),
        ("usa", f"{WHERE}, turn 2", SYSTEM_IN_THE_MIDDLE),
        ("suasua", f"{WHERE}, turn 4", SYSTEM_IN_THE_MIDDLE),
        ("uas", f"{WHERE}, turn 3", SYSTEM_IN_THE_MIDDLE),
    ],
)
def test_a_row_that_no_repair_helps_is_dropped_with_its_reason(
    roles: str,
    where: str,
    reason: str,
) -> None:
    with pytest.raises(RowDropped) as caught:
        repair_turns(turns_of(roles), WHERE, True)
    assert (caught.value.where, caught.value.reason) == (where, reason)


@pytest.mark.parametrize("blank", ["", " ", "\n\t", "\u00a0\u2003"])
def test_a_blank_turn_drops_the_row(blank: str) -> None:
    with pytest.raises(RowDropped) as caught:
        clean_turns([Turn("user", "a"), Turn("assistant", blank)], WHERE)
    assert caught.value.where == f"{WHERE}, turn 2"
    assert caught.value.reason == EMPTY_TURN


def test_turns_of_one_role_are_merged_with_a_blank_line() -> None:
    turns, adjustments = repair_turns(turns_of("uuaa"), WHERE, True)
    assert turns == [Turn("user", "1\n\n2"), Turn("assistant", "3\n\n4")]
    assert adjustments == [TURNS_MERGED]


def test_two_system_turns_at_the_start_are_merged() -> None:
    turns, adjustments = repair_turns(turns_of("ssua"), WHERE, True)
    assert turns[0] == Turn("system", "1\n\n2")
    assert adjustments == [TURNS_MERGED]


def test_without_merging_two_turns_of_one_role_are_an_error() -> None:
    with pytest.raises(DatasetError) as caught:
        clean_turns(turns_of("uaua") + turns_of("aa"), WHERE, False)
    assert caught.value.message == (
        f"{WHERE}, turn 5: two assistant turns in a row"
    )


def test_a_row_of_which_nothing_is_learned_is_dropped() -> None:
    unlearned = Turn("assistant", "b", learned=False)
    turns = [Turn("user", "a"), unlearned]
    with pytest.raises(RowDropped) as caught:
        clean_turns(turns, WHERE)
    assert (caught.value.where, caught.value.reason) == (
        *(WHERE, NOTHING_LEARNED),
    )
    kept = [*turns, *turns_of("ua")]
    assert clean_turns(kept, WHERE) == kept


def test_what_is_learned_is_not_merged_with_what_is_not() -> None:
    unlearned = Turn("assistant", "b", learned=False)
    turns = [Turn("user", "a"), unlearned, Turn("assistant", "c")]
    with pytest.raises(RowDropped) as caught:
        clean_turns(turns, WHERE)
    assert (caught.value.where, caught.value.reason) == (
        *(f"{WHERE}, turn 3", PARTLY_LEARNED),
    )
    merged = Turn("assistant", "b\n\nb", learned=False)
    twice = [turns[0], unlearned, unlearned, *turns_of("ua")]
    assert clean_turns(twice, WHERE)[1] == merged


def test_a_last_user_turn_is_removed_and_named() -> None:
    turns, adjustments = repair_turns(turns_of("uau"), WHERE, True)
    assert turns == turns_of("ua")
    assert adjustments == [LAST_USER_TURN_REMOVED]


@pytest.mark.parametrize("text", ["\ud83d", "a \udc00 b", "\ud800" * 3])
def test_a_lone_surrogate_is_an_error_with_row_turn_and_position(
    text: str,
) -> None:
    with pytest.raises(DatasetError) as caught:
        clean_turns([Turn("user", "a"), Turn("assistant", text)], WHERE)
    message = caught.value.message
    position = text.index(next(c for c in text if c >= "\ud800")) + 1
    assert message.startswith(f"{WHERE}, turn 2: ")
    assert f"at position {position}" in message
    assert message.encode("utf-8")


@pytest.mark.parametrize(
    "text",
    [
        "a\x00b",
        "\u202eright to left",
        "\U0001f469\u200d\U0001f680",
        "e\u0301 is not \u00e9",
        "line\r\nline",
        "  kept as it is \n",
        "<end_of_turn>\n<start_of_turn>model",
    ],
)
def test_text_is_passed_on_character_by_character(text: str) -> None:
    turns = [Turn("user", text), Turn("assistant", text)]
    assert clean_turns(turns, WHERE) == turns


def test_the_given_place_of_a_turn_is_named_in_place_of_its_number() -> None:
    turns = [Turn("user", "a"), Turn("assistant", " ")]
    with pytest.raises(RowDropped) as caught:
        repair_turns(turns, WHERE, True, ["instruction", "output"])
    assert caught.value.where == f"{WHERE}, output"


def test_a_plain_text_is_kept_as_it_is_and_dropped_when_blank() -> None:
    text = Turn("text", " a\n")
    assert repair_turns([text], WHERE, False) == ([text], [])
    with pytest.raises(RowDropped, match=EMPTY_TURN):
        repair_turns([Turn("text", "\n")], WHERE, True)


@settings(max_examples=100, derandomize=True)
@given(st.text("sua", max_size=8))
def test_what_is_kept_alternates_and_ends_with_the_assistant(
    roles: str,
) -> None:
    try:
        turns = clean_turns(turns_of(roles), WHERE)
    except RowDropped:
        return
    spoken = roles_of(turns).removeprefix("s")
    assert spoken == "ua" * (len(spoken) // 2)
    assert spoken
