# -*- coding: utf-8 -*-
"""The loss of labelled tokens is the plain cross-entropy, in every layout."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import conversation, gemma, gemma3, load_own
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

from local_llm import labelled_loss as module
from local_llm.adapters import adapter_parameters, add_adapter, peft_model
from local_llm.base_model import BaseModel
from local_llm.labelled_loss import IGNORED, can_compute, labelled_loss
from local_llm.trained_weights import AdapterWeights
from local_llm.training_rows import render_rows

CLOSE = {"rtol": 1e-5, "atol": 1e-7}
FLOAT32 = {"load_in_4bit": True, "bnb_4bit_compute_dtype": "float32"}
CONVERSATIONS = [
    conversation("What is the capital of France?", "Paris."),
    conversation("And now?", "Now goodbye to you all.", "Sure?", "Yes."),
    conversation("Count.", "One, two, three."),
    conversation("Hi.", "Hello."),
]


@pytest.fixture(name="base", scope="module")
def fixture_base(
    tiny_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> BaseModel:
    """In 4-bit and float32, with an adapter whose weights are not 0."""
    base = load_own(
        tiny_folder,
        tmp_path_factory.mktemp("base"),
        quantization=FLOAT32,
    )
    add_adapter(base, {"r": 4, "lora_dropout": 0.0})
    generator = torch.Generator().manual_seed(3)
    for parameter in adapter_parameters(base, name_of(base)).values():
        noise = torch.randn(parameter.shape, generator=generator)
        parameter.data = noise * 0.05
    return base


@pytest.fixture(name="training")
def fixture_training(base: BaseModel) -> Iterator[BaseModel]:
    """The base as it is during a training run."""
    with AdapterWeights(base, name_of(base)).trainable():
        yield base


def name_of(base: BaseModel) -> str:
    (name,) = peft_model(base).peft_config
    return name


def padded_batch(base: BaseModel) -> dict[str, torch.Tensor]:
    rows = render_rows(base.chat_format, CONVERSATIONS, 512).rows
    width = max(len(row["input_ids"]) for row in rows)

    def padded(key: str, filler: int) -> torch.Tensor:
        lists = [row[key] for row in rows]
        return torch.tensor([x + [filler] * (width - len(x)) for x in lists])

    ids = padded("input_ids", 0)
    return {
        "input_ids": ids,
        "labels": padded("labels", IGNORED),
        "attention_mask": (ids != 0).long(),
    }


def plain_loss(
    model: PreTrainedModel,
    inputs: dict[str, torch.Tensor],
) -> torch.Tensor:
    arguments = {k: v for k, v in inputs.items() if k != "labels"}
    logits = model(**arguments, use_cache=False).logits.float()
    return cross_entropy(
        logits[:, :-1].flatten(0, 1),
        inputs["labels"][:, 1:].flatten(),
        ignore_index=IGNORED,
    )


def gradients(base: BaseModel, loss: torch.Tensor) -> list[torch.Tensor]:
    """In the order of the parameters; left at None afterwards."""
    parameters = list(adapter_parameters(base, name_of(base)).values())
    return list(torch.autograd.grad(loss, parameters))


def labelled_count(inputs: dict[str, torch.Tensor]) -> int:
    return int((inputs["labels"][:, 1:] != IGNORED).sum())


Loss = tuple[torch.Tensor, list[torch.Tensor]]


def with_gradients(base: BaseModel, loss: torch.Tensor) -> Loss:
    return loss.detach(), gradients(base, loss)


def assert_equal(first: Loss, second: Loss) -> None:
    """Equal in value and in the gradient of every tensor of the adapter."""
    torch.testing.assert_close(first[0], second[0], **CLOSE)
    for one, other in zip(first[1], second[1], strict=True):
        assert one.abs().max() > 0
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("block", [256, 7, 1])
def test_value_and_gradient_equal_the_plain_cross_entropy(
    training: BaseModel,
    monkeypatch: pytest.MonkeyPatch,
    block: int,
) -> None:
    monkeypatch.setattr(module, "BLOCK", block)
    inputs = padded_batch(training)
    count = labelled_count(inputs)
    assert count > 7
    assert_equal(
        with_gradients(
            training,
            labelled_loss(training.model, inputs, count),
        ),
        with_gradients(training, plain_loss(training.model, inputs)),
    )


def test_the_loss_is_divided_by_the_count_it_is_given(
    training: BaseModel,
) -> None:
    inputs = padded_batch(training)
    one = labelled_loss(training.model, inputs, 1)
    ten = labelled_loss(training.model, inputs, torch.tensor(10))
    torch.testing.assert_close(one, ten * 10)


def test_a_batch_without_labels_has_loss_0_and_gradient_0(
    training: BaseModel,
) -> None:
    inputs = padded_batch(training)
    inputs["labels"] = torch.full_like(inputs["labels"], IGNORED)
    loss = labelled_loss(training.model, inputs, 0)
    assert loss.item() == 0.0
    assert all(not one.any() for one in gradients(training, loss))


def test_the_loss_is_float32(training: BaseModel) -> None:
    inputs = padded_batch(training)
    assert labelled_loss(training.model, inputs, 1).dtype == torch.float32


@pytest.mark.parametrize("make", [gemma, gemma3])
def test_a_frozen_plain_head_can_be_computed(make: Any) -> None:
    assert can_compute(make().requires_grad_(False))


def test_a_head_that_learns_cannot() -> None:
    assert not can_compute(gemma())


@pytest.mark.parametrize(
    "name",
    ["final_logit_softcapping", "logit_scale", "logits_scaling"],
)
def test_logits_that_are_scaled_cannot(name: str) -> None:
    model = gemma().requires_grad_(False)
    setattr(model.config, name, 30.0)
    assert not can_compute(model)


def test_a_head_with_a_bias_cannot() -> None:
    model = gemma().requires_grad_(False)
    model.lm_head.bias = torch.nn.Parameter(torch.zeros(1))
    assert not can_compute(model)
