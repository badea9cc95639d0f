# -*- coding: utf-8 -*-
"""Replies from captured steps are the replies of the model.

The capture itself is replaced by a recorder that does what a CUDA graph does.
"""

from pathlib import Path

import pytest
import torch
from recorded_operations import Recorder
from reply_listeners import (
    Listener,
    loud_adapter,
    never_stop,
    request_of,
    seeded,
)
from tiny_models import EXACT, gemma3, load_own, prompt, reply, save_model

from local_llm import step_graphs
from local_llm.base_model import BaseModel
from local_llm.generation import GenerationEngine, Sampling, engine_of
from local_llm.graph_capture import Capture, Compute

TOKENS = 24


@pytest.fixture(name="base", scope="module")
def fixture_base(tmp_path_factory: pytest.TempPathFactory) -> BaseModel:
    """A Gemma 3 whose window is shorter than the texts, with adapters."""
    place = tmp_path_factory.mktemp("base")
    folder = save_model(place / "gemma", gemma3(sliding_window=24))
    base = load_own(folder, place, **EXACT)
    never_stop(base)
    loud_adapter(base, 0)
    loud_adapter(base, 1, r=7)
    return base


@pytest.fixture(autouse=True)
def steps_are_captured_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step_graphs, "PLAIN_STEPS", 1)


def texts_of(base: BaseModel, capture: Capture | None) -> list[str]:
    """Replies of several lengths and adapters at once, drawn and not."""
    assert base.peft_model is not None
    adapters = [*base.peft_model.peft_config, None]
    engine, listeners = GenerationEngine(base, capture), []
    for n in range(7):
        listeners.append(Listener())
        request = request_of(
            base,
            prompt_ids=prompt(base, f"Question {n}" + " and" * (5 * n)),
            adapter=adapters[n % len(adapters)],
            sampling=seeded(n) if n % 2 else Sampling(),
            max_new_tokens=TOKENS + 3 * n,
            deliver=listeners[-1],
        )
        engine.submit(request)
    return [listener.text() for listener in listeners]


def test_mixed_replies_are_those_of_plain_steps(base: BaseModel) -> None:
    recorder = Recorder()
    plain = texts_of(base, None)
    assert texts_of(base, recorder) == plain
    assert len(set(plain)) == len(plain)
    assert recorder.captures >= 5
    assert recorder.replays > TOKENS


def test_a_second_reply_has_graphs_of_its_own(base: BaseModel) -> None:
    recorder = Recorder()
    base.engine = GenerationEngine(base, recorder)
    first = reply(base, "What?", max_new_tokens=TOKENS)
    assert reply(base, "What?", max_new_tokens=TOKENS) == first
    base.engine = None
    assert reply(base, "What?", max_new_tokens=TOKENS) == first
    # Two plain steps, the second of which is computed by a graph as well.
    assert (recorder.captures, recorder.replays) == (2, 2 * (TOKENS - 2))


def test_weights_in_4_bit_are_captured_too(
    tiny_folder: Path,
    tmp_path: Path,
) -> None:
    base, recorder = (
        load_own(tiny_folder, tmp_path, dtype="float32"),
        Recorder(),
    )
    loud_adapter(base, 0)
    assert texts_of(base, recorder) == texts_of(base, None)
    assert recorder.replays > TOKENS


def test_a_capture_that_fails_costs_no_reply(base: BaseModel) -> None:
    def refusing(compute: Compute) -> Compute:
        raise torch.OutOfMemoryError("no memory for a graph")

    assert texts_of(base, refusing) == texts_of(base, None)


def test_on_a_cpu_the_setting_changes_nothing(
    tmp_path: Path,
    tiny_folder: Path,
) -> None:
    base = load_own(tiny_folder, tmp_path, **EXACT, cuda_graphs=True)
    assert base.cuda_graphs
    assert engine_of(base)._graphs is None
    assert reply(base, "What?")
