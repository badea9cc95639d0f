# -*- coding: utf-8 -*-
"""Rows find their own keys and values again, however others come and go."""

import pytest
import torch
from transformers import GemmaConfig, MambaConfig, MistralConfig

from local_llm.slot_cache import (
    BLOCK_TOKENS,
    SlotCache,
    SlotLayer,
    has_plain_cache,
)

HEADS, WIDTH = 2, 4


def tokens(*numbers: float) -> torch.Tensor:
    """Keys of one row; each token's are its number."""
    column = torch.tensor(numbers)[None, None, :, None]
    return column.expand(1, HEADS, len(numbers), WIDTH).clone()


def column(*numbers: float) -> torch.Tensor:
    """One token for each row."""
    return tokens(*numbers).transpose(0, 2)


def row_of(*numbers: float, window: int | None = None) -> SlotLayer:
    layer = SlotLayer(window)
    layer.update(tokens(*numbers), -tokens(*numbers))
    return layer


def rows(states: torch.Tensor) -> list[list[float]]:
    return states[:, 0, :, 0].tolist()


def test_rows_end_together_and_begin_with_zeros() -> None:
    layer = row_of(1, 2)
    layer.join(row_of(3, 4, 5))
    layer.join(row_of(6))
    keys, values = layer.update(column(7, 8, 9), -column(7, 8, 9))
    assert rows(keys) == [[0, 1, 2, 7], [3, 4, 5, 8], [0, 0, 6, 9]]
    assert rows(values) == rows(-keys)
    assert layer.get_seq_length() == 4


def test_the_last_row_takes_the_place_of_one_that_leaves() -> None:
    layer = row_of(1, 2)
    layer.join(row_of(3, 4, 5))
    layer.join(row_of(6))
    layer.leave(0)
    keys, _ = layer.update(column(7, 8), column(7, 8))
    assert rows(keys) == [[0, 0, 6, 7], [3, 4, 5, 8]]


def test_what_a_row_left_behind_is_gone() -> None:
    layer = row_of(1)
    layer.join(row_of(float("nan"), float("inf"), 3))
    layer.leave(1)
    layer.start = layer.end - 1
    layer.join(row_of(5))
    layer.join(row_of(6, 7, 8))
    keys, _ = layer.update(column(1, 2, 3), column(1, 2, 3))
    assert rows(keys) == [[0, 0, 1, 1], [0, 0, 5, 2], [6, 7, 8, 3]]


@pytest.mark.parametrize("count", [1, BLOCK_TOKENS, 3 * BLOCK_TOKENS + 1])
def test_the_room_grows_with_the_rows_and_their_tokens(count: int) -> None:
    layer = row_of(*range(5))
    layer.join(row_of(*range(BLOCK_TOKENS + 3)))
    for number in range(count):
        keys, values = layer.update(column(number, -number), column(0, 0))
    first, second = rows(keys)
    assert first[BLOCK_TOKENS - 2 :] == [*range(5), *range(count)]
    assert second[: BLOCK_TOKENS + 3] == [*range(BLOCK_TOKENS + 3)]
    assert second[BLOCK_TOKENS + 3 :] == [-number for number in range(count)]
    assert not any(first[: BLOCK_TOKENS - 2])


def test_room_is_taken_by_blocks_and_not_by_the_token() -> None:
    layer = row_of(1)
    places = set()
    for number in range(2 * BLOCK_TOKENS):
        layer.update(column(number), column(number))
        places.add(layer.keys.data_ptr())
    assert len(places) == 3


@pytest.mark.parametrize("window", [2, 3, 4, 100])
def test_a_sliding_window_is_what_transformers_makes_of_it(
    window: int,
) -> None:
    from transformers.cache_utils import DynamicSlidingWindowLayer

    ours, theirs = SlotLayer(window), DynamicSlidingWindowLayer(window)
    for part in (tokens(1, 2, 3), tokens(4), tokens(5, 6), tokens(7)):
        size = part.shape[2]
        assert ours.get_mask_sizes(size) == theirs.get_mask_sizes(size)
        for own, its in zip(
            ours.update(part, -part), theirs.update(part, -part), strict=True
        ):
            assert torch.equal(own, its)
        assert ours.get_seq_length() == theirs.get_seq_length()


def test_the_states_of_tokens_can_be_put_into_another_cache() -> None:
    config = MistralConfig(num_hidden_layers=2, sliding_window=2)
    first, second = SlotCache(config), SlotCache(config)
    for number in range(2):
        part = tokens(*range(5)) + 10 * number
        first.update(part, -part, number)
    second.append(first.states(1, 3))
    first.update(tokens(99), tokens(99), 0)
    (keys, values), (other, _) = second.states(0, 2)
    assert rows(keys[None]) == [[1, 2]] and rows(values[None]) == [[-1, -2]]
    assert rows(other[None]) == [[11, 12]]


def test_padding_that_no_row_needs_is_dropped() -> None:
    config = GemmaConfig(num_hidden_layers=1)
    cache, other = SlotCache(config), SlotCache(config)
    cache.update(tokens(*range(9)), tokens(*range(9)), 0)
    other.update(tokens(1, 2), tokens(1, 2), 0)
    cache.join(other)
    assert cache.get_seq_length() == 9
    cache.leave(0, [2])
    assert cache.get_seq_length() == 2
    keys, _ = cache.update(tokens(3), tokens(3), 0)
    assert rows(keys) == [[1, 2, 3]]


def test_state_space_models_have_another_cache() -> None:
    assert has_plain_cache(GemmaConfig())
    assert has_plain_cache(MistralConfig())
    assert not has_plain_cache(MambaConfig())
