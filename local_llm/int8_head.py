# -*- coding: utf-8 -*-
"""A cheaper product with a wide output head, for the next token alone.

Of 262,144 x 640 weights in bfloat16 the head takes more than half of the time
of a token on a CPU: the product waits for the memory. Here all logits come
from weights in 8 bits, and the likeliest ones are computed again with the
exact weights. Used between `use` and `put_back`; training, the loss and
products of several positions have the exact head. Raises nothing.
"""

import torch
from torch.nn.functional import linear

LEAST_WEIGHTS = 32_000_000
"""Of heads for which it is worth its memory: in 16 bits these are 64 MB, more
than the cache of most CPUs, so that the exact product waits for the memory.
Smaller ones are done in a few milliseconds."""

LIKELIEST = 64
"""Logits of each row that are exact: more than `top_k` draws from by default.
A row's 64 take 64 x 640 products, next to 262,144 x 640."""

_SEARCHED = 64
"""Logits in a block, of which the largest is found first."""

_BLOCK_ROWS = 8192
"""Weights rounded at a time; in float32 they are 21 MB of 640 columns."""

_LARGEST = 127
_ZERO_POINT = 128
"""Inputs are unsigned bytes for the product, 128 stands for 0."""

_SCALE_BYTES, _ZERO_BYTES = 4, 8
"""Of each row: a float32, and a 0 as the product wants it."""

_USUAL_ROWS = 8
"""For which the weights are laid out; others are multiplied as well."""


def can_use(head: torch.nn.Module) -> bool:
    """Whether a head is on a CPU that multiplies bytes fast, and is wide
    enough."""
    if type(head) is not torch.nn.Linear or head.weight.device.type != "cpu":
        return False
    is_wide = head.weight.numel() >= LEAST_WEIGHTS
    return is_wide and head.weight.is_floating_point() and cpu_has_vnni()


def cpu_has_vnni() -> bool:
    """Whether this CPU has instructions for products of bytes; without them
    such a product is no faster than one of floating-point numbers."""
    # torch tells from some version on; before it, the exact head is used.
    told = getattr(torch.cpu, "get_capabilities", dict)()
    has_kernels = torch.backends.mkldnn.is_available()
    return has_kernels and bool(told.get("avx512_vnni"))


def copy_bytes(rows: int, columns: int) -> int:
    """What the 8-bit copy of a head of this shape takes."""
    return rows * columns + rows * (_SCALE_BYTES + _ZERO_BYTES)


class Int8Head:
    """The output head of a model, switched between exact and 8-bit.

    The copy in 8 bits is made at the first use: one byte a weight, 168 MB of
    262,144 x 640, and about a second. It is made again where the weights were
    changed since, which a product of them tells in the time of a token.

    Args:
        head (`torch.nn.Linear`):
            One that `can_use` accepts; its weights are only read.
    """

    def __init__(self, head: torch.nn.Linear) -> None:
        self._head = head
        self.free()

    def use(self) -> None:
        """Multiply in 8 bits where the logits of one token are asked."""
        weight = self._head.weight.detach()
        # Fused optimizers change a tensor without counting its version up.
        sums = linear(weight.new_ones(1, weight.shape[1]), weight)
        if not torch.equal(sums, self._sums):
            self._copy(weight)
            self._sums = sums
        self._head.forward = self._forward

    def put_back(self) -> None:
        """Multiply exactly again."""
        self._head.__dict__.pop("forward", None)

    def free(self) -> None:
        """Give up the memory of the copy."""
        self._sums = self._packed = self._scales = self._zeros = torch.empty(0)

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """The logits of some tokens, each computed on its own.

        Args:
            hidden (`torch.Tensor`):
                Shape (rows, width).

        Returns:
            `torch.Tensor`: Shape (rows, vocabulary), in float32; exact but
            for rounding are the `LIKELIEST` of each row.
        """
        hidden = hidden.float()
        found = self._rounded_product(hidden)
        if self._head.bias is not None:
            found += self._head.bias
        likeliest = _likeliest(found)
        chosen = self._head.weight[likeliest].float()  # (rows, 64, width)
        exact = (chosen * hidden[:, None]).sum(-1)
        if self._head.bias is not None:
            exact += self._head.bias[likeliest]
        return found.scatter_(1, likeliest, exact)

    def _forward(self, hidden: torch.Tensor) -> torch.Tensor:
        head = self._head
        if hidden.shape[-2] != 1 or torch.is_grad_enabled():
            return linear(hidden, head.weight, head.bias)
        logits = self.logits(hidden.reshape(-1, hidden.shape[-1]))
        return logits.to(hidden.dtype).reshape(*hidden.shape[:-1], -1)

    def _rounded_product(self, hidden: torch.Tensor) -> torch.Tensor:
        """Of bytes, summed as integers: a row's result does not depend on
        the rows beside it."""
        size = _largest_of(hidden)  # (rows, 1)
        rounded = (hidden * (_LARGEST / size)).round_().add_(_ZERO_POINT)
        product = torch.ops.onednn.qlinear_pointwise(
            rounded.to(torch.uint8),
            1.0,
            _ZERO_POINT,
            self._packed,
            self._scales,
            self._zeros,
            None,  # bias
            1.0,
            0,
            torch.float32,
            "none",  # nothing is done to the product
            [],
            "",
        )
        return product.mul_(size / _LARGEST)

    def _copy(self, weight: torch.Tensor) -> None:
        rounded = torch.empty(weight.shape, dtype=torch.int8)
        scales = torch.empty(weight.shape[0])
        for start in range(0, weight.shape[0], _BLOCK_ROWS):
            block = slice(start, start + _BLOCK_ROWS)
            exact = weight[block].float()
            size = _largest_of(exact)
            scales[block] = size[:, 0] / _LARGEST
            rounded[block] = (exact * (_LARGEST / size)).round_()
        self._packed = torch.ops.onednn.qlinear_prepack(
            rounded,
            [_USUAL_ROWS, weight.shape[1]],
        )
        self._scales = scales
        self._zeros = torch.zeros(len(scales), dtype=torch.int64)


def _likeliest(logits: torch.Tensor) -> torch.Tensor:
    """Where the `LIKELIEST` of each row are, in any order.

    They are in the blocks of the largest maxima: to find these first takes a
    fifth of the time that `topk` takes with 262,144.
    """
    rows, width = logits.shape
    if width % _SEARCHED or width // _SEARCHED < LIKELIEST:
        return logits.topk(min(LIKELIEST, width)).indices
    blocks = logits.view(rows, -1, _SEARCHED)
    best = blocks.amax(-1).topk(LIKELIEST).indices  # (rows, 64)
    index = best[:, :, None].expand(-1, -1, _SEARCHED)
    places = blocks.gather(1, index).flatten(1).topk(LIKELIEST).indices
    inside = places % _SEARCHED
    return best.gather(1, places // _SEARCHED) * _SEARCHED + inside


def _largest_of(rows: torch.Tensor) -> torch.Tensor:
    """The largest size in each row, above 0; shape (rows, 1)."""
    tiny = torch.finfo(torch.float32).tiny * _LARGEST
    return rows.abs().amax(1, keepdim=True).clamp_min(tiny)
