# -*- coding: utf-8 -*-
"""Held-out rows and repetitions are decided by the text alone."""

import itertools

import pytest

from local_llm.dataset_split import (
    Conversation,
    answered_in_training,
    split_conversations,
    times_in_epoch,
)
from local_llm.turns import Turn


def conversation(question: str) -> Conversation:
    turns = (Turn("user", question), Turn("assistant", "answer"))
    return Conversation(turns, question)


ROWS = [conversation(f"question {n}") for n in range(1000)]


@pytest.mark.parametrize("weight", [0.1, 0.5, 1.0, 1.5, 2.0, 2.25])
def test_a_weight_is_met_on_average(weight: float) -> None:
    times = [times_in_epoch(one.turns, weight) for one in ROWS]
    assert set(times) <= {int(weight), int(weight) + 1}
    assert sum(times) == pytest.approx(weight * len(ROWS), abs=50)


def test_a_larger_weight_never_takes_a_row_out() -> None:
    for one in ROWS[:100]:
        weights = [n / 8 for n in range(1, 25)]
        times = [times_in_epoch(one.turns, weight) for weight in weights]
        assert times == sorted(times)


def test_the_choice_of_a_weight_is_not_that_of_the_split() -> None:
    train, held_out = split_conversations(ROWS, 0.3)
    chosen = [times_in_epoch(one.turns, 0.5) for one in train]
    assert sum(chosen) == pytest.approx(len(train) / 2, abs=50)
    assert held_out


def talk(*texts: str, where: str = "row") -> Conversation:
    roles = itertools.cycle(("user", "assistant"))
    pairs = zip(roles, texts, strict=False)
    return Conversation(tuple(Turn(*pair) for pair in pairs), where)


@pytest.mark.parametrize(
    ("learned", "is_found"),
    [
        (talk("first", "yes", "later?", "Blue."), True),
        (talk("LATER? ", "blue."), True),
        (talk("later?", "Red."), False),
        (talk("another", "Blue."), False),
        (talk("Blue.", "later?"), False),
        (Conversation((Turn("text", "later?"),), "text"), False),
    ],
)
def test_what_is_held_out_and_answered_in_training_is_found(
    learned: Conversation,
    is_found: bool,
) -> None:
    system = Turn("system", "be brief")
    once = talk("hello", "hi", "later?", "Blue.")
    measured = Conversation((system, *once.turns), "row")
    other = talk("what else?", "nothing")
    found = answered_in_training([learned], [measured, other])
    assert found == ([measured] if is_found else [])


def test_plain_texts_are_split_by_their_text() -> None:
    texts = [
        Conversation((Turn("text", f"story {n}"),), str(n)) for n in range(200)
    ]
    few = split_conversations(texts[:100], 0.2)[1]
    more = split_conversations(texts, 0.2)[1]
    assert 5 <= len(few) < len(more)
    assert set(few) < set(more)


def test_a_text_and_a_question_of_the_same_words_stay_together() -> None:
    rows = [Conversation((Turn("text", "question 3"),), "text"), *ROWS[:20]]
    train, held_out = split_conversations(rows, 0.5)
    sides = [
        {one.where for one in part} & {"text", "question 3"}
        for part in (train, held_out)
    ]
    assert sorted(map(len, sides)) == [0, 2]
