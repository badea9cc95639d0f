# -*- coding: utf-8 -*-
"""How replies of a local model are generated: what can be asked for.

Checks values; knows no models. Raises GenerationError.
"""

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError

from local_llm.errors import GenerationError
from local_llm.settings import GenerationSettings

Text = Annotated[str, Field(min_length=1)]


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
        description="Evens out the probabilities above 1. Tokens are drawn "
        "by it; at 0 the likeliest wins.",
        ge=0,
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
    thinking_enable: bool | None = Field(
        default=None,
        title="Thinking",
        description="Whether the model thinks before it answers, where its "
        "chat template has a switch for that.",
    )
    stop: Text | list[Text] | None = Field(
        default=None,
        title="Stop",
        description="Texts that end the reply and are not in it; they do not "
        "count where a grammar says how it ends.",
    )
    parallel_tool_calls: bool = Field(
        default=True,
        title="Parallel Tool Calls",
        description="Whether a reply may call several tools; else it ends "
        "with its first call.",
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
        raise GenerationError(problem_of(error)) from error


def problem_of(error: ValidationError) -> str:
    """A parameter that is out of range, in a line."""
    # Of one that may be of several types, the last message says the most.
    last = error.errors()[-1]
    return f"{last['loc'][0]} is {last['input']!r}: {last['msg']}"


def generation_settings(
    parameters: ReplyParameters,
    default: GenerationSettings,
) -> GenerationSettings:
    """The config's choice, with what the parameters say in its place.

    A parameter that matters only when tokens are drawn makes them be drawn,
    but for a temperature of 0: that is how others ask for the likeliest.
    """
    given = parameters.model_dump(exclude_none=True)
    for own in ("max_tokens", "parallel_tool_calls", "grammar"):
        given.pop(own, None)
    if isinstance(given.get("stop"), str):
        given["stop"] = [given["stop"]]
    if given.get("temperature") == 0:
        del given["temperature"]
        given["do_sample"] = False
    if not {"temperature", "top_p", "top_k"}.isdisjoint(given):
        given.setdefault("do_sample", True)
    return dataclasses.replace(default, **given)
