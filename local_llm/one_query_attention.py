# -*- coding: utf-8 -*-
"""Attention of a single new token, without a copy of any key.

Handed one query for each head, torch's fused attention on a CPU takes 6 to 50
times as long in bfloat16 as the two products that it fuses. Here heads that
share a key are the several queries of one head, and long texts are attended to
by plain products. Used between `use` and `put_back`; several queries at once
go to transformers' own function. Raises nothing.
"""

from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

if TYPE_CHECKING:
    from transformers import PreTrainedModel

NAME = "one_query_products"
"""As transformers' table of attention functions has it."""

_REPLACED = "sdpa"

FUSED_TOKENS = 512
"""Up to which the fused function is faster, where heads share keys: 15 µs in
place of 42 for 4 heads of width 256 and 200 tokens on two cores, 31 of 50 for
512, 116 of 87 for 2,000."""


def one_query_attention(
    module: torch.nn.Module,
    query: torch.Tensor,  # (rows, heads, queries, width)
    key: torch.Tensor,  # (rows, groups, tokens, width)
    value: torch.Tensor,  # (rows, groups, tokens, width)
    attention_mask: torch.Tensor | None,  # (rows, 1, queries, tokens)
    scaling: float | None = None,
    **more: Any,
) -> tuple[torch.Tensor, None]:
    """Attend as transformers' `sdpa_attention_forward` does.

    In bfloat16 the scores of long texts are rounded before the softmax, as in
    transformers' eager attention; the softmax is in float32.

    Returns:
        `tuple[torch.Tensor, None]`: Shape (rows, queries, heads, width).
    """
    per_head = attention_mask is not None and attention_mask.shape[1] != 1
    biased = more.get("position_bias") is not None
    if query.shape[2] != 1 or per_head or biased or more.get("dropout"):
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **more
        )
    rows, heads, _, width = query.shape
    groups = key.shape[1]
    # All heads that share a key are one product; no key is repeated.
    grouped = query.reshape(rows, groups, heads // groups, width)
    scale = width**-0.5 if scaling is None else scaling
    is_short = heads > groups and key.shape[2] <= FUSED_TOKENS
    attend = scaled_dot_product_attention if is_short else _products
    found = attend(grouped, key, value, attn_mask=attention_mask, scale=scale)
    return found.reshape(rows, 1, heads, -1), None


def _products(
    query: torch.Tensor,  # (rows, groups, heads of a group, width)
    key: torch.Tensor,
    value: torch.Tensor,
    *,
    attn_mask: torch.Tensor | None,
    scale: float,
) -> torch.Tensor:
    # The keys first: transposed, they would be copied.
    scores = (key @ query.transpose(-1, -2)).transpose(-1, -2).float() * scale
    if attn_mask is not None:
        scores = _masked(scores, attn_mask)
    return scores.softmax(-1).to(value.dtype) @ value


def _masked(scores: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    if mask.dtype != torch.bool:
        return scores + mask
    # Not minus infinity: a row that sees nothing must not become NaN.
    return scores.masked_fill(~mask, torch.finfo(scores.dtype).min)


AttentionInterface.register(NAME, one_query_attention)
AttentionMaskInterface.register(NAME, sdpa_mask)


class OneQueryAttention:
    """Switches a model's attention; for models on a CPU.

    Args:
        model (`PreTrainedModel`):
            One that `can_use` accepts.
    """

    def __init__(self, model: "PreTrainedModel") -> None:
        self._config = model.config

    @staticmethod
    def can_use(model: "PreTrainedModel") -> bool:
        """Whether a model's attention is the function replaced here."""
        on_cpu = model.device.type == "cpu"
        return on_cpu and model.config._attn_implementation == _REPLACED

    def use(self) -> None:
        """Attend by plain products where there is one query."""
        self._config._attn_implementation = NAME

    def put_back(self) -> None:
        """Attend as transformers does."""
        self._config._attn_implementation = _REPLACED

    def free(self) -> None:
        """Nothing was made."""
