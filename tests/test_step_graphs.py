# -*- coding: utf-8 -*-
"""Captured steps give the scores of the model, whatever the rows do.

The capture itself is replaced by a recorder that does what a CUDA graph does.
"""

import weakref
from collections.abc import Callable, Iterator

import pytest
import torch
from decoded_rows import (
    BLOCK,
    CLOSE,
    COMMON,
    FAMILIES,
    LONG,
    MIDDLE,
    SHORT,
    build,
    check,
    check_step,
    decoder_of,
    ids_of,
    joined,
)
from recorded_operations import Recorder
from tiny_models import gemma3
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from local_llm import slot_cache, step_graphs
from local_llm.decoder import Decoder
from local_llm.graph_capture import Compute
from local_llm.prefix_cache import PrefixCache
from local_llm.step_graphs import StepGraphs

ONE_CACHE = [name for name in FAMILIES if name != "mamba"]
NO_NUMBERS_MADE = [name for name in ONE_CACHE if name != "falcon with alibi"]


class Watched(Recorder):
    """Knows which of its recordings are there still."""

    def __init__(self) -> None:
        super().__init__()
        self.alive: weakref.WeakSet[Compute] = weakref.WeakSet()

    def __call__(self, compute: Compute) -> Compute:
        replay = super().__call__(compute)
        self.alive.add(replay)
        return replay


