# -*- coding: utf-8 -*-
"""One reply of a local model to ask for: its prompt, its room, its pieces.

The prompt is rendered once, also where a reply is asked for again because it
was cut. Knows no responses and no tools. Raises GenerationError.
"""

import contextlib
import dataclasses
import threading
import time
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from agentscope.model import ChatUsage

from huggingface_parameters import ReplyParameters, generation_settings
from local_llm.errors import GenerationError
from local_llm.held_replies import HeldReply
from local_llm.turns import Turn

if TYPE_CHECKING:
    from local_llm.chat_format import ChatFormat
    from local_llm.generation import Piece, Request
    from local_llm.local_model import LocalModel
    from local_llm.settings import GenerationSettings


@dataclass(frozen=True)
class Asking:
    """A reply to ask for.

    Attributes:
        local (`LocalModel`):
            The model.
        turns (`Sequence[Turn]`):
            The conversation.
        parameters (`ReplyParameters`):
            What differs from the config.
    """

    local: "LocalModel"
    turns: Sequence[Turn]
    parameters: ReplyParameters

    @property
    def generation(self) -> "GenerationSettings":
        """How the reply is made: by the parameters, else by the config."""
        return generation_settings(
            self.parameters,
            self.local.settings.generation,
        )

    @property
    def chat_format(self) -> "ChatFormat":
        """How the prompt and the reply are written."""
        return self.local.chat_format(self.generation)

    @property
    def room(self) -> int:
        """How many tokens the prompt leaves.

        Raises:
            `GenerationError`: It leaves none; says the numbers.
        """
        return self.local.context_size - len(self._request.prompt_ids)

    def without_thoughts(self) -> "Asking":
        """The same, answered at once where the model can do so."""
        if self.local.base.chat_format.thinking_switch is None:
            return self
        update = {"thinking_enable": False}
        parameters = self.parameters.model_copy(update=update)
        return dataclasses.replace(self, parameters=parameters)

    async def pieces(
        self,
        held: HeldReply | None = None,
    ) -> "AsyncGenerator[tuple[Piece, ChatUsage], None]":
        """What the worker makes, each with what was used up to then.

        Args:
            held (`HeldReply | None`, optional):
                What the reply is held to.
        """
        from local_llm.reply_streams import stream_request

        request = self._request_held_to(held)
        start = time.monotonic()
        stream = stream_request(self.local, request)
        async with contextlib.aclosing(stream) as pieces:
            async for piece in pieces:
                yield (
                    piece,
                    ChatUsage(
                        input_tokens=len(request.prompt_ids),
                        output_tokens=piece.output_tokens,
                        time=time.monotonic() - start,
                    ),
                )

    @cached_property
    def _request(self) -> "Request":
        """That of a free reply; the prompt is rendered here alone."""
        return self.local.request(
            self.turns,
            lambda delivery: None,
            self.parameters.max_tokens,
            self.generation,
            self.parameters.grammar,
        )

    def _request_held_to(self, held: HeldReply | None) -> "Request":
        """One of its own for each try."""
        request = dataclasses.replace(
            self._request,
            cancelled=threading.Event(),
        )
        if held is not None:
            request.max_new_tokens = min(self.room, held.tokens)
            request.grammar, request.stop_strings = held.grammar, ()
        return request


@dataclass(frozen=True, slots=True)
class HeldText:
    """What is known of a reply that is held to something.

    Attributes:
        text (`str`):
            What this try has said so far.
        usage (`ChatUsage`):
            What all tries have used.
        finish_reason (`str | None`):
            Why this try has ended, None where it goes on.
    """

    text: str
    usage: ChatUsage
    finish_reason: str | None


async def held_texts(
    asking: Asking,
    tries: Iterable[HeldReply],
) -> AsyncGenerator[HeldText, None]:
    """A reply that is held to something; the next try where one was cut.

    Args:
        asking (`Asking`):
            The conversation.
        tries (`Iterable[HeldReply]`):
            What the reply is held to, at least one.

    Yields:
        `HeldText`: What is known after another piece.
    """
    spent = ChatUsage(0, 0, 0.0)
    for held in tries:
        text, reason, usage = "", None, spent
        async with contextlib.aclosing(asking.pieces(held)) as pieces:
            async for piece, used in pieces:
                text += piece.text
                reason, usage = piece.finish_reason, _added(spent, used)
                yield HeldText(text, usage, reason)
        spent = usage
        if reason != "length":
            return


def unfinished(what: str, held: HeldText) -> GenerationError:
    """Why there is none; asked once more, it would take as long again."""
    return GenerationError(
        f"the {what} was not finished: {held.finish_reason}",
        fix="raise generation.request_timeout_s in the config",
    )


def _added(one: ChatUsage, other: ChatUsage) -> ChatUsage:
    """What two replies have used together."""
    return ChatUsage(
        input_tokens=one.input_tokens + other.input_tokens,
        output_tokens=one.output_tokens + other.output_tokens,
        time=one.time + other.time,
    )
