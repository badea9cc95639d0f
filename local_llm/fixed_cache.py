# -*- coding: utf-8 -*-
"""The keys and values of a `SlotCache`, as a step of fixed shapes sees them.

A tensor names the place of the token that is written, and all the room is
seen; masks hide what is not a row's own. transformers makes them as for its
own static cache, without looking at a value. Knows no graphs. Raises nothing.
"""

import torch
from transformers.cache_utils import Cache, CacheLayerMixin

from .slot_cache import SlotCache, SlotLayer


class FixedLayer(CacheLayerMixin):
    """One layer of the buffers, while they are not moved.

    Args:
        layer (`SlotLayer`):
            Whose buffers, and how many rows of them.
        place (`torch.Tensor`):
            Where the next token goes, int64, shape ().
    """

    # transformers then always makes a mask, and asks no mask for its values.
    is_compileable = True

    def __init__(self, layer: SlotLayer, place: torch.Tensor) -> None:
        super().__init__()
        self.is_sliding = layer.is_sliding
        self.keys = layer.keys[: layer.rows]
        self.values = layer.values[: layer.rows]
        self.is_initialized = True
        self._place = place

    def lazy_initialization(
        self,
        key_states: torch.Tensor,
        value_states: torch.Tensor,
    ) -> None:
        """The buffers are there."""

    def update(
        self,
        key_states: torch.Tensor,
        value_states: torch.Tensor,
        *args: object,
        **kwargs: object,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write one token of each row; returns all the room."""
        at = self._place.view(1)
        self.keys.index_copy_(2, at, key_states)
        self.values.index_copy_(2, at, value_states)
        return self.keys, self.values

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Length and beginning of what is seen."""
        return self.keys.shape[2], 0

    def get_seq_length(self) -> torch.Tensor:  # type: ignore[override]
        """The place of the next token, as transformers' static layers give
        it: a tensor."""
        return self._place

    def get_max_length(self) -> int:
        """The room."""
        return self.keys.shape[2]


class FixedCache(Cache):
    """The cache of a model for one token of each row, again and again.

    Args:
        cache (`SlotCache`):
            Whose buffers are written; they must have room.
        place (`torch.Tensor`):
            Where the next token goes, int64, shape (); its value may change
            between two steps.
    """

    def __init__(self, cache: SlotCache, place: torch.Tensor) -> None:
        super().__init__([FixedLayer(one, place) for one in cache.layers])
        self._place = place

    def mask(self, positions: torch.Tensor) -> torch.Tensor:
        """Which tokens of each row are its own, with the one to come.

        Args:
            positions (`torch.Tensor`):
                Of the next tokens in their rows, int64, shape (rows, 1).

        Returns:
            `torch.Tensor`: int64, shape (rows, room).
        """
        # Made here: a graph keeps only what is made while it is captured.
        room = self.layers[0].get_max_length()
        places = torch.arange(room, device=positions.device)
        begun = places >= self._place - positions
        return (begun & (places <= self._place)).long()
