# -*- coding: utf-8 -*-
"""Structured output of a local model: objects that fit a schema, always.

A grammar holds the reply to the schema and lets it end within the context.
Knows no messages. Raises ConfigError for a schema that no grammar can be made
of, GenerationError where nothing fits, and StructuredOutputError.
"""

import json
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from agentscope.exception import StructuredOutputError
from agentscope.model import StructuredResponse
from pydantic import BaseModel, ValidationError

from huggingface_asking import Asking, held_texts, unfinished
from local_llm.held_replies import Form, held_replies, object_schema
from local_llm.schema_checks import mismatch
from local_llm.tool_calls import decode
from local_llm.turns import Turn

_WORDS = "Answer with one JSON object and nothing else. It fits this schema:"

Wanted = type[BaseModel] | dict[str, Any]


async def structured_reply(
    asking: Asking,
    wanted: Wanted,
) -> StructuredResponse:
    """Ask for an object of a schema.

    Args:
        asking (`Asking`):
            The conversation.
        wanted (`type[BaseModel] | dict[str, Any]`):
            The schema, or a model that has one.

    Returns:
        `StructuredResponse`: The object, which fits.

    Raises:
        `ConfigError`: The schema is malformed or uses what is not supported.
        `GenerationError`: Even the shortest object may not fit the context;
            says the numbers. Or there is no reply, or none in time.
        `StructuredOutputError`: The model's own checks refuse it.
    """
    schema = wanted if isinstance(wanted, dict) else wanted.model_json_schema()
    words = Turn("user", f"{_WORDS}\n{_brief(schema)}")
    asking = replace(asking.without_thoughts(), turns=[*asking.turns, words])
    before = asking.chat_format.wire.before_words
    form = Form("structured output", object_schema(schema), before)
    wanted_tokens = asking.parameters.max_tokens or asking.room
    tries = held_replies([form], wanted_tokens, asking.room)
    async with aclosing(held_texts(asking, tries)) as texts:
        last = [one async for one in texts][-1]
    if last.finish_reason != "stop":
        raise unfinished("object", last)
    value = decode(last.text.removeprefix(before))
    _check(value, wanted, schema)
    return StructuredResponse(content=value, usage=last.usage)


def _check(value: object, wanted: Wanted, schema: Mapping[str, Any]) -> None:
    problem = mismatch(value, schema)
    if problem:
        raise StructuredOutputError(f"the values {problem}")
    if isinstance(wanted, dict):
        return
    try:
        wanted.model_validate(value)
    except ValidationError as error:
        raise StructuredOutputError(str(error)) from error


def _brief(schema: object) -> str:
    return json.dumps(_untitled(schema), ensure_ascii=False)


def _untitled(schema: object) -> object:
    """A schema without the titles that repeat its names."""
    if isinstance(schema, list):
        return [_untitled(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _untitled(one)
        for key, one in schema.items()
        if not (key == "title" and isinstance(one, str))
    }
