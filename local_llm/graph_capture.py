# -*- coding: utf-8 -*-
"""Records what a function computes, to compute it again without Python.

`computed_blindly` finds out what cannot be recorded, on any device and before
anything is in doubt; `capture_on` gives the recorder of a device, a CUDA
graph. Knows no models. Raises RuntimeError.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

Compute = Callable[[], torch.Tensor]
"""Computes from tensors that stay where they are into one that it returns."""

Capture = Callable[[Compute], Compute]
"""Computes once or several times, and returns what does it again: the same
kernels on the same addresses, into the same tensor. That keeps what the
function makes, and nothing of what was there before it."""

_aten = torch.ops.aten

_BETWEEN_HOST_AND_DEVICE = {
    _aten.is_nonzero.default,
    _aten.lift_fresh.default,  # of a tensor made of numbers
}
"""Those that torch does not tag."""

_one_at_a_time = threading.Lock()
"""torch allows a process one capture at a time."""


class _Blind(TorchDispatchMode):
    """Refuses operations that a recorded computation cannot have."""

    def __torch_dispatch__(
        self,
        function: Any,
        types: Any,
        arguments: tuple = (),
        named: dict[str, Any] | None = None,
    ) -> Any:
        if _needs_values(function, arguments):
            raise RuntimeError(f"{function} needs the values of a tensor")
        result = function(*arguments, **(named or {}))
        if _is_between_devices((arguments, named, result)):
            raise RuntimeError(f"{function} needs tensors of two devices")
        return result


def _needs_values(function: Any, arguments: tuple) -> bool:
    """Whether the host waits for the device or the other way round."""
    if function is _aten.index.Tensor:
        # Its shape depends on values only where those are true or false.
        return any(
            one is not None and one.dtype in (torch.bool, torch.uint8)
            for one in arguments[1]
        )
    if str(function).startswith("bitsandbytes.int8_vectorwise_quant"):
        return True  # looks for outliers
    tags = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}
    is_tagged = not tags.isdisjoint(function.tags)
    return is_tagged or function in _BETWEEN_HOST_AND_DEVICE


def _is_between_devices(values: Any) -> bool:
    """Whether nested tensors are apart; single numbers may be anywhere."""
    devices = {
        one.device
        for one in tree_leaves(values)
        if isinstance(one, torch.Tensor) and one.dim()
    }
    return len(devices) > 1


@contextlib.contextmanager
def computed_blindly() -> Iterator[None]:
    """Refuse what looks at values of tensors, makes tensors of numbers or
    moves them between devices.

    A CUDA graph that fails while it is captured leaves the stream and the
    memory pools in doubt; what fails here has only not been computed.

    Raises:
        `RuntimeError`: Something does.
    """
    with _Blind():
        yield


class CudaCapture:
    """Captures CUDA graphs.

    Each has a memory pool of its own: one that is shared cannot be used again
    when its last graph is gone. With torch 2.11 nobody else can draw from the
    device's common random numbers meanwhile, as a training with dropout does.

    Args:
        device (`torch.device`):
            Where all tensors are.
    """

    def __init__(self, device: torch.device) -> None:
        self._stream = torch.cuda.Stream(device)

    def __call__(self, compute: Compute) -> Compute:
        """Capture a function.

        Raises:
            `RuntimeError`: It cannot be captured, or memory has run out.
        """
        graph = torch.cuda.CUDAGraph()
        before = torch.cuda.current_stream(self._stream.device)
        self._stream.wait_stream(before)
        try:
            # Of its own, because torch's stays where a capture fails.
            with _one_at_a_time, torch.cuda.stream(self._stream):
                # What is made for a stream once must not be captured.
                compute()
                output = self._recorded(graph, compute)
        finally:
            before.wait_stream(self._stream)

        def replay() -> torch.Tensor:
            graph.replay()
            return output

        return replay

    def _recorded(
        self,
        graph: torch.cuda.CUDAGraph,
        compute: Compute,
    ) -> torch.Tensor:
        # Other models' threads may allocate memory meanwhile.
        mode = "thread_local"
        with torch.cuda.graph(
            graph, stream=self._stream, capture_error_mode=mode
        ):
            return compute()


def capture_on(device: torch.device) -> Capture | None:
    """The recorder of a device; None where there is none."""
    return CudaCapture(device) if device.type == "cuda" else None
