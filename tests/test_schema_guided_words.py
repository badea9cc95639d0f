# -*- coding: utf-8 -*-
"""The planner's words say why, and end with whose turn it is."""

import pytest

from alpha_umi.protocol import Decision, read_plan
from alpha_umi.schema_guided_dialogues import Act, Frame
from alpha_umi.schema_guided_services import Intent, Slot
from alpha_umi.schema_guided_words import (
    call_words,
    reply_words,
    result_words,
)

INTENT = Intent("FindTaxi", "Find a taxi", (Slot("street", ""),), ())


def frame(*acts: tuple[str, str, str], count: int = 0) -> Frame:
    told = tuple(Act(name, slot, (value,)) for name, slot, value in acts)
    return Frame("Taxis_1", told, method="FindTaxi", count=count)


def user(**state: tuple[str, ...]) -> Frame:
    return Frame("Taxis_1", (), state=state)


def test_a_call_is_explained_by_what_is_known_for_it() -> None:
    words = call_words(INTENT, user(street=("Elm",), fare=("7",)), "elm")
    assert words == "The user wants FindTaxi; known: street Elm. Next: caller."


def test_a_value_is_worded_as_it_was_said() -> None:
    words = call_words(INTENT, user(street=("Elm St", "The Elm")), "the elm!")
    assert "street The Elm." in words


def test_a_call_of_which_nothing_is_known_says_what_is_wanted() -> None:
    words = call_words(INTENT, user(), "")
    assert words == "The user wants FindTaxi. Next: caller."


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (
            frame(("OFFER", "fare", "7"), count=1),
            "1 result to offer. Next: conclusion.",
        ),
        (
            frame(("OFFER", "fare", "7"), count=4),
            "4 results to offer. Next: conclusion.",
        ),
        (
            frame(("NOTIFY_SUCCESS", "", ""), count=1),
            "FindTaxi has succeeded. Next: conclusion.",
        ),
        (
            frame(("NOTIFY_FAILURE", "", "")),
            "FindTaxi gave nothing. Next: give up.",
        ),
        (
            frame(("NOTIFY_FAILURE", "", ""), ("OFFER", "", ""), count=1),
            "FindTaxi has failed. Next: give up.",
        ),
    ],
)
def test_a_result_is_judged_by_what_the_system_makes_of_it(
    result: Frame,
    words: str,
) -> None:
    assert result_words(result) == words


@pytest.mark.parametrize(
    ("act", "rationale"),
    [
        (("REQUEST", "street", ""), "Missing: street."),
        (
            ("CONFIRM", "street", "Elm"),
            "All is known, the user has to confirm it.",
        ),
        (("OFFER", "fare", "7"), "There is another result to offer."),
        (("INFORM", "fare", "7"), "The results tell fare."),
        (("OFFER_INTENT", "intent", "BookTaxi"), "Offer BookTaxi."),
        (("REQ_MORE", "", ""), "Done, ask what else the user wants."),
        (("GOODBYE", "", ""), "The user is done."),
        (("WAVE", "", ""), "The user waits for an answer."),
    ],
)
def test_a_reply_without_a_call_is_explained_by_its_act(
    act: tuple[str, str, str],
    rationale: str,
) -> None:
    plan = read_plan(reply_words(frame(act)))
    assert plan.decision is Decision.CONCLUDE
    assert plan.text == f"{rationale} Next: conclusion."
