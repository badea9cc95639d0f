# -*- coding: utf-8 -*-
"""Lets every row of a batch compute with a LoRA adapter of its own.

The matrices of all adapters in use stand side by side in one, along the rank;
a factor for each row and rank, zero where the rank is another adapter's, picks
the row's own: two products for each layer, however many adapters. peft's own
computation is off meanwhile. Raises what the products raise.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from torch.nn import functional

from .adapter_layers import tuner_layers

Names = tuple[str | None, ...]
"""Names of adapters, None for the bare base model."""

MOST_MIXTURES = 32
"""Orders of adapters whose factors are kept for when they come again."""


@dataclass(frozen=True)
class _Matrices:
    """The adapters of one layer, ranks side by side.

    Attributes:
        down (`torch.Tensor`):
            Shape (ranks, inputs).
        up (`torch.Tensor`):
            Shape (outputs, ranks).
        factors (`torch.Tensor`):
            Shape (adapters, ranks).
    """

    down: torch.Tensor
    up: torch.Tensor
    factors: torch.Tensor


@dataclass(frozen=True, eq=False)
class _Mixture:
    """What the rows of a batch compute with.

    Attributes:
        matrices (`dict[BaseTunerLayer, _Matrices]`):
            Of each layer that the adapters change.
        factors (`dict[BaseTunerLayer, torch.Tensor]`):
            Shape (rows or 1, ranks).
    """

    matrices: dict[BaseTunerLayer, _Matrices]
    factors: dict[BaseTunerLayer, torch.Tensor]


class LoraRows:
    """The adapters of the rows of a batch.

    Adapters must not change while it is in use.

    Args:
        model (`torch.nn.Module`):
            With peft's layers.
    """

    def __init__(self, model: torch.nn.Module) -> None:
        self._layers = list(tuner_layers(model))
        self._matrices: dict[Names, dict[BaseTunerLayer, _Matrices]] = {}
        self._mixtures: dict[Names, _Mixture] = {}
        self._in_use = _Mixture({}, {})

    @contextlib.contextmanager
    def attached(self) -> Iterator[None]:
        """Let the model's layers add what `use` has told."""
        hooks = [
            layer.register_forward_hook(self._add) for layer in self._layers
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def use(self, rows: Sequence[str | None]) -> object:
        """Say which adapter each row has from now on.

        Returns:
            `object`: What the layers then compute with; as long as somebody
                holds it, its tensors are those of no other.
        """
        # Rows that are all alike need no factors of their own.
        order = tuple(rows[:1] if len(set(rows)) == 1 else rows)
        if order not in self._mixtures:
            self._mixtures[order] = self._mixed(order)
        self._in_use = self._mixtures[order]
        return self._in_use

    def _mixed(self, order: Names) -> _Mixture:
        names = tuple(sorted({name for name in order if name is not None}))
        matrices = self._of(names)
        if len(self._mixtures) == MOST_MIXTURES:
            self._mixtures.clear()
        places = [names.index(one) if one else len(names) for one in order]
        return _Mixture(
            matrices,
            {layer: one.factors[places] for layer, one in matrices.items()},
        )

    def _of(self, names: Names) -> dict[BaseTunerLayer, _Matrices]:
        if names not in self._matrices:
            if len(names) > 1:
                # Only one mixture is kept: each is as large as its adapters.
                self._mixtures.clear()
                self._matrices = {
                    known: one
                    for known, one in self._matrices.items()
                    if len(known) == 1
                }
            self._matrices[names] = {
                layer: _side_by_side(layer, names)
                for layer in self._layers
                if any(name in layer.lora_A for name in names)
            }
        return self._matrices[names]

    def _add(
        self,
        layer: BaseTunerLayer,
        inputs: tuple[torch.Tensor, ...],
        output: torch.Tensor,
    ) -> torch.Tensor | None:
        """The hook: what a layer gives, and what the adapters add to it."""
        matrices = self._in_use.matrices.get(layer)
        if matrices is None:
            return None
        factors = self._in_use.factors[layer]
        if inputs[0].dim() == 3:
            factors = factors[:, None]  # (rows, 1, ranks)
        given = inputs[0].to(matrices.down.dtype)
        hidden = functional.linear(given, matrices.down) * factors
        return output + functional.linear(hidden, matrices.up).to(output.dtype)


def _side_by_side(layer: BaseTunerLayer, names: Names) -> _Matrices:
    has = [name for name in names if name in layer.lora_A]
    downs = [layer.lora_A[name].weight for name in has]
    ups = [layer.lora_B[name].weight for name in has]
    factors = torch.zeros(len(names) + 1, sum(map(len, downs)))
    start = 0
    for name, down in zip(has, downs, strict=True):
        end = start + len(down)
        factors[names.index(name), start:end] = layer.scaling[name]
        start = end
    if len(has) > 1:
        downs, ups = [torch.cat(downs)], [torch.cat(ups, dim=1)]
    return _Matrices(downs[0], ups[0], factors.to(downs[0]))
