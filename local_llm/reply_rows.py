# -*- coding: utf-8 -*-
"""One request from its submission to the last piece of its reply.

Takes tokens and delivers text; knows when the reply is over and says why.
Knows nothing of other requests. Raises GenerationError, and what the one who
asked raises.
"""

import contextlib
import logging
import time
import traceback
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch

from .adapters import check_has
from .errors import GenerationError, LocalLLMError
from .reply_requests import Failure, FinishReason, Piece, Request
from .reply_text import ReplyText
from .token_choice import TokenChoice

if TYPE_CHECKING:
    from .base_model import BaseModel

log = logging.getLogger(__name__)


class ReplyRow:
    """A reply that is waited for or generated.

    Args:
        base (`BaseModel`):
            Who replies.
        request (`Request`):
            What was asked, just now.

    Attributes:
        request (`Request`):
            What was asked.
        ids (`list[int]`):
            Prompt and reply so far.
        is_over (`bool`):
            Whether the last piece, or a failure, was delivered.
    """

    def __init__(self, base: "BaseModel", request: Request) -> None:
        self.request = request
        self.ids = list(request.prompt_ids)
        self.is_over = False
        self._base = base
        self._deadline = time.monotonic() + request.timeout_s
        self._stop_ids = base.chat_format.stop_ids
        self._text = ReplyText(base.tokenizer, request.stop_strings)
        self._choice: TokenChoice | None = None
        room = base.context_size - len(request.prompt_ids)
        self._most_tokens = min(request.max_new_tokens, room)

    @property
    def count(self) -> int:
        """Tokens generated so far."""
        return len(self.ids) - len(self.request.prompt_ids)

    def begin(self) -> None:
        """Prepare the choice of tokens.

        Raises:
            `GenerationError`: The grammar cannot be used.
            `WeightsError`: The base model has no such adapter.
        """
        check_has(self._base, self.request.adapter)
        self._choice = TokenChoice(self._base, self.request)

    def go_on(self, likeliest: int, scores: torch.Tensor) -> None:
        """Choose the next token and deliver what it adds.

        Args:
            likeliest (`int`):
                The token of the highest score.
            scores (`torch.Tensor`):
                Of all tokens, shape (1, vocabulary).

        Raises:
            `GenerationError`: The grammar leads nowhere.
        """
        token_id = likeliest
        if not self._choice.is_plain:
            token_id = self._choice.choose(self.ids, scores)
        self.ids.append(token_id)
        if token_id in self._stop_ids:
            self._finish("stop")
            return
        text = self._text.add(token_id)
        if self._text.is_stopped:
            self._finish("stop", text)
        elif self.count >= self._most_tokens:
            self._finish("length", text)
        elif text:
            self.request.deliver(Piece(text, self.count))

    def check_time(self) -> None:
        """End a reply that nobody wants any more or that takes too long."""
        if self.is_over:
            return
        if self.request.cancelled.is_set():
            self._finish("cancelled")
        elif time.monotonic() > self._deadline:
            self._finish("timeout")

    def fail(self, error: Exception) -> None:
        """Deliver an error in place of the next piece."""
        if self.is_over:
            return
        self.is_over = True
        failure = Failure(self._explained(error))
        # Who raised at a piece may raise at this too; nobody else is told.
        with contextlib.suppress(Exception):
            self.request.deliver(failure)

    def _finish(self, reason: FinishReason, text: str = "") -> None:
        self.is_over = True
        rest = self._text.rest()
        self.request.deliver(Piece(text + rest, self.count, reason))

    def _explained(self, error: Exception) -> LocalLLMError:
        if isinstance(error, LocalLLMError):
            return error
        if isinstance(error, torch.OutOfMemoryError | MemoryError):
            failure = GenerationError(
                "out of memory at a prompt of "
                f"{len(self.request.prompt_ids)} tokens",
                fix="shorten the conversation, lower max_length, ask for "
                "fewer replies at once, or load in 4-bit",
            )
        else:
            failure = GenerationError(
                f"the model could not reply: {type(error).__name__}: {error}",
            )
        failure.__cause__ = error
        return failure


def attempt(rows: Sequence[ReplyRow], action: Callable[[], None]) -> bool:
    """Do something for some replies; an error of it goes to all of them.

    One of the places that catch everything: a model, its kernels and the one
    who asked raise whatever they like, and above is only the worker thread.

    Returns:
        `bool`: Whether it went well.
    """
    try:
        action()
    except Exception as error:  # noqa: BLE001
        log.debug("generation failed", exc_info=True)
        # They hold what filled the memory. Before anybody raises the error
        # again, and its traceback has frames that are still in use.
        traceback.clear_frames(error.__traceback__)
        for row in rows:
            row.fail(error)
        return False
    return True
