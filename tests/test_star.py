# -*- coding: utf-8 -*-
"""What a wizard of STAR does becomes steps of the three roles."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from guided_dialogues import SHARED, needs_shared_data
from star_dialogues import EVENTS, dialogue, query, reply, user, write_star
from trajectory_checks import assert_calls_fit, shares

from alpha_umi.excerpts import FULL, SMALL, Cut
from alpha_umi.protocol import Decision, Trajectory
from alpha_umi.star import read_star
from local_llm.errors import DatasetError

STAR = SHARED / "star"


def read(
    folder: Path,
    *events: dict[str, Any],
    cut: Cut = FULL,
) -> dict[str, Trajectory]:
    """The trajectories by the number of their scene."""
    write_star(folder, dialogue(*events))
    found = read_star(folder, "all", cut, mix=None)
    return {one.name.rpartition(":")[2]: one for one in found}


def said(trajectory: Trajectory) -> list[tuple[str, str]]:
    return [(one.speaker, one.text) for one in trajectory.utterances]


def test_a_reply_is_a_plan_and_a_conclusion(tmp_path: Path) -> None:
    assert said(read(tmp_path, *EVENTS)["0"]) == [
        ("user", "A ride in New York, please."),
        ("assistant", "To say: ask name. Next: conclusion."),
        ("conclusion", "Your name?"),
    ]


def test_a_query_is_two_plans_a_call_and_a_conclusion(tmp_path: Path) -> None:
    assert said(read(tmp_path, *EVENTS)["1"]) == [
        ("user", "A ride in New York, please."),
        ("assistant", "Your name?"),
        ("user", "I am Jo."),
        (
            "assistant",
            "The user wants ride; known: Customer Jo, City New York City. "
            "Next: caller.",
        ),
        (
            "caller",
            'Action: ride\nAction Input: {"Customer": "Jo", '
            '"City": "New York City"}',
        ),
        ("observation", '{"count":1,"results":[{"Price":9}]}'),
        ("assistant", "ride has answered. Next: conclusion."),
        ("conclusion", "That is 9 dollars."),
    ]


def test_a_query_that_finds_nothing_ends_with_giving_up(
    tmp_path: Path,
) -> None:
    assert said(read(tmp_path, *EVENTS)["2"])[-2:] == [
        ("observation", '{"count":0,"results":[]}'),
        ("assistant", "ride gave nothing. Next: give up."),
    ]


def test_the_last_observation_before_a_step_stands_in_its_past(
    tmp_path: Path,
) -> None:
    speakers = [who for who, _ in said(read(tmp_path, *EVENTS)["2"])][:6]
    assert speakers == [
        *("user", "assistant", "user"),
        *("observation", "assistant", "user"),
    ]


def test_several_queries_before_a_reply_are_one_trajectory(
    tmp_path: Path,
) -> None:
    found = read(
        tmp_path,
        user("Jo, Rome."),
        *query(None, Customer='"Jo"'),
        *query({"Price": 9}, Customer='"Jo"', City='"Rome"'),
        reply("9."),
    )
    assert [who for who, _ in said(found["0"])] == [
        "user",
        *("assistant", "caller", "observation") * 2,
        *("assistant", "conclusion"),
    ]


def test_the_same_query_twice_is_one_call(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        user("Jo."),
        *query({"Price": 8}, Customer='"Jo"'),
        *query({"Price": 9}, Customer='"Jo"'),
        reply("9."),
    )
    assert [
        text for who, text in said(found["0"]) if who == "observation"
    ] == [
        '{"count":1,"results":[{"Price":9}]}',
    ]


def test_a_query_that_nobody_answers_is_a_call_alone(tmp_path: Path) -> None:
    found = read(tmp_path, user("Jo."), *query({}, Customer='"Jo"'))
    assert said(found["0"])[-1][0] == "caller"


@pytest.mark.parametrize(
    "values",
    [
        {"Customer": '"Ann"'},
        {"Customer": '"Jo"', "City": '"New York City"'},
        {"Customer": '"Jo"', "id": "7"},
        {"Customer": '"Jo"', "id": "api.is_at_most(7)"},
    ],
)
def test_a_query_that_cannot_be_learned_is_left_out(
    tmp_path: Path,
    values: dict[str, str],
) -> None:
    events = (user("I am Jo."), *query({}, **values), reply("Done."))
    assert read(tmp_path, *events) == {}


def test_choices_and_free_texts_need_not_have_been_said(
    tmp_path: Path,
) -> None:
    values = {"Customer": '"Jo"', "Note": '"Be quick"', "Shared": "True"}
    asked = query({}, **values, Request='"Book"')
    found = read(tmp_path, user("I am Jo."), *asked, reply("Done."))
    assert said(found["0"])[1][1] == (
        "The user wants ride; known: Customer Jo, Shared true, Request Book. "
        "Next: caller."
    )


def test_no_more_turns_are_kept_than_asked_for(tmp_path: Path) -> None:
    found = read(tmp_path, *EVENTS, cut=replace(FULL, turns=2))
    assert said(found["2"])[0] == ("user", "Book it for Jo.")


def test_an_api_that_is_not_there_is_refused_with_its_row(
    tmp_path: Path,
) -> None:
    write_star(tmp_path, dialogue(*EVENTS))
    strange = dialogue(*EVENTS)
    strange["Scenario"]["WizardCapabilities"][0]["Task"] = "fly"
    write_star(tmp_path, dialogue(*EVENTS), strange)
    with pytest.raises(DatasetError, match="gz row 2: .*'fly'"):
        read_star(tmp_path, "all")


def test_a_dialogue_is_for_training_or_for_tests(tmp_path: Path) -> None:
    dialogues = [dialogue(*EVENTS, name=number) for number in range(200)]
    write_star(tmp_path, *dialogues)
    train, test = (
        {one.name.partition(":")[0] for one in found}
        for split in ("train", "test")
        for found in [read_star(tmp_path, split, mix=None)]
    )
    assert len(train) + len(test) == len(train | test) == 200
    assert 8 <= len(test) <= 32


# -- the whole dataset ----------------------------------------------------


@pytest.fixture(scope="module")
def found() -> list[Trajectory]:
    return read_star(STAR, "test", SMALL)


@needs_shared_data
def test_decisions_of_the_dataset_read_back_in_their_shares(
    found: list[Trajectory],
) -> None:
    assert shares(found) == {
        Decision.CALL: 0.79,
        Decision.CONCLUDE: 0.20,
        Decision.GIVE_UP: 0.01,
    }


@needs_shared_data
def test_calls_of_the_dataset_fit_the_schema_of_their_tool(
    found: list[Trajectory],
) -> None:
    assert_calls_fit(found)


@needs_shared_data
def test_the_dataset_reads_the_same_twice(found: list[Trajectory]) -> None:
    assert read_star(STAR, "test", SMALL) == found
