# -*- coding: utf-8 -*-
"""Memory is told in bytes, and never less than what is held."""

import torch

from local_llm.memory import (
    peak_memory_bytes,
    reset_peak_memory,
    total_memory_bytes,
)

CPU = torch.device("cpu")


def test_the_peak_grows_with_what_is_held() -> None:
    held = torch.ones(peak_memory_bytes(CPU) // 4 + (1 << 26))
    assert peak_memory_bytes(CPU) >= held.nbytes


def test_the_peak_is_in_bytes_and_fits_into_the_machine() -> None:
    # A process with torch in it holds more than 50 MB and, in kilobytes, less.
    assert 50e6 < peak_memory_bytes(CPU) < 10 * total_memory_bytes()


def test_a_reset_on_a_cpu_is_harmless() -> None:
    before = peak_memory_bytes(CPU)
    reset_peak_memory(CPU)
    assert peak_memory_bytes(CPU) >= before


def test_the_memory_of_the_machine_is_more_than_a_gibibyte() -> None:
    assert total_memory_bytes() > 1 << 30
