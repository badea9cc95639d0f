# -*- coding: utf-8 -*-
"""After a run, ended well or not, a model is as it was before."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_models import conversation, load_own, reply

from local_llm.adapters import adapter_parameters, add_adapter
from local_llm.base_model import BaseModel
from local_llm.errors import TrainingError
from local_llm.model_restoration import random_states_kept
from local_llm.settings import FineTuneSettings
from local_llm.trained_weights import AdapterWeights
from local_llm.training import train
from local_llm.training_progress import Step

QUESTION = "What is the capital of France?"
ROWS = [conversation("Count.", "One, two, three.")]


@pytest.fixture(name="base", scope="module")
def fixture_base(
    tiny_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> BaseModel:
    """In 4-bit; every test adds adapters of its own."""
    return load_own(tiny_folder, tmp_path_factory.mktemp("base"))


def state_of(base: BaseModel) -> dict[str, Any]:
    """Everything of a model that a trainer could leave changed."""
    model = base.model
    return {
        "config": model.config.to_dict(),
        "generation": model.generation_config.to_dict(),
        "forwards": [
            name
            for name, module in model.named_modules()
            if "forward" in vars(module)
        ],
        "hooks": {
            name: (*module._forward_hooks, *module._forward_pre_hooks)
            for name, module in model.named_modules()
            if module._forward_hooks or module._forward_pre_hooks
        },
        "training": any(module.training for module in model.modules()),
        "gradients": [
            name
            for name, one in model.named_parameters()
            if one.requires_grad or one.grad is not None
        ],
        "checkpointing": model.is_gradient_checkpointing,
        "tokenizer": (base.tokenizer.eos_token, base.tokenizer.pad_token),
        "template": base.tokenizer.chat_template,
        "busy": base.lock.training_progress,
    }


def end_well(step: Step) -> None:
    """Nothing happens."""


def fail(step: Step) -> None:
    raise torch.OutOfMemoryError("full")


def interrupt(step: Step) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("end", [end_well, fail, interrupt])
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"padding_free": False},
        {"gradient_checkpointing": True},
        {"neftune_noise_alpha": 5.0},
        {"packing": True},
    ],
    ids=str,
)
def test_a_run_leaves_the_model_as_it_was(
    base: BaseModel,
    tmp_path: Path,
    arguments: dict[str, Any],
    end: Callable[[Step], None],
) -> None:
    answer = reply(base, QUESTION)
    name = add_adapter(base, {"r": 2})
    base.model.requires_grad_(False)
    before = state_of(base)
    training = {"max_steps": 1, "save_strategy": "no", **arguments}
    settings = FineTuneSettings({"r": 2}, training)
    try:
        weights = AdapterWeights(base, name)
        train(weights, ROWS, [], settings, tmp_path, end)
    except (TrainingError, KeyboardInterrupt):
        assert end is not end_well
    assert state_of(base) == before
    assert reply(base, QUESTION) == answer


def test_every_tensor_learns_also_after_a_reply(
    base: BaseModel,
    tmp_path: Path,
) -> None:
    """A CPU packs 4-bit weights for replies; through those no gradient
    reaches the layers below."""
    reply(base, QUESTION)
    name = add_adapter(base, None)
    reply(base, QUESTION, adapter=name)
    before = {
        key: one.detach().clone()
        for key, one in adapter_parameters(base, name).items()
    }
    training = {"max_steps": 2, "save_strategy": "no", "warmup_steps": 0}
    settings = FineTuneSettings({}, training)
    train(AdapterWeights(base, name), ROWS, [], settings, tmp_path)
    after = adapter_parameters(base, name)
    assert len(after) == 28
    same = [key for key in after if torch.equal(after[key], before[key])]
    assert same == []


def test_every_random_state_is_kept() -> None:
    before = torch.get_rng_state(), random.getstate()
    numbers = np.random.get_state()[1].copy()
    with random_states_kept(torch.device("cpu")):
        torch.rand(3), random.random(), np.random.rand()
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert np.array_equal(np.random.get_state()[1], numbers)
