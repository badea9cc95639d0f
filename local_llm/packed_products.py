# -*- coding: utf-8 -*-
"""Calls bitsandbytes' product with packed 4-bit weights directly.

bitsandbytes' way from a layer to its own compiled function takes 20 µs in
Python, as long again as the product of 2,048 x 640 weights with one token; a
token of Gemma 3 270M has 126 of them. Used between `use` and `put_back`; what
is not packed, or not in bfloat16, goes bitsandbytes' way. Raises nothing.
"""

from collections.abc import Callable
from ctypes import c_int64, c_void_p
from typing import Any

import bitsandbytes
import torch
from bitsandbytes.cextension import lib
from bitsandbytes.nn import Linear4bit

KNOWN_RELEASES = "0.50."
"""Whose compiled function has the arguments that are given here; layers of
others multiply as they do."""

_ADDRESS_OF_NOTHING = 0


class PackedProducts:
    """The products of all 4-bit layers of a model.

    Args:
        model (`torch.nn.Module`):
            A model on a CPU.
    """

    def __init__(self, model: torch.nn.Module) -> None:
        self._products = [
            PackedProduct(layer)
            for layer in model.modules()
            if isinstance(layer, Linear4bit)
        ]

    @staticmethod
    def can_use(model: torch.nn.Module) -> bool:
        """Whether a model has layers that are packed when it replies."""
        is_known = bitsandbytes.__version__.startswith(KNOWN_RELEASES)
        return is_known and any(
            isinstance(layer, Linear4bit) and layer.support_avx512bf16_for_cpu
            for layer in model.modules()
        )

    def use(self) -> None:
        """Multiply directly."""
        for product in self._products:
            product.layer.forward = product

    def put_back(self) -> None:
        """Multiply as bitsandbytes does."""
        for product in self._products:
            product.layer.__dict__.pop("forward", None)

    def free(self) -> None:
        """Let the packed weights go."""
        for product in self._products:
            product.forget()


class PackedProduct:
    """In place of a layer's `forward`.

    Args:
        layer (`Linear4bit`):
            The layer; it packs its weight at its own first forward.

    Attributes:
        layer (`Linear4bit`):
            The layer.
    """

    def __init__(self, layer: Linear4bit) -> None:
        self.layer = layer
        self.forget()

    def forget(self) -> None:
        """Know no packed weight any more."""
        self._address = _ADDRESS_OF_NOTHING
        self._kept: list[torch.Tensor] = []

    def __call__(self, given: torch.Tensor) -> torch.Tensor:
        """The product, to the bit as bitsandbytes computes it.

        Args:
            given (`torch.Tensor`):
                Shape (..., inputs).

        Returns:
            `torch.Tensor`: Shape (..., outputs).
        """
        # Another address: exact weights are in place, or others were loaded.
        is_packed = self.layer.weight.data_ptr() == self._address
        is_plain = given.dtype == torch.bfloat16 and not given.requires_grad
        if not (is_packed and is_plain):
            return self._by_itself(given)
        given = given.contiguous()
        found = given.new_empty((*given.shape[:-1], self.layer.out_features))
        self._multiply(
            c_int64(given.numel() // self.layer.in_features),
            *self._shape,
            c_void_p(given.data_ptr()),
            *self._weights,
            c_void_p(found.data_ptr()),
            *self._strides,
        )
        bias = self.layer.bias
        return found if bias is None else found.add_(bias.to(found.dtype))

    def _by_itself(self, given: torch.Tensor) -> torch.Tensor:
        """bitsandbytes' way, which packs; what it packed is known next
        time."""
        found = type(self.layer).forward(self.layer, given)
        state = self.layer.weight.quant_state
        if getattr(state, "packing_format_for_cpu", False):
            self._learn(self.layer.weight.data, state)
        return found

    def _learn(self, packed: torch.Tensor, state: Any) -> None:
        multiply = _compiled(state.quant_type)
        if multiply is None:
            return
        scales = state.absmax.to(torch.bfloat16)
        # Only their addresses are given to the compiled function.
        self._kept = [packed, scales]
        self._multiply = multiply
        outputs, inputs = map(c_int64, state.shape)
        self._shape = outputs, inputs
        self._weights = (
            c_void_p(packed.data_ptr()),
            c_void_p(scales.data_ptr()),
        )
        self._strides = c_int64(state.blocksize), inputs, outputs
        self._address = packed.data_ptr()


def _compiled(quant_type: str) -> Callable[..., None] | None:
    """bitsandbytes' function for "nf4" or "fp4"; None where it was built
    without."""
    found = getattr(lib, f"gemv_4bit_inference_cpu_{quant_type}_bf16")
    # In place of one that is missing stands a Python function that raises.
    return found if hasattr(found, "argtypes") else None
