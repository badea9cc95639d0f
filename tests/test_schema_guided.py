# -*- coding: utf-8 -*-
"""Turns of Schema-Guided Dialogue become steps of the three roles."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from guided_dialogues import (
    DIALOGUE,
    SHARED,
    needs_shared_data,
    write_dataset,
)

from alpha_umi.protocol import (
    Decision,
    Trajectory,
    Utterance,
    decides,
    read_call,
    read_plan,
)
from alpha_umi.records import records_of
from alpha_umi.roles import Role
from alpha_umi.schema_guided import (
    FULL,
    SMALL,
    Mix,
    read_schema_guided,
)
from local_llm.errors import DatasetError

SGD = SHARED / "sgd"


def read(folder: Path, **options: object) -> dict[str, Trajectory]:
    found = read_schema_guided(folder, "test", **{"mix": None, **options})
    return {one.name.rpartition(":")[2]: one for one in found}


def said(trajectory: Trajectory) -> list[tuple[str, str]]:
    return [(one.speaker, one.text) for one in trajectory.utterances]


@pytest.fixture
def taxis(tmp_path: Path) -> Path:
    return write_dataset(tmp_path, DIALOGUE)


def test_a_turn_without_a_call_is_a_plan_and_a_conclusion(
    taxis: Path,
) -> None:
    assert said(read(taxis)["1"]) == [
        ("user", "A taxi, please."),
        ("assistant", "Missing: street. Next: conclusion."),
        ("conclusion", "Which street?"),
    ]


def test_a_turn_with_a_call_is_two_plans_a_call_and_a_conclusion(
    taxis: Path,
) -> None:
    assert said(read(taxis)["3"]) == [
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


def test_a_call_that_fails_ends_with_giving_up(taxis: Path) -> None:
    assert said(read(taxis)["5"])[-2:] == [
        ("observation", '{"count":0,"results":[]}'),
        ("assistant", "BookTaxi gave nothing. Next: give up."),
    ]


def test_the_last_observation_before_a_step_stands_in_its_past(
    taxis: Path,
) -> None:
    past = [text for who, text in said(read(taxis)["5"]) if who != "user"]
    assert past[1].startswith('{"count":3')


def test_an_answer_that_stands_nowhere_is_left_out(taxis: Path) -> None:
    assert set(read(taxis)) == {"1", "3", "5", "9"}


def test_a_call_whose_values_stand_nowhere_is_left_out(taxis: Path) -> None:
    short = replace(FULL, turns=1)
    assert set(read(taxis, cut=short)) == {"1", "3", "9"}


def test_no_more_turns_are_kept_than_asked_for(taxis: Path) -> None:
    short = read(taxis, cut=replace(FULL, turns=2))
    assert said(short["9"])[0] == ("user", "Bye.")


def test_earlier_turns_are_learned_by_nobody(taxis: Path) -> None:
    step = read(taxis)["9"]
    counts = {role: len(records_of(step, role, "brief")) for role in Role}
    assert counts == {
        Role.BACKBONE: 1,
        Role.PLANNER: 1,
        Role.CALLER: 0,
        Role.SUMMARIZER: 1,
    }


def test_a_call_alone_ends_before_its_result(taxis: Path) -> None:
    mix = Mix(failed=0, answered=0, called=1, said=0)
    found = read(taxis, mix=mix)
    assert [said(one)[-1][0] for one in found.values()] == ["caller"]


def test_a_mix_keeps_its_weights(taxis: Path) -> None:
    mix = Mix(failed=1, answered=1, called=0, said=2)
    assert len(read(taxis, mix=mix)) == 4


def test_a_limit_keeps_the_first_ones(taxis: Path) -> None:
    every = list(read(taxis))
    assert list(read(taxis, limit=2)) == every[:2]


def test_dialogues_with_a_service_new_to_the_training_are_told_apart(
    tmp_path: Path,
) -> None:
    new = {**DIALOGUE, "id": "new", "services": ["Taxis_1", "Music_1"]}
    write_dataset(tmp_path, DIALOGUE, new)
    names = {
        part: {one.name.split()[2][:3] for one in found}
        for part in ("seen", "unseen")
        for found in [
            read_schema_guided(tmp_path, "test", part=part, mix=None)
        ]
    }
    assert names == {"seen": {"1_0"}, "unseen": {"new"}}


def test_a_call_of_no_service_is_refused_with_file_and_row(
    tmp_path: Path,
) -> None:
    strange = json.loads(json.dumps(DIALOGUE).replace("FindTaxi", "FlyTaxi"))
    write_dataset(tmp_path, DIALOGUE, strange)
    with pytest.raises(DatasetError, match="gz row 2: .*FlyTaxi") as caught:
        read(tmp_path)
    assert caught.value.fix


# -- the whole dataset ----------------------------------------------------


@pytest.fixture(scope="module")
def unseen() -> list[Trajectory]:
    return read_schema_guided(SGD, "test", SMALL, part="unseen")


@needs_shared_data
def test_decisions_of_the_dataset_have_the_shares_of_the_paper(
    unseen: list[Trajectory],
) -> None:
    plans = [read_plan(one.text) for one in decisions(unseen)]
    counts = Counter(plan.decision for plan in plans)
    assert all(plan.is_stated for plan in plans)
    assert {key: round(counts[key] / len(plans), 2) for key in counts} == {
        Decision.CALL: 0.74,
        Decision.CONCLUDE: 0.19,
        Decision.GIVE_UP: 0.07,
    }


@needs_shared_data
def test_calls_of_the_dataset_fit_the_schema_of_their_tool(
    unseen: list[Trajectory],
) -> None:
    for one in unseen:
        tools = {tool.name: tool.schema for tool in one.tools}
        assert len(tools) == len(one.tools)
        for said in one.utterances:
            if said.speaker == "caller":
                call = read_call(said.text)
                arguments = json.loads(call.arguments)
                jsonschema.validate(arguments, tools[call.name])


@needs_shared_data
def test_short_excerpts_make_short_prompts(unseen: list[Trajectory]) -> None:
    for role in (Role.PLANNER, Role.CALLER, Role.SUMMARIZER):
        lengths = [
            len(record.input)
            for one in unseen[:500]
            for record in records_of(one, role, "brief")
        ]
        assert sum(lengths) / len(lengths) < 900


@needs_shared_data
def test_the_dataset_reads_the_same_twice(unseen: list[Trajectory]) -> None:
    again = read_schema_guided(SGD, "test", SMALL, part="unseen")
    assert again == unseen


def decisions(found: list[Trajectory]) -> list[Utterance]:
    return [said for one in found for said in one.utterances if decides(said)]
