# -*- coding: utf-8 -*-
"""A trained arm is measured at every step and on whole tasks, and all of it is
written down."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tiny_teams import TRAJECTORIES, load_team

from alpha_umi.arms import find_arm
from alpha_umi.evaluation import Evaluation
from alpha_umi.floors import FLOORS
from alpha_umi.glpft import GLPFT
from alpha_umi.limits import LIMITS, Limits
from alpha_umi.results import read_results
from alpha_umi.trained_team import TeamRecord, TrainedTeam
from local_llm.errors import ConfigError

ABOUT = {"command": "evaluate", "data": "6 trajectories"}


@pytest.fixture(name="team")
def fixture_team(trained_team: GLPFT) -> Iterator[TrainedTeam]:
    team = load_team(trained_team)
    yield team
    team.unload()


def evaluation(team: TrainedTeam, folder: Path) -> Evaluation:
    return Evaluation(team, TRAJECTORIES, ABOUT, folder)


def rows_in(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


# -- at every step ---------------------------------------------------------------


def test_there_is_a_row_for_each_step(
    team: TrainedTeam,
    tmp_path: Path,
) -> None:
    evaluation(team, tmp_path).measure_steps()
    rows = rows_in(tmp_path / "steps.jsonl")
    assert [row["name"] for row in rows] == [
        one.name for one in TRAJECTORIES for _ in range(2)
    ]
    assert all(row["texts"]["planner"] for row in rows)


def test_figures_are_the_means_of_the_rows(
    team: TrainedTeam,
    tmp_path: Path,
) -> None:
    evaluation(team, tmp_path).measure_steps()
    rows = rows_in(tmp_path / "steps.jsonl")
    results = read_results(tmp_path / "steps.json")
    (part,) = results.parts
    assert results.about == ABOUT
    assert (part.counts["steps"], part.counts["trajectories"]) == (12, 6)
    assert list(part.arms) == ["alpha-umi"]
    assert list(part.floors) == list(FLOORS)
    for metric, figure in part.arms["alpha-umi"].items():
        values = [row["scores"][metric] for row in rows]
        known = [one for one in values if one is not None]
        assert bool(known) == (figure.value == figure.value)
        if known:
            mean = sum(known) / len(known)
            assert figure.value == pytest.approx(mean, abs=1e-6)


def test_the_page_has_the_arm_the_floors_and_a_picture(
    team: TrainedTeam,
    tmp_path: Path,
) -> None:
    pytest.importorskip("matplotlib")
    page = evaluation(team, tmp_path / "report").measure_steps()
    text = page.read_text(encoding="utf-8")
    assert (page.parent / "steps.png").is_file() and "](steps.png)" in text
    assert "## steps: 12 steps of 6 trajectories (6 calls, 6 answers" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    names = [row.split("|")[1].strip() for row in rows[2:]]
    assert names == [
        *(f"floor: {name}" for name in FLOORS),
        "alpha-UMi w/ reuse",
    ]
    assert "hard Arg. F1" in rows[0]
    # Nobody knows whether these tools were trained on.
    assert "domain" not in text and "ordering" not in text


def test_it_is_told_who_is_asked_and_how_far_that_is(
    team: TrainedTeam,
    tmp_path: Path,
) -> None:
    told: list[str] = []
    asked = evaluation(team, tmp_path)
    dataclasses.replace(asked, on_status=told.append).measure_steps()
    assert told[0] == "asking at 12 steps"
    assert told[1] == "12 of 12 replies of the planner"


# -- whole tasks -----------------------------------------------------------------


def test_there_is_a_row_for_each_task(
    team: TrainedTeam,
    tmp_path: Path,
) -> None:
    asked = evaluation(team, tmp_path)
    page = asked.measure_tasks(Limits(steps=1), "chain", True)
    rows = rows_in(tmp_path / "tasks.jsonl")
    assert [row["task"] for row in rows] == [one.name for one in TRAJECTORIES]
    assert all(row["transcript"].startswith("user: ") for row in rows)
    text = page.read_text(encoding="utf-8")
    assert page == tmp_path / "tasks.md" and "| Solved" in text
    assert "domain" not in text


@pytest.mark.parametrize("held", [True, False])
def test_no_call_is_invalid_where_they_are_held(
    team: TrainedTeam,
    tmp_path: Path,
    held: bool,
) -> None:
    asked = evaluation(team, tmp_path)
    asked.measure_tasks(Limits(steps=1), "chain", held)
    rows = rows_in(tmp_path / "tasks.jsonl")
    faults = sum(len(row["faults"]) for row in rows)
    calls = sum(row["calls"] for row in rows)
    assert calls > 0
    assert faults == (0 if held else calls)
    (part,) = read_results(tmp_path / "tasks.json").parts
    mean = part.arms["alpha-umi"]["invalid_calls"].value
    assert mean == pytest.approx(faults / len(rows), abs=1e-6)


def test_one_model_alone_is_refused_before_a_task_is_begun(
    team: TrainedTeam,
    tmp_path: Path,
) -> None:
    alone = TrainedTeam(TeamRecord(find_arm("single"), "brief"), team.models)
    with pytest.raises(ConfigError, match="one model says all"):
        evaluation(alone, tmp_path).measure_tasks(LIMITS, "chain", True)
    assert list(tmp_path.iterdir()) == []
