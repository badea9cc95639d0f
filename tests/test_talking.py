# -*- coding: utf-8 -*-
"""A talk survives replies that fail, and shows nothing that commands."""

import asyncio
import sys
from collections.abc import AsyncGenerator
from io import StringIO
from typing import Any, cast

import pytest
from agentscope.event import (
    ReplyEndEvent,
    ReplyFinishedReason,
    ReplyStartEvent,
    TextBlockDeltaEvent,
    ToolCallDeltaEvent,
    ToolCallEndEvent,
    ToolCallStartEvent,
)

from local_llm.errors import GenerationError
from msghub import MsgHub
from screen import Screen
from talking import ask, talk


class Interrupted:
    """A hub whose first reply fails."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    async def __aenter__(self) -> "Interrupted":
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def reply_stream(self, inputs: Any) -> AsyncGenerator[Any, None]:
        self.heard.append(inputs.get_text_content())
        if len(self.heard) == 1:
            raise GenerationError("the model failed", fix="ask again")
        yield TextBlockDeltaEvent(
            reply_id="r",
            block_id="b",
            delta="a\x1b[2Jb\x07c",
        )


def test_the_talk_goes_on_after_a_reply_that_failed(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    hub = Interrupted()
    monkeypatch.setattr(sys, "stdin", StringIO("one\ntwo\n"))
    asyncio.run(talk(cast(MsgHub, hub), Screen()))
    shown = capsys.readouterr().out
    assert hub.heard == ["one", "two"]
    assert "error: the model failed\n  fix: ask again" in shown


def test_words_of_a_model_cannot_command_the_terminal(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "stdin", StringIO("one\ntwo\n"))
    asyncio.run(talk(cast(MsgHub, Interrupted()), Screen()))
    shown = capsys.readouterr().out
    assert "a[2Jbc" in shown
    assert "\x1b" not in shown and "\x07" not in shown


# -- one question ----------------------------------------------------------


class Replying:
    """An agent whose reply is these events."""

    def __init__(self, *events: Any) -> None:
        self.events = events
        self.heard: list[str] = []

    async def reply_stream(self, inputs: Any) -> AsyncGenerator[Any, None]:
        self.heard.append(inputs.get_text_content())
        yield ReplyStartEvent(session_id="s", reply_id="r", name="solver")
        for event in self.events:
            yield event


def end(reason: ReplyFinishedReason) -> ReplyEndEvent:
    return ReplyEndEvent(session_id="s", reply_id="r", finished_reason=reason)


@pytest.mark.parametrize(
    ("reason", "is_whole"),
    [
        (ReplyFinishedReason.COMPLETED, True),
        (ReplyFinishedReason.EXCEED_MAX_ITERS, True),
        (ReplyFinishedReason.INTERRUPTED, False),
    ],
)
def test_a_question_is_answered_unless_somebody_interrupts(
    reason: ReplyFinishedReason,
    is_whole: bool,
    capsys: pytest.CaptureFixture[str],
) -> None:
    agent = Replying(end(reason))
    assert asyncio.run(ask(cast(MsgHub, agent), "Why?")) is is_whole
    assert agent.heard == ["Why?"]
    assert "solver" in capsys.readouterr().out


def test_the_name_of_a_tool_cannot_command_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    call = {"reply_id": "r", "tool_call_id": "c"}
    agent = Replying(
        ToolCallStartEvent(tool_call_name="a\x1b[2Jb", **call),
        ToolCallDeltaEvent(delta="{}\x1b[2J", **call),
        ToolCallEndEvent(**call),
        end(ReplyFinishedReason.COMPLETED),
    )
    asyncio.run(ask(cast(MsgHub, agent), "Why?"))
    shown = capsys.readouterr().out
    assert "a[2Jb {}[2J" in shown
    assert "\x1b" not in shown
