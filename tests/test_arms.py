# -*- coding: utf-8 -*-
"""The arms train what the paper's baselines train, each stage once."""

import pytest
from tiny_teams import team_settings

from alpha_umi.arms import (
    ARMS,
    epochs_of,
    find_arm,
    hyperparameters_of,
    stages_of,
)
from alpha_umi.roles import TEAM, Role
from local_llm.errors import ConfigError


def test_the_arms_are_those_of_the_paper_and_one_of_equal_steps() -> None:
    assert [arm.title for arm in ARMS.values()] == [
        "Single-LLM",
        "Single-LLM, as many steps",
        "Multi-LLM one-stage",
        "Single-LLM multi-task",
        "alpha-UMi w/o reuse",
        "alpha-UMi w/ reuse",
    ]


@pytest.mark.parametrize("arm", ARMS.values(), ids=lambda arm: arm.name)
def test_every_role_of_an_arm_is_played_by_one_of_its_stages(arm) -> None:
    roles = (Role.BACKBONE,) if arm.is_single else TEAM
    assert tuple(arm.plays) == roles
    assert set(arm.plays.values()) <= {stage.name for stage in arm.stages}


@pytest.mark.parametrize("arm", ARMS.values(), ids=lambda arm: arm.name)
def test_a_stage_starts_from_an_earlier_one(arm) -> None:
    seen: set[str | None] = {None}
    for stage in arm.stages:
        assert stage.starts_from in seen
        seen.add(stage.name)


def test_single_llm_is_the_first_stage_of_alpha_umi() -> None:
    names = [stage.name for stage in stages_of(list(ARMS.values()))]
    assert len(names) == len(set(names)) == 13
    assert ARMS["single"].stages[0] is ARMS["alpha-umi"].stages[0]


def test_the_second_stage_has_the_hyperparameters_of_its_role() -> None:
    settings = team_settings()
    rates = {
        stage.name: hyperparameters_of(stage, settings).learning_rate
        for stage in ARMS["alpha-umi"].stages
    }
    assert rates == {
        "backbone": 5e-2,
        "planner": 1e-2,
        "caller": 1e-2,
        "summarizer": 1e-2,
    }


@pytest.mark.parametrize(
    ("arm", "epochs"),
    [
        ("single", [2]),
        ("alpha-umi", [2, 1, 1, 2]),
        ("one-stage", [3, 3, 4]),  # as often as both stages of alpha-umi
        ("multi-task", [3]),
    ],
)
def test_the_epochs_of_an_arm(arm: str, epochs: list[float]) -> None:
    settings = team_settings()
    found = [epochs_of(stage, settings) for stage in ARMS[arm].stages]
    assert found == epochs


def test_an_unknown_arm_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ConfigError) as raised:
        find_arm("alpha_umi")
    assert raised.value.problems == [
        "there is no arm 'alpha_umi', did you mean 'alpha-umi'?"
    ]
