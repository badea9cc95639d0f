# -*- coding: utf-8 -*-
"""What a GGUF file says about a model, by family: Gemma 1 to 3, and Llama.

Runtimes compute some of a family's rules from the family's name alone; a model
that departs from those is refused, since it would load and answer wrongly.
Knows no tokens and reads no weights. Raises WeightsError.
"""

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gguf import MODEL_ARCH, MODEL_ARCH_NAMES, GGUFWriter, RopeScalingType

from .errors import WeightsError

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

_SLIDING_ROPE_THETA = 10000.0
"""Of Gemma 3's sliding layers; runtimes take it as given."""

_GELU = ("gelu_pytorch_tanh", "gelu_new")


@dataclass(frozen=True, slots=True)
class Family:
    """How runtimes read one family of models.

    Attributes:
        architecture (`MODEL_ARCH`):
            The family's name in the file.
        activations (`tuple[str, ...]`):
            What the feed-forward layers may use.
        rope_types (`tuple[str, ...]`):
            The scalings of positions that the family's readers know.
        shifts_norms (`bool`):
            Whether runtimes expect norm weights with the one added that the
            model adds when it runs.
        permutes_heads (`bool`):
            Whether runtimes rotate neighbours, and so expect the rows of
            queries and keys in another order.
        needs_tied_head (`bool`):
            Whether runtimes use the embedding as the head, whatever is stored.
        sliding_period (`int`):
            Every so many layers one attends to everything; 0 where all do.
        scales_by_width_at (`int`):
            The number of layers of the one size whose queries are scaled by
            the width of a head in the model, not by `head_dim`; 0 for none.
    """

    architecture: MODEL_ARCH
    activations: tuple[str, ...] = _GELU
    rope_types: tuple[str, ...] = ("default", "linear")
    shifts_norms: bool = True
    permutes_heads: bool = False
    needs_tied_head: bool = False
    sliding_period: int = 0
    scales_by_width_at: int = 0


_LLAMA = Family(
    MODEL_ARCH.LLAMA,
    activations=("silu",),
    rope_types=("default", "linear", "llama3"),
    shifts_norms=False,
    permutes_heads=True,
)

FAMILIES = {
    "gemma": Family(MODEL_ARCH.GEMMA, needs_tied_head=True),
    "gemma2": Family(
        MODEL_ARCH.GEMMA2,
        needs_tied_head=True,
        sliding_period=2,
        scales_by_width_at=46,
    ),
    "gemma3_text": Family(
        MODEL_ARCH.GEMMA3,
        sliding_period=6,
        scales_by_width_at=62,
    ),
    "llama": _LLAMA,
    "mistral": _LLAMA,
}
"""By the `model_type` of config.json."""

WITH_IMAGES = ("gemma3",)
"""Of these, the part that reads text is written; it is of a family above."""


def text_config(config: "PreTrainedConfig") -> "PreTrainedConfig":
    """The configuration of a model, or of its part that reads text."""
    if config.model_type not in WITH_IMAGES:
        return config
    text = copy.copy(config.get_text_config())
    # Both say so, and the model heeds its own.
    text.tie_word_embeddings = config.tie_word_embeddings
    text.quantization_config = getattr(config, "quantization_config", None)
    return text


def family_of(config: "PreTrainedConfig", source: str) -> Family:
    """The family of a model.

    Args:
        config (`PreTrainedConfig`):
            The model's configuration, see `text_config`.
        source (`str`):
            Where it comes from, for messages.

    Raises:
        `WeightsError`: Another family, a model that departs from its own, or
            quantized weights.
    """
    family = FAMILIES.get(config.model_type)
    if family is None:
        known = ", ".join(sorted([*FAMILIES, *WITH_IMAGES]))
        raise WeightsError(
            f"{source} is of the architecture {config.model_type!r}, which "
            f"cannot be written as GGUF; {known} can",
            fix="convert it with the tools of llama.cpp",
        )
    if getattr(config, "quantization_config", None):
        raise WeightsError(
            f"the weights of {source} are quantized already",
            fix="export the model merged and unquantized, and write that",
        )
    problems = [*_problems(config, family), *_sliding_problems(config, family)]
    if problems:
        raise WeightsError(
            f"{source} departs from what GGUF runtimes take as given for "
            f"{config.model_type}: {'; '.join(problems)}",
            fix="use the model with transformers, which heeds its config.json",
        )
    return family


