# -*- coding: utf-8 -*-
"""Kept answers are those that were given, or they are refused by name."""

import json
from pathlib import Path

import pytest
from tiny_teams import TRAJECTORIES

from alpha_umi.answer_files import AnswerFile
from alpha_umi.arms import find_arm
from alpha_umi.decision_steps import steps_of
from alpha_umi.static_evaluation import Answered
from local_llm.errors import CheckpointError

STEPS = steps_of(TRAJECTORIES[:1])
BY_A_TEAM = [
    Answered({"planner": "Next: caller.", "caller": "Action: add"}),
    Answered({"planner": "Next: conclusion.", "summarizer": "Fünf\u2028."}),
]
ALONE = [Answered({"backbone": "Action: add"}), Answered({"backbone": ""})]


def file_in(
    folder: Path, arm: str = "alpha-umi", key: str = "k"
) -> AnswerFile:
    return AnswerFile(folder / "answers.json", key, find_arm(arm), STEPS)


@pytest.mark.parametrize(
    ("arm", "answers"),
    [("alpha-umi", BY_A_TEAM), ("multi-task", BY_A_TEAM), ("single", ALONE)],
)
def test_answers_are_read_back_as_they_were_given(
    tmp_path: Path,
    arm: str,
    answers: list[Answered],
) -> None:
    kept = file_in(tmp_path, arm)
    kept.write(answers)
    assert kept.read() == answers


def test_a_file_can_be_read_by_people_and_by_other_programs(
    tmp_path: Path,
) -> None:
    kept = file_in(tmp_path)
    kept.write(BY_A_TEAM)
    first, second = json.loads(kept.path.read_text())["steps"]
    assert first["texts"] == BY_A_TEAM[0].texts
    assert first["prediction"]["call"] == {"name": "add", "arguments": "{}"}
    assert second["reference"]["answer"] == "It is 5."
    assert "Fünf" in kept.path.read_text(encoding="utf-8")


def test_what_was_never_asked_has_no_answers(tmp_path: Path) -> None:
    assert file_in(tmp_path / "none").read() is None


def test_answers_of_something_else_are_none(tmp_path: Path) -> None:
    file_in(tmp_path, key="old").write(BY_A_TEAM)
    assert file_in(tmp_path, key="new").read() is None


ROWS = [{"texts": one.texts} for one in BY_A_TEAM]


@pytest.mark.parametrize(
    "damaged",
    [
        "",
        "{",
        "\x00",
        "[]",
        "null",
        "[" * 100_000,
        {},
        {"key": "k"},
        {"key": "k", "steps": None},
        {"key": "k", "steps": [1, 2]},
        {"key": "k", "steps": ROWS[:1]},
        {"key": "k", "steps": [*ROWS, ROWS[0]]},
        {"key": "k", "steps": [ROWS[0], {}]},
        {"key": "k", "steps": [ROWS[0], {"texts": {}}]},
        {"key": "k", "steps": [ROWS[0], {"texts": "planner"}]},
        {"key": "k", "steps": [ROWS[0], {"texts": ["planner"]}]},
        {"key": "k", "steps": [ROWS[0], {"texts": {"caller": "alone"}}]},
        {"key": "k", "steps": [ROWS[0], {"texts": {"planner": 5}}]},
        {"key": "k", "steps": [ROWS[0], {"texts": {"backbone": ""}}]},
    ],
    ids=lambda damaged: str(damaged)[:60],
)
def test_a_damaged_file_is_refused_by_name(
    tmp_path: Path,
    damaged: str | dict,
) -> None:
    kept = file_in(tmp_path)
    text = damaged if isinstance(damaged, str) else json.dumps(damaged)
    kept.path.write_text(text)
    with pytest.raises(CheckpointError) as raised:
        kept.read()
    assert str(kept.path) in raised.value.message
    assert raised.value.fix == "delete it: they are asked for again"


def test_bytes_that_are_no_text_are_refused_by_name(tmp_path: Path) -> None:
    kept = file_in(tmp_path)
    kept.path.write_bytes(b"\xff\xfe{")
    with pytest.raises(CheckpointError, match="answers.json"):
        kept.read()


def test_a_folder_in_its_place_is_refused_by_name(tmp_path: Path) -> None:
    kept = file_in(tmp_path)
    kept.path.mkdir()
    with pytest.raises(CheckpointError, match="answers.json"):
        kept.read()
