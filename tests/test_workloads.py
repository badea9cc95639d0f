# -*- coding: utf-8 -*-
"""Where memory is short, what to change is said in the order of its price."""

import dataclasses
from typing import Any

import pytest
from test_estimates import shape_of
from test_schedules import rows_of

from local_llm.estimates import USABLE_SHARE
from local_llm.memory import process_memory_bytes
from local_llm.model_shapes import ModelShape
from local_llm.settings import FineTuneSettings
from local_llm.training_arguments import chosen_training
from local_llm.workloads import (
    Workload,
    asked_part,
    changes_to_fit,
    decide_checkpointing,
    process_part,
)

DEFAULTS = chosen_training(FineTuneSettings())


@pytest.fixture(name="shape", scope="module")
def fixture_shape() -> ModelShape:
    """Deep, so that checkpointing is worth something."""
    return dataclasses.replace(shape_of(), layers=12)


def workload(shape: ModelShape, **arguments: Any) -> Workload:
    return Workload(
        shape=shape,
        rows=rows_of(*[512] * 8),
        arguments={**DEFAULTS, **arguments},
        max_tokens=512,
        processes=1,
        process_bytes=0,
    )


def test_all_three_changes_are_named_in_order_where_nothing_suffices(shape):
    found = changes_to_fit(workload(shape), False, 0)
    assert [one.setting for one in found] == [
        "per_device_train_batch_size 1 with gradient_accumulation_steps 4",
        "max_seq_length 256",
        "gradient_checkpointing true",
    ]
    needed = [one.needed for one in found]
    assert needed == sorted(needed, reverse=True)


def test_no_more_is_changed_than_must_be(shape: ModelShape) -> None:
    one_row = workload(shape, per_device_train_batch_size=1)
    enough = one_row.memory(False).needed / USABLE_SHARE + 1
    (change,) = changes_to_fit(workload(shape), False, int(enough))
    assert change.setting.startswith("per_device_train_batch_size 1")
    assert change.needed == one_row.memory(False).needed


def test_rows_are_halved_until_they_fit(shape: ModelShape) -> None:
    one_row = workload(shape, per_device_train_batch_size=1)
    quarter = dataclasses.replace(one_row, rows=rows_of(*[128] * 8))
    enough = int(quarter.memory(False).needed / USABLE_SHARE) + 1
    (change,) = changes_to_fit(one_row, False, enough)
    assert change.setting == "max_seq_length 128"


def test_what_is_so_already_is_not_advised(shape: ModelShape) -> None:
    short = dataclasses.replace(
        workload(shape, per_device_train_batch_size=1),
        rows=rows_of(40, 50),
    )
    assert changes_to_fit(short, True, 0) == []


def test_accumulation_keeps_the_rows_of_a_step(shape: ModelShape) -> None:
    given = workload(shape, gradient_accumulation_steps=3)
    first = changes_to_fit(given, True, 0)[0]
    assert first.setting.endswith("gradient_accumulation_steps 12")


@pytest.mark.parametrize(
    "key",
    ["gradient_checkpointing", "activation_checkpointing"],
)
@pytest.mark.parametrize("value", [True, False])
def test_the_arguments_of_the_user_decide_on_checkpointing(shape, key, value):
    given = workload(shape, **{key: value})
    assert decide_checkpointing(given, 0) == (value, "as training_args say")


def test_the_free_memory_decides_where_the_user_does_not(shape) -> None:
    given = workload(shape)
    assert decide_checkpointing(given, 0)[0]
    assert not decide_checkpointing(given, 1 << 50)[0]


@pytest.fixture(name="whole", scope="module")
def fixture_whole() -> ModelShape:
    """All of its weights are trained."""
    return shape_of(quantization={}, lora_config=None)


def test_weights_that_are_all_trained_stay_beside_as_they_were(whole, shape):
    settings = FineTuneSettings()
    assert asked_part(whole, settings) == whole.weight_bytes
    assert asked_part(shape, settings) == 0


def test_an_adapter_that_is_trained_further_stays_beside(shape) -> None:
    further = FineTuneSettings(continue_lora_finetuning=True)
    assert asked_part(shape, further) == shape.trained_bytes


def test_the_best_weights_stay_in_the_memory_of_the_machine(whole) -> None:
    on_gpu = dataclasses.replace(whole, device="cuda:0")
    kept = [
        workload(shape, **arguments).memory(False).kept
        for shape in (whole, on_gpu)
        for arguments in ({}, {"eval_strategy": "steps"})
    ]
    assert kept == [0, whole.trained_bytes, 0, 0]


def test_the_process_counts_on_a_cpu_without_what_is_loaded() -> None:
    now = process_memory_bytes()
    assert process_part(True) == pytest.approx(now, rel=0.1)
    assert process_part(True, now // 2) == pytest.approx(now / 2, rel=0.2)
    assert process_part(True, 10 * now) == 0
    assert process_part(False) < 1_000_000_000
