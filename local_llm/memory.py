# -*- coding: utf-8 -*-
"""How much memory there is and was used, in bytes; freed, it is given back.

Raises nothing.
"""

import ctypes
import os
import resource
import sys
from pathlib import Path

import psutil
import torch

_CGROUP = Path("/sys/fs/cgroup")
"""Where Linux tells a container how much memory it may have."""


def peak_memory_bytes(device: torch.device) -> int:
    """The most that was in use: of a GPU since the last reset, on a CPU of
    this process since it began."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def reset_peak_memory(device: torch.device) -> None:
    """Start measuring a GPU's peak anew; a process's cannot be reset."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def total_memory_bytes() -> int:
    """The machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def process_memory_bytes() -> int:
    """What this process has in memory now."""
    return psutil.Process().memory_info().rss


def free_memory_bytes(device: torch.device) -> int:
    """What this process may have in all: what is free and what it has."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device)
    free = psutil.virtual_memory().available + process_memory_bytes()
    return min(free, _container_limit(_CGROUP) or free)


def give_back_freed_memory() -> None:
    """Let the system have what was freed and is kept for later.

    glibc keeps the pages of many small blocks: 400 MB of the 1.8 GB that a
    process has after it has quantized Gemma 3 270M and replied. Elsewhere
    nothing is done.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _container_limit(folder: Path) -> int | None:
    """What a container may have; None where there is no limit."""
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        path = folder / name
        if path.is_file():
            limit = path.read_text().strip()
            return int(limit) if limit.isdecimal() else None
    return None
