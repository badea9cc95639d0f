# -*- coding: utf-8 -*-
"""A packed team is small, whole, and says what the trained one says."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from alpha_umi.glpft import GLPFT
from alpha_umi.packing import pack_team
from alpha_umi.roles import TEAM, Role
from alpha_umi.trained_team import TrainedTeam, is_trained, read_team
from local_llm.adapter_files import ADAPTER_FILE
from local_llm.errors import CheckpointError

ARM = "alpha-umi"


@pytest.fixture(name="packed")
def fixture_packed(trained_team: GLPFT, tmp_path: Path) -> Path:
    target = tmp_path / "packed"
    pack_team(trained_team.output, ARM, target)
    return target


def test_a_packed_team_has_its_roles_and_its_record(
    trained_team: GLPFT,
    packed: Path,
) -> None:
    record = read_team(packed, ARM)
    assert record == read_team(trained_team.output, ARM)
    assert is_trained(packed, record.arm)
    assert sorted(one.name for one in packed.iterdir() if one.is_dir()) == [
        "caller",
        "planner",
        "summarizer",
    ]


def test_the_size_told_is_that_of_all_files(
    trained_team: GLPFT,
    tmp_path: Path,
) -> None:
    size = pack_team(trained_team.output, ARM, tmp_path / "packed")
    files = (tmp_path / "packed").rglob("*")
    assert size == sum(one.stat().st_size for one in files if one.is_file())


def test_weights_are_those_trained_in_half_of_their_bits(
    trained_team: GLPFT,
    packed: Path,
) -> None:
    for role in TEAM:
        whole = load_file(trained_team.output / role / ADAPTER_FILE)
        half = load_file(packed / role / ADAPTER_FILE)
        assert half.keys() == whole.keys()
        for name, tensor in half.items():
            assert tensor.dtype == torch.bfloat16
            assert torch.equal(tensor, whole[name].to(torch.bfloat16))


def test_a_packed_team_can_be_asked(trained_team: GLPFT, packed: Path) -> None:
    team = TrainedTeam.load(
        packed,
        ARM,
        trained_team.settings.model,
        trained_team.surroundings,
    )
    replies = team.reply_to_all(Role.PLANNER, ["Plan."])
    team.unload()
    assert len(replies) == 1


def test_nothing_names_a_place_of_this_machine(
    trained_team: GLPFT,
    packed: Path,
) -> None:
    for path in packed.rglob("*.json"):
        assert str(trained_team.output.parent) not in path.read_text(
            encoding="utf-8"
        )


def test_neither_tokenizer_nor_picture_are_packed(packed: Path) -> None:
    names = {one.name for one in (packed / "planner").iterdir()}
    assert names == {
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
        "base_model.json",
        "manifest.json",
        "report.json",
    }


def test_a_changed_adapter_is_not_packed(
    trained_team: GLPFT,
    tmp_path: Path,
) -> None:
    own = shutil.copytree(trained_team.output, tmp_path / "team")
    path = own / "caller" / "adapter_config.json"
    path.write_text(json.dumps({}))
    with pytest.raises(CheckpointError, match="adapter_config.json"):
        pack_team(own, ARM, tmp_path / "packed")


def test_an_arm_that_is_not_trained_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no trained arm"):
        pack_team(tmp_path, ARM, tmp_path / "packed")


@pytest.mark.parametrize("there", ["a file", "the trained team"])
def test_nothing_that_is_there_is_written_into(
    trained_team: GLPFT,
    tmp_path: Path,
    there: str,
) -> None:
    target = tmp_path / "a file"
    target.write_text("mine")
    if there == "the trained team":
        target = trained_team.output
    with pytest.raises(CheckpointError, match="holds something already"):
        pack_team(trained_team.output, ARM, target)
    assert not list(target.parent.rglob("*.previous-1"))
