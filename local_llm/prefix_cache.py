# -*- coding: utf-8 -*-
"""Keeps what prompts begin with, so that it is computed once.

Keys and values of whole blocks of tokens, found by the adapter and by all
tokens up to their end. What was not used for longest goes first. Knows no
model and takes no lock. Raises nothing.
"""

import hashlib
import itertools
from array import array
from collections import OrderedDict
from collections.abc import Iterator, Sequence

from .slot_cache import States

MOST_BYTES = 1 << 30
MOST_TOKENS = 8192
"""Of all that is kept, whichever is reached first."""


class PrefixCache:
    """Blocks of prompts.

    Args:
        block_tokens (`int`):
            Tokens of one block.
        most_tokens (`int`, optional):
            How many tokens are kept.
        most_bytes (`int`, optional):
            How much memory they may take.

    Attributes:
        tokens_spared (`int`):
            How many prompt tokens were found here instead of computed.
    """

    def __init__(
        self,
        block_tokens: int,
        most_tokens: int = MOST_TOKENS,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self.block_tokens = block_tokens
        self.tokens_spared = 0
        self._most_blocks = most_tokens // block_tokens
        self._most_bytes = most_bytes
        self._blocks: OrderedDict[bytes, States] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        """How many blocks are kept."""
        return len(self._blocks)

    def find(self, adapter: str | None, ids: Sequence[int]) -> list[States]:
        """The blocks that a prompt begins with, in their order.

        At least one token is left to be computed: its scores are wanted.
        """
        keys = itertools.takewhile(
            self._blocks.__contains__,
            self._keys(adapter, ids[:-1]),
        )
        found = list(keys)
        # The first block is used last, so that it outlives those after it.
        for key in reversed(found):
            self._blocks.move_to_end(key)
        self.tokens_spared += len(found) * self.block_tokens
        return [self._blocks[key] for key in found]

    def keep(
        self,
        adapter: str | None,
        ids: Sequence[int],
        states: States,
    ) -> None:
        """Keep the last block of a beginning of whole blocks."""
        *_, key = self._keys(adapter, ids)
        self._forget(key)
        self._blocks[key] = states
        self._bytes += _size(states)
        while self._blocks and (
            len(self._blocks) > self._most_blocks
            or self._bytes > self._most_bytes
        ):
            self._forget(next(iter(self._blocks)))

    def clear(self) -> None:
        """Forget everything, as after a change of weights."""
        self._blocks.clear()
        self._bytes = 0

    def _forget(self, key: bytes) -> None:
        states = self._blocks.pop(key, None)
        if states is not None:
            self._bytes -= _size(states)

    def _keys(
        self,
        adapter: str | None,
        ids: Sequence[int],
    ) -> Iterator[bytes]:
        """One for each whole block, made of everything up to its end."""
        digest = hashlib.sha256(repr(adapter).encode())
        for end in range(self.block_tokens, len(ids) + 1, self.block_tokens):
            block = ids[end - self.block_tokens : end]
            digest.update(array("q", block).tobytes())
            yield digest.digest()


def _size(states: States) -> int:
    return sum(one.nbytes for pair in states for one in pair)
