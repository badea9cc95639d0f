# -*- coding: utf-8 -*-
"""Runs a model for the next tokens of its rows.

The one place where replies meet the model's forward; captured steps are this
one too, recorded. Knows no requests and no adapters. Raises what the model
raises.
"""

import inspect
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from transformers import PreTrainedModel
    from transformers.cache_utils import Cache


class ModelStep:
    """The forward of a model with a cache.

    Args:
        model (`PreTrainedModel`):
            The model.
    """

    def __init__(self, model: "PreTrainedModel") -> None:
        self._model = model
        # Of the class: an instance's may be wrapped.
        named = inspect.signature(type(model).forward).parameters
        # The name before transformers 5.24.
        self._cache = "cache" if "cache" in named else "past_key_values"
        self._has_positions = "position_ids" in named
        self._last = {"logits_to_keep": 1} if "logits_to_keep" in named else {}

    def scores(
        self,
        ids: torch.Tensor,
        positions: torch.Tensor,
        mask: torch.Tensor | None,
        cache: "Cache",
    ) -> torch.Tensor:
        """Add tokens to the rows of a cache, and score those after them.

        Args:
            ids (`torch.Tensor`):
                The tokens, int64, shape (rows, tokens).
            positions (`torch.Tensor`):
                Their places in their rows, int64, shape (rows, tokens).
            mask (`torch.Tensor | None`):
                int64, shape (rows, tokens in the cache and here): 0 for the
                padding before a shorter row; None where all are as long.
            cache (`Cache`):
                Keys and values so far; these tokens are added.

        Returns:
            `torch.Tensor`: float32, shape (rows, vocabulary).
        """
        inputs = self._inputs(ids, positions, cache)
        output = self._model(attention_mask=mask, **inputs, **self._last)
        return output.logits[:, -1].to(torch.float32)

    def read(
        self,
        ids: torch.Tensor,
        positions: torch.Tensor,
        cache: "Cache",
    ) -> None:
        """Add tokens to the only row of a cache; nobody asks what follows."""
        # Without the head, which may take as long as all the rest.
        self._model.base_model(**self._inputs(ids, positions, cache))

    def _inputs(
        self,
        ids: torch.Tensor,
        positions: torch.Tensor,
        cache: "Cache",
    ) -> dict[str, object]:
        inputs = {"input_ids": ids, "use_cache": True, self._cache: cache}
        if self._has_positions:
            inputs["position_ids"] = positions
        return inputs
