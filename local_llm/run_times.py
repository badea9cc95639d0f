# -*- coding: utf-8 -*-
"""How long a run will take on this machine.

Counts operations and bytes of a run, and measures shortly how many of them
the machine does in a second. Loads nothing. Raises nothing.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from .model_shapes import ModelShape
from .schedules import Schedule

_PRODUCT_SHARE = 0.5
"""Of the measured speed of one product, what the products of a step reach."""

_PASSES = 30
"""How often a step reads or writes what it keeps for the backward pass, its
products aside. With both numbers, the products (600 GFLOP/s) and copies (20 to
40 GB/s) of two quiet cores give the 200 to 290 tokens/s that the embedded model
is trained with there; on a GPU nobody has compared them yet."""

_LAYER_S = 0.004
"""A GPU layer's forward and backward are not faster, however short the batch:
so long takes the launching of its kernels."""

_MEASURED_S = 0.05
_MEASURED_ROWS = 512
_MEASURED_COLUMNS = 4096
_COPIED_BYTES = 1 << 26


@dataclass(frozen=True, slots=True)
class TimeEstimate:
    """How long the optimizer steps will take.

    Attributes:
        seconds (`float`):
            All of them; evaluations, loading and replies not counted.
        tokens_per_second (`float`):
            Padding not counted.
    """

    seconds: float
    tokens_per_second: float


@dataclass(frozen=True, slots=True)
class Speed:
    """What this machine does in a second: operations of a product of the
    model's shape, and bytes read or written."""

    flops: float
    bytes: float


def estimate_time(
    shape: ModelShape,
    schedule: Schedule,
    is_checkpointed: bool,
    speed: Speed,
) -> TimeEstimate:
    """The time of the optimizer steps.

    Args:
        shape (`ModelShape`):
            The model with its adapter.
        schedule (`Schedule`):
            The run.
        is_checkpointed (`bool`):
            Whether each layer is computed a second time.
        speed (`Speed`):
            See `measure_speed`.
    """
    flops = training_flops(shape, schedule, is_checkpointed)
    moved = _PASSES * shape.saved_per_token * schedule.tokens
    seconds = flops / (_PRODUCT_SHARE * speed.flops) + moved / speed.bytes
    seconds /= schedule.processes
    if not shape.on_cpu:
        least = schedule.micro_batches * shape.layers * _LAYER_S
        seconds = max(seconds, least)
    return TimeEstimate(seconds, schedule.tokens / seconds)


def training_flops(
    shape: ModelShape,
    schedule: Schedule,
    is_checkpointed: bool,
) -> float:
    """Operations of a whole run: two for a weight and a token in the forward
    pass, as many for the input's gradient, as many for a trained weight's."""
    passes = 6 if not shape.trains_adapter else 4
    passes += 2 * is_checkpointed
    layers = passes * shape.linear_weights
    if shape.trains_adapter:
        layers += (6 + 2 * is_checkpointed) * shape.trained
    micro_batch = schedule.tokens / schedule.processes / schedule.micro_batches
    attended = micro_batch * shape.attention_width * shape.layers
    layers += (12 + 4 * is_checkpointed) * attended
    head = shape.vocabulary * shape.width
    head *= 4 if shape.has_cheap_loss else 6
    under_loss = schedule.labelled
    if not shape.has_cheap_loss and shape.on_cpu:
        under_loss = schedule.tokens  # trl's loss there projects every token
    return layers * schedule.tokens + head * under_loss


def measure_speed(shape: ModelShape, tokens: int) -> Speed:
    """What this machine does in a second.

    Takes a fifth of a second. With 4-bit weights, their dequantization is
    part of the product. The best of some tries counts, since others may use
    the machine meanwhile.

    Args:
        shape (`ModelShape`):
            The model.
        tokens (`int`):
            Of a micro-batch.
    """
    rows = min(tokens, _MEASURED_ROWS)
    inner, columns = (min(n, _MEASURED_COLUMNS) for n in shape.largest_linear)
    layer = _linear(shape, inner, columns)
    states = torch.ones(rows, inner, dtype=shape.dtype, device=shape.device)
    source = torch.ones(_COPIED_BYTES, dtype=torch.uint8, device=shape.device)
    target = torch.empty_like(source)
    with torch.no_grad():
        product_s = _best_seconds(shape, lambda: layer(states))
        copy_s = _best_seconds(shape, lambda: target.copy_(source))
    flops = 2 * rows * inner * columns
    return Speed(flops / product_s, 2 * _COPIED_BYTES / copy_s)


def _linear(shape: ModelShape, inner: int, columns: int) -> torch.nn.Module:
    from bitsandbytes.nn import Linear4bit

    if shape.bits is None:
        layer = torch.nn.Linear(inner, columns, bias=False, dtype=shape.dtype)
        return layer.to(shape.device)
    layer = Linear4bit(
        inner,
        columns,
        bias=False,
        compute_dtype=shape.dtype,
        quant_type="nf4",
    )
    layer = layer.to(shape.dtype).to(shape.device)
    layer.support_avx512bf16_for_cpu = False  # as in training
    return layer


def _best_seconds(shape: ModelShape, work: Callable[[], object]) -> float:
    """Of a piece of work, repeated for a while; on a CPU with all threads and
    with one, since threads that wait for each other tell nothing about the
    machine while others use it."""
    threads = torch.get_num_threads()
    try:
        times = []
        for count in {threads, 1} if shape.on_cpu else {threads}:
            torch.set_num_threads(count)
            times.append(_repeated_seconds(shape, work))
        return min(times)
    finally:
        torch.set_num_threads(threads)


def _repeated_seconds(
    shape: ModelShape,
    work: Callable[[], object],
) -> float:
    best, begin = math.inf, time.perf_counter()
    while time.perf_counter() - begin < _MEASURED_S or best == math.inf:
        start = time.perf_counter()
        work()
        if not shape.on_cpu:
            torch.accelerator.synchronize()
        best = min(best, time.perf_counter() - start)
    return best
