# -*- coding: utf-8 -*-
"""What cannot be captured is found out before; the rest is computed again."""

from collections.abc import Callable

import bitsandbytes
import pytest
import torch
from recorded_operations import Recorder

from local_llm.graph_capture import CudaCapture, capture_on, computed_blindly

NUMBERS = torch.tensor([3, 1, 2])
TABLE = torch.arange(12.0).view(4, 3)

REFUSED: dict[str, Callable[[], object]] = {
    "a number": lambda: NUMBERS.sum().item(),
    "a condition": lambda: bool(NUMBERS.max() > 2),
    "a comparison": lambda: torch.equal(NUMBERS, NUMBERS),
    "places": lambda: NUMBERS.nonzero(),
    "a choice": lambda: TABLE[TABLE > 3],
    "a tensor of numbers": lambda: torch.tensor([1, 2]),
    "outliers": lambda: bitsandbytes.functional.int8_vectorwise_quant(
        TABLE.half(), threshold=6.0
    ),
}

ALLOWED: dict[str, Callable[[], object]] = {
    "rows of a table": lambda: TABLE[NUMBERS],
    "a slice": lambda: TABLE[1:, None],
    "where": lambda: torch.where(NUMBERS > 1, NUMBERS, 0),
    "a range": lambda: torch.arange(3) + NUMBERS,
    "a product": lambda: torch.nn.functional.linear(TABLE, TABLE),
    "a write": lambda: torch.zeros(3).index_copy_(
        0, NUMBERS[1:2], torch.ones(1)
    ),
}


@pytest.mark.parametrize("kind", list(REFUSED))
def test_what_looks_at_values_is_refused(kind: str) -> None:
    with torch.inference_mode(), computed_blindly():
        with pytest.raises(RuntimeError, match="needs the values"):
            REFUSED[kind]()


@pytest.mark.parametrize(
    "move",
    [
        lambda: NUMBERS.to("meta"),
        lambda: torch.empty(3, device="meta").copy_(NUMBERS),
    ],
    ids=["to", "copy"],
)
def test_what_moves_tensors_between_devices_is_refused(
    move: Callable[[], object],
) -> None:
    with torch.inference_mode(), computed_blindly():
        with pytest.raises(RuntimeError, match="tensors of two devices"):
            move()


@pytest.mark.parametrize("kind", list(ALLOWED))
def test_what_does_not_is_computed_as_ever(kind: str) -> None:
    with torch.inference_mode():
        with computed_blindly():
            found = ALLOWED[kind]()
        assert torch.equal(found, ALLOWED[kind]())


def test_only_a_cuda_device_captures() -> None:
    assert capture_on(torch.device("cpu")) is None


def twice_the_sum(capture: Callable, device: str) -> None:
    """Other values in the same tensors give other results."""
    given = torch.ones(3, device=device)
    replay = capture(lambda: (given * 2).sum(dim=0, keepdim=True))
    assert replay().item() == 6
    given.copy_(torch.arange(3))
    assert replay().item() == 6
    given.fill_(5)
    assert replay().item() == 30


def test_the_recorder_of_the_tests_computes_again() -> None:
    twice_the_sum(Recorder(), "cpu")


def test_the_recorder_of_the_tests_runs_no_python_again() -> None:
    numbers = iter([1, 2, 3])
    given = torch.zeros(2)
    replay = Recorder()(lambda: given + next(numbers))
    given.fill_(10)
    assert replay().tolist() == [11, 11]
    assert replay().tolist() == [11, 11]


def test_the_recorder_of_the_tests_keeps_nothing_from_before() -> None:
    """As a CUDA graph does not, which then reads what else is there."""
    given, tables = torch.ones(3), [torch.ones(3)]
    replay = Recorder()(lambda: given + tables[0])
    assert replay().tolist() == [2, 2, 2]
    tables.clear()
    with pytest.raises(AssertionError, match="is gone"):
        replay()


on_cuda = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="needs a CUDA device"
)


@on_cuda
def test_a_cuda_graph_computes_again() -> None:
    twice_the_sum(CudaCapture(torch.device("cuda", 0)), "cuda:0")


@on_cuda
def test_a_cuda_device_is_as_before_after_a_capture_that_failed() -> None:
    stream, given = torch.cuda.current_stream(), torch.ones(3, device="cuda:0")
    capture = CudaCapture(torch.device("cuda", 0))
    with pytest.raises(RuntimeError):
        capture(lambda: given * given.sum().item())
    assert torch.cuda.current_stream() == stream
    assert torch.rand(3, device="cuda:0").sum().item() > 0
    twice_the_sum(capture, "cuda:0")