@pytest.fixture(name="soon")
def fixture_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second step of a kind is captured, and the third replayed."""
    monkeypatch.setattr(step_graphs, "PLAIN_STEPS", 1)


@pytest.fixture(name="model", scope="module")
def fixture_model() -> PreTrainedModel:
    """Its window is shorter than the texts."""
    return gemma3(sliding_window=24).eval()


@pytest.fixture(name="blind")
def fixture_blind() -> Iterator[None]:
    with torch.inference_mode():
        yield


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("name", NO_NUMBERS_MADE)
def test_rows_that_come_and_go_have_the_scores_of_each_alone(
    name: str,
) -> None:
    model, recorder = FAMILIES[name]().eval(), Recorder()
    check(
        model,
        [ids_of(LONG), ids_of(SHORT), ids_of(MIDDLE), 0, ids_of(LONG, 1), 1],
        StepGraphs(model, recorder),
        steps=4,
    )
    assert recorder.captures >= 4
    assert recorder.replays >= 3 * recorder.captures - 3


@pytest.mark.usefixtures("soon")
def test_scores_are_the_same_in_larger_and_larger_rooms(
    model: PreTrainedModel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(slot_cache, "BLOCK_TOKENS", 16)
    recorder = Recorder()
    check(
        model,
        [ids_of(MIDDLE), ids_of(SHORT)],
        StepGraphs(model, recorder),
        steps=40,
    )
    assert recorder.captures >= 5


@pytest.mark.usefixtures("blind")
def test_what_does_not_last_is_not_captured(model: PreTrainedModel) -> None:
    recorder = Recorder()
    decoder = decoder_of(model, graphs=StepGraphs(model, recorder))
    rows = [ids_of(SHORT), ids_of(MIDDLE)]
    for ids in rows:
        joined(decoder, ids)
        for _ in range(step_graphs.PLAIN_STEPS):
            check_step(model, decoder, rows[: rows.index(ids) + 1])
    assert recorder.captures == 0
    check_step(model, decoder, rows)
    check_step(model, decoder, rows)
    assert (recorder.captures, recorder.replays) == (1, 2)


@pytest.mark.usefixtures("soon", "blind")
def test_a_graph_is_used_again_when_a_row_has_left(
    model: PreTrainedModel,
) -> None:
    recorder = Recorder()
    decoder = decoder_of(model, graphs=StepGraphs(model, recorder))
    rows = [ids_of(MIDDLE), ids_of(SHORT), ids_of(SHORT, 1)]
    for ids in rows:
        joined(decoder, ids)
    check_step(model, decoder, rows)
    check_step(model, decoder, rows)
    fourth = ids_of(SHORT, 2)  # for which there is a slot
    joined(decoder, fourth)
    check_step(model, decoder, [*rows, fourth])
    decoder.leave(3)
    assert (recorder.captures, recorder.replays) == (1, 1)
    check_step(model, decoder, rows)
    assert (recorder.captures, recorder.replays) == (1, 2)


@pytest.mark.usefixtures("soon", "blind")
def test_only_so_many_graphs_are_kept(
    model: PreTrainedModel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(step_graphs, "MOST_GRAPHS", 1)
    capture = Watched()
    decoder = decoder_of(model, graphs=StepGraphs(model, capture))
    rows = [ids_of(MIDDLE), ids_of(SHORT)]
    for ids in rows:
        joined(decoder, ids)
    for count in (2, 1):
        for _ in range(3):
            check_step(model, decoder, rows[:count])
        decoder.leave(count - 1)
        assert len(capture.alive) == count - 1


@pytest.mark.usefixtures("soon", "blind")
def test_scores_stay_what_they_were_at_the_steps_after(
    model: PreTrainedModel,
) -> None:
    decoder = decoder_of(model, graphs=StepGraphs(model, Recorder()))
    joined(decoder, ids_of(SHORT))
    found = [decoder.step([7]) for _ in range(5)]
    kept = [one.clone() for one in found]
    decoder.step([8])
    assert all(map(torch.equal, found, kept))


@pytest.mark.usefixtures("soon", "blind")
def test_other_tensors_in_use_are_another_graph(
    model: PreTrainedModel,
) -> None:
    """As adapters are, which the same graph would compute with for ever."""
    scales = {n: model.lm_head.weight.new_tensor([n]) for n in (1, 2)}
    in_use = [scales[1]]
    hook = model.lm_head.register_forward_hook(
        lambda module, inputs, output: output * in_use[0]
    )
    recorder = Recorder()
    graphs, prefixes = StepGraphs(model, recorder), PrefixCache(BLOCK)
    decoder = Decoder(model, lambda rows: in_use[0], prefixes, graphs)
    plain = decoder_of(model)
    for one in (decoder, plain):
        joined(one, ids_of(SHORT))
    try:
        for scale in (1, 1, 1, 2, 2, 2, 1, 2):
            in_use[0] = scales[scale]
            found = decoder.step([9])
            torch.testing.assert_close(found, plain.step([9]), **CLOSE)
    finally:
        hook.remove()
    assert (recorder.captures, recorder.replays) == (2, 2 * 3)


# -- what cannot be captured ------------------------------------------------


def llama_that_looks_at_positions() -> PreTrainedModel:
    rope = {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10000.0}
    config = LlamaConfig(**COMMON, rope_parameters=rope)
    return build(LlamaForCausalLM, config)


def refusing(compute: Compute) -> Compute:
    raise torch.OutOfMemoryError("no memory for a graph")


def wrong(compute: Compute) -> Compute:
    output = compute()
    return lambda: output + output.std()


def empty(compute: Compute) -> Compute:
    output = compute()
    return lambda: torch.full_like(output, float("nan"))


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (llama_that_looks_at_positions, "needs the values of a tensor"),
        (FAMILIES["falcon with alibi"], "needs the values of a tensor"),
    ],
    ids=["dynamic positions", "falcon with alibi"],
)
def test_a_model_that_looks_at_values_has_plain_steps(
    make: type,
    words: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    model, recorder = make(), Recorder()
    rows = [ids_of(MIDDLE), ids_of(SHORT)]
    check(model, rows, StepGraphs(model, recorder), steps=4)
    assert recorder.captures == 0
    assert [words in line for line in caplog.messages] == [True]


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("capture", [refusing, wrong, empty])
def test_a_capture_that_fails_is_told_once_and_costs_no_reply(
    model: PreTrainedModel,
    capture: type,
    caplog: pytest.LogCaptureFixture,
) -> None:
    graphs = StepGraphs(model, capture)
    for _ in range(2):
        check(model, [ids_of(MIDDLE), ids_of(SHORT)], graphs, steps=4)
    assert len(caplog.messages) == 1
    assert "steps of this model are not captured" in caplog.text


@pytest.mark.usefixtures("soon", "blind")
@pytest.mark.parametrize(
    "end",
    [lambda decoder: decoder.leave(0), Decoder.give_back_memory],
    ids=["the last row has left", "memory has run out"],
)
def test_nothing_is_kept_when(
    model: PreTrainedModel,
    end: Callable[[Decoder], None],
) -> None:
    capture = Watched()
    decoder = decoder_of(model, graphs=StepGraphs(model, capture))
    joined(decoder, ids_of(SHORT))
    for _ in range(3):
        decoder.step([7])
    assert len(capture.alive) == 1
    end(decoder)
    assert not capture.alive


def test_a_model_of_another_cache_has_plain_steps() -> None:
    model, recorder = FAMILIES["mamba"](), Recorder()
    check(model, [ids_of(SHORT)], StepGraphs(model, recorder), steps=12)
    assert recorder.captures == 0
