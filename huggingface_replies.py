# -*- coding: utf-8 -*-
"""Replies of a local model as AgentScope's responses.

Carries pieces from the model's worker thread into the event loop. A consumer
that leaves cancels the request. Raises GenerationError.
"""

import contextlib
import dataclasses
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from agentscope.message import TextBlock
from agentscope.model import ChatResponse, ChatUsage
from pydantic import BaseModel, Field, ValidationError

from local_llm.errors import GenerationError
from local_llm.settings import GenerationSettings
from local_llm.turns import Turn

if TYPE_CHECKING:
    from local_llm.generation import Piece
    from local_llm.local_model import LocalModel


class ReplyParameters(BaseModel):
    """How replies are generated; what is left empty comes from the
    config."""

    max_tokens: int | None = Field(
        default=None,
        title="Max Tokens",
        description="The longest reply, in tokens.",
        gt=0,
    )
    do_sample: bool | None = Field(
        default=None,
        title="Sample",
        description="Whether tokens are drawn; else the likeliest wins.",
    )
    temperature: float | None = Field(
        default=None,
        title="Temperature",
        description="Evens out the probabilities above 1. Used when "
        "tokens are drawn.",
        gt=0,
        le=2,
    )
    top_p: float | None = Field(
        default=None,
        title="Top P",
        description="The share of probability that is drawn from.",
        gt=0,
        le=1,
    )
    top_k: int | None = Field(
        default=None,
        title="Top K",
        description="How many tokens are drawn from; 0 for all.",
        ge=0,
    )
    repetition_penalty: float | None = Field(
        default=None,
        title="Repetition penalty",
        description="Above 1, tokens used before get less likely.",
        ge=1,
        le=2,
    )
    seed: int | None = Field(
        default=None,
        title="Seed",
        description="Makes drawn replies repeatable.",
        ge=0,
    )
    grammar: str | None = Field(
        default=None,
        title="Grammar",
        description="What the reply follows, in the Lark syntax of "
        "llguidance; not part of a config.",
    )


def changed(
    parameters: ReplyParameters,
    changes: Mapping[str, Any],
) -> ReplyParameters:
    """Parameters with some fields replaced.

    Raises:
        `GenerationError`: A field does not exist or is out of range.
    """
    unknown = changes.keys() - ReplyParameters.model_fields.keys()
    if unknown:
        raise GenerationError(
            f"unknown generation arguments: {', '.join(sorted(unknown))}",
            fix=f"use {', '.join(ReplyParameters.model_fields)}",
        )
    try:
        return ReplyParameters(**{**parameters.model_dump(), **changes})
    except ValidationError as error:
        first = error.errors()[0]
        raise GenerationError(
            f"{first['loc'][0]} is {first['input']!r}: {first['msg']}",
        ) from error


def generation_settings(
    parameters: ReplyParameters,
    default: GenerationSettings,
) -> GenerationSettings:
    """The config's choice, with what the parameters say in its place.

    A parameter that matters only when tokens are drawn makes them be drawn.
    """
    given = parameters.model_dump(exclude_none=True)
    for own in ("max_tokens", "grammar"):
        given.pop(own, None)
    if not {"temperature", "top_p", "top_k"}.isdisjoint(given):
        given.setdefault("do_sample", True)
    return dataclasses.replace(default, **given)


async def reply_stream(
    local: "LocalModel",
    turns: Sequence[Turn],
    parameters: ReplyParameters,
) -> AsyncGenerator[ChatResponse, None]:
    """Generate a reply; the one generator behind both kinds of it.

    Args:
        local (`LocalModel`):
            The model.
        turns (`Sequence[Turn]`):
            The conversation.
        parameters (`ReplyParameters`):
            What differs from the config.

    Yields:
        `ChatResponse`: The new text, under one response and one block id.
    """
    from local_llm.reply_streams import stream_request

    request = local.request(
        turns,
        lambda delivery: None,
        parameters.max_tokens,
        generation_settings(parameters, local.settings.generation),
        parameters.grammar,
    )
    async with contextlib.aclosing(stream_request(local, request)) as pieces:
        async for response in _responses(len(request.prompt_ids), pieces):
            yield response


async def whole_reply(
    parts: AsyncGenerator[ChatResponse, None],
) -> ChatResponse:
    """The last response, with the text of all of them."""
    whole = ChatResponse(content=[], is_last=True)
    async for part in parts:
        whole.append_chat_response(part)
        whole.metadata.update(part.metadata)
    return whole


async def _responses(
    prompt_tokens: int,
    pieces: "AsyncGenerator[Piece, None]",
) -> AsyncGenerator[ChatResponse, None]:
    """Pieces from the worker as AgentScope's responses."""
    start = time.monotonic()
    text_id = response_id = None
    async for piece in pieces:
        response = ChatResponse(content=[], is_last=False)
        response.id = response_id = response_id or response.id
        if piece.text:
            block = TextBlock(text=piece.text)
            block.id = text_id = text_id or block.id
            response.content.append(block)
        response.usage = ChatUsage(
            input_tokens=prompt_tokens,
            output_tokens=piece.output_tokens,
            time=time.monotonic() - start,
        )
        response.metadata["finish_reason"] = piece.finish_reason
        yield response
