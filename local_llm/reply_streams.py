# -*- coding: utf-8 -*-
"""A reply in an event loop, its pieces as the worker makes them.

Blocks nothing; who stops listening cancels the request. Knows no AgentScope.
Raises GenerationError.
"""

import asyncio
from collections.abc import AsyncGenerator

from .errors import GenerationError
from .generation import Delivery, Failure, Piece, Request
from .loaded_model import LoadedModel

_GRACE_S = 60.0
"""Beyond the request's own limit, which ends it first."""


async def stream_request(
    model: LoadedModel,
    request: Request,
) -> AsyncGenerator[Piece, None]:
    """Generate in the model's worker and give the pieces to this loop.

    Args:
        model (`LoadedModel`):
            Who replies.
        request (`Request`):
            What is asked; its own `deliver` is not used.

    Raises:
        `GenerationError`: There is no reply.
    """
    loop = asyncio.get_running_loop()
    inbox: asyncio.Queue[Delivery] = asyncio.Queue()

    def deliver(delivery: Delivery) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(inbox.put_nowait, delivery)

    request.deliver = deliver
    model.submit(request)
    try:
        while True:
            delivery = await _next(inbox, request.timeout_s + _GRACE_S)
            if isinstance(delivery, Failure):
                raise delivery.error
            yield delivery
            if delivery.finish_reason is not None:
                return
    finally:
        request.cancelled.set()


async def _next(inbox: asyncio.Queue[Delivery], timeout_s: float) -> Delivery:
    try:
        async with asyncio.timeout(timeout_s):
            return await inbox.get()
    except TimeoutError as error:
        raise GenerationError(
            f"the model gave no answer for {timeout_s:.0f} s",
        ) from error
