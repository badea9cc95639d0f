# -*- coding: utf-8 -*-
"""Keeps 4-bit weights exact on CPUs where bitsandbytes re-packs them.

On CPUs with AVX512-BF16, a bitsandbytes linear layer re-packs its weight at
the first evaluation-mode forward. The packed product is fast and has no
gradient: a model that has generated once would train without one and show only
a warning, and un-packing rounds the scales. So the weight and its state are
kept as they were loaded, packing works on a copy, and the two are swapped.
Other parts that replies compute another way are switched along with them.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from bitsandbytes.nn import Linear4bit

_PACKED_ROWS = 32
"""bitsandbytes packs rows in blocks of 32, and wants the blocks of a scale to
end with the rows; other shapes cannot be packed."""


class DecodingPart(Protocol):
    """A part of a model that is computed another way while it replies."""

    def use(self) -> None:
        """Compute as is best for the next token."""

    def put_back(self) -> None:
        """Compute exactly, as before the first `use`."""

    def free(self) -> None:
        """Forget what `use` has made, after `put_back`."""


@dataclass
class _Weight:
    """One layer's weight in both forms; `packed` is None until it exists."""

    layer: Linear4bit
    exact: tuple[torch.Tensor, Any]
    packed: tuple[torch.Tensor, Any] | None = None


class ExactWeights:
    """The exact and the packed 4-bit weights of a model, one in use.

    Costs nothing on other devices and CPUs; otherwise as much memory again as
    the 4-bit weights, once the model has generated.

    Args:
        model (`torch.nn.Module`):
            A model that has not run a forward yet.
        parts (`Sequence[DecodingPart]`, optional):
            What is switched as well.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        parts: Sequence[DecodingPart] = (),
    ) -> None:
        self._parts = parts
        self._weights = [
            _Weight(layer, (layer.weight.data, layer.weight.quant_state))
            for layer in model.modules()
            if isinstance(layer, Linear4bit)
            and layer.weight.device.type == "cpu"
            and layer.support_avx512bf16_for_cpu
        ]
        self._are_exact = False
        self.use_for_training()

    def use_for_generation(self) -> None:
        """Let the next forward pack, or bring back what it packed before."""
        if not self._are_exact:
            return
        self._are_exact = False
        for part in self._parts:
            part.use()
        for weight in self._weights:
            if not _can_be_packed(weight):
                continue
            if weight.packed is None:
                data, state = weight.exact
                weight.packed = (data, copy.deepcopy(state))
            _put(weight.layer, weight.packed)
            weight.layer.support_avx512bf16_for_cpu = True

    def use_for_training(self) -> None:
        """Put the exact weights back; no forward packs them."""
        if self._are_exact:
            return
        self._are_exact = True
        for part in self._parts:
            part.put_back()
        for weight in self._weights:
            layer = weight.layer
            if weight.packed is not None:
                weight.packed = (layer.weight.data, layer.weight.quant_state)
            _put(layer, weight.exact)
            layer.support_avx512bf16_for_cpu = False

    def free_copies(self) -> None:
        """Use the exact weights alone, and give up the memory of all that
        replies have made; the next reply makes it again."""
        self.use_for_training()
        for part in self._parts:
            part.free()
        for weight in self._weights:
            weight.packed = None


def _can_be_packed(weight: _Weight) -> bool:
    rows, columns = weight.exact[1].shape
    whole_blocks = columns % weight.exact[1].blocksize == 0
    return rows % _PACKED_ROWS == 0 and whole_blocks


def _put(layer: Linear4bit, form: tuple[torch.Tensor, Any]) -> None:
    layer.weight.data, layer.weight.quant_state = form
    layer.quant_state = form[1]
