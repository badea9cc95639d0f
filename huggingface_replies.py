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
import uuid
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from dataclasses import dataclass

from agentscope.message import ToolCallBlock
from agentscope.model import ChatResponse, ChatUsage

from huggingface_asking import Asking, held_texts, unfinished
from huggingface_offers import NO_TOOLS, Offer
from local_llm.begun_streams import begun
from local_llm.errors import ConfigError, NotACall
from local_llm.grammars import INSTALLING, is_installed
from local_llm.held_replies import Form, HeldReply, held_replies
from local_llm.reply_parts import HeldReader, ReplyPart, ReplyReader

log = logging.getLogger(__name__)

UNREADABLE = "unreadable call"
"""How the name begins of what was meant as a call and cannot be read."""


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


async def begun_reply(
    parts: AsyncGenerator[ChatResponse, None],
) -> AsyncGenerator[ChatResponse, None]:
    """The stream of a reply that has begun, see `begun`.

    Args:
        parts (`AsyncGenerator[ChatResponse, None]`):
            As `reply_stream` gives them.

    Returns:
        `AsyncGenerator[ChatResponse, None]`: The parts, and then the whole.
    """
    return _with_the_whole(await begun(parts))


async def whole_reply(
    parts: AsyncGenerator[ChatResponse, None],
) -> ChatResponse:
    """The last response, with the text of all of them."""
    async for response in _with_the_whole(parts):
        last = response
    return last


def _listen(
    asking: Asking,
    offer: Offer,
) -> AsyncGenerator[_Heard, None]:
    """A reply as the offer wants it."""
    if not offer.must_call:
        return _free(asking, offer)
    forms = offer.forms(asking.chat_format.wire)
    held = _held_to(asking, forms)
    if held is not None:
        return _held(asking, forms, held)
    demanding = dataclasses.replace(asking, turns=offer.demanded(asking.turns))
    return _demanded(demanding, offer)


async def _free(
    asking: Asking,
    offer: Offer,
) -> AsyncGenerator[_Heard, None]:
    """A reply that says or calls what it likes."""
    reader = ReplyReader(asking.chat_format.wire, offer.callable)
    only_one = not asking.parameters.parallel_tool_calls
    async with contextlib.aclosing(asking.pieces()) as pieces:
        async for piece, usage in pieces:
            parts = reader.feed(piece.text)
            if piece.finish_reason is not None:
                parts += reader.end(piece.finish_reason == "stop")
            if only_one and (called := _up_to_a_call(parts)):
                yield _Heard(called, usage, "stop")
                return
            yield _Heard(parts, usage, piece.finish_reason)


async def _held(
    asking: Asking,
    forms: Sequence[Form],
    tries: Iterable[HeldReply],
) -> AsyncGenerator[_Heard, None]:
    """A reply that a grammar makes a call; shorter ones where it was cut."""
    async with contextlib.aclosing(held_texts(asking, tries)) as texts:
        async for held in texts:
            yield _Heard([], held.usage, None)
    reader = HeldReader(forms)
    parts = reader.feed(held.text) + reader.end(held.finish_reason == "stop")
    if not parts:
        raise unfinished("call", held)
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


async def _with_the_whole(
    parts: AsyncGenerator[ChatResponse, None],
) -> AsyncGenerator[ChatResponse, None]:
    whole = ChatResponse(content=[], is_last=True)
    async with contextlib.aclosing(parts):
        async for part in parts:
            whole.id = part.id
            whole.append_chat_response(part)
            whole.metadata.update(part.metadata)
            yield part
    # AgentScope would make one without what the metadata say.
    yield whole


def _up_to_a_call(parts: Sequence[ReplyPart]) -> list[ReplyPart]:
    """What comes up to the first call; nothing where there is none."""
    kinds = [part.kind for part in parts]
    return [*parts[: kinds.index("call") + 1]] if "call" in kinds else []


def _held_to(
    asking: Asking,
    forms: Sequence[Form],
) -> Iterator[HeldReply] | None:
    """What a call is held to, None where that cannot be."""
    if not is_installed():
        return None
    wanted = asking.parameters.max_tokens or asking.local.settings.max_length
    try:
        return held_replies(forms, wanted, asking.room)
    except ConfigError as error:
        log.warning("calls are not held to their tools: %s", error)
        return None


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
