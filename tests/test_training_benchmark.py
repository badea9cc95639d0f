# -*- coding: utf-8 -*-
"""Speeds are compared only of arms that train the same, in every round."""

import importlib.util
import math
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture(name="benchmark")
def fixture_benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    path = BENCHMARKS / "training.py"
    spec = importlib.util.spec_from_file_location("training_benchmark", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def found(**last: Any) -> dict[str, list[dict[str, Any]]]:
    """Two rounds of two arms; `last` is changed in the very last run."""
    run = {
        "losses": [3.0, 2.0],
        "tensors": 4,
        "tensors_with_gradient": 4,
    }
    return {"plain": [run, run], "ours": [run, {**run, **last}]}


def test_equal_runs_are_compared(benchmark: ModuleType) -> None:
    benchmark.check_gradients(found())
    benchmark.check_losses(found(losses=[3.05, 2.01]))


@pytest.mark.parametrize("loss", [2.1, math.nan])
def test_another_loss_in_a_later_round_ends_the_comparison(
    benchmark: ModuleType,
    loss: float,
) -> None:
    with pytest.raises(SystemExit, match=f"ours, round 2: loss {loss} at ste"):
        benchmark.check_losses(found(losses=[3.0, loss]))


def test_a_tensor_without_a_gradient_ends_the_comparison(
    benchmark: ModuleType,
) -> None:
    with pytest.raises(SystemExit, match="ours, round 2: 3 of 4 tensors had"):
        benchmark.check_gradients(found(tensors_with_gradient=3))
