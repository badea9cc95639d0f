# -*- coding: utf-8 -*-
"""What a model computes with is trained, from the first step on."""

from pathlib import Path

import pytest
import torch
from tiny_models import (
    conversation,
    gemma3,
    load_base_model,
    request_for,
    save_model,
)
from transformers import Gemma3Config, Gemma3ForConditionalGeneration

from local_llm.adapters import add_adapter
from local_llm.errors import TrainingError
from local_llm.live_gradients import LiveGradients
from local_llm.settings import FineTuneSettings
from local_llm.trained_weights import AdapterWeights
from local_llm.training import train

VISION = {
    "hidden_size": 64,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": 28,
    "patch_size": 14,
}


class Experts(torch.nn.Module):
    """Two layers, of which the second computes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.busy = torch.nn.Linear(4, 4)
        self.idle = torch.nn.Linear(4, 4)

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        return self.busy(given)


@pytest.fixture(name="model")
def fixture_model() -> Experts:
    return Experts()


@pytest.fixture(name="live")
def fixture_live(model: Experts) -> LiveGradients:
    """A step of the model is watched, up to its gradients."""
    live = LiveGradients(model, dict(model.named_parameters()))
    model(torch.ones(2, 4)).square().mean().backward()
    return live


def test_what_takes_no_part_needs_no_gradient(
    model: Experts,
    live: LiveGradients,
) -> None:
    assert model.idle.weight.grad is None
    live.check(1.0, 1)


def test_what_takes_part_without_a_gradient_is_named(
    model: Experts,
    live: LiveGradients,
) -> None:
    model.busy.bias.grad = None
    with pytest.raises(TrainingError, match="^busy.bias has no .* step 7"):
        live.check(1.0, 7)


def test_some_gradients_may_be_zero_but_not_all(
    model: Experts,
    live: LiveGradients,
) -> None:
    model.busy.weight.grad.zero_()
    live.check(1.0, 1)
    with pytest.raises(TrainingError, match="every gradient is zero at step"):
        live.check(0.0, 1)


def test_a_largest_that_is_not_known_is_not_zero(live: LiveGradients) -> None:
    live.check(None, 1)


def test_nothing_is_watched_after_the_check(
    model: Experts,
    live: LiveGradients,
) -> None:
    live.check(1.0, 1)
    assert not model.busy._forward_hooks and not model.idle._forward_hooks


def test_a_model_that_also_sees_images_is_trained_on_text(
    tmp_path: Path,
) -> None:
    """An adapter is on its layers for images too, and stays as it is there."""
    config = Gemma3Config(
        text_config=gemma3().config.to_dict(),
        vision_config=VISION,
        image_token_index=300,
        boi_token_index=301,
        eoi_token_index=302,
    )
    model = Gemma3ForConditionalGeneration(config)
    base = load_base_model(request_for(save_model(tmp_path / "m", model)))
    weights = AdapterWeights(base, add_adapter(base, {"r": 4}))
    before = weights.copy()
    settings = FineTuneSettings(
        training_args={"max_steps": 3, "save_strategy": "no"},
        max_seq_length=128,
    )
    train(weights, [conversation("Who?", "I.")], [], settings, tmp_path)
    after = weights.copy()
    same = {one for one in before if torch.equal(before[one], after[one])}
    assert same == {one for one in before if "vision_tower" in one} != set()
