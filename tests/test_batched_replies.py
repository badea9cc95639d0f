# -*- coding: utf-8 -*-
"""Replies to many prompts are those that each prompt gets alone."""

from pathlib import Path

import pytest
import torch
from tiny_models import CONTEXT, EXACT, load_own, prompt, reply

from local_llm.adapters import adapter_parameters, add_adapter
from local_llm.base_model import BaseModel
from local_llm.batched_replies import batched_replies
from local_llm.errors import GenerationError, WeightsError

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
    return load_own(tiny_folder, place, **EXACT)


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


@pytest.mark.parametrize("repeated", [1, 8])
def test_a_reply_does_not_depend_on_its_company(
    base: BaseModel,
    repeated: int,
) -> None:
    alone = [reply(base, question) for question in QUESTIONS]
    together = batched_replies(base, None, prompts_of(base) * repeated, 12)
    assert together == alone * repeated


def test_a_batch_is_answered_with_the_adapter_it_names(
    base: BaseModel,
    adapter: str,
) -> None:
    alone = [reply(base, one, adapter=adapter) for one in QUESTIONS]
    assert batched_replies(base, adapter, prompts_of(base), 12) == alone
    assert batched_replies(base, None, prompts_of(base), 12) != alone


def test_replies_end_at_their_stop_tokens(
    base: BaseModel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = batched_replies(base, None, prompts_of(base), 12)
    ids = base.tokenizer(whole[0], add_special_tokens=False)["input_ids"]
    monkeypatch.setattr(base.chat_format, "stop_ids", (ids[4],))
    cut = batched_replies(base, None, prompts_of(base), 12)
    assert len(cut[0]) < len(whole[0])
    assert all(a.startswith(b) for a, b in zip(whole, cut, strict=True))


def test_no_prompts_have_no_replies(base: BaseModel) -> None:
    assert batched_replies(base, None, [], 12) == []


def test_a_prompt_that_leaves_no_room_is_refused_with_the_numbers(
    base: BaseModel,
) -> None:
    with pytest.raises(GenerationError) as raised:
        batched_replies(base, None, [[2] * (CONTEXT - 5)], 12)
    assert f"a prompt of {CONTEXT - 5} tokens" in raised.value.message
    assert f"{CONTEXT} tokens" in raised.value.message


@pytest.mark.parametrize(
    ("repeated", "expected"), [(1, [5]), (7, [16, 32, 35])]
)
def test_progress_is_told_now_and_then_and_at_the_end(
    base: BaseModel,
    repeated: int,
    expected: list[int],
) -> None:
    told: list[int] = []
    prompts = prompts_of(base) * repeated
    batched_replies(base, None, prompts, 2, on_progress=told.append)
    assert told == expected


def test_who_breaks_off_frees_the_worker(base: BaseModel) -> None:
    def stop(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        batched_replies(base, None, prompts_of(base) * 8, 400, stop)
    with base.lock.changing(5):
        pass


def test_an_unknown_adapter_is_an_error(base: BaseModel) -> None:
    with pytest.raises(WeightsError, match="has no adapter 'adapter0'"):
        batched_replies(base, "adapter0", prompts_of(base), 12)


def test_nobody_replies_while_the_model_is_trained(base: BaseModel) -> None:
    with base.lock.training(1.0):
        base.lock.training_progress = "step 1"
        with pytest.raises(GenerationError, match="fine-tuning in progress"):
            batched_replies(base, None, prompts_of(base), 12)
