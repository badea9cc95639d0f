# -*- coding: utf-8 -*-
"""Streams that have begun when they are given to somebody.

Knows no models. Raises what the streams raise.
"""

import contextlib
from collections.abc import AsyncGenerator
from typing import TypeVar

ItemT = TypeVar("ItemT")


async def begun(
    stream: AsyncGenerator[ItemT, None],
) -> AsyncGenerator[ItemT, None]:
    """A stream whose first item has come.

    What is refused is refused here, not at the first item: AgentScope asks a
    fallback model only where there is no stream yet.

    Args:
        stream (`AsyncGenerator`):
            Of one item at least.

    Returns:
        `AsyncGenerator`: The same items; closing it closes the stream.
    """
    return _after(await anext(stream), stream)


async def _after(
    first: ItemT,
    stream: AsyncGenerator[ItemT, None],
) -> AsyncGenerator[ItemT, None]:
    async with contextlib.aclosing(stream):
        yield first
        async for item in stream:
            yield item
