# -*- coding: utf-8 -*-
"""Many requests, changes of adapter and reloads leave nothing behind."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

PROJECT = Path(__file__).resolve().parents[1]
BENCHMARKS = PROJECT / "benchmarks"


@pytest.fixture(name="benchmark")
def fixture_benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    spec = importlib.util.spec_from_file_location(
        "soak_benchmark",
        BENCHMARKS / "soak.py",
    )
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


def test_what_is_planned_is_evenly_spread(benchmark) -> None:
    plan = benchmark.Plan(requests=100)
    assert plan.at(4) == {20, 40, 60, 80}
    assert plan.at(0) == set()


@pytest.mark.parametrize(
    ("memory", "growth"),
    [
        ([50, 90, 100, 100, 100, 100, 100, 100, 100, 110], 0.1),
        ([10, 20, 100, 100, 100, 100, 100, 100, 100, 100], 0.0),
    ],
)
def test_growth_is_counted_after_the_warm_up(benchmark, memory, growth):
    assert benchmark._growth(memory) == pytest.approx(growth)


def test_a_short_soak_leaves_no_model_thread_or_file(benchmark, tmp_path):
    plan = benchmark.Plan(requests=60, switches=8, reloads=3, samples=20)
    found = benchmark.soak(tmp_path, plan)
    assert found["left"] == 0
    assert found["growth"] < benchmark.HIGHEST_GROWTH
    first, last = found["after_warm_up"], found["at_the_end"]
    assert last["threads"] <= first["threads"] + 1
    assert last["files"] == first["files"]


def test_the_committed_figures_are_those_that_were_wanted() -> None:
    path = PROJECT / "reports" / "soak.json"
    found = json.loads(path.read_text(encoding="utf-8"))
    plan = found["plan"]
    assert (plan["requests"], plan["switches"], plan["reloads"]) == (
        1000,
        20,
        5,
    )
    assert found["left"] == 0 and found["growth"] < 0.05
    assert found["at_the_end"]["threads"] == found["after_warm_up"]["threads"]
