# -*- coding: utf-8 -*-
"""Brings replies forward together: they begin, go on by a token, and end.

One part of a new prompt is read for each token of the others, so nobody waits
long. What goes wrong with one reply ends that one; what goes wrong with all of
them ends all, and the next ones begin anew. Knows no queue and no lock. Raises
nothing but what ends a thread.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch

from .decoder import Decoder, Prompt
from .reply_rows import ReplyRow, attempt


class ReplyBatch:
    """Replies that are generated together.

    Args:
        decoder (`Decoder`):
            Computes them.
        next_row (`Callable[[], ReplyRow | None]`):
            Asked before every token, where there is room for another reply.
        on_token (`Callable[[], None]`):
            Called after every token.
    """

    def __init__(
        self,
        decoder: Decoder,
        next_row: Callable[[], ReplyRow | None],
        on_token: Callable[[], None],
    ) -> None:
        self._decoder = decoder
        self._next_row = next_row
        self._on_token = on_token
        self._rows: list[ReplyRow] = []
        self._joining: tuple[ReplyRow, Prompt] | None = None

    def run(self) -> None:
        """Generate until nobody is left and nobody comes."""
        while True:
            if self._joining is None:
                self._begin()
            if self._joining is not None:
                self._read(*self._joining)
            self._drop_what_is_over()
            if self._rows:
                self._step()
            elif self._joining is None:
                return
            self._check_times()
            self._on_token()

    def _begin(self) -> None:
        if len(self._rows) == self._decoder.most_rows:
            return
        row = self._next_row()
        if row is not None:
            attempt([row], lambda: self._begin_with(row))

    def _begin_with(self, row: ReplyRow) -> None:
        if row.request.cancelled.is_set():
            row.check_time()
            return
        row.begin()
        prompt = self._decoder.begin(row.ids, row.request.adapter)
        self._joining = (row, prompt)

    def _read(self, row: ReplyRow, prompt: Prompt) -> None:
        """Read a part of a prompt; after the last one the reply begins."""
        if not attempt([row], lambda: self._decoder.read(prompt)):
            self._joining = None
            self._decoder.give_back_memory()
        elif prompt.scores is not None:
            self._joining = None
            self._join(row, prompt)

    def _join(self, row: ReplyRow, prompt: Prompt) -> None:
        self._rows.append(row)
        # All of them: their keys and values may have moved by half.
        if attempt(self._rows, lambda: self._decoder.join(prompt)):
            self._choose([row], prompt.scores)
        else:
            self._begin_anew()

    def _step(self) -> None:
        tokens = [row.ids[-1] for row in self._rows]
        found: list[torch.Tensor] = []
        if attempt(
            self._rows,
            lambda: found.append(self._decoder.step(tokens)),
        ):
            self._choose(self._rows, found[0])
        else:
            self._begin_anew()

    def _choose(self, rows: Sequence[ReplyRow], scores: torch.Tensor) -> None:
        """Let each reply go on.

        Args:
            rows (`Sequence[ReplyRow]`):
                The replies.
            scores (`torch.Tensor`):
                Of their next tokens, shape (rows, vocabulary).
        """
        likeliest = scores.argmax(dim=1).tolist()
        for row, token_id, own in zip(rows, likeliest, scores, strict=True):
            attempt([row], partial(row.go_on, token_id, own[None]))

    def _check_times(self) -> None:
        joining = [self._joining[0]] if self._joining else []
        for row in self._rows + joining:
            attempt([row], row.check_time)
        if self._joining and self._joining[0].is_over:
            self._joining = None

    def _drop_what_is_over(self) -> None:
        for number in reversed(range(len(self._rows))):
            if self._rows[number].is_over:
                # The last one takes the place, as in the decoder.
                self._decoder.leave(number)
                self._rows[number] = self._rows[-1]
                self._rows.pop()

    def _begin_anew(self) -> None:
        self._rows.clear()
        self._decoder.clear()
        self._decoder.give_back_memory()
