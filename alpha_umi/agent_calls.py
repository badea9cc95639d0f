# -*- coding: utf-8 -*-
"""What the agent adds to AgentScope's calls of tools: they fit, and they end.

Permissions and the calls themselves are AgentScope's. Raises what a tool
raises.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

from agentscope.agent import Agent
from agentscope.message import TextBlock, ToolResultState
from agentscope.middleware import MiddlewareBase
from agentscope.permission import PermissionBehavior, PermissionDecision
from agentscope.tool import ToolChunk, ToolResponse

from .calls import fault_of
from .protocol import Call, Tool

_GRACE_S = 1.0
"""For a tool that is told to end."""


class StrictCalls(MiddlewareBase):
    """Lets no call be made that does not fit its tool as it is written.

    AgentScope completes what is broken: of a call that ended too early, as
    `{"path": "/home/us`, it would make another one and run that.
    """

    async def on_check_permission(
        self,
        agent: Agent,
        input_kwargs: dict[str, Any],
        next_handler: Callable[..., Awaitable[PermissionDecision]],
    ) -> PermissionDecision:
        """Refuse the call, or leave the decision to the others.

        Args:
            agent (`Agent`):
                Whose call it is.
            input_kwargs (`dict[str, Any]`):
                The call, the tool, and the arguments as AgentScope reads
                them.
            next_handler (`Callable[..., Awaitable[PermissionDecision]]`):
                The others.
        """
        block, tool = input_kwargs["tool_call"], input_kwargs["tool"]
        call = Call(block.name, block.input)
        fits = Tool(block.name, schema=tool.input_schema)
        fault = fault_of(call, [fits])
        if fault is None:
            return await next_handler(**input_kwargs)
        return PermissionDecision(PermissionBehavior.DENY, fault.text)


class TimedCalls(MiddlewareBase):
    """Gives up a tool that takes too long; the agent is told.

    A Python tool that computes without ever awaiting stops the event loop,
    and everything else in it, as long as it runs.

    Args:
        seconds (`float`):
            How long a call may take.
    """

    def __init__(self, seconds: float) -> None:
        """Initialize the middleware."""
        self._seconds = seconds

    async def on_acting(
        self,
        agent: Agent,
        input_kwargs: dict[str, Any],
        next_handler: Callable[
            ..., AsyncGenerator[ToolChunk | ToolResponse, None]
        ],
    ) -> AsyncGenerator[ToolChunk | ToolResponse, None]:
        """Pass on what the tool gives, until its time is up.

        Args:
            agent (`Agent`):
                Whose call it is.
            input_kwargs (`dict[str, Any]`):
                The call.
            next_handler (`Callable`):
                Runs the tool.

        Yields:
            `ToolChunk | ToolResponse`: Its parts, and all of it at last.
        """
        given = next_handler(**input_kwargs)
        until = asyncio.get_running_loop().time() + self._seconds
        whole = ToolResponse(id=input_kwargs["tool_call"].id)
        while True:
            limit = asyncio.timeout_at(until)
            try:
                async with limit:
                    part = await anext(given, None)
            except TimeoutError:
                if not limit.expired():
                    raise
            # AgentScope takes the cancellation for one by the user, and says
            # so in a part of its own.
            if limit.expired():
                break
            if part is None:
                return
            if isinstance(part, ToolChunk):
                whole.append_chunk(part)
            yield part
        await _drained(given)
        late = self._late()
        yield late
        yield whole.append_chunk(late)

    def _late(self) -> ToolChunk:
        text = f"the tool was given up after {self._seconds:g} seconds"
        return ToolChunk(
            content=[TextBlock(text=text)],
            state=ToolResultState.ERROR,
        )


async def _drained(given: AsyncGenerator[Any, None]) -> None:
    """Let a stream end; AgentScope's has a last part even when it is closed,
    which `aclose` takes for an error."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_GRACE_S):
            async for _ in given:
                pass
