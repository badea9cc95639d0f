# -*- coding: utf-8 -*-
"""Every reader is found by its name and reads the part that is named."""

import json
from pathlib import Path

import pytest
from guided_dialogues import DIALOGUE, SHARED, needs_shared_data, write_dataset
from star_dialogues import EVENTS, dialogue, write_star

from alpha_umi.excerpts import FULL, SMALL
from alpha_umi.protocol import Trajectory, decides, read_plan
from alpha_umi.readers import READERS, read_trajectories
from alpha_umi.tool_agent_values import READERS as NAMES
from local_llm.errors import ConfigError, DatasetError


def names(found: list[Trajectory]) -> set[str]:
    return {one.name.rpartition(" ")[0] for one in found}


def test_every_reader_that_a_config_may_name_is_there() -> None:
    assert sorted(READERS) == sorted(NAMES)


def test_a_reader_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no reader is called 'sgd'"):
        read_trajectories("sgd", tmp_path)


@pytest.mark.parametrize(
    ("part", "split"),
    [
        ("", "train"),
        ("train", "train"),
        ("test", "test"),
        ("test.jsonl.gz", "test"),
        ("seen", "test"),
    ],
)
def test_a_part_of_schema_guided_dialogue_is_named_after_its_folder(
    tmp_path: Path,
    part: str,
    split: str,
) -> None:
    # A mix takes a share of each; one dialogue has too few for it.
    many = [{**DIALOGUE, "id": f"1_{number}"} for number in range(12)]
    write_dataset(tmp_path, *many)
    found = read_trajectories("schema_guided", tmp_path / part)
    assert names(found) == {f"sgd {split}"}


def test_dialogues_with_unseen_services_are_a_part_of_their_own(
    tmp_path: Path,
) -> None:
    write_dataset(tmp_path, DIALOGUE)
    assert read_trajectories("schema_guided", tmp_path / "unseen") == []


def test_the_folder_of_star_means_its_part_for_training(
    tmp_path: Path,
) -> None:
    write_star(tmp_path, *(dialogue(*EVENTS, name=n) for n in range(300)))
    parts = [read_trajectories("star", tmp_path / p) for p in ("", "test")]
    dialogues = [{one.name.partition(":")[0] for one in p} for p in parts]
    assert all(dialogues) and dialogues[0].isdisjoint(dialogues[1])


def test_how_much_is_wanted_reaches_the_reader(tmp_path: Path) -> None:
    many = [{**DIALOGUE, "id": f"1_{number}"} for number in range(12)]
    write_dataset(tmp_path, *many)
    small, full = (
        read_trajectories("schema_guided", tmp_path, cut)[0].tools[0]
        for cut in (SMALL, FULL)
    )
    assert small.arguments["street"] == ""
    assert full.arguments["street"] == "string, The street"


def test_a_part_of_gsm8k_is_named_after_its_folder(tmp_path: Path) -> None:
    row = {"question": "1+1?", "answer": "It is <<1+1=2>>2.\n#### 2"}
    (tmp_path / "test.jsonl").write_text(json.dumps(row), encoding="utf-8")
    assert len(read_trajectories("gsm8k", tmp_path / "test")) == 1
    with pytest.raises(DatasetError, match="no train.jsonl.gz"):
        read_trajectories("gsm8k", tmp_path)


@needs_shared_data
@pytest.mark.parametrize(
    ("reader", "path", "least"),
    [
        ("toolbench", "alpha_umi_toolbench/out_of_domain_dev.json.gz", 182),
        ("schema_guided", "sgd/seen", 600),
        ("star", "star/test", 700),
        ("toolalpaca", "toolalpaca", 68),
        ("gsm8k", "gsm8k/test", 1300),
    ],
)
def test_every_decision_of_the_datasets_reads_back(
    reader: str,
    path: str,
    least: int,
) -> None:
    found = read_trajectories(reader, SHARED / path)
    assert len(found) >= least
    for one in found:
        assert one.utterances[0].speaker == "user"
        plans = [said.text for said in one.utterances if decides(said)]
        assert plans
        assert all(read_plan(plan).is_stated for plan in plans)
