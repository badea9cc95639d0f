# -*- coding: utf-8 -*-
"""What a run needs follows from its shape, and grows with what makes it."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import DIMENSIONS, load_own
from transformers import GemmaConfig

from local_llm.adapters import adapter_parameters, add_adapter
from local_llm.estimates import (
    choose_gradient_checkpointing,
    estimate_disk,
    estimate_memory,
    gigabytes,
    optimizer_bytes,
    with_checkpointing,
)
from local_llm.library_defaults import DEFAULT_QUANTIZATION
from local_llm.model_shapes import ModelShape, ModelToTrain, examine_model
from local_llm.schedules import MicroBatch

BATCH = MicroBatch(tokens=1024, labelled=500, mask_elements=0)


def shape_of(**more: Any) -> ModelShape:
    wanted = {
        "config": GemmaConfig(**DIMENSIONS),
        "dtype": torch.float32,
        "device": "cpu",
        "quantization": DEFAULT_QUANTIZATION,
        "lora_config": {},
        "autocast": False,
        **more,
    }
    return examine_model(ModelToTrain(**wanted))


@pytest.fixture(name="shape", scope="module")
def fixture_shape() -> ModelShape:
    return shape_of()


@pytest.fixture(name="whole", scope="module")
def fixture_whole() -> ModelShape:
    """All of its weights are trained."""
    return shape_of(quantization={}, lora_config=None)


def test_the_optimizer_takes_what_is_estimated_to_the_byte(
    tiny_folder: Path,
    tmp_path: Path,
) -> None:
    base = load_own(tiny_folder, tmp_path)
    name = add_adapter(base, None)
    trained = list(adapter_parameters(base, name).values())
    optimizer = torch.optim.AdamW(trained)
    for one in trained:
        one.grad = torch.ones_like(one)
    optimizer.step()
    found = sum(
        value.nbytes
        for state in optimizer.state.values()
        for key, value in state.items()
        if key != "step"
    )
    shape = shape_of(config=base.model.config, dtype=base.model.dtype)
    assert optimizer_bytes(shape, "adamw_torch") == found
    memory = estimate_memory(shape, BATCH, "adamw_torch", 0)
    assert memory.optimizer == found
    assert memory.gradients == sum(one.grad.nbytes for one in trained)
    assert memory.adapter == sum(one.nbytes for one in trained)


@pytest.mark.parametrize(
    ("name", "bytes_of_a_weight"),
    [
        ("adamw_torch", 8),
        ("adamw_torch_fused", 8),
        ("paged_adamw_8bit", 2),
        ("sgd", 0),
    ],
)
def test_an_optimizer_has_its_own_state(shape, name, bytes_of_a_weight):
    expected = shape.trained * bytes_of_a_weight
    assert optimizer_bytes(shape, name) == expected


def test_the_total_is_the_sum_of_the_parts(shape: ModelShape) -> None:
    memory = estimate_memory(shape, BATCH, "adamw_torch", 123)
    parts = memory.parts()
    assert parts["process"] == 123
    assert memory.total == sum(parts.values())
    assert memory.needed == memory.total - memory.mapped


def test_whole_weights_have_no_adapter_and_larger_gradients(whole) -> None:
    memory = estimate_memory(whole, BATCH, "adamw_torch", 0)
    assert memory.adapter == 0
    assert memory.weights == memory.gradients == whole.weights * 4
    assert memory.optimizer == 2 * memory.gradients


def test_twice_the_tokens_leave_twice_the_activations(shape) -> None:
    twice = dataclasses.replace(BATCH, tokens=2 * BATCH.tokens)
    one, two = (
        estimate_memory(shape, batch, "adamw_torch", 0).activations
        for batch in (BATCH, twice)
    )
    assert two == pytest.approx(2 * one, rel=0.01)


def test_a_mask_is_kept_by_every_layer(shape: ModelShape) -> None:
    masked = dataclasses.replace(BATCH, mask_elements=1000)
    one, two = (
        estimate_memory(shape, batch, "adamw_torch", 0).activations
        for batch in (BATCH, masked)
    )
    assert two - one == shape.layers * 1000 * 4


def test_checkpointing_keeps_what_enters_each_layer_and_one_layer(shape):
    plain = estimate_memory(shape, BATCH, "adamw_torch", 0)
    saving = with_checkpointing(plain, shape, BATCH)
    entering = shape.layers * BATCH.tokens * shape.width * 4
    layer = plain.activations // shape.layers
    assert saving.activations == entering + layer < plain.activations
    assert saving.overhead == plain.overhead
    assert saving.weights == plain.weights


def test_checkpointing_is_off_where_all_fits_and_the_reason_has_both_sizes(
    shape: ModelShape,
) -> None:
    estimate = estimate_memory(shape, BATCH, "adamw_torch", 3_000_000_000)
    is_on, reason = choose_gradient_checkpointing(estimate, 8_000_000_000)
    assert not is_on
    assert gigabytes(estimate.needed) in reason
    assert "8.0 GB are free" in reason


def test_checkpointing_is_on_where_memory_is_short(shape: ModelShape) -> None:
    estimate = estimate_memory(shape, BATCH, "adamw_torch", 3_000_000_000)
    is_on, reason = choose_gradient_checkpointing(estimate, estimate.needed)
    assert is_on
    assert "only 3.0 GB are free" in reason


def test_a_head_on_a_cpu_needs_blocks_of_logits_only(shape) -> None:
    wide = dataclasses.replace(shape, vocabulary=262_144)
    memory = estimate_memory(wide, BATCH, "adamw_torch", 0)
    logits = 64 * 262_144 * 4
    assert 2 * logits <= memory.head < 3 * logits


def test_a_trained_head_has_a_gradient_of_its_own(whole, shape) -> None:
    on_gpu = dataclasses.replace(shape, device="cuda:0")
    whole_on_gpu = dataclasses.replace(whole, device="cuda:0")
    less, more = (
        estimate_memory(one, BATCH, "adamw_torch", 0).head
        for one in (on_gpu, whole_on_gpu)
    )
    assert more - less == whole.vocabulary * whole.width * 4


@pytest.mark.parametrize(
    ("optimizer", "keeps_best", "copies"),
    [
        ("adamw_torch", False, 1 + 2),
        ("adamw_torch", True, 2 + 2),
        ("sgd", False, 1),
        ("sgd", True, 2),
    ],
)
def test_a_checkpoint_holds_the_weights_the_best_ones_and_the_optimizer(
    shape: ModelShape,
    optimizer: str,
    keeps_best: bool,
    copies: int,
) -> None:
    disk = estimate_disk(shape, optimizer, 3, keeps_best)
    assert disk.checkpoints == 3 * copies * shape.trained_bytes
    assert disk.total == disk.checkpoints + disk.run


def test_without_checkpoints_the_disk_holds_the_run_alone(shape) -> None:
    disk = estimate_disk(shape, "adamw_torch", 0, True)
    assert (disk.checkpoints, disk.total) == (0, disk.run)


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 MB"), (15_187_968, "15 MB"), (2_488_126_334, "2.5 GB")],
)
def test_bytes_are_told_in_the_unit_that_suits_them(count, text) -> None:
    assert gigabytes(count) == text
