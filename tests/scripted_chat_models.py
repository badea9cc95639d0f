# -*- coding: utf-8 -*-
"""Chat models that say what a role is to say, and agents made of them.

Everything of AgentScope is real but the weights.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterable
from copy import deepcopy
from typing import Any

from agentscope.credential import CredentialBase
from agentscope.event import (
    AgentEvent,
    ConfirmResult,
    RequireUserConfirmEvent,
    UserConfirmResultEvent,
)
from agentscope.formatter import OpenAIChatFormatter
from agentscope.message import Msg, TextBlock, ToolResultBlock, UserMsg
from agentscope.model import ChatModelBase, ChatResponse, ChatUsage
from agentscope.permission import PermissionBehavior, PermissionDecision
from agentscope.tool import FunctionTool, ToolChoice, Toolkit
from pydantic import BaseModel

from alpha_umi.agent import AlphaUMiAgent

HANG = "<hang>"
"""A word at which a voice says nothing more."""

CALL, CONCLUDE, GIVE_UP = (
    "Next: caller.",
    "Next: conclusion.",
    "Next: give up.",
)
ALLOWED = PermissionDecision(PermissionBehavior.ALLOW, "It is harmless.")


class Voice(ChatModelBase):
    """Says its lines, one in a reply, word by word or at once.

    Args:
        lines (`str | Exception`):
            What it says or raises; the last line is said again and again.
        stream (`bool`, optional):
            Whether replies come word by word.
        parameters (`BaseModel | None`, optional):
            How replies are generated.
        context_size (`int`, optional):
            In tokens.
    """

    class Parameters(BaseModel):
        """How replies are generated; this model has no choice."""

    def __init__(
        self,
        *lines: str | Exception,
        stream: bool = True,
        parameters: BaseModel | None = None,
        context_size: int = 32768,
    ) -> None:
        super().__init__(
            credential=CredentialBase(),
            model="voice",
            parameters=parameters or self.Parameters(),
            stream=stream,
            max_retries=0,
            context_size=context_size,
        )
        self.formatter = OpenAIChatFormatter()
        self.lines = deque(lines)
        self.asked: list[list[Msg]] = []
        self.asked_with: list[BaseModel] = []
        self.hanging = asyncio.Event()
        self.closed: list[bool] = []

    @property
    def prompts(self) -> list[str]:
        """What it was asked, without what it was told before."""
        return [msgs[-1].get_text_content() or "" for msgs in self.asked]

    async def _call_api(
        self,
        model_name: str,
        messages: list[Msg],
        tools: list[dict] | None = None,
        tool_choice: ToolChoice | None = None,
    ) -> ChatResponse | AsyncGenerator[ChatResponse, None]:
        assert not tools and tool_choice is None
        self.asked.append(deepcopy(messages))
        self.asked_with.append(self.parameters)
        line = self.lines.popleft() if len(self.lines) > 1 else self.lines[0]
        if isinstance(line, Exception):
            raise line
        if self.stream:
            return self._words(line)
        if HANG in line:
            await self._hang()
        return ChatResponse([TextBlock(text=line)], True, usage=usage_of(line))

    async def _words(self, line: str) -> AsyncGenerator[ChatResponse, None]:
        block_id = TextBlock(text="").id
        said: list[str] = []
        try:
            for word in words_of(line):
                await asyncio.sleep(0)
                if HANG in word:
                    await self._hang()
                said.append(word)
                block = TextBlock(text=word, id=block_id)
                usage = usage_of("".join(said))
                yield ChatResponse([block], False, usage=usage)
        finally:
            self.closed.append(True)

    async def _hang(self) -> None:
        self.hanging.set()
        await asyncio.sleep(60)


def words_of(text: str) -> list[str]:
    """The words of a text, each with the blank before it."""
    first, *others = text.split(" ")
    return [first, *(f" {word}" for word in others)]


def usage_of(text: str) -> ChatUsage:
    """A token for each word of a reply to a prompt of ten."""
    return ChatUsage(10, len(text.split()), 0.5)


def call(name: str, arguments: str) -> str:
    """What a caller says."""
    return f"Action: {name}\nAction Input: {arguments}"


def add(a: int, b: int) -> int:
    """Add two numbers.

    Args:
        a (`int`):
            The one.
        b (`int`):
            The other.
    """
    return a + b


def double(number: int) -> int:
    """Double a number.

    Args:
        number (`int`):
            The number.
    """
    return 2 * number


def toolkit(*functions: Any, asks: bool = False) -> Toolkit:
    """A toolkit of functions, which ask the user first if they are to."""
    decision = None if asks else ALLOWED
    return Toolkit(
        tools=[
            FunctionTool(one, permission=decision)
            for one in functions or (add, double)
        ],
    )


def team(
    plans: Iterable[str | Exception] = (CONCLUDE,),
    calls: Iterable[str | Exception] = ("",),
    answers: Iterable[str | Exception] = ("",),
    stream: bool = True,
) -> dict[str, Voice]:
    """The three roles, each with its lines."""
    return {
        "planner": Voice(*plans, stream=stream),
        "caller": Voice(*calls, stream=stream),
        "summarizer": Voice(*answers, stream=stream),
    }


def solver(
    roles: dict[str, Voice],
    tools: Toolkit | None = None,
    name: str = "Ada",
    **arguments: Any,
) -> AlphaUMiAgent:
    """An agent of such roles with tools."""
    tools = tools or toolkit()
    return AlphaUMiAgent(name, toolkit=tools, **roles, **arguments)


async def events_of(
    agent: AlphaUMiAgent, inputs: Any
) -> list[AgentEvent | Msg]:
    """All that comes of one input; a text is the user's."""
    if isinstance(inputs, str):
        inputs = UserMsg("user", inputs)
    stream = agent.reply_stream(inputs, yield_final_msg=True)
    return [event async for event in stream]


def answer_of(events: list[AgentEvent | Msg]) -> str | None:
    """What others hear of a reply."""
    assert isinstance(events[-1], Msg)
    return events[-1].get_text_content()


def results_of(agent: AlphaUMiAgent) -> list[tuple[str, str]]:
    """State and text of every result in an agent's mind."""
    blocks = [block for msg in agent.state.context for block in msg.content]
    return [
        (block.state, result_text(block))
        for block in blocks
        if isinstance(block, ToolResultBlock)
    ]


def result_text(block: ToolResultBlock) -> str:
    """What a tool said."""
    if isinstance(block.output, str):
        return block.output
    return "".join(one.text for one in block.output)


def decide(
    events: list[AgentEvent | Msg],
    confirmed: bool,
) -> UserConfirmResultEvent:
    """The user's answer to the request among events."""
    request = next(
        one for one in events if isinstance(one, RequireUserConfirmEvent)
    )
    return UserConfirmResultEvent(
        reply_id=request.reply_id,
        confirm_results=[
            ConfirmResult(confirmed=confirmed, tool_call=one)
            for one in request.tool_calls
        ],
    )
