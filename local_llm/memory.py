# -*- coding: utf-8 -*-
"""How much memory there is and was used, in bytes. Raises nothing."""

import os
import resource
import sys

import torch


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
