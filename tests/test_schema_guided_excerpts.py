# -*- coding: utf-8 -*-
"""Turns of Schema-Guided Dialogue become steps of the three roles."""

import json
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
from guided_dialogues import (
    DIALOGUE,
    SHARED,
    needs_shared_data,
    write_dataset,
)

from alpha_umi.excerpts import FULL, SMALL, Cut
from alpha_umi.protocol import Trajectory
from alpha_umi.records import records_of
from alpha_umi.roles import Role
from alpha_umi.schema_guided_dialogues import read_dialogues
from alpha_umi.schema_guided_excerpts import excerpts
from alpha_umi.schema_guided_services import read_services

SGD = SHARED / "sgd"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_dataset(tmp_path, DIALOGUE)


def steps(folder: Path, cut: Cut = FULL) -> dict[str, Trajectory]:
    """The excerpts by the number of their turn."""
    services = read_services(folder, "train")
    return {
        one.name.rpartition(":")[2]: one
        for dialogue in read_dialogues(folder, "train")
        for _, one in excerpts(dialogue, services, cut)
    }


def said(trajectory: Trajectory) -> list[tuple[str, str]]:
    return [(one.speaker, one.text) for one in trajectory.utterances]


def test_a_turn_without_a_call_is_a_plan_and_a_conclusion(
    folder: Path,
) -> None:
    assert said(steps(folder)["1"]) == [
        ("user", "A taxi, please."),
        ("assistant", "Missing: street. Next: conclusion."),
        ("conclusion", "Which street?"),
    ]


def test_a_turn_with_a_call_is_two_plans_a_call_and_a_conclusion(
    folder: Path,
) -> None:
    assert said(steps(folder)["3"]) == [
        ("user", "A taxi, please."),
        ("assistant", "Which street?"),
        ("user", "Elm street."),
        (
            "assistant",
            "The user wants FindTaxi; known: street elm street. Next: caller.",
        ),
        (
            "caller",
            'Action: FindTaxi\nAction Input: {"street": "Elm Street"}',
        ),
        (
            "observation",
            '{"count":3,"results":[{"fare":"7","street":"Elm Street"}]}',
        ),
        ("assistant", "3 results to offer. Next: conclusion."),
        ("conclusion", "One for 7 dollars?"),
    ]


def test_a_call_that_fails_ends_with_giving_up(folder: Path) -> None:
    assert said(steps(folder)["5"])[-2:] == [
        ("observation", '{"count":0,"results":[]}'),
        ("assistant", "BookTaxi gave nothing. Next: give up."),
    ]


def test_the_last_observation_before_a_step_stands_in_its_past(
    folder: Path,
) -> None:
    past = [text for who, text in said(steps(folder)["5"]) if who != "user"]
    assert past[1].startswith('{"count":3')


def test_an_answer_that_stands_nowhere_is_left_out(folder: Path) -> None:
    assert set(steps(folder)) == {"1", "3", "5", "9"}


def test_a_call_whose_values_stand_nowhere_is_left_out(folder: Path) -> None:
    short = replace(FULL, turns=1)
    assert set(steps(folder, short)) == {"1", "3", "9"}


def test_no_more_turns_are_kept_than_asked_for(folder: Path) -> None:
    short = steps(folder, replace(FULL, turns=2))
    assert said(short["9"])[0] == ("user", "Bye.")


def test_earlier_turns_are_learned_by_nobody(folder: Path) -> None:
    step = steps(folder)["9"]
    counts = {role: len(records_of(step, role, "brief")) for role in Role}
    assert counts == {
        Role.BACKBONE: 1,
        Role.PLANNER: 1,
        Role.CALLER: 0,
        Role.SUMMARIZER: 1,
    }


def test_a_short_observation_shows_first_what_the_call_does_not_say(
    folder: Path,
) -> None:
    short = steps(folder, replace(FULL, observation=45))
    texts = [text for who, text in said(short["9"]) if who == "observation"]
    assert texts == ['{"count":0,"results":[]}']
    (text,) = [text for who, text in said(short["3"]) if who == "observation"]
    assert text == '{"count":3,"results":[{"fare":"7"}]}'


def test_a_call_before_any_user_speaks_is_no_step(folder: Path) -> None:
    turns = DIALOGUE["turns"][3:4] + DIALOGUE["turns"][2:]
    write_dataset(folder, {**DIALOGUE, "turns": turns})
    assert set(steps(folder)) == {"2", "4", "8"}


def test_a_call_that_no_user_speaks_of_is_a_fault(folder: Path) -> None:
    foreign = {"service": "Music_1", "acts": []}
    turns = [{"speaker": "USER", "text": "Hi.", "frames": [foreign]}]
    turns += DIALOGUE["turns"][3:]
    write_dataset(folder, {**DIALOGUE, "turns": turns})
    with pytest.raises(ValueError, match="turn 1 calls what no user"):
        steps(folder)


def test_a_call_that_does_not_fit_its_schema_is_left_out(
    folder: Path,
) -> None:
    raw = json.dumps(DIALOGUE).replace('"riders": "2"', '"riders": "9"')
    write_dataset(folder, json.loads(raw))
    assert "5" not in steps(folder)


@pytest.mark.parametrize("cut", [FULL, SMALL], ids=["full", "small"])
def test_no_excerpt_knows_of_later_turns(folder: Path, cut: Cut) -> None:
    assert_blind_to_later_turns(folder, "train", cut, most=1)


@needs_shared_data
@pytest.mark.parametrize("cut", [FULL, SMALL], ids=["full", "small"])
def test_no_excerpt_of_the_dataset_knows_of_later_turns(cut: Cut) -> None:
    assert_blind_to_later_turns(SGD, "test", cut, most=40)


def assert_blind_to_later_turns(
    folder: Path,
    split: str,
    cut: Cut,
    most: int,
) -> None:
    """The beginning of a dialogue gives the same as the whole does there."""
    services = read_services(folder, split)
    for dialogue in islice(read_dialogues(folder, split), most):
        whole = list(excerpts(dialogue, services, cut))
        for end in range(len(dialogue.turns)):
            part = replace(dialogue, turns=dialogue.turns[:end])
            assert list(excerpts(part, services, cut)) == [
                (kind, one)
                for kind, one in whole
                if int(one.name.rpartition(":")[2]) < end
            ]
