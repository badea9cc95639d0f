# -*- coding: utf-8 -*-
"""A talk survives replies that fail, and shows nothing that commands."""

import asyncio
import sys
from collections.abc import AsyncGenerator
from io import StringIO
from typing import Any, cast

import pytest
from agentscope.event import TextBlockDeltaEvent

from local_llm.errors import GenerationError
from msghub import MsgHub
from screen import Screen
from talking import talk


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
