# -*- coding: utf-8 -*-
"""Replies to many prompts are those that each prompt gets alone."""

from pathlib import Path

import pytest
import torch
from tiny_models import CONTEXT, load_own, prompt, reply

from local_llm.adapters import adapter_parameters, add_adapter
from local_llm.base_model import BaseModel
from local_llm.batched_replies import batched_replies
from local_llm.errors import GenerationError

QUESTIONS = [
    "What is the capital of France?",
    "Hi!",
    "What is the model's own answer to the user's question in words?",
    "Begin.",
    "The user asks and the model answers; please continue the turn.",
]


@pytest.fixture(name="base", scope="module")
def fixture_base(
    tiny_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> BaseModel:
    """In float32, where a batch changes no token."""
    place = tmp_path_factory.mktemp("base")
    return load_own(tiny_folder, place, dtype="float32")


@pytest.fixture(name="adapter", scope="module")
def fixture_adapter(base: BaseModel) -> str:
    name = add_adapter(base, {"r": 4})
    generator = torch.Generator().manual_seed(3)
    for parameter in adapter_parameters(base, name).values():
        noise = torch.randn(parameter.shape, generator=generator)
        parameter.data = noise * 0.3
    return name


def prompts_of(base: BaseModel) -> list[list[int]]:
    return [prompt(base, question) for question in QUESTIONS]


@pytest.mark.parametrize("batch_tokens", [1, 60, 10_000])
def test_a_reply_does_not_depend_on_its_batch(
    base: BaseModel,
    batch_tokens: int,
) -> None:
    alone = [reply(base, question) for question in QUESTIONS]
    together = batched_replies(
        base, None, prompts_of(base), 12, batch_tokens=batch_tokens
    )
    assert together == alone


def test_a_batch_is_answered_with_the_adapter_it_names(
    base: BaseModel,
    adapter: str,
) -> None:
    alone = [reply(base, one, adapter=adapter) for one in QUESTIONS]
    assert batched_replies(base, adapter, prompts_of(base), 12) == alone
    assert batched_replies(base, None, prompts_of(base), 12) != alone


def test_a_reply_that_has_ended_is_not_padded_with_text(
    base: BaseModel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    forward = base.model.forward

    def ends_the_first(*args: object, **arguments: object) -> object:
        output = forward(*args, **arguments)
        output.logits[0, ..., base.chat_format.stop_ids[0]] = 1e4
        return output

    monkeypatch.setattr(base.model, "forward", ends_the_first)
    replies = batched_replies(base, None, prompts_of(base), 12)
    longest = max(range(len(QUESTIONS)), key=lambda n: len(QUESTIONS[n]))
    assert replies[longest] == ""
    assert all(one for n, one in enumerate(replies) if n != longest)


def test_no_prompts_have_no_replies(base: BaseModel) -> None:
    assert batched_replies(base, None, [], 12) == []


def test_a_prompt_that_leaves_no_room_is_refused_with_the_numbers(
    base: BaseModel,
) -> None:
    with pytest.raises(GenerationError) as raised:
        batched_replies(base, None, [[2] * (CONTEXT - 5)], 12)
    assert f"a prompt of {CONTEXT - 5} tokens" in raised.value.message
    assert f"{CONTEXT} tokens" in raised.value.message


def test_progress_is_told_after_every_batch(base: BaseModel) -> None:
    told: list[int] = []
    batched_replies(
        base, None, prompts_of(base), 2, 1, on_progress=told.append
    )
    assert told == [1, 2, 3, 4, 5]


def test_nobody_replies_while_the_model_is_trained(base: BaseModel) -> None:
    with base.lock.training(1.0):
        base.lock.training_progress = "step 1"
        with pytest.raises(GenerationError, match="fine-tuning in progress"):
            batched_replies(base, None, prompts_of(base), 12)
