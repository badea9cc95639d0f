# -*- coding: utf-8 -*-
"""Models of a known family are described; what departs is refused."""

from typing import Any

import pytest
from gguf import GGUFWriter
from tiny_gguf import (
    LLAMA_3_SCALING,
    ROWS,
    gemma1,
    gemma2,
    gemma3_of_six_layers,
    gemma3_with_images,
    llama,
    mistral,
)
from transformers import PreTrainedConfig, Qwen2Config

from local_llm.errors import WeightsError
from local_llm.gguf_families import (
    describe,
    family_of,
    name_of,
    text_config,
)

MODELS = {
    "gemma": gemma1,
    "gemma2": gemma2,
    "gemma3_text": gemma3_of_six_layers,
    "llama": llama,
    "mistral": mistral,
}
YARN = {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0}


def config_of(model_type: str, **changes: Any) -> PreTrainedConfig:
    return MODELS[model_type](**changes).config


def described(config: PreTrainedConfig) -> dict[str, Any]:
    """What the head of the file says, by key."""
    family = family_of(config, "here")
    writer = GGUFWriter(None, name_of(family))
    describe(writer, config, family)
    return {key: value.value for key, value in writer.kv_data[0].items()}


@pytest.mark.parametrize(
    ("model_type", "name"),
    [
        ("gemma", "gemma"),
        ("gemma2", "gemma2"),
        ("gemma3_text", "gemma3"),
        ("llama", "llama"),
        ("mistral", "llama"),
    ],
)
def test_a_family_has_the_name_that_runtimes_know(
    model_type: str,
    name: str,
) -> None:
    found = described(config_of(model_type))
    assert found["general.architecture"] == name
    assert found[f"{name}.block_count"] == len(
        (
            config_of(model_type).layer_types
            if model_type in ("gemma2", "gemma3_text")
            else range(2)
        ),
    )


def test_the_shape_of_a_llama_is_described() -> None:
    assert described(config_of("llama")) == {
        "general.architecture": "llama",
        "llama.context_length": 512,
        "llama.embedding_length": 64,
        "llama.block_count": 2,
        "llama.feed_forward_length": 128,
        "llama.attention.head_count": 4,
        "llama.attention.head_count_kv": 2,
        "llama.attention.layer_norm_rms_epsilon": 1e-6,
        "llama.attention.key_length": 32,
        "llama.attention.value_length": 32,
        "llama.rope.freq_base": 10000.0,
        "llama.vocab_size": ROWS,
        "llama.rope.dimension_count": 32,
    }


def test_gemma_2_has_a_window_and_caps() -> None:
    found = described(config_of("gemma2"))
    assert found["gemma2.attention.sliding_window"] == 8
    assert found["gemma2.attn_logit_softcapping"] == 50.0
    assert found["gemma2.final_logit_softcapping"] == 30.0


def test_the_rope_of_gemma_3_is_that_of_its_full_layers() -> None:
    rope = {
        "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
        "full_attention": {
            "rope_type": "linear",
            "rope_theta": 1000000.0,
            "factor": 8.0,
        },
    }
    found = described(config_of("gemma3_text", rope_parameters=rope))
    assert found["gemma3.rope.freq_base"] == 1000000.0
    assert found["gemma3.rope.scaling.type"] == "linear"
    assert found["gemma3.rope.scaling.factor"] == 8.0


def test_a_mistral_is_used_as_far_as_its_window_reaches() -> None:
    found = described(config_of("mistral", sliding_window=128))
    assert found["llama.context_length"] == 128


def test_an_unknown_architecture_is_refused_with_the_known_ones() -> None:
    with pytest.raises(WeightsError) as caught:
        family_of(Qwen2Config(), "here")
    assert caught.value.message == (
        "here is of the architecture 'qwen2', which cannot be written as "
        "GGUF; gemma, gemma2, gemma3, gemma3_text, llama, mistral can"
    )


@pytest.mark.parametrize("is_tied", [True, False])
def test_of_a_model_that_sees_images_the_text_part_is_described(
    is_tied: bool,
) -> None:
    whole = gemma3_with_images(tie_word_embeddings=is_tied).config
    whole.text_config.tie_word_embeddings = True  # the model does not ask it
    config = text_config(whole)
    assert config.tie_word_embeddings is is_tied
    assert described(config) == described(gemma3_of_six_layers().config)


def test_quantized_weights_of_a_model_that_sees_images_are_refused() -> None:
    whole = gemma3_with_images().config
    whole.quantization_config = {"quant_method": "bitsandbytes"}
    with pytest.raises(WeightsError, match="are quantized already"):
        family_of(text_config(whole), "here")


@pytest.mark.parametrize(
    ("model_type", "changes", "what"),
    [
        ("gemma", {"tie_word_embeddings": False}, "its head is not its emb"),
        ("gemma", {"hidden_act": "silu"}, "its activation is silu"),
        ("gemma", {"attention_bias": True}, "its attention has biases"),
        ("llama", {"hidden_act": "relu"}, "its activation is relu"),
        ("llama", {"rope_parameters": YARN}, "its rope_type is yarn"),
        ("gemma", {"rope_parameters": LLAMA_3_SCALING}, "rope_type is llama3"),
        ("gemma2", {"layer_types": ["full_attention"] * 2}, "sliding layers"),
        ("gemma2", {"final_logit_softcapping": None}, "are not capped"),
        ("gemma2", {"query_pre_attn_scalar": 9}, "query_pre_attn_scalar is 9"),
        (
            "gemma3_text",
            {"attn_logit_softcapping": 9.0},
            "attention is capped",
        ),
        (
            "gemma3_text",
            {"use_bidirectional_attention": True},
            "its attention is bidirectional",
        ),
        (
            "gemma3_text",
            {
                "rope_parameters": {
                    "sliding_attention": {
                        "rope_type": "default",
                        "rope_theta": 20000.0,
                    },
                    "full_attention": {
                        "rope_type": "default",
                        "rope_theta": 1000000.0,
                    },
                },
            },
            "its sliding layers rotate in another way",
        ),
    ],
)
def test_a_model_that_departs_from_its_family_is_refused(
    model_type: str,
    changes: dict[str, Any],
    what: str,
) -> None:
    with pytest.raises(WeightsError, match=what):
        family_of(config_of(model_type, **changes), "here")


def test_quantized_weights_are_refused() -> None:
    config = config_of("gemma")
    config.quantization_config = {"quant_method": "bitsandbytes"}
    with pytest.raises(WeightsError, match="of here are quantized already"):
        family_of(config, "here")


def test_every_departure_is_named_at_once() -> None:
    config = config_of("gemma", hidden_act="silu", attention_bias=True)
    with pytest.raises(WeightsError, match="silu; its attention has biases"):
        family_of(config, "here")
