# -*- coding: utf-8 -*-
"""What a model and its adapter hold in memory, counted without any weights.

Builds the model on torch's meta device, where tensors have shapes and no
bytes, with the adapter on it, and lets a few tokens through to see what is
kept for the backward pass. Reads no files. Raises ConfigError, WeightsError.
"""

import copy
import math
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from peft import LoraConfig, get_peft_model
from transformers.pytorch_utils import Conv1D

from . import int8_head
from .errors import ConfigError, WeightsError
from .labelled_loss import can_compute
from .library_defaults import DEFAULT_LORA

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

_PROBES = (64, 128)
"""Tokens let through, twice: what grows with them and what does not."""

_BLOCK = 64
_NESTED_BLOCK = 256
"""Weights that share a scale in 4-bit, and scales that share one."""

_CODES = 16
_NESTED_CODES = 256
"""Values of a 4-bit weight and of a quantized scale, float32 tables."""

_PACKED_ROWS = 32

_UNSEEN_SAVED = 2.0
"""Tensors kept for each input and output of a linear layer, where the
architecture does not run on the meta device; Gemma keeps 2.2."""


@dataclass(frozen=True)
class ModelToTrain:
    """A model as it will be loaded and trained.

    Attributes:
        config (`PretrainedConfig`):
            Its architecture.
        dtype (`torch.dtype`):
            Of the weights that are not quantized, and of the products.
        device (`str`):
            Where it will be.
        quantization (`Mapping[str, Any]`):
            Arguments of `BitsAndBytesConfig`; empty for whole weights.
        lora_config (`Mapping[str, Any] | None`):
            Arguments of peft's `LoraConfig`, with the package's defaults;
            None where all weights are trained.
        autocast (`bool`):
            Whether products of float32 weights are computed in `dtype`.
    """

    config: "PretrainedConfig"
    dtype: torch.dtype
    device: str
    quantization: Mapping[str, Any]
    lora_config: Mapping[str, Any] | None
    autocast: bool

    @property
    def bits(self) -> int | None:
        """4, 8, or None for weights that are not quantized."""
        if self.quantization.get("load_in_4bit"):
            return 4
        return 8 if self.quantization.get("load_in_8bit") else None


@dataclass(frozen=True)
class ModelShape:
    """What a model and its adapter hold.

    Attributes:
        device (`str`), dtype (`torch.dtype`), bits (`int | None`):
            See `ModelToTrain`.
        layers (`int`), width (`int`), vocabulary (`int`):
            Decoder layers, hidden size, rows of the head.
        attention_width (`int`):
            Heads times the size of one.
        weights (`int`), linear_weights (`int`):
            All weights of the model; those of its linear layers but the head.
        weight_bytes (`int`):
            Of all weights, as loaded.
        packed_bytes (`int`):
            Of second copies that a CPU wants for replies: of the 4-bit
            weights, and of a wide head.
        file_bytes (`int`):
            Of the files of the weights, where they are of the same format as
            `dtype`, else 0: the files stay mapped then.
        largest_linear (`tuple[int, int]`):
            Inputs and outputs of the largest linear layer but the head.
        trained (`int`), trained_bytes (`int`):
            The weights that training changes, their bytes.
        trains_adapter (`bool`):
            Whether those are an adapter's and not the model's own.
        has_cheap_loss (`bool`):
            Whether `labelled_loss` can compute its loss.
        saved_per_token (`float`), saved_once (`float`):
            Bytes kept for the backward pass, all layers together: for each
            token, and however many there are.
    """

    device: str
    dtype: torch.dtype
    bits: int | None
    layers: int
    width: int
    attention_width: int
    vocabulary: int
    weights: int
    linear_weights: int
    weight_bytes: int
    packed_bytes: int
    file_bytes: int
    largest_linear: tuple[int, int]
    trained: int
    trained_bytes: int
    trains_adapter: bool
    has_cheap_loss: bool
    saved_per_token: float
    saved_once: float

    @property
    def on_cpu(self) -> bool:
        """Whether it is computed in the machine's own memory."""
        return self.device == "cpu"


