# -*- coding: utf-8 -*-
"""A model that has generated trains as if it had not.

On CPUs with AVX512-BF16 the first evaluation-mode forward packs 4-bit weights
into a form without a gradient; elsewhere nothing is packed, and these tests
show that nothing else gets in the way. Every head counts as wide here, so that
it is switched too where the CPU can.
"""

import weakref
from pathlib import Path

import pytest
import torch
from bitsandbytes.functional import has_avx512bf16
from bitsandbytes.nn import Linear4bit
from tiny_models import (
    conversation,
    gemma,
    gemma3,
    prompt,
    reply,
    request_for,
    save_model,
)

from local_llm import int8_head
from local_llm.adapters import adapter_parameters, add_adapter, peft_model
from local_llm.base_model import BaseModel, load_base_model
from local_llm.exact_weights import ExactWeights
from local_llm.packed_products import PackedProducts

packs = pytest.mark.skipif(
    not has_avx512bf16(),
    reason="bitsandbytes packs on CPUs with AVX512-BF16 only",
)
QUESTION = "What is the capital of France?"
ROW = conversation(QUESTION, "The capital of France is Paris.")


@pytest.fixture(autouse=True)
def every_head_is_wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(int8_head, "LEAST_WEIGHTS", 1)


@pytest.fixture(name="folders", params=[gemma, gemma3])
def fixture_folders(
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> list[Path]:
    """The same model at two places, so that nothing is shared."""
    return [save_model(tmp_path / name, request.param()) for name in "ab"]


def loaded(folder: Path) -> BaseModel:
    return load_base_model(request_for(folder))


def add_same_adapter(base: BaseModel) -> str:
    """A LoRA adapter with the same weights in every model, none of them 0."""
    name = add_adapter(base, {"r": 4, "lora_dropout": 0.0})
    generator = torch.Generator().manual_seed(5)
    for key in sorted(parameters_of(base, name)):
        parameter = parameters_of(base, name)[key]
        noise = torch.randn(parameter.shape, generator=generator)
        parameter.data = noise * 0.05
    return name


def parameters_of(base: BaseModel, name: str) -> dict[str, torch.Tensor]:
    """Parameters by a key that is the same for every adapter's name."""
    return {
        key.replace(name, "x"): parameter
        for key, parameter in adapter_parameters(base, name).items()
    }


def gradients(base: BaseModel, name: str) -> dict[str, torch.Tensor | None]:
    """One training step's gradients of the adapter."""
    model = peft_model(base)
    model.base_model.enable_adapter_layers()
    model.set_adapter(name)
    model.train()
    model.zero_grad()
    ids = torch.tensor([base.chat_format.render(ROW.turns).ids])
    model(input_ids=ids, labels=ids, use_cache=False).loss.backward()
    model.eval()
    return {
        key: parameter.grad
        for key, parameter in parameters_of(base, name).items()
    }


def is_zero(gradient: torch.Tensor | None) -> bool:
    return gradient is None or not gradient.abs().max() > 0


def linears(base: BaseModel) -> list[Linear4bit]:
    return [one for one in base.model.modules() if isinstance(one, Linear4bit)]


def packed(base: BaseModel) -> list[bool]:
    return [
        bool(getattr(one.weight.quant_state, "packing_format_for_cpu", False))
        for one in linears(base)
    ]


def test_gradients_after_generating_equal_those_of_a_fresh_model(
    folders: list[Path],
) -> None:
    fresh = loaded(folders[0])
    expected = gradients(fresh, add_same_adapter(fresh))
    used = loaded(folders[1])
    reply(used, QUESTION)
    name = add_same_adapter(used)
    reply(used, QUESTION, adapter=name)
    used.weights.use_for_training()
    found = gradients(used, name)
    assert found.keys() == expected.keys()
    assert len(found) == 28  # 2 layers x 7 projections x A and B
    for key, gradient in expected.items():
        assert gradient.abs().max() > 0, key
        assert torch.equal(found[key], gradient), key


@packs
def test_without_the_swap_the_lower_layers_get_no_gradient(
    folders: list[Path],
) -> None:
    """Shows the trap itself: the test above would fail without the module.

    The adapter is a fresh one: with its B of 0, the gradient of what lies
    below a layer comes through the layer's own weight alone.
    """
    base = loaded(folders[0])
    for layer in linears(base):
        layer.support_avx512bf16_for_cpu = True  # as bitsandbytes leaves it
    with torch.no_grad():
        base.model(torch.tensor([prompt(base, QUESTION)]))
    assert all(packed(base))
    found = gradients(base, add_adapter(base, {"r": 4}))
    exact = loaded(folders[1])
    expected = gradients(exact, add_adapter(exact, {"r": 4}))
    lost = {key for key in expected if is_zero(found[key])}
    due = {key for key in expected if not is_zero(expected[key])}
    below = ("q_proj", "k_proj", "v_proj", "gate_proj", "up_proj")
    assert {key for key in due if any(name in key for name in below)} == (
        lost & due
    )
    assert len(lost & due) == 2 * len(below)


@packs
def test_generating_uses_the_packed_weights_and_training_the_exact_ones(
    folders: list[Path],
) -> None:
    base = loaded(folders[0])
    assert not any(packed(base))
    reply(base, QUESTION)
    assert all(packed(base))
    base.weights.use_for_training()
    assert not any(packed(base))


def test_generating_does_not_change_the_exact_weights(
    folders: list[Path],
) -> None:
    base = loaded(folders[0])
    before = [layer.weight.data.clone() for layer in linears(base)]
    states = [layer.weight.quant_state for layer in linears(base)]
    scales = [state.absmax.clone() for state in states]
    for _ in range(2):
        reply(base, QUESTION)
        base.weights.use_for_training()
    for index, layer in enumerate(linears(base)):
        state = layer.weight.quant_state
        assert torch.equal(layer.weight.data, before[index])
        assert state is states[index] is layer.quant_state
        assert torch.equal(state.absmax, scales[index])


def test_the_reply_is_the_same_before_and_after_training(
    folders: list[Path],
) -> None:
    base = loaded(folders[0])
    before = reply(base, QUESTION)
    name = add_same_adapter(base)
    base.weights.use_for_training()
    gradients(base, name)
    assert reply(base, QUESTION) == before
    assert reply(loaded(folders[1]), QUESTION) == before


@packs
def test_the_packed_weights_are_made_once(folders: list[Path]) -> None:
    base = loaded(folders[0])
    reply(base, QUESTION)
    first = [layer.weight.data.data_ptr() for layer in linears(base)]
    base.weights.use_for_training()
    reply(base, QUESTION)
    assert [one.weight.data.data_ptr() for one in linears(base)] == first


def test_the_copies_of_replies_can_be_given_up(folders: list[Path]) -> None:
    base = loaded(folders[0])
    before = reply(base, QUESTION)
    copies = weakref.WeakSet(copies_of(base))
    assert bool(copies) == (has_avx512bf16() or int8_head.cpu_has_vnni())
    base.weights.free_copies()
    assert not copies
    assert not any(packed(base))
    assert reply(base, QUESTION) == before


def copies_of(base: BaseModel) -> list[torch.Tensor]:
    """What a reply has made: packed weights and the head in 8 bits."""
    made = [
        part._packed
        for part in base.weights._parts
        if isinstance(part, int8_head.Int8Head)
    ]
    return made + [
        product._kept[0]
        for part in base.weights._parts
        if isinstance(part, PackedProducts)
        for product in part._products
    ]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param(
            {"head_dim": 16, "num_attention_heads": 4},
            id="16 rows are not 32 x n",
        ),
        pytest.param({"intermediate_size": 96}, id="96 columns not 64 x n"),
        pytest.param({"hidden_size": 96}, id="hidden size 96 not 64 x n"),
        pytest.param({"intermediate_size": 144}, id="144 is neither"),
    ],
)
def test_shapes_that_cannot_be_packed_still_generate_and_train(
    tmp_path: Path,
    changes: dict[str, int],
) -> None:
    base = loaded(save_model(tmp_path / "odd", gemma(**changes)))
    before = reply(base, QUESTION)
    name = add_same_adapter(base)
    base.weights.use_for_training()
    found = gradients(base, name)
    assert all(gradient.abs().max() > 0 for gradient in found.values())
    assert len(before) > 0
    assert reply(base, QUESTION) == before


def test_a_model_without_4_bit_layers_is_left_alone() -> None:
    model = gemma()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    weights = ExactWeights(model)
    weights.use_for_generation()
    weights.use_for_training()
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key])
