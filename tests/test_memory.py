# -*- coding: utf-8 -*-
"""Memory is told in bytes, and never less than what is held."""

import platform
from pathlib import Path

import pytest
import torch

from local_llm import memory
from local_llm.memory import (
    free_memory_bytes,
    give_back_freed_memory,
    peak_memory_bytes,
    process_memory_bytes,
    reset_peak_memory,
    total_memory_bytes,
)

CPU = torch.device("cpu")


def test_the_peak_grows_with_what_is_held() -> None:
    held = torch.ones(peak_memory_bytes(CPU) // 4 + (1 << 26))
    assert peak_memory_bytes(CPU) >= held.nbytes


@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc",
    reason="other libraries keep less",
)
def test_what_was_freed_is_given_back() -> None:
    blocks = [torch.ones(4096) for _ in range(8000)]  # 131 MB
    held = process_memory_bytes()
    # Some stay: memory at the end of the heap goes back by itself.
    del blocks[::2], blocks[:-100]
    give_back_freed_memory()
    assert held - process_memory_bytes() > 60e6


def test_the_peak_is_in_bytes_and_fits_into_the_machine() -> None:
    # A process with torch in it holds more than 50 MB and, in kilobytes, less.
    assert 50e6 < peak_memory_bytes(CPU) < 10 * total_memory_bytes()


def test_a_reset_on_a_cpu_is_harmless() -> None:
    before = peak_memory_bytes(CPU)
    reset_peak_memory(CPU)
    assert peak_memory_bytes(CPU) >= before


def test_the_memory_of_the_machine_is_more_than_a_gibibyte() -> None:
    assert total_memory_bytes() > 1 << 30


def test_a_process_has_no_more_than_its_peak() -> None:
    # The system counts pages of a thread's own later than the peak's.
    assert 50e6 < process_memory_bytes() < 1.05 * peak_memory_bytes(CPU)


def test_free_is_what_the_process_has_and_what_nobody_has() -> None:
    free = free_memory_bytes(CPU)
    assert process_memory_bytes() < free <= 1.1 * total_memory_bytes()


@pytest.mark.parametrize(
    ("file", "text", "limit"),
    [
        ("memory.max", "2000000\n", 2_000_000),
        ("memory.max", "max\n", None),
        ("memory/memory.limit_in_bytes", "3000000", 3_000_000),
        ("another", "1", None),
    ],
)
def test_a_container_says_what_it_may_have(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    file: str,
    text: str,
    limit: int | None,
) -> None:
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    free = free_memory_bytes(CPU)
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    found = free_memory_bytes(CPU)
    assert found == (limit or pytest.approx(free, rel=0.2))
