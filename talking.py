# -*- coding: utf-8 -*-
"""Talks with agents in the terminal, on AgentScope's console.

Survives replies that fail and ends at once at a signal. Knows no models.
Raises nothing; a signal ends the process.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from local_llm.errors import LocalLLMError
from program_frame import terminated
from screen import Screen, printable

if TYPE_CHECKING:
    from agentscope.event import AgentEvent
    from agentscope.message import Msg
    from agentscope.pipeline import PipelineProtocol

    from msghub import Inputs


def chat(pipeline: "PipelineProtocol", screen: Screen) -> None:
    """Talk, and end at once at a signal that comes between two replies.

    Args:
        pipeline (`PipelineProtocol`):
            An agent, or several in a hub.
        screen (`Screen`):
            Where failures are told.
    """
    with asyncio.Runner() as runner:
        _wake_at_signals(runner.get_loop())
        try:
            runner.run(talk(pipeline, screen))
        except (KeyboardInterrupt, SystemExit) as end:
            # A thread reads the terminal. Nothing can wake it, and Python
            # would wait for its next line before it ends.
            screen.say("")
            os._exit(_exit_code(end))


async def talk(pipeline: "PipelineProtocol", screen: Screen) -> None:
    """Talk until the user leaves or the input ends."""
    from agentscope.console import launch_console

    screen.title("conversation")
    async with _entered(pipeline):
        while True:
            try:
                await launch_console(_Shown(pipeline))
                return
            except LocalLLMError as error:
                # The conversation is still there, so it goes on.
                screen.error(error)


async def ask(pipeline: "PipelineProtocol", question: str) -> bool:
    """Ask one question and show all that happens until it is answered.

    Args:
        pipeline (`PipelineProtocol`):
            An agent, or several.
        question (`str`):
            What the user says.

    Returns:
        `bool`: Whether the reply came to its end; a signal may have
            interrupted it.
    """
    from agentscope.console import ConsoleRenderer
    from agentscope.event import ReplyEndEvent, ReplyFinishedReason
    from agentscope.message import UserMsg

    interrupted = ReplyFinishedReason.INTERRUPTED
    is_whole = True
    renderer = ConsoleRenderer()
    asked = UserMsg(name="user", content=question)
    events = _Shown(pipeline).reply_stream(asked)
    async with contextlib.aclosing(events):
        async for event in events:
            renderer.render(event)
            if isinstance(event, ReplyEndEvent):
                is_whole = event.finished_reason != interrupted
    return is_whole


def _entered(
    pipeline: "PipelineProtocol",
) -> contextlib.AbstractAsyncContextManager[object]:
    """A hub has to be entered, an agent has not."""
    if isinstance(pipeline, contextlib.AbstractAsyncContextManager):
        return pipeline
    return contextlib.nullcontext()


class _Shown:
    """A pipeline whose words hold nothing that a terminal would obey."""

    def __init__(self, pipeline: "PipelineProtocol") -> None:
        self._pipeline = pipeline

    async def reply_stream(
        self,
        inputs: "Inputs",
    ) -> AsyncGenerator["AgentEvent | Msg", None]:
        """The events of the pipeline, their text fit to be shown."""
        async with contextlib.aclosing(
            self._pipeline.reply_stream(inputs)
        ) as events:
            async for event in events:
                yield _printable(event)


def _printable(event: "AgentEvent | Msg") -> "AgentEvent | Msg":
    """The event; what a model says, and the tools that it names, may have
    characters in them that a terminal obeys."""
    texts = {name: one for name, one in event if isinstance(one, str)}
    changed = {
        name: shown
        for name, text in texts.items()
        if (shown := printable(text)) != text
    }
    return event.model_copy(update=changed) if changed else event


def _exit_code(signalled: KeyboardInterrupt | SystemExit) -> int:
    if isinstance(signalled, KeyboardInterrupt):
        return 128 + signal.SIGINT
    return int(signalled.code or 0)


def _wake_at_signals(loop: asyncio.AbstractEventLoop) -> None:
    """Let a signal end the wait of a loop that has nothing to do.

    Python runs its own handlers between two instructions, so one that comes
    just before the loop begins to wait would be seen only after the wait.
    With one handler in the loop, every signal wakes it.
    """
    with contextlib.suppress(NotImplementedError):  # on Windows
        number = signal.SIGTERM
        loop.add_signal_handler(number, terminated, number, None)
