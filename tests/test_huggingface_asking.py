# -*- coding: utf-8 -*-
"""What is asked is rendered once, and each try is a request of its own."""

from dataclasses import replace
from pathlib import Path

import pytest
from tiny_agents import entry, wrapper
from tiny_models import ALWAYS_THINKING, THINKING

from huggingface_asking import Asking, held_texts
from huggingface_parameters import ReplyParameters
from local_llm.chat_format import ChatFormat
from local_llm.errors import GenerationError
from local_llm.held_replies import HeldReply
from local_llm.local_model import LocalModel
from local_llm.turns import Turn

TURNS = [Turn("user", "What is the capital of France?")]
SHORT = HeldReply('start: "Paris"', 40)
ENDLESS = HeldReply('start: "a"{500}', 5)


def local_model(project: Path, **changes) -> LocalModel:
    """A loaded model."""
    return wrapper(project, entry(**changes)).local


def asking(local: LocalModel, **parameters) -> Asking:
    """The question, asked so."""
    return Asking(local, TURNS, ReplyParameters(**parameters))


def rendered(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Notes how long every prompt is that is rendered."""
    lengths = []
    prompt_ids = ChatFormat.prompt_ids

    def noted(chat_format, turns):
        ids = prompt_ids(chat_format, turns)
        lengths.append(len(ids))
        return ids

    monkeypatch.setattr(ChatFormat, "prompt_ids", noted)
    return lengths


@pytest.mark.asyncio
async def test_a_prompt_is_rendered_once_for_its_room_and_all_tries(
    project,
    monkeypatch,
):
    local = local_model(project)
    lengths = rendered(monkeypatch)
    question = asking(local)
    assert question.room == 512 - lengths[0]
    texts = [one async for one in held_texts(question, [ENDLESS, SHORT])]
    reasons = [one.finish_reason for one in texts if one.finish_reason]
    assert reasons == ["length", "stop"]
    assert texts[-1].text == "Paris"
    assert texts[-1].usage.input_tokens == 2 * lengths[0]
    assert len(lengths) == 1


@pytest.mark.asyncio
async def test_a_try_takes_no_more_tokens_than_there_is_room(project):
    local = local_model(project, context_size=100)
    question = asking(local)
    held = replace(ENDLESS, tokens=300)
    (*_, last) = [one async for one in held_texts(question, [held])]
    assert last.usage.output_tokens == question.room


@pytest.mark.asyncio
async def test_a_stop_string_ends_a_reply_and_none_that_is_held(project):
    local = local_model(project)
    said = ""
    async for piece, _ in asking(local, max_tokens=30).pieces():
        said += piece.text
    stop = said[4:7]
    stopped = [piece async for piece, _ in asking(local, stop=stop).pieces()]
    text = "".join(piece.text for piece in stopped)
    assert text == said.partition(stop)[0]
    assert stopped[-1].finish_reason == "stop"
    held = asking(local, stop="ari")
    texts = [one async for one in held_texts(held, [SHORT])]
    assert texts[-1].text == "Paris"


def with_template(project: Path, template: str) -> LocalModel:
    """The project's model with a template of its own."""
    (project / "model" / "chat_template.jinja").write_text(template)
    return local_model(project)


def test_what_is_asked_for_at_once_is_asked_without_thoughts(project):
    question = asking(with_template(project, THINKING))
    at_once = question.without_thoughts()
    assert at_once.room < question.room
    assert at_once.parameters.thinking_enable is False
    assert at_once.room == asking(question.local, thinking_enable=False).room


def test_what_cannot_be_switched_is_left_or_refused(project):
    question = asking(with_template(project, ALWAYS_THINKING))
    assert question.without_thoughts() is question
    with pytest.raises(GenerationError, match="no switch for thinking"):
        _ = asking(question.local, thinking_enable=False).room
