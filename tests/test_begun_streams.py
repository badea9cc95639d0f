# -*- coding: utf-8 -*-
"""A stream that is given to somebody has begun."""

from collections.abc import AsyncGenerator

import pytest

from local_llm.begun_streams import begun

pytestmark = pytest.mark.asyncio


async def counted(
    log: list[str],
    refused_at: int | None = None,
) -> AsyncGenerator[int, None]:
    """Three numbers; writes down when it is asked and when it is closed."""
    try:
        for number in range(3):
            if number == refused_at:
                raise ValueError(f"no {number}")
            log.append(f"{number}")
            yield number
    finally:
        log.append("closed")


async def test_all_items_come_in_their_order_and_the_first_before_it_is_asked():
    log: list[str] = []
    stream = await begun(counted(log))
    assert log == ["0"]
    assert [item async for item in stream] == [0, 1, 2]
    assert log == ["0", "1", "2", "closed"]


async def test_what_is_refused_at_once_is_refused_without_a_stream():
    log: list[str] = []
    with pytest.raises(ValueError, match="no 0"):
        await begun(counted(log, refused_at=0))
    assert log == ["closed"]


async def test_what_is_refused_later_is_raised_in_the_stream():
    stream = await begun(counted([], refused_at=1))
    assert await anext(stream) == 0
    with pytest.raises(ValueError, match="no 1"):
        await anext(stream)


async def test_who_leaves_closes_the_stream():
    log: list[str] = []
    stream = await begun(counted(log))
    await anext(stream)
    await stream.aclose()
    assert log == ["0", "closed"]
