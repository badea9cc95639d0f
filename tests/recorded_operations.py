# -*- coding: utf-8 -*-
"""Records a computation as a CUDA graph does, on any device.

What is replayed are the same operations with the same numbers on the same
memory; no line of the function runs again. So what a function has taken from
Python stays as it was, as on a GPU. And as there, what it makes is kept, but
what was there before is not: where that is gone, a GPU would read whatever
else is there then, and here a replay raises.
"""

from typing import Any

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from local_llm.graph_capture import Compute


class _Outside:
    """A tensor that was there before, by its address."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self.storage = StorageWeakRef(tensor.untyped_storage())
        self.dtype = tensor.dtype
        self.place = (tensor.storage_offset(), tensor.size(), tensor.stride())

    def tensor(self) -> torch.Tensor:
        storage = torch.UntypedStorage._new_with_weak_ptr(self.storage.cdata)
        assert storage is not None, "what the graph reads is gone"
        return torch.empty(0, dtype=self.dtype).set_(storage, *self.place)


class _Recording(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.done: list[tuple[Any, Any, Any]] = []
        self._made: set[int] = set()

    def __torch_dispatch__(
        self,
        function: Any,
        types: Any,
        arguments: tuple = (),
        named: dict[str, Any] | None = None,
    ) -> Any:
        given = (arguments, named or {})
        known = tree_map(self._known, given)
        before = {_memory(one) for one in tensors(given)}
        result = function(*given[0], **given[1])
        self._made |= {_memory(one) for one in tensors(result)} - before
        self.done.append((function, known, tree_map(self._known, result)))
        return result

    def _known(self, value: Any) -> Any:
        is_outside = (
            isinstance(value, torch.Tensor)
            and _memory(value) not in self._made
        )
        return _Outside(value) if is_outside else value


def tensors(values: Any) -> list[torch.Tensor]:
    """All tensors of nested values."""
    leaves = tree_leaves(values)
    return [one for one in leaves if isinstance(one, torch.Tensor)]


def _memory(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage()._cdata


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
            for function, given, result in recording.done:
                arguments, named = tree_map(_found, given)
                _put(function(*arguments, **named), result)
            return output

        return replay


def _found(value: Any) -> Any:
    return value.tensor() if isinstance(value, _Outside) else value


def _put(new: Any, old: Any) -> None:
    """Results go where they were; what changed outside is there already."""
    for one, other in zip(tree_leaves(new), tree_leaves(old), strict=True):
        if isinstance(other, torch.Tensor):
            if one.data_ptr() != other.data_ptr():
                other.copy_(one)
