# -*- coding: utf-8 -*-
"""The benchmark of replies counts and compares what it says."""

import importlib
import time
from pathlib import Path
from types import ModuleType

import pytest
import torch
from tiny_models import generate, load_own

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture(autouse=True)
def benchmarks_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


@pytest.fixture(name="arms")
def fixture_arms() -> ModuleType:
    return importlib.import_module("arms")


@pytest.fixture(name="generation")
def fixture_generation() -> ModuleType:
    return importlib.import_module("generation")


@pytest.fixture(name="generation_gpu")
def fixture_generation_gpu() -> ModuleType:
    return importlib.import_module("generation_gpu")


def test_arms_take_turns_and_the_first_round_is_not_counted(
    arms: ModuleType,
) -> None:
    calls: list[str] = []

    def slow() -> None:
        calls.append("slow")
        time.sleep(0.2 if len(calls) == 1 else 0.002)

    found = arms.in_turn({"slow": slow, "quick": lambda: calls.append("q")}, 3)
    assert calls == ["slow", "q"] * 4
    assert 0.002 <= found["slow"]["min"] <= found["slow"]["median"]
    assert found["slow"]["median"] < 0.2
    assert arms.ratio(found, "slow", "quick") > 1


def test_speeds_are_tokens_per_second(arms: ModuleType) -> None:
    found = arms.in_turn({"one": lambda: time.sleep(0.01)}, 2, tokens=10)
    assert 100 < found["one"]["max"] < 1000


def test_requests_at_once_give_the_texts_of_each(
    tiny_folder: Path,
    tmp_path: Path,
    generation: ModuleType,
) -> None:
    base = load_own(tiny_folder, tmp_path)
    name = generation.random_adapter(base, 3)
    prompts = generation.prompts_of(base, 2)
    texts = generation.replies(base, prompts, [None, name], 6)
    alone = generate(base, "Tell me about the sea.", max_new_tokens=6)
    assert texts[0] == "".join(piece.text for piece in alone)
    assert texts[1] != generation.replies(base, prompts[1:], [None], 6)[0]


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has one")
def test_without_a_gpu_nothing_is_measured_there(
    capsys: pytest.CaptureFixture[str],
    generation_gpu: ModuleType,
) -> None:
    generation_gpu.measure(tiny=False)
    assert "no GPU here" in capsys.readouterr().out


def test_the_arms_of_the_gpu_go_through_with_a_tiny_model(
    capsys: pytest.CaptureFixture[str],
    generation_gpu: ModuleType,
) -> None:
    generation_gpu.measure(tiny=True)
    table = capsys.readouterr().out.splitlines()[-4:]
    assert table[0].startswith("| requests | adapters |")
    assert [line.split("|")[1:4] for line in table[2:]] == [
        [" 2 ", " 1 ", " 16 "],
        [" 2 ", " 2 ", " 16 "],
    ]
