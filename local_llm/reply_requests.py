# -*- coding: utf-8 -*-
"""What is asked of a model, and what comes back, as values.

A request says all about one reply; its pieces and its failure go to who asked.
Knows no model. Raises nothing.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from .errors import LocalLLMError

FinishReason = Literal["stop", "length", "cancelled", "timeout"]


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen; the names are those of transformers."""

    do_sample: bool = False
    temperature: float = 0.7
    top_p: float = 1.0
    top_k: int = 50
    repetition_penalty: float = 1.0
    no_repeat_ngram_size: int = 0
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a reply.

    Attributes:
        text (`str`):
            New text; the texts of all pieces together are the reply.
        output_tokens (`int`):
            Tokens generated so far.
        finish_reason (`FinishReason | None`):
            Set on the last piece.
    """

    text: str
    output_tokens: int
    finish_reason: FinishReason | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """What the one who asked gets instead of the next piece."""

    error: LocalLLMError


Delivery = Piece | Failure


@dataclass(eq=False)
class Request:
    """One reply to generate.

    Attributes:
        prompt_ids (`list[int]`):
            The prompt, shape (tokens,).
        deliver (`Callable[[Delivery], None]`):
            Called in the worker thread with each piece; must not block.
        max_new_tokens (`int`):
            The longest reply, in tokens.
        sampling (`Sampling`):
            How tokens are chosen.
        adapter (`str | None`):
            The adapter to use, None for the bare base model.
        timeout_s (`float`):
            From the submission to the last token, in seconds.
        cancelled (`threading.Event`):
            Set it to end the reply.
        grammar (`str | None`):
            What the reply follows, in the Lark syntax of llguidance; None for
            any text. Cut at `max_new_tokens`, it is only the beginning of
            what the grammar wants. Repeated n-grams are allowed in it.
        stop_strings (`tuple[str, ...]`):
            Texts that end the reply, and are not in it; empty ones do not
            count.
    """

    prompt_ids: list[int]
    deliver: Callable[[Delivery], None]
    max_new_tokens: int = 256
    sampling: Sampling = Sampling()
    adapter: str | None = None
    timeout_s: float = 600.0
    cancelled: threading.Event = field(default_factory=threading.Event)
    grammar: str | None = None
    stop_strings: tuple[str, ...] = ()
