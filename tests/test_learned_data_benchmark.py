# -*- coding: utf-8 -*-
"""The benchmark of data to learn compares the same answers of two folders."""

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
METRICS = ("plan_em", "action_em", "hallu_rate", "f1", "rouge")


@pytest.fixture(name="benchmark")
def fixture_benchmark(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> ModuleType:
    """It writes to `tmp_path`."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    benchmark = importlib.import_module("learned_data")
    monkeypatch.setattr(benchmark, "REPORTS", tmp_path)
    return benchmark


def write_answers(
    folder: Path,
    arm: str,
    seed: int,
    *right: float | None,
    part: str = "toolbench",
) -> None:
    """Answers of which each was so right, in a trajectory of its own."""
    rows = [
        {
            "trajectory": number,
            "reference": {"tool": f"{part} {number}"},
            "scores": dict.fromkeys(METRICS, one),
        }
        for number, one in enumerate(right)
    ]
    path = folder / f"seed-{seed}" / "answers" / f"{arm}, {part}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"key": "", "steps": rows}))


def compared(
    benchmark: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    one: Path,
    other: Path,
) -> dict[str, Any]:
    typed = ["learned_data.py", "--pair", str(one), str(other)]
    monkeypatch.setattr(sys, "argv", typed)
    benchmark.main()
    written = benchmark.REPORTS / "learned_data.json"
    return json.loads(written.read_text())["pairs"][0]["arms"]


def test_the_difference_is_that_of_the_second_folder_in_points(
    benchmark: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    write_answers(one, "single", 1, 0.0, 0.0, 1.0, None)
    write_answers(other, "single", 1, 0.5, 0.5, 1.0, None)
    write_answers(one, "single", 2, 0.0, 0.0, 0.0, None)
    write_answers(other, "single", 2, 1.0, 1.0, 1.0, None)
    found = compared(benchmark, monkeypatch, one, other)["single"]
    value, low, high = found["Act. EM"]
    assert found["seeds"] == 2
    assert value == 66.7  # the mean of 1/3 and 1
    assert 0 < low < value < high == 100


def test_arms_seeds_and_parts_that_one_lacks_are_left_out(
    benchmark: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        write_answers(folder, "single", 1, 1.0, 0.0)
        write_answers(folder, "single", 1, 1.0, part="seen")
    write_answers(one, "single", 2, 1.0, 0.0)
    write_answers(other, "multi-task", 1, 1.0, 0.0)
    found = compared(benchmark, monkeypatch, one, other)
    assert list(found) == ["single"]
    assert found["single"]["seeds"] == 1
    assert found["single"]["Plan ACC"] == [0.0, 0.0, 0.0]


def test_answers_to_other_steps_are_not_compared(
    benchmark: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    write_answers(tmp_path / "one", "single", 1, 1.0, 0.0)
    write_answers(tmp_path / "other", "single", 1, 1.0)
    with pytest.raises(SystemExit, match="not asked the same"):
        compared(benchmark, monkeypatch, tmp_path / "one", tmp_path / "other")
