# -*- coding: utf-8 -*-
"""Excerpts are chosen in the shares that are wanted, tools are offered."""

from collections import Counter

import pytest

from alpha_umi.excerpts import (
    PAPER_MIX,
    Cut,
    Kind,
    Mix,
    choose,
    lower_text,
    offer,
)
from alpha_umi.protocol import Tool, Trajectory, Utterance

STEPS = {
    Kind.FAILED: ("user", "assistant", "caller", "observation", "assistant"),
    Kind.ANSWERED: ("user", "caller", "observation", "conclusion"),
    Kind.CALLED: ("user", "assistant", "caller"),
    Kind.SAID: ("user", "assistant", "conclusion"),
}

Found = dict[Kind, list[Trajectory]]


def some(failed: int, answered: int, called: int, said: int) -> Found:
    counts = (failed, answered, called, said)
    return {
        kind: [excerpt(kind, number) for number in range(count)]
        for kind, count in zip(Kind, counts, strict=True)
    }


def excerpt(kind: Kind, number: int) -> Trajectory:
    said = tuple(Utterance(speaker, "") for speaker in STEPS[kind])
    return Trajectory((), "", said, f"{kind} {number}")


def kinds(chosen: list[Trajectory]) -> Counter[str]:
    ends = {one[-1]: kind for kind, one in STEPS.items() if kind != "answered"}
    return Counter(
        "answered" if len(one.utterances) == 4 else str(ends[last])
        for one in chosen
        for last in [one.utterances[-1].speaker]
    )


def tools(*names: str) -> list[Tool]:
    return [Tool(name) for name in names]


def names(found: list[Tool]) -> list[str]:
    return [one.name for one in found]


def test_without_a_mix_all_are_chosen() -> None:
    chosen = choose(some(1, 2, 3, 4), None, None)
    assert kinds(chosen) == {
        "failed": 1,
        "answered": 2,
        "called": 3,
        "said": 4,
    }


def test_a_mix_takes_as_many_as_the_rarest_kind_allows() -> None:
    chosen = choose(some(2, 9, 9, 9), Mix(1, 2, 3, 1), None)
    assert kinds(chosen) == {
        "failed": 2,
        "answered": 4,
        "called": 6,
        "said": 2,
    }


def test_answers_that_are_too_many_serve_as_calls() -> None:
    chosen = choose(some(1, 9, 0, 1), Mix(1, 1, 5, 1), None)
    assert kinds(chosen) == {
        "failed": 1,
        "answered": 1,
        "called": 5,
        "said": 1,
    }


def test_a_kind_without_weight_is_not_chosen() -> None:
    chosen = choose(some(3, 3, 3, 3), Mix(0, 0, 0, 1), None)
    assert kinds(chosen) == {"said": 3}


def test_a_limit_keeps_the_shares() -> None:
    chosen = choose(some(99, 99, 99, 99), Mix(1, 1, 1, 2), 10)
    assert kinds(chosen) == {
        "failed": 2,
        "answered": 2,
        "called": 2,
        "said": 4,
    }


def test_the_mix_of_the_paper_has_the_shares_of_its_decisions() -> None:
    mix = PAPER_MIX
    calls = mix.failed + mix.answered + mix.called
    conclusions = mix.answered + mix.said
    assert (calls, conclusions, mix.failed) == (74, 19, 7)


def test_the_first_ones_are_a_fair_sample() -> None:
    chosen = choose(some(0, 0, 500, 900), Mix(0, 0, 1, 1), None)
    first = kinds(chosen[:200])
    assert 80 < first["called"] < 120


def test_what_is_chosen_does_not_depend_on_the_order() -> None:
    found = some(5, 20, 20, 20)
    backwards = {kind: found[kind][::-1] for kind in Kind}
    assert choose(found, PAPER_MIX, 9) == choose(backwards, PAPER_MIX, 9)


def test_what_is_offered_depends_on_the_seed_alone() -> None:
    foreign = tools(*"cdefgh")
    offers = [
        names(offer(tools("a", "b"), [], foreign, seed, Cut(distractors=2)))
        for seed in "uvwxyzuvwxyz"
    ]
    assert offers[:6] == offers[6:]
    assert len({tuple(one) for one in offers}) > 3


@pytest.mark.parametrize(
    ("most", "expected"),
    [
        (1, {"a", "b"}),
        (3, {"a", "b", "c"}),
        (4, {"a", "b", "c", "d"}),
        (9, {"a", "b", "c", "d"}),
    ],
)
def test_an_offer_keeps_its_limit_but_for_the_own_tools(
    most: int,
    expected: set[str],
) -> None:
    cut = Cut(tools=most, distractors=1)
    found = offer(tools("a", "b"), tools("a", "c"), tools("d"), "s", cut)
    assert set(names(found)) == expected


def test_of_tools_that_share_a_name_the_own_one_is_offered() -> None:
    own, other = Tool("a", "own"), Tool("a", "other")
    assert offer([own], [other], [other], "s", Cut()) == [own]


def test_all_that_was_said_is_read_in_small_letters() -> None:
    said = [Utterance("user", "Elm Street"), Utterance("assistant", "7?")]
    assert lower_text(said) == "elm street\n7?"
