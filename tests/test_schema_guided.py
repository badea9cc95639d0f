# -*- coding: utf-8 -*-
"""Schema-Guided Dialogue is read in the shares that are asked for."""

import json
from pathlib import Path

import pytest
from guided_dialogues import (
    DIALOGUE,
    SHARED,
    needs_shared_data,
    write_dataset,
)
from trajectory_checks import assert_calls_fit, shares

from alpha_umi.excerpts import SMALL, Mix
from alpha_umi.protocol import Decision, Trajectory
from alpha_umi.records import records_of
from alpha_umi.roles import Role
from alpha_umi.schema_guided import read_schema_guided
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
    assert shares(unseen) == {
        Decision.CALL: 0.74,
        Decision.CONCLUDE: 0.19,
        Decision.GIVE_UP: 0.07,
    }


@needs_shared_data
def test_calls_of_the_dataset_fit_the_schema_of_their_tool(
    unseen: list[Trajectory],
) -> None:
    assert_calls_fit(unseen)


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