def head_size(config: "PreTrainedConfig") -> int:
    """The width of one attention head."""
    given = getattr(config, "head_dim", None)
    return given or config.hidden_size // config.num_attention_heads


def rope_of(config: "PreTrainedConfig") -> dict:
    """How positions are rotated, in layers that attend to everything."""
    rope = config.rope_parameters
    return rope.get("full_attention", rope)


def describe(
    writer: GGUFWriter,
    config: "PreTrainedConfig",
    family: Family,
) -> None:
    """Write what the runtime must know to compute the model."""
    width = head_size(config)
    writer.add_context_length(_context_length(config))
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_key_length(width)
    writer.add_value_length(width)
    _describe_rope(writer, config)
    if family.sliding_period:
        writer.add_sliding_window(config.sliding_window)
    attention_cap = getattr(config, "attn_logit_softcapping", None)
    if attention_cap is not None:
        writer.add_attn_logit_softcapping(attention_cap)
    final_cap = getattr(config, "final_logit_softcapping", None)
    if final_cap is not None:
        writer.add_final_logit_softcapping(final_cap)
    if family is _LLAMA:
        writer.add_vocab_size(config.vocab_size)
        writer.add_rope_dimension_count(width)


def _describe_rope(writer: GGUFWriter, config: "PreTrainedConfig") -> None:
    rope = rope_of(config)
    writer.add_rope_freq_base(rope["rope_theta"])
    if rope["rope_type"] == "linear":
        writer.add_rope_scaling_type(RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(rope["factor"])


def _context_length(config: "PreTrainedConfig") -> int:
    """The length up to which the runtime computes what the model does.

    Runtimes read a Mistral as a Llama, without its window.
    """
    length = config.max_position_embeddings
    window = getattr(config, "sliding_window", None)
    if config.model_type == "mistral" and window:
        return min(length, window)
    return length


def _problems(config: "PreTrainedConfig", family: Family) -> list[str]:
    activation = getattr(config, "hidden_activation", None)
    activation = activation or config.hidden_act
    rope = rope_of(config)
    found = []
    if activation not in family.activations:
        found.append(f"its activation is {activation}")
    if rope["rope_type"] not in family.rope_types:
        found.append(f"its rope_type is {rope['rope_type']}")
    if rope.get("partial_rotary_factor", 1.0) != 1.0:
        found.append("it rotates a part of each head only")
    if family.needs_tied_head and not config.tie_word_embeddings:
        found.append("its head is not its embedding")
    if family is not _LLAMA and config.attention_bias:
        found.append("its attention has biases")
    return found


def _sliding_problems(config: "PreTrainedConfig", family: Family) -> list[str]:
    """What Gemma 2 and 3 have and the others have not."""
    if not family.sliding_period:
        return []
    found = []
    expected = [
        (
            "full_attention"
            if (layer + 1) % family.sliding_period == 0
            else "sliding_attention"
        )
        for layer in range(config.num_hidden_layers)
    ]
    if config.layer_types != expected:
        found.append("its sliding layers are others")
    if getattr(config, "use_bidirectional_attention", False):
        found.append("its attention is bidirectional")
    scale = (
        config.hidden_size // config.num_attention_heads
        if config.num_hidden_layers == family.scales_by_width_at
        else head_size(config)
    )
    if config.query_pre_attn_scalar != scale:
        found.append(
            f"query_pre_attn_scalar is {config.query_pre_attn_scalar}",
        )
    return found + _generation_problems(config, family)


def _generation_problems(
    config: "PreTrainedConfig",
    family: Family,
) -> list[str]:
    """Gemma 2 caps attention and has one rope, Gemma 3 has two and no cap."""
    cap = config.attn_logit_softcapping
    if family.architecture == MODEL_ARCH.GEMMA2:
        caps = (cap, config.final_logit_softcapping)
        return ["its logits are not capped"] if None in caps else []
    found = [] if cap is None else ["its attention is capped"]
    sliding = config.rope_parameters["sliding_attention"]
    if (sliding["rope_type"], sliding["rope_theta"]) != (
        "default",
        _SLIDING_ROPE_THETA,
    ):
        found.append("its sliding layers rotate in another way")
    return found


def name_of(family: Family) -> str:
    """The family's name in the file."""
    return MODEL_ARCH_NAMES[family.architecture]
