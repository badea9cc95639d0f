# -*- coding: utf-8 -*-
"""Records a computation as a CUDA graph does, on any device.

What is replayed are the same operations with the same numbers on the same
tensors, into the same tensors; no line of the function runs again. So what a
function has taken from Python stays as it was, as on a GPU.
"""

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from local_llm.graph_capture import Compute


class _Recording(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.done: list[tuple[Any, tuple, dict[str, Any], Any]] = []

    def __torch_dispatch__(
        self,
        function: Any,
        types: Any,
        arguments: tuple = (),
        named: dict[str, Any] | None = None,
    ) -> Any:
        named = named or {}
        result = function(*arguments, **named)
        self.done.append((function, arguments, named, result))
        return result


class Recorder:
    """Records functions.

    Attributes:
        captures (`int`):
            How many functions were recorded.
        replays (`int`):
            How often one of them was computed again.
    """

    def __init__(self) -> None:
        self.captures = self.replays = 0

    def __call__(self, compute: Compute) -> Compute:
        self.captures += 1
        with _Recording() as recording:
            output = compute()
        # On a GPU nothing is computed while it is captured.
        output.fill_(float("nan"))

        def replay() -> torch.Tensor:
            self.replays += 1
            for function, arguments, named, result in recording.done:
                again = function(*arguments, **named)
                for old, new in zip(
                    tree_leaves(result), tree_leaves(again), strict=True
                ):
                    _put(new, old)
            return output

        return replay


def _put(new: object, old: object) -> None:
    if isinstance(old, torch.Tensor) and isinstance(new, torch.Tensor):
        if new.data_ptr() != old.data_ptr():
            old.copy_(new)
