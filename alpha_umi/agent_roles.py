# -*- coding: utf-8 -*-
"""A chat model of AgentScope as one of the roles.

Any chat model can play one: local, or far away. Keeps no conversation. Raises
what the chat model raises, and CancelledError where it was interrupted.
"""

import asyncio
import copy
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from agentscope.message import Msg, SystemMsg, TextBlock, UserMsg
from agentscope.model import (
    ChatModelBase,
    ChatResponse,
    ChatUsage,
    FinishedReason,
)

from .held_calls import HeldCalls
from .protocol import Tool
from .roles import Delta

RETRY_TEMPERATURE = 0.7
"""For another reply of a model that takes the likeliest tokens."""


class UsageMeter:
    """Sums what several replies took, as AgentScope's usage of one."""

    def __init__(self) -> None:
        self._replies: list[ChatUsage] = []

    def begin(self) -> None:
        """Another reply begins."""
        self._replies.append(ChatUsage(0, 0, 0.0))

    def note(self, usage: ChatUsage | None) -> int:
        """Take what the last reply took up to now.

        Returns:
            `int`: How many tokens of it are new.
        """
        if usage is None:
            return 0
        before, self._replies[-1] = self._replies[-1], usage
        return max(0, usage.output_tokens - before.output_tokens)

    def total(self) -> ChatUsage:
        """All of it; times in seconds."""
        replies = self._replies
        return ChatUsage(
            input_tokens=sum(one.input_tokens for one in replies),
            output_tokens=sum(one.output_tokens for one in replies),
            time=sum(one.time for one in replies),
            cache_creation_input_tokens=sum(
                one.cache_creation_input_tokens or 0 for one in replies
            ),
            cache_input_tokens=sum(
                one.cache_input_tokens or 0 for one in replies
            ),
        )


class ChatRole:
    """A role that a chat model plays.

    Args:
        model (`ChatModelBase`):
            Who plays it; the prompt is its user's one message.
        system (`str`):
            What it is told before, may be empty.
        usage (`UsageMeter`):
            Where its tokens are counted.
        held_calls (`HeldCalls | None`, optional):
            Where given, and its parameters have a `grammar`, calls are held
            to their tools, and get the tokens that they may need.
    """

    def __init__(
        self,
        model: ChatModelBase,
        system: str,
        usage: UsageMeter,
        held_calls: HeldCalls | None = None,
    ) -> None:
        self._model = model
        self._system = system
        self._usage = usage
        self._held_calls = held_calls

    async def stream(
        self,
        prompt: str,
        tools: Sequence[Tool] = (),
        attempt: int = 0,
    ) -> AsyncGenerator[Delta, None]:
        """Reply, see `RoleModel.stream`."""
        self._usage.begin()
        model = with_parameters(self._model, self._changes(tools, attempt))
        response = await model(role_messages(self._system, prompt))
        if isinstance(response, ChatResponse):
            yield self._delta(response)
            return
        has_spoken = False
        async with aclosing(response) as parts:
            async for part in parts:
                delta = self._delta(part)
                # The last part has the texts of all others once more.
                if part.is_last and has_spoken:
                    delta = Delta("", delta.tokens)
                has_spoken = has_spoken or bool(delta.text)
                yield delta

    def _delta(self, part: ChatResponse) -> Delta:
        tokens = self._usage.note(part.usage)
        # AgentScope's models turn a cancellation into such a part.
        if part.finished_reason == FinishedReason.INTERRUPTED:
            raise asyncio.CancelledError
        texts = (one.text for one in part.content if type(one) is TextBlock)
        return Delta("".join(texts), tokens)

    def _changes(
        self,
        tools: Sequence[Tool],
        attempt: int,
    ) -> dict[str, Any]:
        """What this reply asks beyond the model's own parameters."""
        parameters = self._model.parameters
        known = type(parameters).model_fields
        changes: dict[str, Any] = {}
        if self._held_calls and "grammar" in known:
            held = self._held_calls.of(tools)
            if held is not None:
                changes["grammar"] = held.grammar
                changes["max_tokens"] = held.tokens
        if attempt and "do_sample" in known:
            changes |= {"do_sample": True, "seed": attempt}
        elif attempt and getattr(parameters, "temperature", None) == 0:
            changes["temperature"] = RETRY_TEMPERATURE
        return changes


class ToldRole:
    """A role whose words are given.

    Args:
        words (`str`):
            What it says.
    """

    def __init__(self, words: str) -> None:
        self._words = words

    async def stream(
        self,
        prompt: str,
        tools: Sequence[Tool] = (),
        attempt: int = 0,
    ) -> AsyncGenerator[Delta, None]:
        """Say it, see `RoleModel.stream`."""
        yield Delta(self._words, 0)


def role_messages(system: str, prompt: str) -> list[Msg]:
    """A prompt as a chat model is asked it."""
    told = [SystemMsg("system", system)] if system else []
    return [*told, UserMsg("user", prompt)]


def with_parameters(
    model: ChatModelBase,
    changes: Mapping[str, Any],
) -> ChatModelBase:
    """The same model, its weights or connection shared, asked otherwise."""
    if not changes:
        return model
    # Keyword arguments of a call mean other things to other models.
    other = copy.copy(model)
    other.parameters = model.parameters.model_copy(update=dict(changes))
    return other
