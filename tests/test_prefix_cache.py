# -*- coding: utf-8 -*-
"""What is found is what was kept for these tokens, and it stays bounded."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from local_llm.prefix_cache import PrefixCache
from local_llm.slot_cache import States

BLOCK = 4


def states(number: float) -> States:
    """One layer of one block: 2 x 4 x 8 numbers of 4 bytes, twice."""
    one = torch.full((2, BLOCK, 8), float(number))
    return [(one, one.clone())]


BYTES = 2 * 2 * BLOCK * 8 * 4


def keep_all(cache: PrefixCache, adapter: str | None, ids: list[int]) -> None:
    """Keep each whole block; what it holds is the sum of its tokens."""
    for end in range(BLOCK, len(ids) + 1, BLOCK):
        total = sum(ids[end - BLOCK : end])
        cache.keep(adapter, ids[:end], states(total))


def found(cache: PrefixCache, adapter: str | None, ids: list[int]) -> list:
    return [float(block[0][0][0, 0, 0]) for block in cache.find(adapter, ids)]


def test_the_common_beginning_is_found_in_whole_blocks() -> None:
    cache = PrefixCache(BLOCK)
    keep_all(cache, None, [1] * 4 + [2] * 4 + [3] * 4)
    assert found(cache, None, [1] * 4 + [2] * 3 + [9] * 9) == [4]
    assert found(cache, None, [1] * 4 + [2] * 4 + [3] * 2) == [4, 8]
    assert found(cache, None, [2] * 8) == []
    assert cache.tokens_spared == 3 * BLOCK


def test_the_last_token_is_always_left_to_be_computed() -> None:
    cache = PrefixCache(BLOCK)
    keep_all(cache, None, [1] * 8)
    assert found(cache, None, [1] * 8) == [4]
    assert found(cache, None, [1] * 9) == [4, 4]
    assert found(cache, None, [1]) == []


def test_each_adapter_has_its_own() -> None:
    cache = PrefixCache(BLOCK)
    keep_all(cache, "one", [1] * 4)
    assert found(cache, "two", [1] * 5) == found(cache, None, [1] * 5) == []
    assert found(cache, "one", [1] * 5) == [4]


def test_a_block_that_follows_other_tokens_is_not_found() -> None:
    cache = PrefixCache(BLOCK)
    keep_all(cache, None, [1] * 4 + [2] * 4)
    keep_all(cache, None, [5] * 4)
    assert found(cache, None, [5] * 4 + [2] * 4 + [0]) == [20]


def test_what_was_not_used_for_longest_goes_first() -> None:
    cache = PrefixCache(BLOCK, most_tokens=3 * BLOCK)
    for token in (1, 2, 3):
        keep_all(cache, None, [token] * 4)
    assert found(cache, None, [1] * 5) == [4]
    keep_all(cache, None, [4] * 4)
    assert found(cache, None, [2] * 5) == []
    assert found(cache, None, [1] * 5) == [4]


def test_the_end_of_a_prompt_goes_before_its_beginning() -> None:
    cache = PrefixCache(BLOCK, most_tokens=3 * BLOCK)
    keep_all(cache, None, [1] * 4 + [2] * 4 + [3] * 4)
    found(cache, None, [1] * 4 + [2] * 4 + [3] * 5)
    keep_all(cache, None, [9] * 4)
    assert found(cache, None, [1] * 4 + [2] * 4 + [3] * 5) == [4, 8]


def test_the_memory_is_bounded() -> None:
    cache = PrefixCache(BLOCK, most_bytes=2 * BYTES + 1)
    for token in range(6):
        keep_all(cache, None, [token] * 4)
    assert len(cache) == 2
    assert found(cache, None, [5] * 5) == [20]


def test_the_same_block_counts_once() -> None:
    cache = PrefixCache(BLOCK, most_bytes=2 * BYTES)
    for _ in range(5):
        keep_all(cache, None, [1] * 4)
    keep_all(cache, None, [2] * 4)
    assert len(cache) == 2


def test_a_block_that_alone_is_too_large_is_not_kept() -> None:
    cache = PrefixCache(BLOCK, most_bytes=BYTES - 1)
    keep_all(cache, None, [1] * 4)
    assert len(cache) == 0


def test_nothing_is_known_after_it_was_cleared() -> None:
    cache = PrefixCache(BLOCK, most_bytes=2 * BYTES)
    keep_all(cache, None, [1] * 8)
    cache.clear()
    assert found(cache, None, [1] * 9) == []
    keep_all(cache, None, [2] * 8)
    assert found(cache, None, [2] * 9) == [8, 8]


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.lists(st.lists(st.integers(0, 1), max_size=14), max_size=8))
def test_whatever_was_kept_what_is_found_belongs_to_the_tokens(
    prompts: list[list[int]],
) -> None:
    cache = PrefixCache(BLOCK, most_tokens=4 * BLOCK)
    for ids in prompts:
        sums = [sum(ids[n : n + BLOCK]) for n in range(0, len(ids), BLOCK)]
        blocks = found(cache, None, ids) if ids else []
        assert blocks == sums[: len(blocks)]
        assert len(blocks) * BLOCK < max(1, len(ids))
        keep_all(cache, None, ids)
