# -*- coding: utf-8 -*-
"""Replies of a local model as AgentScope's responses.

Carries pieces from the model's worker thread into the event loop, parted into
words, thoughts and calls. A consumer that leaves cancels the request. Raises
GenerationError.
"""

import contextlib
import dataclasses
import json
import logging
import time
import uuid
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentscope.message import ToolCallBlock
from agentscope.model import ChatResponse, ChatUsage

from huggingface_offers import NO_TOOLS, Offer
from huggingface_parameters import ReplyParameters, generation_settings
from local_llm.errors import ConfigError, NotACall
from local_llm.grammars import INSTALLING, is_installed
from local_llm.held_replies import Form, HeldReply, held_replies
from local_llm.reply_parts import HeldReader, ReplyPart, ReplyReader
from local_llm.turns import Turn

if TYPE_CHECKING:
    from local_llm.generation import Piece
    from local_llm.local_model import LocalModel

log = logging.getLogger(__name__)

UNREADABLE = "unreadable call"
"""How the name begins of what was meant as a call and cannot be read."""


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

    def room(self) -> int:
        """How many tokens the prompt leaves.

        Raises:
            `GenerationError`: It leaves none; says the numbers.
        """
        request = self.local.request(self.turns, lambda delivery: None)
        return self.local.context_size - len(request.prompt_ids)

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

        local, chosen = self.local, self.parameters
        request = local.request(
            self.turns,
            lambda delivery: None,
            held.tokens if held else chosen.max_tokens,
            generation_settings(chosen, local.settings.generation),
            held.grammar if held else chosen.grammar,
        )
        start = time.monotonic()
        stream = stream_request(local, request)
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


@dataclass(frozen=True, slots=True)
class _Heard:
    """What is known of a reply after another piece."""

    parts: list[ReplyPart]
    usage: ChatUsage
    finish_reason: str | None


async def reply_stream(
    asking: Asking,
    offer: Offer = NO_TOOLS,
) -> AsyncGenerator[ChatResponse, None]:
    """Generate a reply; the one generator behind both kinds of it.

    Args:
        asking (`Asking`):
            The model, the conversation, and how it is asked.
        offer (`Offer`, optional):
            What may be called, and must.

    Yields:
        `ChatResponse`: What is new, under one response id, one block id for
            words, one for thoughts and one for each call. A call comes whole.

    Raises:
        `GenerationError`: There is no reply; `NotACall` where it had to be a
            call, could not be held to one, and is none.
    """
    turns = offer.put_before(asking.turns)
    asking = dataclasses.replace(asking, turns=turns)
    writer = _Writer(offer)
    async with contextlib.aclosing(_listen(asking, offer)) as replies:
        async for heard in replies:
            yield writer.response(heard)


async def whole_reply(
    parts: AsyncGenerator[ChatResponse, None],
) -> ChatResponse:
    """The last response, with the text of all of them."""
    whole = ChatResponse(content=[], is_last=True)
    async for part in parts:
        whole.append_chat_response(part)
        whole.metadata.update(part.metadata)
    return whole


