# -*- coding: utf-8 -*-
"""What is counted without weights is what is there with them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from bitsandbytes.functional import has_avx512bf16
from bitsandbytes.nn import Linear4bit
from tiny_models import (
    DIMENSIONS,
    gemma,
    gemma3,
    generate,
    load_own,
    save_model,
)
from transformers import (
    Gemma3TextConfig,
    GemmaConfig,
    LlamaConfig,
    MixtralConfig,
    PretrainedConfig,
    PreTrainedModel,
    T5Config,
)

from local_llm import int8_head
from local_llm.adapters import adapter_parameters, add_adapter, peft_model
from local_llm.base_model import BaseModel
from local_llm.errors import ConfigError, WeightsError
from local_llm.labelled_loss import labelled_loss
from local_llm.library_defaults import DEFAULT_QUANTIZATION
from local_llm.model_shapes import ModelShape, ModelToTrain, examine_model

TOKENS = 192


def shape_of(
    config: PretrainedConfig,
    dtype: torch.dtype,
    quantization: Mapping[str, Any] = DEFAULT_QUANTIZATION,
    lora_config: Mapping[str, Any] | None = None,
) -> ModelShape:
    lora_config = {} if lora_config is None else lora_config
    wanted = ModelToTrain(
        config,
        dtype,
        "cpu",
        quantization,
        lora_config,
        autocast=False,
    )
    return examine_model(wanted)


def shape_like(base: BaseModel, **more: Any) -> ModelShape:
    """Of a loaded model, which is quantized already."""
    return shape_of(base.model.config, base.model.dtype, **more)


def bytes_of(model: PreTrainedModel) -> int:
    """Of weights as they are in memory, scales and tables too."""
    total = sum(one.nbytes for one in model.parameters())
    for layer in model.modules():
        if isinstance(layer, Linear4bit):
            state = layer.weight.quant_state
            tensors = [state.absmax, state.code]
            if state.nested:
                nested = state.state2
                tensors += [state.offset, nested.absmax, nested.code]
            total += sum(one.nbytes for one in tensors)
    return total


@pytest.fixture(
    name="base",
    params=[gemma, gemma3],
    ids=["gemma", "gemma3"],
    scope="module",
)
def fixture_base(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> BaseModel:
    """In 4-bit; the head of the second is a tensor of its own."""
    place = tmp_path_factory.mktemp("base")
    make: Callable[[], PreTrainedModel] = request.param
    return load_own(save_model(place / "model", make()), place)


def test_the_weights_take_what_is_estimated_to_the_byte(base) -> None:
    assert shape_like(base).weight_bytes == bytes_of(base.model)


@pytest.mark.parametrize(
    "quantization",
    [
        {**DEFAULT_QUANTIZATION, "bnb_4bit_use_double_quant": False},
        {},
    ],
    ids=["without double quantization", "not quantized"],
)
def test_other_forms_of_weights_take_what_is_estimated(
    tiny_folder: Path,
    tmp_path: Path,
    quantization: dict[str, Any],
) -> None:
    base = load_own(tiny_folder, tmp_path, quantization=quantization)
    shape = shape_like(base, quantization=quantization)
    assert shape.weight_bytes == bytes_of(base.model)


@pytest.mark.parametrize(
    "lora_config",
    [
        {},
        {"r": 4, "target_modules": ["q_proj", "v_proj"]},
        {"r": 8, "use_dora": True},
        {"r": 8, "modules_to_save": ["embed_tokens"]},
    ],
    ids=["all linear", "two", "dora", "with an embedding"],
)
def test_an_adapter_takes_what_is_estimated_to_the_byte(
    tiny: BaseModel,
    lora_config: dict[str, Any],
) -> None:
    shape = shape_like(tiny, lora_config=lora_config)
    name = add_adapter(tiny, lora_config)
    trained = adapter_parameters(tiny, name).values()
    assert shape.trained_bytes == sum(one.nbytes for one in trained)
    assert shape.trained == sum(one.numel() for one in trained)


def test_without_an_adapter_all_weights_are_trained() -> None:
    wanted = ModelToTrain(
        GemmaConfig(**DIMENSIONS), torch.float32, "cpu", {}, None, False
    )
    shape = examine_model(wanted)
    weights = sum(one.numel() for one in gemma().parameters())
    assert (shape.weights, shape.trained) == (weights, weights)
    assert shape.trained_bytes == weights * 4
    assert not shape.trains_adapter


def test_a_reply_adds_what_is_estimated_for_packed_weights(tiny) -> None:
    generate(tiny, "Hello")
    tiny.weights.use_for_training()
    packed = [one.packed for one in tiny.weights._weights if one.packed]
    found = sum(data.nbytes + state.absmax.nbytes for data, state in packed)
    assert shape_like(tiny).packed_bytes == found
    assert bool(found) == has_avx512bf16()


def test_a_reply_adds_what_is_estimated_for_a_wide_head(
    tiny: BaseModel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without = shape_like(tiny).packed_bytes
    monkeypatch.setattr(int8_head, "LEAST_WEIGHTS", 1)
    rows, columns = tiny.model.get_output_embeddings().weight.shape
    expected = int8_head.copy_bytes(rows, columns)
    found = shape_like(tiny).packed_bytes - without
    assert found == (expected if int8_head.cpu_has_vnni() else 0)


def test_what_is_kept_for_the_backward_pass_is_estimated_within_a_tenth(
    base: BaseModel,
) -> None:
    shape = shape_like(base)
    name = add_adapter(base, None)
    model = peft_model(base)
    base.weights.use_for_training()
    model.base_model.enable_adapter_layers()
    model.set_adapter(name)
    base.model.train()
    own = {one.untyped_storage()._cdata for one in model.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.untyped_storage()._cdata not in own:
            kept[tensor.untyped_storage()._cdata] = tensor
        return tensor

    ids = torch.full((1, TOKENS), 5)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda one: one):
        inputs = {"input_ids": ids, "labels": ids}
        labelled_loss(base.model, inputs, TOKENS)
    found = sum(one.untyped_storage().nbytes() for one in kept.values())
    estimate = shape.saved_once + shape.saved_per_token * TOKENS
    assert estimate == pytest.approx(found, rel=0.1)


def test_the_large_model_is_counted_without_its_weights() -> None:
    shape = shape_of(GemmaConfig(), torch.bfloat16)
    assert shape.weights == 8_537_680_896
    assert shape.linear_weights == 28 * (4 * 3072 * 4096 + 3 * 3072 * 24576)
    assert shape.trained == 50_003_968
    assert shape.weight_bytes == pytest.approx(5.57e9, rel=0.005)


@pytest.mark.parametrize(
    "config",
    [
        LlamaConfig(num_hidden_layers=2),
        MixtralConfig(num_hidden_layers=2),
        Gemma3TextConfig(num_hidden_layers=2),
    ],
    ids=lambda one: one.model_type,
)
def test_other_architectures_are_counted_too(config) -> None:
    shape = shape_of(config, torch.bfloat16)
    widths = 2 * (2 * config.hidden_size + config.intermediate_size)
    assert shape.saved_per_token > 2 * widths
    assert shape.layers == 2


def test_two_layers_keep_twice_what_one_keeps() -> None:
    one, two = (
        shape_of(GemmaConfig(num_hidden_layers=count), torch.bfloat16)
        for count in (1, 2)
    )
    ratio = two.saved_per_token / one.saved_per_token
    assert ratio == pytest.approx(2, rel=0.05)


def test_an_adapter_that_peft_refuses_is_an_error_of_the_config() -> None:
    with pytest.raises(ConfigError, match="no_such_layer"):
        shape_of(
            GemmaConfig(**DIMENSIONS),
            torch.float32,
            lora_config={"target_modules": ["no_such_layer"]},
        )


def test_a_model_that_writes_no_text_is_refused() -> None:
    with pytest.raises(WeightsError, match="'t5' model is not one that"):
        shape_of(T5Config(num_layers=1), torch.float32)


def test_the_config_that_was_given_is_left_as_it_was() -> None:
    config = GemmaConfig(**DIMENSIONS)
    before = config.to_dict(), config._attn_implementation
    shape_of(config, torch.float32)
    assert (config.to_dict(), config._attn_implementation) == before
