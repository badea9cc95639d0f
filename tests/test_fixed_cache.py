# -*- coding: utf-8 -*-
"""A token is written where the tensor says, and seen by its own row alone."""

import torch
from transformers import MistralConfig

from local_llm.fixed_cache import FixedCache
from local_llm.slot_cache import BLOCK_TOKENS, SlotCache

HEADS, WIDTH = 2, 4


def tokens(*numbers: float) -> torch.Tensor:
    """Keys of one row; each token's are its number."""
    column = torch.tensor(numbers)[None, None, :, None]
    return column.expand(1, HEADS, len(numbers), WIDTH).clone()


def row_of(*numbers: float) -> SlotCache:
    cache = SlotCache(MistralConfig(num_hidden_layers=2, sliding_window=2))
    for layer in range(2):
        cache.update(tokens(*numbers), -tokens(*numbers), layer)
    return cache


def two_rows() -> tuple[SlotCache, FixedCache, torch.Tensor]:
    cache = row_of(1, 2)
    cache.join(row_of(3, 4, 5))
    cache.reserve(1)
    place = torch.tensor(cache.end)
    return cache, FixedCache(cache, place), place


def column(*numbers: float) -> torch.Tensor:
    """One token for each row."""
    return tokens(*numbers).transpose(0, 2)


def test_a_token_is_written_into_the_buffers_of_the_rows() -> None:
    cache, fixed, _ = two_rows()
    for layer in range(2):
        keys, values = fixed.update(column(7, 8), -column(7, 8), layer)
        assert keys.shape == (2, HEADS, BLOCK_TOKENS, WIDTH)
        assert torch.equal(values, -keys)
    cache.advance(1)
    states = [layer.keys[1, 0, :4, 0] for layer in cache.layers]
    assert [one.tolist() for one in states] == [[3, 4, 5, 8]] * 2
    assert cache.get_seq_length() == 4


def test_another_number_in_the_tensor_is_another_place() -> None:
    _, fixed, place = two_rows()
    place.fill_(9)
    keys, _ = fixed.update(column(7, 8), column(7, 8), 0)
    assert keys[:, 0, 9, 0].tolist() == [7, 8]
    assert fixed.get_seq_length() == 9


def test_a_row_sees_its_own_tokens_and_the_one_to_come() -> None:
    _, fixed, _ = two_rows()
    seen = fixed.mask(torch.tensor([[2], [3]]))
    assert seen.shape == (2, BLOCK_TOKENS)
    assert seen[:, :5].tolist() == [[0, 1, 1, 1, 0], [1, 1, 1, 1, 0]]
    assert not seen[:, 5:].any()


def test_it_says_what_a_model_asks_of_a_static_cache() -> None:
    _, fixed, place = two_rows()
    assert fixed.is_compileable
    assert fixed.is_sliding == [True, True]
    assert fixed.get_mask_sizes(1, 0) == (BLOCK_TOKENS, 0)
    assert fixed.get_query_offset(0) is place
    assert fixed.get_max_length() == BLOCK_TOKENS
