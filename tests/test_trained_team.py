# -*- coding: utf-8 -*-
"""A trained team answers with the adapters of its roles, on one base."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tiny_models import reply
from tiny_teams import TRAJECTORIES, load_team

from alpha_umi.arms import ARMS
from alpha_umi.glpft import GLPFT
from alpha_umi.records import records_of
from alpha_umi.roles import TEAM, Role
from alpha_umi.trained_team import (
    TeamRecord,
    TrainedTeam,
    forget_teams,
    read_team,
    team_file,
    write_team,
)
from local_llm.errors import CheckpointError


@pytest.fixture(name="team")
def fixture_team(trained_team: GLPFT) -> Iterator[TrainedTeam]:
    team = load_team(trained_team)
    yield team
    team.unload()


def test_the_roles_share_one_base_and_have_adapters_of_their_own(
    team: TrainedTeam,
) -> None:
    bases = {id(team.models[role].base) for role in TEAM}
    adapters = {team.models[role].adapter for role in TEAM}
    assert (len(bases), len(adapters)) == (1, 3)


@pytest.mark.parametrize("role", TEAM)
def test_a_role_answers_as_its_adapter_does_alone(
    team: TrainedTeam,
    role: Role,
) -> None:
    prompts = [
        record.input
        for one in TRAJECTORIES[:2]
        for record in records_of(one, role, "brief")
    ]
    model = team.models[role]
    alone = [
        reply(model.base, one, adapter=model.adapter, max_new_tokens=8)
        for one in prompts
    ]
    together = team.reply_to_all(role, prompts)
    # The tiny model computes in bfloat16 where the machine is fast at it.
    equal = sum(a == b for a, b in zip(alone, together, strict=True))
    assert equal >= len(prompts) - 1
    if model.base.model.dtype == torch.float32:
        assert together == alone


def test_unloading_frees_the_adapters(team: TrainedTeam) -> None:
    base = team.models[Role.PLANNER].base
    team.unload()
    assert base.peft_model is not None
    assert list(base.peft_model.peft_config) == []


@pytest.mark.parametrize("arm", ARMS.values(), ids=lambda arm: arm.name)
def test_the_file_of_a_team_is_read_back(tmp_path: Path, arm) -> None:
    record = TeamRecord(arm, "paper")
    write_team(tmp_path, record)
    assert read_team(tmp_path, arm.name) == record


def test_the_teams_of_a_stage_are_forgotten_and_no_others(
    tmp_path: Path,
) -> None:
    for name in ("alpha-umi", "multi-task", "single"):
        write_team(tmp_path, TeamRecord(ARMS[name], "brief"))
    forget_teams(tmp_path, "caller")
    with pytest.raises(CheckpointError):
        read_team(tmp_path, "alpha-umi")
    for name in ("multi-task", "single"):
        assert read_team(tmp_path, name).arm is ARMS[name]


def test_an_arm_that_is_not_trained_says_how_to_train_it(
    tmp_path: Path,
) -> None:
    with pytest.raises(CheckpointError) as raised:
        read_team(tmp_path, "one-stage")
    assert str(tmp_path) in raised.value.message
    assert str(raised.value.fix).startswith(
        "train it: python small_llms.py train --arm one-stage, ",
    )


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "no JSON", '{"prompt_style": "long"}', "\x00"],
)
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    path = team_file(tmp_path, "alpha-umi")
    path.write_text(text)
    with pytest.raises(CheckpointError) as raised:
        read_team(tmp_path, "alpha-umi")
    assert str(path) in raised.value.message
    assert raised.value.fix
