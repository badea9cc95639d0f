# -*- coding: utf-8 -*-
"""Keys and values of rows that are decoded together, each of its own length.

All rows end at the same place: what a row lacks at its beginning is padding,
which the attention mask hides. So every step writes one column, sliding
windows are the same slice for all, and the masks are those that a model makes
for padded prompts. Rows join and leave without the others being moved. Knows
no requests. Raises nothing.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from transformers import DynamicCache
from transformers.cache_utils import (
    Cache,
    CacheLayerMixin,
    DynamicLayer,
    DynamicSlidingWindowLayer,
)

if TYPE_CHECKING:
    from transformers import PretrainedConfig

BLOCK_TOKENS = 256
"""By how many tokens the room grows."""

States = list[tuple[torch.Tensor, torch.Tensor]]
"""Keys and values of some tokens of one row, by layer, each of shape
(heads, tokens, dimension)."""


class SlotLayer(CacheLayerMixin):
    """One layer's keys and values.

    The buffers are of shape (slots, heads, room, dimension); the first `rows`
    slots are in use, from `start` to `end`. What is not in use is finite,
    because a masked value still is multiplied by zero.

    Args:
        sliding_window (`int | None`):
            How far a token sees, in tokens; None for everything.
    """

    def __init__(self, sliding_window: int | None) -> None:
        super().__init__()
        self.sliding_window = sliding_window
        self.is_sliding = sliding_window is not None
        self.rows = self.start = self.end = 0

    def lazy_initialization(
        self,
        key_states: torch.Tensor,
        value_states: torch.Tensor,
    ) -> None:
        """Make room for the first states."""
        self.rows = key_states.shape[0]
        self.keys, self.values = (
            one.new_zeros(*one.shape[:2], BLOCK_TOKENS, one.shape[3])
            for one in (key_states, value_states)
        )
        self.is_initialized = True

    def update(
        self,
        key_states: torch.Tensor,
        value_states: torch.Tensor,
        *args: object,
        **kwargs: object,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Add tokens to all rows; returns what these tokens can see."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        new = key_states.shape[2]
        self.make_room(self.rows, 0, new)
        seen = slice(self._first_seen(), self.end + new)
        written = slice(self.end, self.end + new)
        self.keys[: self.rows, :, written] = key_states
        self.values[: self.rows, :, written] = value_states
        self.end += new
        return self.keys[: self.rows, :, seen], self.values[
            : self.rows, :, seen
        ]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Length and beginning of what the next tokens can see."""
        first = self._first_seen()
        return self.end - first + query_length, first - self.start

    def get_seq_length(self) -> int:
        """The tokens of the longest row."""
        return self.end - self.start

    def get_max_length(self) -> int:
        """There is none."""
        return -1

    def join(self, other: "SlotLayer") -> None:
        """Take the first row of another layer as the last one of this."""
        new = other.end - other.start
        longer = max(0, new - self.get_seq_length())
        self.make_room(self.rows + 1, longer, 0)
        for own, its in ((self.keys, other.keys), (self.values, other.values)):
            own[: self.rows, :, self.start - longer : self.start] = 0
            own[self.rows, :, self.start : self.end] = 0
            own[self.rows, :, self.end - new : self.end] = its[
                0, :, other.start : other.end
            ]
        self.start -= longer
        self.rows += 1

    def leave(self, row: int) -> None:
        """Give up a row; the last one takes its place."""
        self.rows -= 1
        if row != self.rows:
            for one in (self.keys, self.values):
                one[row] = one[self.rows]

    def states(
        self, start: int, end: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """A copy of the states of some tokens of the first row."""
        part = slice(self.start + start, self.start + end)
        return self.keys[0, :, part].clone(), self.values[0, :, part].clone()

    def _first_seen(self) -> int:
        if self.sliding_window is None:
            return self.start
        return max(self.start, self.end - self.sliding_window + 1)

    def make_room(self, slots: int, left: int, right: int) -> None:
        """Have so many slots, and room for so many more tokens to the left
        and to the right of those that are there."""
        has_slots, _, room, _ = self.keys.shape
        if (
            slots <= has_slots
            and left <= self.start
            and self.end + right <= room
        ):
            return
        width = left + self.get_seq_length()
        blocks = -(-(width + right) // BLOCK_TOKENS)
        has_slots = max(has_slots, 1 << (slots - 1).bit_length())
        self.keys, self.values = (
            self._moved(one, has_slots, left, blocks * BLOCK_TOKENS)
            for one in (self.keys, self.values)
        )
        self.start, self.end = left, width

    def _moved(
        self,
        states: torch.Tensor,
        slots: int,
        start: int,
        room: int,
    ) -> torch.Tensor:
        _, heads, _, dimension = states.shape
        moved = states.new_zeros(slots, heads, room, dimension)
        end = start + self.get_seq_length()
        moved[: self.rows, :, start:end] = states[
            : self.rows, :, self.start : self.end
        ]
        return moved


class SlotCache(Cache):
    """The cache of a model, for rows that join and leave.

    Args:
        config (`PretrainedConfig`):
            Of a model whose cache `has_plain_cache`.
    """

    layers: list[SlotLayer]

    def __init__(self, config: "PretrainedConfig") -> None:
        plain = DynamicCache(config=config).layers
        super().__init__(
            [SlotLayer(getattr(one, "sliding_window", None)) for one in plain],
        )

    def append(self, states: States) -> None:
        """Add tokens that were computed before to the only row."""
        for layer, (keys, values) in zip(self.layers, states, strict=True):
            layer.update(keys[None], values[None])

    @property
    def end(self) -> int:
        """Where in the buffers the next token goes; the same in all."""
        return self.layers[0].end

    def reserve(self, tokens: int) -> None:
        """Have room for tokens of all rows that others will write."""
        for layer in self.layers:
            layer.make_room(layer.rows, 0, tokens)

    def advance(self, tokens: int) -> None:
        """Take in tokens of all rows that others have written."""
        for layer in self.layers:
            layer.end += tokens

    def states(self, start: int, end: int) -> States:
        """The states of some tokens of the only row."""
        return [layer.states(start, end) for layer in self.layers]

    def join(self, other: "SlotCache") -> None:
        """Take the only row of another cache as the last one of this."""
        for layer, its in zip(self.layers, other.layers, strict=True):
            layer.join(its)

    def leave(self, row: int, lengths: Sequence[int]) -> None:
        """Give up a row; the last one takes its place.

        Args:
            row (`int`):
                Which one.
            lengths (`Sequence[int]`):
                Of the rows that stay, in tokens.
        """
        for layer in self.layers:
            layer.leave(row)
            layer.start = layer.end - max(lengths)


def has_plain_cache(config: "PretrainedConfig") -> bool:
    """Whether a model's cache is keys and values of attention and nothing
    else, as that of state-space models is not."""
    kinds = {type(layer) for layer in DynamicCache(config=config).layers}
    return kinds <= {DynamicLayer, DynamicSlidingWindowLayer}