def examine_model(wanted: ModelToTrain) -> ModelShape:
    """Count what a model and its adapter hold.

    Raises:
        `ConfigError`: peft refuses the adapter's configuration.
        `WeightsError`: The architecture is not one that writes text.
    """
    model = _build(wanted)
    text = model.config.get_text_config()
    quantized = _quantized_layers(model, wanted)
    linear = [layer.weight for _, layer in _linear_layers(model)]
    largest = max(linear, key=torch.Tensor.numel)
    weights = sum(one.numel() for one in model.parameters())
    weight_bytes = _weight_bytes(model, quantized, wanted)
    trained = _trained_parameters(model, wanted)
    is_mapped = wanted.config.dtype == wanted.dtype
    trained_bytes = sum(one.nbytes for one in trained)
    heads = text.num_attention_heads
    head_size = getattr(text, "head_dim", None) or text.hidden_size // heads
    saved_per_token, saved_once = _saved_bytes(model, wanted)
    return ModelShape(
        device=wanted.device,
        dtype=wanted.dtype,
        bits=wanted.bits,
        layers=text.num_hidden_layers,
        width=text.hidden_size,
        attention_width=heads * head_size,
        vocabulary=model.get_output_embeddings().weight.shape[0],
        weights=weights,
        linear_weights=sum(one.numel() for one in linear),
        weight_bytes=weight_bytes,
        packed_bytes=_packed_bytes(quantized, wanted)
        + _head_copy_bytes(model, wanted),
        file_bytes=weights * wanted.dtype.itemsize if is_mapped else 0,
        largest_linear=(largest.shape[1], largest.shape[0]),
        trained=sum(one.numel() for one in trained),
        trained_bytes=trained_bytes,
        trains_adapter=wanted.lora_config is not None,
        has_cheap_loss=can_compute(model),
        saved_per_token=saved_per_token,
        saved_once=saved_once,
    )


def _build(wanted: ModelToTrain) -> "PreTrainedModel":
    """The model on the meta device."""
    from transformers import AutoModelForCausalLM

    config = copy.deepcopy(wanted.config)
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    try:
        with torch.device("meta"):
            return AutoModelForCausalLM.from_config(config, dtype=wanted.dtype)
    except ValueError as error:
        raise WeightsError(
            f"a {config.model_type!r} model is not one that writes text: "
            f"{str(error).splitlines()[0]}",
            fix="name a causal language model",
        ) from error


def _linear_layers(
    model: "PreTrainedModel",
) -> Iterator[tuple[str, torch.nn.Module]]:
    """The linear layers but the head, by name."""
    head = model.get_output_embeddings()
    for name, layer in model.named_modules():
        if isinstance(layer, torch.nn.Linear | Conv1D) and layer is not head:
            yield name, layer


def _quantized_layers(
    model: "PreTrainedModel",
    wanted: ModelToTrain,
) -> list[torch.nn.Module]:
    """The linear layers that bitsandbytes replaces."""
    if wanted.bits is None:
        return []
    skipped = wanted.quantization.get("llm_int8_skip_modules") or []
    return [
        layer
        for name, layer in _linear_layers(model)
        if not any(one in name.split(".") for one in skipped)
    ]


def _weight_bytes(
    model: "PreTrainedModel",
    quantized: list[torch.nn.Module],
    wanted: ModelToTrain,
) -> int:
    total = sum(one.nbytes for one in model.parameters())
    double = bool(wanted.quantization.get("bnb_4bit_use_double_quant"))
    for layer in quantized:
        total -= layer.weight.nbytes
        if wanted.bits == 4:
            total += _four_bit_bytes(layer.weight.numel(), double)
        else:
            rows = layer.weight.shape[0]
            total += layer.weight.numel() + rows * 4  # int8, float32 scales
    return total


def _four_bit_bytes(weights: int, double: bool) -> int:
    """Of one matrix: the weights, their scales and the tables of both."""
    scales = math.ceil(weights / _BLOCK)
    stored = math.ceil(weights / 2) + _CODES * 4
    if not double:
        return stored + scales * 4
    nested = math.ceil(scales / _NESTED_BLOCK) * 4 + _NESTED_CODES * 4
    return stored + scales + nested + 4  # and their mean, float32