async def held_texts(
    asking: Asking,
    tries: Sequence[HeldReply],
) -> AsyncGenerator[HeldText, None]:
    """A reply that is held to something; the next try where one was cut.

    Args:
        asking (`Asking`):
            The conversation.
        tries (`Sequence[HeldReply]`):
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


def _listen(
    asking: Asking,
    offer: Offer,
) -> AsyncGenerator[_Heard, None]:
    """A reply as the offer wants it."""
    if not offer.must_call:
        return _free(asking, offer)
    forms = offer.forms(asking.local.base.chat_format.wire)
    held = _held_to(asking, forms)
    if held:
        return _held(asking, forms, held)
    demanding = dataclasses.replace(asking, turns=offer.demanded(asking.turns))
    return _demanded(demanding, offer)


async def _free(
    asking: Asking,
    offer: Offer,
) -> AsyncGenerator[_Heard, None]:
    """A reply that says or calls what it likes."""
    wire = asking.local.base.chat_format.wire
    reader = ReplyReader(wire, offer.callable)
    async with contextlib.aclosing(asking.pieces()) as pieces:
        async for piece, usage in pieces:
            parts = reader.feed(piece.text)
            if piece.finish_reason is not None:
                parts += reader.end(piece.finish_reason == "stop")
            yield _Heard(parts, usage, piece.finish_reason)


async def _held(
    asking: Asking,
    forms: Sequence[Form],
    tries: Sequence[HeldReply],
) -> AsyncGenerator[_Heard, None]:
    """A reply that a grammar makes a call; shorter ones where it was cut."""
    async with contextlib.aclosing(held_texts(asking, tries)) as texts:
        async for held in texts:
            yield _Heard([], held.usage, None)
    reader = HeldReader(forms)
    parts = reader.feed(held.text) + reader.end(held.finish_reason == "stop")
    if not parts:
        raise NotACall(
            "the reply had to be a call and was not finished: "
            f"{held.finish_reason}",
            fix="raise generate_args.request_timeout_s",
        )
    yield _Heard(parts, held.usage, held.finish_reason)


async def _demanded(
    asking: Asking,
    offer: Offer,
) -> AsyncGenerator[_Heard, None]:
    """A reply that words demand a call of; checked before it is given."""
    parts: list[ReplyPart] = []
    async with contextlib.aclosing(_free(asking, offer)) as replies:
        async for heard in replies:
            parts += heard.parts
            yield dataclasses.replace(heard, parts=[])
    calls = [one for one in parts if one.kind in ("call", "unreadable")]
    problems = [problem for one in calls if (problem := offer.problem(one))]
    if not calls:
        problems = ["it calls nothing"]
    if problems:
        raise NotACall(
            f"the reply had to call {' or '.join(offer.names)}: {problems[0]}",
            fix=f"with llguidance every such reply is a call: {INSTALLING}",
        )
    yield dataclasses.replace(heard, parts=calls)


def _added(one: ChatUsage, other: ChatUsage) -> ChatUsage:
    """What two replies have used together."""
    return ChatUsage(
        input_tokens=one.input_tokens + other.input_tokens,
        output_tokens=one.output_tokens + other.output_tokens,
        time=one.time + other.time,
    )


def _held_to(
    asking: Asking,
    forms: Sequence[Form],
) -> tuple[HeldReply, ...]:
    """What a call is held to; empty where that cannot be."""
    if not is_installed():
        return ()
    wanted = asking.parameters.max_tokens or asking.local.settings.max_length
    try:
        return held_replies(forms, wanted, asking.room())
    except ConfigError as error:
        log.warning("calls are not held to their tools: %s", error)
        return ()


class _Writer:
    """Writes what is heard of one reply as responses that belong together."""

    def __init__(self, offer: Offer) -> None:
        self._offer = offer
        self._id: str | None = None
        self._block_ids: dict[str, str] = {}

    def response(self, heard: _Heard) -> ChatResponse:
        response = ChatResponse(content=[], is_last=False, usage=heard.usage)
        response.id = self._id = self._id or response.id
        response.metadata["finish_reason"] = heard.finish_reason
        for part in heard.parts:
            self._add(self._offer.allowed(part), response)
        return response

    def _add(self, part: ReplyPart, response: ChatResponse) -> None:
        block_id = uuid.uuid4().hex
        if part.kind == "text":
            block_id = self._block_ids.setdefault("text", block_id)
            response.append_text(part.text, block_id)
        elif part.kind == "thinking":
            block_id = self._block_ids.setdefault("thinking", block_id)
            response.append_thinking(part.text, block_id)
        else:
            response.content.append(_call_block(part, block_id))


def _call_block(part: ReplyPart, block_id: str) -> ToolCallBlock:
    """A call for the agent.

    What cannot be read gets a name that no tool has: the toolkit answers that
    there is none. AgentScope repairs arguments, so that half a call of a tool
    that is there might be run.
    """
    if part.kind == "call":
        return ToolCallBlock(id=block_id, name=part.name, input=part.text)
    name = f"{UNREADABLE} of {part.name}" if part.name else UNREADABLE
    written = json.dumps(part.text, ensure_ascii=False)
    return ToolCallBlock(id=block_id, name=name, input=written)
