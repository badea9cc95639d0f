# -*- coding: utf-8 -*-
"""The time of a run follows from its operations and from the machine."""

import dataclasses

import pytest
import torch
from test_estimates import fixture_shape, fixture_whole  # noqa: F401
from test_schedules import schedule

from local_llm.model_shapes import ModelShape
from local_llm.run_times import (
    Speed,
    estimate_time,
    measure_speed,
    training_flops,
)

SPEED = Speed(flops=1e9, bytes=1e9)


def test_a_trained_weight_costs_three_passes_and_a_frozen_one_two(
    shape: ModelShape,
    whole: ModelShape,
) -> None:
    run = schedule()
    ratio = training_flops(whole, run, False) / training_flops(
        dataclasses.replace(shape, trained=0), run, False
    )
    assert 1.2 < ratio < 1.6


def test_checkpointing_costs_another_forward_pass(shape) -> None:
    run = schedule()
    once, twice = (training_flops(shape, run, one) for one in (False, True))
    assert 1.2 < twice / once < 1.5


def test_twice_the_speed_takes_half_the_time(shape: ModelShape) -> None:
    run = schedule()
    slow = estimate_time(shape, run, False, SPEED)
    fast = estimate_time(shape, run, False, Speed(2e9, 2e9))
    assert fast.seconds == pytest.approx(slow.seconds / 2)
    assert slow.tokens_per_second == pytest.approx(run.tokens / slow.seconds)


def test_a_gpu_needs_time_for_every_layer_however_short_the_batch(shape):
    on_gpu = dataclasses.replace(shape, device="cuda:0")
    run = schedule()
    time = estimate_time(on_gpu, run, False, Speed(1e18, 1e18))
    assert time.seconds >= 0.001 * run.micro_batches * shape.layers


@pytest.mark.parametrize("kind", ["shape", "whole"])
def test_the_speed_of_this_machine_is_measured(
    kind: str,
    request: pytest.FixtureRequest,
) -> None:
    threads = torch.get_num_threads()
    speed = measure_speed(request.getfixturevalue(kind), 64)
    assert 1e6 < speed.flops < 1e16
    assert 1e6 < speed.bytes < 1e14
    assert torch.get_num_threads() == threads
