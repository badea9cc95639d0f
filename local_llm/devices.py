# -*- coding: utf-8 -*-
"""Chooses the device and the number format to compute in.

Raises ConfigError for a device that this machine does not have.
"""

import functools
import time

import torch

from .errors import ConfigError

_MATMUL_SHAPE = (256, 640, 2048)
"""Rows, inner size and columns: one feed-forward product of Gemma 3 270M on a
short batch."""

_WORTHWHILE_SPEEDUP = 1.2


def choose_device(wanted: str | None) -> str:
    """The device to load on: the wanted one, else a GPU, else the CPU.

    Raises:
        `ConfigError`: The wanted device is not there.
    """
    if wanted is None:
        return "cuda:0" if torch.cuda.is_available() else "cpu"
    if not _is_available(wanted):
        raise ConfigError(
            "device",
            [f"{wanted!r} is not available; {explain_devices()}"],
            fix="leave `device` out to let the program choose",
        )
    return "cuda:0" if wanted == "cuda" else wanted


def _is_available(wanted: str) -> bool:
    try:
        device = torch.device(wanted)
    except RuntimeError:
        return False
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        return (device.index or 0) < count
    if device.type == "mps":
        return torch.backends.mps.is_available()
    return device.type == "cpu"


def explain_devices() -> str:
    """What this machine computes on, in one line."""
    if torch.cuda.is_available():
        memory = torch.cuda.get_device_properties(0).total_memory / 2**30
        return f"GPU {torch.cuda.get_device_name(0)}, {memory:.0f} GiB"
    build = torch.version.cuda
    if build is None:
        return "no GPU: this torch was built for the CPU alone"
    return f"no GPU that torch, built for CUDA {build}, can use"


def choose_dtype(device: str, wanted: str | None) -> torch.dtype:
    """The number format of the dense weights and of the products.

    Args:
        device (`str`):
            Where they are computed.
        wanted (`str | None`):
            `float32`, `float16` or `bfloat16`; None to choose the one that
            is fast there.
    """
    if wanted is not None:
        return getattr(torch, str(wanted).removeprefix("torch."))
    if device.startswith("cuda"):
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if fast else torch.float16
    if device == "cpu" and cpu_computes_bfloat16_fast():
        return torch.bfloat16
    return torch.float32


@functools.cache
def cpu_computes_bfloat16_fast() -> bool:
    """Whether bfloat16 products are clearly faster than float32 here.

    Measured, since no flag tells: a CPU with AVX512-BF16 but without AMX may
    be either way. Takes some 50 ms, once.
    """
    speedup = _seconds(torch.float32) / _seconds(torch.bfloat16)
    return speedup >= _WORTHWHILE_SPEEDUP


def _seconds(dtype: torch.dtype) -> float:
    rows, inner, columns = _MATMUL_SHAPE
    left = torch.ones(rows, inner, dtype=dtype)
    right = torch.ones(inner, columns, dtype=dtype)
    left @ right
    times = []
    for _ in range(5):
        start = time.perf_counter()
        left @ right
        times.append(time.perf_counter() - start)
    return min(times)
