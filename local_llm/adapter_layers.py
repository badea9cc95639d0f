# -*- coding: utf-8 -*-
"""The parts of peft's adapters inside a model: switched, and kept exact.

Low-rank matrices are not all: an adapter may bring whole layers and rows of
the embedding. Takes no lock. Raises nothing.
"""

from collections.abc import Iterator

import torch
from peft.tuners.lora import LoraLayer
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils.other import (
    AuxiliaryTrainingWrapper,
    ModulesToSaveWrapper,
)


def use_adapter(model: torch.nn.Module, name: str | None) -> None:
    """Let a model compute with one of its adapters, or without for None."""
    for layer in tuner_layers(model):
        layer.enable_adapters(name is not None)
        if name is not None:
            layer.set_adapter(name)
    for layer in _extra_layers(model):
        has_it = name is not None and name in _names_on(layer)
        if has_it:
            layer.set_adapter(name)
        layer.enable_adapters(has_it)


def make_exact(model: torch.nn.Module, name: str) -> None:
    """Keep an adapter in whole precision: the steps of an optimizer are
    smaller than the spacing of 16-bit numbers."""
    for key, parameter in model.named_parameters():
        if f".{name}." in f"{key}.":
            parameter.data = parameter.data.float()
    for layer in _extra_layers(model):
        if isinstance(layer, ModulesToSaveWrapper) and name in _names_on(
            layer
        ):
            _compute_apart(layer, name)


def linear_layers(model: torch.nn.Module) -> set[str]:
    """The names of a model's own linear layers, the head left out.

    peft's "all-linear" would also find the whole layers that other adapters
    have brought, and adapt those.
    """
    parts = ("lora_", "modules_to_save.", "original_module", "token_adapter")
    head = model.get_output_embeddings()
    return {
        name.removesuffix(".base_layer").rpartition(".")[2]
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear)
        and module is not head
        and not any(part in name for part in parts)
    }


def has_whole_layers(model: torch.nn.Module) -> bool:
    """Whether some adapter has brought layers of its own."""
    return any(True for _ in _extra_layers(model))


def reads_base_weights(model: torch.nn.Module, name: str) -> bool:
    """Whether an adapter computes with the weights below it themselves, not
    only with their product, as DoRA does with their norms."""
    return any(
        name in getattr(layer, "lora_magnitude_vector", ())
        for layer in tuner_layers(model)
    )


def is_low_rank_only(model: torch.nn.Module, name: str) -> bool:
    """Whether an adapter is low-rank matrices of linear layers and nothing
    else, so that `LoraRows` can compute it."""
    layers = [one for one in tuner_layers(model) if _is_on(one, name)]
    return all(_is_plain(one, name) for one in layers) and not any(
        name in _names_on(layer) for layer in _extra_layers(model)
    )


def tuner_layers(model: torch.nn.Module) -> Iterator[BaseTunerLayer]:
    """The layers of a model that peft has wrapped."""
    return (
        module
        for module in model.modules()
        if isinstance(module, BaseTunerLayer)
    )


def _is_on(layer: BaseTunerLayer, name: str) -> bool:
    return any(
        name in getattr(layer, part, ()) for part in layer.adapter_layer_names
    )


def _is_plain(layer: BaseTunerLayer, name: str) -> bool:
    """Whether an adapter adds to a layer the product of two matrices."""
    return (
        isinstance(layer, LoraLayer)
        and name in layer.lora_A
        and isinstance(layer.lora_A[name], torch.nn.Linear)
        and name not in layer.lora_variant
        and not layer.lora_bias[name]
        and not layer.merged
    )


def _extra_layers(
    model: torch.nn.Module,
) -> Iterator[AuxiliaryTrainingWrapper]:
    return (
        module
        for module in model.modules()
        if isinstance(module, AuxiliaryTrainingWrapper)
    )


def _names_on(layer: AuxiliaryTrainingWrapper) -> set[str]:
    if isinstance(layer, ModulesToSaveWrapper):
        return set(layer.modules_to_save)
    return set(layer.token_adapter.trainable_tokens_delta)


def _compute_apart(layer: ModulesToSaveWrapper, name: str) -> None:
    """Let an exact copy of a layer take and give what the layer does."""
    dtype = next(layer.original_module.parameters()).dtype
    if dtype == torch.float32:
        return

    def upcast(module: torch.nn.Module, arguments: tuple) -> tuple:
        weight = next(module.parameters())
        return tuple(
            one.to(weight.dtype) if one.is_floating_point() else one
            for one in arguments
        )

    def downcast(
        module: torch.nn.Module,
        arguments: tuple,
        result: torch.Tensor,
    ) -> torch.Tensor:
        return result.to(dtype)

    own = layer.modules_to_save[name]
    own.register_forward_pre_hook(upcast)
    own.register_forward_hook(downcast)
