# -*- coding: utf-8 -*-
"""What a fine-tuning trains: one adapter, or all weights of a model.

Both are handed to the trainer, copied, written and read the same way. Trains
nothing itself. Raises CheckpointError and WeightsError.
"""

import contextlib
import copy
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from transformers import GenerationConfig

from . import adapters
from .adapter_files import write_base_record
from .base_model import BaseModel
from .errors import CheckpointError
from .memory import give_back_freed_memory

Tensors = dict[str, torch.Tensor]


class TrainedWeights(ABC):
    """The part of a model that a fine-tuning changes.

    Args:
        base (`BaseModel`):
            The model.
    """

    def __init__(self, base: BaseModel) -> None:
        self.base = base

    adapter: str | None = None
    """The name of the adapter that is trained; None for the whole model."""

    lora_config: dict[str, Any] | None = None
    """The configuration of that adapter."""

    @property
    @abstractmethod
    def module(self) -> torch.nn.Module:
        """What a trainer takes."""

    @abstractmethod
    def parameters(self) -> dict[str, torch.nn.Parameter]:
        """What is trained, under names that are the same in every process."""

    @abstractmethod
    def publish(self, folder: Path) -> None:
        """Write them as the libraries read them."""

    @abstractmethod
    def release(self) -> None:
        """Give them up; the model answers without them."""

    @abstractmethod
    def _make_trainable(self) -> None:
        """Let gradients reach them, and nothing else."""

    @contextlib.contextmanager
    def trainable(self) -> Iterator[None]:
        """Exact weights that take gradients; afterwards fit for replies."""
        # The copies would stand in memory at the peak of training.
        self.base.weights.free_copies()
        give_back_freed_memory()
        self._make_trainable()
        try:
            yield
        finally:
            self.base.model.requires_grad_(False)

    def copy(self) -> Tensors:
        """Their values now, in the memory of the CPU."""
        return {
            name: parameter.detach().to("cpu", copy=True)
            for name, parameter in self.parameters().items()
        }

    def put(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Give them the values of a copy."""
        with torch.no_grad():
            for name, parameter in self.parameters().items():
                parameter.copy_(tensors[name])

    def read(self, path: Path) -> Tensors:
        """The values in a file that `write_tensors` wrote of such weights.

        Raises:
            `CheckpointError`: The file is damaged, or of other weights.
        """
        tensors = read_tensors(path)
        shapes = {name: one.shape for name, one in self.parameters().items()}
        if {name: one.shape for name, one in tensors.items()} != shapes:
            raise CheckpointError(
                f"{path.absolute()} holds other weights than those in "
                "training",
                fix="resume with the settings that the run began with",
            )
        return tensors


class AdapterWeights(TrainedWeights):
    """One adapter on a model whose own weights stay as they are.

    Args:
        base (`BaseModel`):
            The model.
        name (`str`):
            The adapter's name on it.
    """

    def __init__(self, base: BaseModel, name: str) -> None:
        super().__init__(base)
        self.adapter = name
        self.lora_config = adapters.config_of(base, name).to_dict()

    @property
    def module(self) -> torch.nn.Module:
        return adapters.peft_model(self.base)

    def parameters(self) -> dict[str, torch.nn.Parameter]:
        found = adapters.adapter_parameters(self.base, self.adapter)
        return {
            f"{key}.".replace(f".{self.adapter}.", ".").rstrip("."): parameter
            for key, parameter in found.items()
        }

    def publish(self, folder: Path) -> None:
        adapters.save_adapter(self.base, self.adapter, folder)

    def release(self) -> None:
        adapters.remove_adapter(self.base, self.adapter)

    def _make_trainable(self) -> None:
        model = adapters.peft_model(self.base)
        model.base_model.enable_adapter_layers()
        model.set_adapter(self.adapter)


class AllWeights(TrainedWeights):
    """Every weight of an unquantized model that nobody else uses.

    Args:
        base (`BaseModel`):
            The model.
    """

    def __init__(self, base: BaseModel) -> None:
        super().__init__(base)
        if base.device.type == "cpu":
            # Pages of the file become memory of the process at the first
            # step; at once, what is left can be measured.
            for one in self.parameters().values():
                one.data = one.data.clone()

    @property
    def module(self) -> torch.nn.Module:
        return self.base.model

    def parameters(self) -> dict[str, torch.nn.Parameter]:
        return dict(self.base.model.named_parameters())

    def publish(self, folder: Path) -> None:
        model, before = self.base.model, self.base.model.generation_config
        model.generation_config = self._that_ends_turns()
        try:
            model.save_pretrained(folder, safe_serialization=True)
        finally:
            model.generation_config = before
        write_base_record(self.base, folder)

    def _that_ends_turns(self) -> GenerationConfig:
        """What has learned to end its turns shall be stopped there, wherever
        it is loaded."""
        config = copy.deepcopy(self.base.model.generation_config)
        ends = config.eos_token_id
        ends = ends if isinstance(ends, list) else [ends]
        ends = [one for one in ends if one is not None]
        ends.append(self.base.chat_format.end_of_turn_id)
        config.eos_token_id = list(dict.fromkeys(ends))
        return config

    def release(self) -> None:
        """Nobody else has them, so nothing is left to do."""

    def _make_trainable(self) -> None:
        self.base.model.requires_grad_(True)


def write_tensors(tensors: Mapping[str, torch.Tensor], path: Path) -> None:
    """Write tensors exactly as they are."""
    save_file(
        {name: one.detach().contiguous() for name, one in tensors.items()},
        path,
    )


def read_tensors(path: Path) -> Tensors:
    """Read what `write_tensors` wrote.

    Raises:
        `CheckpointError`: The file is missing or damaged.
    """
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path.absolute()} cannot be read: {error}",
            fix="remove that checkpoint folder; an older one is used then",
        ) from error
