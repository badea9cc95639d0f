# -*- coding: utf-8 -*-
"""A tool that takes too long is given up, and the agent goes on."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
from agentscope.message import TextBlock
from agentscope.tool import ToolChunk
from scripted_chat_models import (
    CALL,
    CONCLUDE,
    answer_of,
    call,
    events_of,
    results_of,
    solver,
    team,
    toolkit,
)

from alpha_umi.agent import AlphaUMiAgent
from alpha_umi.agent_model import AlphaUMiModel
from alpha_umi.limits import Limits

pytestmark = pytest.mark.asyncio

IN_TIME = AlphaUMiModel.Parameters(limits=Limits(tool_seconds=0.05))
GIVEN_UP = "the tool was given up after 0.05 seconds"


def waiter(tool) -> AlphaUMiAgent:
    """An agent that calls the tool once."""
    roles = team([CALL, CONCLUDE], [call(tool.__name__, "{}")], ["Done."])
    return solver(roles, toolkit(tool), parameters=IN_TIME)


async def test_a_tool_that_hangs_is_given_up() -> None:
    cancelled = asyncio.Event()

    async def wait() -> str:
        """Wait."""
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return "waited"

    agent = waiter(wait)
    async with asyncio.timeout(10):
        events = await events_of(agent, "Wait.")
    assert results_of(agent) == [("error", GIVEN_UP)]
    assert answer_of(events) == "Done."
    assert cancelled.is_set()


async def test_what_it_had_said_before_is_kept() -> None:
    async def tell() -> AsyncGenerator[ToolChunk, None]:
        """Tell, and hang."""
        yield ToolChunk(content=[TextBlock(text="first")])
        await asyncio.sleep(60)
        yield ToolChunk(content=[TextBlock(text="never")])

    agent = waiter(tell)
    async with asyncio.timeout(10):
        await events_of(agent, "Tell.")
    ((state, text),) = results_of(agent)
    assert state == "error"
    assert "first" in text
    assert GIVEN_UP in text
    assert "never" not in text


async def test_a_tool_that_is_told_to_end_and_does_not_is_left() -> None:
    stubborn = asyncio.Event()

    async def stay() -> str:
        """Stay."""
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await stubborn.wait()
        return "stayed"

    agent = waiter(stay)
    async with asyncio.timeout(10):
        task = asyncio.create_task(events_of(agent, "Stay."))
        await asyncio.sleep(0.3)
        stubborn.set()
        events = await task
    assert answer_of(events) == "Done."
    assert [state for state, _ in results_of(agent)] == ["error"]


async def test_a_tool_within_its_time_is_left_alone() -> None:
    async def quick() -> str:
        """Answer."""
        await asyncio.sleep(0)
        return "here"

    agent = waiter(quick)
    await events_of(agent, "Quick.")
    assert results_of(agent) == [("success", "here")]
