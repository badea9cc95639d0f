# -*- coding: utf-8 -*-
"""Replies to many prompts, where nobody waits for the first word.

For evaluations: greedy, by the worker of the model, which takes other requests
in between. Knows no turns. Raises GenerationError and WeightsError.
"""

import functools
import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from queue import Empty, SimpleQueue

from .base_model import BaseModel
from .decoder import MOST_ROWS
from .errors import GenerationError
from .generation import Delivery, Failure, Piece, Request, engine_of

_TIMEOUT_S = 3600.0
"""For one reply, the wait before it included."""


def batched_replies(
    base: BaseModel,
    adapter: str | None,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    on_progress: Callable[[int], None] = lambda done: None,
) -> list[str]:
    """Reply to every prompt, greedily.

    In bfloat16 a reply can differ from that of the same prompt alone where
    two tokens are nearly as likely; in float32 they are equal.

    Args:
        base (`BaseModel`):
            Who replies.
        adapter (`str | None`):
            With which adapter, None for the bare base model.
        prompts (`Sequence[Sequence[int]]`):
            Token ids, each of shape (tokens,).
        max_new_tokens (`int`):
            The longest reply, in tokens.
        on_progress (`Callable[[int], None]`, optional):
            Told now and then, and at the end, how many replies there are.

    Returns:
        `list[str]`: A text for each prompt, in their order.

    Raises:
        `GenerationError`: A prompt leaves no room for a reply, or the model
            is being trained.
        `WeightsError`: There is no such adapter.
    """
    _check_fit(base, prompts, max_new_tokens)
    texts = [""] * len(prompts)
    inbox: SimpleQueue[tuple[int, Delivery]] = SimpleQueue()
    left = threading.Event()
    waiting = _requests(adapter, prompts, max_new_tokens, inbox, left)
    try:
        # Enough to fill the worker's batch, few enough not to fill its queue.
        for request in itertools.islice(waiting, MOST_ROWS):
            engine_of(base).submit(request)
        for done in range(1, len(prompts) + 1):
            _collect_until_one_ends(inbox, texts)
            for request in itertools.islice(waiting, 1):
                engine_of(base).submit(request)
            if done % MOST_ROWS == 0 or done == len(prompts):
                on_progress(done)
    finally:
        left.set()
    return texts


def _check_fit(
    base: BaseModel,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
) -> None:
    longest = max((len(ids) for ids in prompts), default=0)
    if longest + max_new_tokens > base.context_size:
        raise GenerationError(
            f"a prompt of {longest} tokens and a reply of {max_new_tokens} "
            f"do not fit into the context of {base.name}, "
            f"{base.context_size} tokens",
            fix="leave long prompts out, or use a model with a longer context",
        )


def _requests(
    adapter: str | None,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    inbox: "SimpleQueue[tuple[int, Delivery]]",
    left: threading.Event,
) -> Iterator[Request]:
    """The longest first, so that memory runs out at the first or never."""
    for number in sorted(range(len(prompts)), key=lambda n: -len(prompts[n])):
        yield Request(
            list(prompts[number]),
            functools.partial(_put, inbox, number),
            max_new_tokens=max_new_tokens,
            adapter=adapter,
            timeout_s=_TIMEOUT_S,
            cancelled=left,
        )


def _put(
    inbox: "SimpleQueue[tuple[int, Delivery]]",
    number: int,
    delivery: Delivery,
) -> None:
    inbox.put((number, delivery))


def _collect_until_one_ends(
    inbox: "SimpleQueue[tuple[int, Delivery]]",
    texts: list[str],
) -> None:
    """Add the pieces to their texts until one of them is the last."""
    last: Piece | None = None
    while last is None or last.finish_reason is None:
        try:
            number, delivery = inbox.get(timeout=_TIMEOUT_S)
        except Empty as error:
            raise GenerationError(
                f"the model gave no answer for {_TIMEOUT_S:.0f} s",
            ) from error
        if isinstance(delivery, Failure):
            raise delivery.error
        texts[number] += delivery.text
        last = delivery
