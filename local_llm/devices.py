# -*- coding: utf-8 -*-
"""Chooses the device and the number format to compute in.

Raises ConfigError for a device that this machine does not have.
"""

import contextlib
import functools
import hashlib
import platform
import time
from pathlib import Path

import filelock
import torch

from . import processes
from .atomic_files import write_text
from .errors import CheckpointError, ConfigError

_MATMUL_SHAPE = (256, 640, 2048)
"""Rows, inner size and columns: one feed-forward product of Gemma 3 270M on a
short batch."""

_WORTHWHILE_SPEEDUP = 1.2

_MEASURING_LIMIT_S = 30.0
"""How long one process waits for another that measures the same."""
_FAST = "fast"


def choose_device(wanted: str | None) -> str:
    """The device to load on: the wanted one, else a GPU, else the CPU.

    Of several processes on a machine each takes the GPU of its number.

    Raises:
        `ConfigError`: The wanted device is not there, or another process
            has it.
    """
    if processes.count() > 1:
        return _device_of_process(wanted)
    if wanted is None:
        return "cuda:0" if torch.cuda.is_available() else "cpu"
    if not _is_available(wanted):
        raise ConfigError(
            "device",
            [f"{wanted!r} is not available; {explain_devices()}"],
            fix="leave `device` out to let the program choose",
        )
    return "cuda:0" if wanted == "cuda" else wanted


def _device_of_process(wanted: str | None) -> str:
    """The device of this one of several processes."""
    has_gpu = torch.cuda.is_available() and not processes.uses_cpu()
    if wanted not in (None, "cuda" if has_gpu else "cpu"):
        raise ConfigError(
            "device",
            [f"{wanted!r} cannot be the device of several processes here"],
            fix="leave `device` out: each process takes a GPU of its own, or "
            "all the CPU where there is no GPU or ACCELERATE_USE_CPU=true",
        )
    if not has_gpu:
        return "cpu"
    number, there = processes.local_rank(), torch.cuda.device_count()
    if number >= there:
        raise ConfigError(
            "accelerate launch",
            [f"no GPU is left for process {number + 1}; there are {there}"],
            fix=f"start no more than {there} on this machine",
        )
    return f"cuda:{number}"


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


def choose_dtype(
    device: str,
    wanted: str | None,
    cache: Path | None = None,
) -> torch.dtype:
    """The number format of the dense weights and of the products.

    Args:
        device (`str`):
            Where they are computed.
        wanted (`str | None`):
            `float32`, `float16` or `bfloat16`; None to choose the one that
            is fast there.
        cache (`Path | None`, optional):
            Where a choice that was measured is kept: a run that is resumed
            must get the same one.
    """
    if wanted is not None:
        return getattr(torch, str(wanted).removeprefix("torch."))
    if device.startswith("cuda"):
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if fast else torch.float16
    if device == "cpu" and cpu_computes_bfloat16_fast(cache):
        return torch.bfloat16
    return torch.float32


@functools.cache
def cpu_computes_bfloat16_fast(cache: Path | None = None) -> bool:
    """Whether bfloat16 products are clearly faster than float32 here.

    Measured, since no flag tells: a CPU with AVX512-BF16 but without AMX may
    be either way. Takes some 50 ms, once for each machine and torch.

    Args:
        cache (`Path | None`, optional):
            Where the answer is kept.
    """
    if cache is None:
        return _measured_as_fast()
    note = cache / f"bfloat16-on-{_machine_key()}.txt"
    # Processes that train together must come to the same answer.
    with contextlib.suppress(OSError, CheckpointError, filelock.Timeout):
        note.parent.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(note.with_suffix(".lock"))
        with lock.acquire(timeout=_MEASURING_LIMIT_S):
            if not note.is_file():
                write_text(note, _FAST if _measured_as_fast() else "slow")
    if note.is_file():
        return note.read_text(encoding="utf-8") == _FAST
    return _measured_as_fast()


def _measured_as_fast() -> bool:
    speedup = _seconds(torch.float32) / _seconds(torch.bfloat16)
    return speedup >= _WORTHWHILE_SPEEDUP


def _machine_key() -> str:
    """What the answer depends on, as a name for a file.

    The number of threads is left out: a run that is resumed with another one
    must compute in the format that it began with.
    """
    parts = (
        platform.node(),
        torch.backends.cpu.get_cpu_capability(),
        torch.__version__,
    )
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]


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
