# -*- coding: utf-8 -*-
"""A thread that has computed gives its helpers back."""

import os
import sys
import threading
from pathlib import Path

import pytest
import torch

from local_llm.cpu_threads import give_back_threads
from local_llm.model_lock import ModelLock

TASKS = Path("/proc/self/task")
LIMIT_S = 30.0
has_gnu_openmp = pytest.mark.skipif(
    sys.platform != "linux"
    or not [*(Path(torch.__file__).parent / "lib").glob("libgomp*.so*")],
    reason="torch computes with GNU OpenMP on Linux only",
)


@pytest.fixture(autouse=True)
def three_threads():
    """Enough that one thread has helpers, whatever the machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def threads() -> int:
    return len(os.listdir(TASKS))


def compute() -> torch.Tensor:
    """Large enough for several threads."""
    return torch.ones(1_000_000).mul(2.0)


def run_in_a_thread(action) -> list:
    """A thread of its own has helpers of its own."""
    found: list = []
    thread = threading.Thread(target=lambda: found.append(action()))
    thread.start()
    thread.join(LIMIT_S)
    return found[0]


@has_gnu_openmp
def test_the_helpers_of_a_thread_end() -> None:
    def counted() -> tuple[int, int, int]:
        before = threads()
        compute()
        between = threads()
        give_back_threads()
        return before, between, threads()

    before, between, after = run_in_a_thread(counted)
    assert between >= before + 2
    assert after <= between - 2


@has_gnu_openmp
@pytest.mark.parametrize("use", ["generating", "changing", "training"])
def test_whoever_has_used_a_model_gives_them_back(use: str) -> None:
    def counted() -> tuple[int, int]:
        with getattr(ModelLock(), use)(1.0):
            compute()
            between = threads()
        return between, threads()

    between, after = run_in_a_thread(counted)
    assert after <= between - 2


def test_who_has_given_them_back_computes_as_before() -> None:
    give_back_threads()
    give_back_threads()
    assert compute().sum().item() == 2_000_000.0
