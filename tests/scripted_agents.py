# -*- coding: utf-8 -*-
"""Real agents over a scripted chat model, and what the hub tests read off them.

Nothing of AgentScope is replaced but the weights.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from copy import deepcopy

from agentscope.agent import Agent, InjectionConfig
from agentscope.credential import CredentialBase
from agentscope.event import (
    AgentEvent,
    ConfirmResult,
    ReplyStartEvent,
    RequireUserConfirmEvent,
    UserConfirmResultEvent,
)
from agentscope.formatter import OpenAIChatFormatter
from agentscope.message import (
    Msg,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
    UserMsg,
)
from agentscope.middleware import MiddlewareBase
from agentscope.model import ChatModelBase, ChatResponse
from agentscope.tool import FunctionTool, ToolChoice, Toolkit

from msghub import MsgHub

Script = str | Exception | list[TextBlock | ThinkingBlock | ToolCallBlock]
HANG = [TextBlock(text="I was saying "), TextBlock(text="<hang>")]


class ScriptedModel(ChatModelBase):
    """Streams queued replies, and keeps what it was asked."""

    def __init__(self, replies: tuple[Script, ...]) -> None:
        super().__init__(
            credential=CredentialBase(),
            model="scripted",
            parameters=self.Parameters(),
            max_retries=0,
        )
        self.formatter = OpenAIChatFormatter()
        self.replies = deque(replies)
        self.asked: list[list[Msg]] = []
        self.hanging = asyncio.Event()

    async def _call_api(
        self,
        model_name: str,
        messages: list[Msg],
        tools: list[dict] | None = None,
        tool_choice: ToolChoice | None = None,
    ) -> AsyncGenerator[ChatResponse, None]:
        self.asked.append(deepcopy(messages))
        reply = self.replies.popleft()
        if isinstance(reply, Exception):
            raise reply
        return self._stream(
            [TextBlock(text=reply)] if isinstance(reply, str) else reply
        )

    async def _stream(
        self,
        blocks: list[TextBlock | ThinkingBlock | ToolCallBlock],
    ) -> AsyncGenerator[ChatResponse, None]:
        for block in blocks:
            if isinstance(block, TextBlock) and block.text == "<hang>":
                self.hanging.set()
                await asyncio.sleep(60)
            elif isinstance(block, TextBlock):
                for word in block.text.split(" "):
                    await asyncio.sleep(0)
                    piece = TextBlock(id=block.id, text=f"{word} ")
                    yield ChatResponse(content=[piece], is_last=False)
            else:
                yield ChatResponse(content=[block], is_last=False)


class Participant(Agent):
    """An agent on a script; ``deaf`` and ``slow`` spoil how it listens."""

    deaf: Exception | None = None
    slow_s = 0.0

    async def observe(self, msgs: Msg | list[Msg] | None = None) -> None:
        if self.deaf:
            raise self.deaf
        await asyncio.sleep(self.slow_s)
        await super().observe(msgs)


def agent(
    name: str,
    *replies: Script,
    tool: FunctionTool | None = None,
    middleware: MiddlewareBase | None = None,
) -> Participant:
    """A participant that will say the given replies."""
    return Participant(
        name=name,
        system_prompt=f"You are {name}.",
        model=ScriptedModel(replies),
        toolkit=Toolkit(tools=[tool]) if tool else None,
        middlewares=[middleware] if middleware else None,
        injection_config=InjectionConfig(inject_runtime_state=False),
    )


def user(text: str) -> Msg:
    """What the human says."""
    return UserMsg("user", text)


def context(listener: Agent) -> list[tuple[str, str, str | None]]:
    """Role, name and text of all that an agent has in mind."""
    return [
        (msg.role, msg.name, (msg.get_text_content() or "").strip())
        for msg in listener.state.context
    ]


def heard(listener: Agent) -> list[str]:
    """The texts that reached an agent from others."""
    return [text for role, _, text in context(listener) if role == "user"]


async def play(hub: MsgHub, inputs=None) -> list[AgentEvent]:
    """All events of a round."""
    return [event async for event in hub.reply_stream(inputs)]


def speakers(events: list[AgentEvent]) -> list[str]:
    """Who began a reply, in order."""
    return [e.name for e in events if isinstance(e, ReplyStartEvent)]


def request_of(events: list[AgentEvent]) -> RequireUserConfirmEvent:
    """The confirmation that the events ask for, at their end."""
    assert isinstance(events[-1], RequireUserConfirmEvent)
    return events[-1]


def confirm(request: RequireUserConfirmEvent) -> UserConfirmResultEvent:
    """The user's yes."""
    return UserConfirmResultEvent(
        reply_id=request.reply_id,
        confirm_results=[
            ConfirmResult(confirmed=True, tool_call=call)
            for call in request.tool_calls
        ],
    )


def ring() -> str:
    """Ring the bell."""
    return "ding"


def ringer(name: str, *after: Script) -> Participant:
    """An agent that first asks whether it may ring the bell."""
    call = ToolCallBlock(id=f"call-{name}", name="ring", input="{}")
    return agent(name, [call], *after, tool=FunctionTool(ring))


@contextmanager
def agentscope_warnings() -> Iterator[list[str]]:
    """The warnings on AgentScope's logger, which does not propagate."""
    seen: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: seen.append(record.getMessage())
    logging.getLogger("as").addHandler(handler)
    try:
        yield seen
    finally:
        logging.getLogger("as").removeHandler(handler)