def _packed_bytes(
    quantized: list[torch.nn.Module],
    wanted: ModelToTrain,
) -> int:
    """See `ExactWeights`: what it adds once the model has replied."""
    from bitsandbytes.functional import has_avx512bf16

    if wanted.device != "cpu" or wanted.bits != 4 or not has_avx512bf16():
        return 0
    packable = [
        layer.weight.numel()
        for layer in quantized
        if layer.weight.shape[0] % _PACKED_ROWS == 0
        and layer.weight.shape[1] % _BLOCK == 0
    ]
    return sum(count // 2 + count // _BLOCK * 2 for count in packable)


def _head_copy_bytes(model: "PreTrainedModel", wanted: ModelToTrain) -> int:
    """See `Int8Head`: what it adds once the model has replied."""
    rows, columns = model.get_output_embeddings().weight.shape
    is_wide = rows * columns >= int8_head.LEAST_WEIGHTS
    if wanted.device != "cpu" or not is_wide or not int8_head.cpu_has_vnni():
        return 0
    return int8_head.copy_bytes(rows, columns)


def _trained_parameters(
    model: "PreTrainedModel",
    wanted: ModelToTrain,
) -> list[torch.nn.Parameter]:
    """Put the adapter on the model; what training will change."""
    if wanted.lora_config is not None:
        model.requires_grad_(False)
        _add_adapter(model, wanted.lora_config)
    return [one for one in model.parameters() if one.requires_grad]


def _add_adapter(
    model: "PreTrainedModel",
    lora_config: Mapping[str, Any],
) -> None:
    try:
        config = LoraConfig(**{**DEFAULT_LORA, **lora_config})
        with warnings.catch_warnings(), torch.device("meta"):
            warnings.simplefilter("ignore")
            get_peft_model(model, config, low_cpu_mem_usage=True)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            "fine_tune_config.lora_config",
            [str(error)],
        ) from error
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()


class _FusedAttention(torch.autograd.Function):
    """Keeps what the fused kernels keep, and computes nothing."""

    @staticmethod
    def forward(ctx: Any, *states: torch.Tensor) -> torch.Tensor:
        """Keep query, key and value, and the output."""
        output = torch.empty_like(states[0])
        ctx.save_for_backward(*states, output)
        return output

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple:
        """Never called: nothing is trained on the meta device."""
        return gradient, gradient, gradient


def _counted_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    *arguments: Any,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """An attention function of transformers that keeps what sdpa keeps."""
    from transformers.integrations.sdpa_attention import repeat_kv

    groups = query.shape[1] // key.shape[1]
    key, value = repeat_kv(key, groups), repeat_kv(value, groups)
    output = _FusedAttention.apply(query, key, value)
    return output.transpose(1, 2).contiguous(), None


def _saved_bytes(
    model: "PreTrainedModel",
    wanted: ModelToTrain,
) -> tuple[float, float]:
    """Bytes kept for the backward pass: for each token, and for all."""
    from transformers import AttentionInterface

    if wanted.autocast and wanted.lora_config is not None:
        for parameter in model.parameters():
            parameter.data = parameter.data.to(wanted.dtype)
    AttentionInterface.register("counted", _counted_attention)
    model.config.get_text_config()._attn_implementation = "counted"
    model.to("meta").train()
    try:
        less, more = (_saved_by(model, tokens) for tokens in _PROBES)
    except (RuntimeError, NotImplementedError, ValueError, TypeError):
        # Not every architecture computes without values.
        widths = [sum(one.weight.shape) for _, one in _linear_layers(model)]
        return _UNSEEN_SAVED * sum(widths) * wanted.dtype.itemsize, 0
    per_token = (more - less) / (_PROBES[1] - _PROBES[0])
    return per_token, less - per_token * _PROBES[0]


def _saved_by(model: "PreTrainedModel", tokens: int) -> int:
    """Bytes kept for the backward pass of one row."""
    own = {_storage(one) for one in model.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if _storage(tensor) not in own:
            kept[_storage(tensor)] = tensor
        return tensor

    ids = torch.zeros(1, tokens, dtype=torch.long, device="meta")
    positions = torch.arange(tokens, device="meta")[None]
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda one: one):
        hidden = model.base_model(
            input_ids=ids,
            position_ids=positions,
            use_cache=False,
        ).last_hidden_state
    saved = sum(one.untyped_storage().nbytes() for one in kept.values())
    return saved + hidden.nbytes


def _storage(tensor: torch.Tensor) -> int:
    """Equal for tensors that share their bytes."""
    return tensor.untyped_storage()._cdata
