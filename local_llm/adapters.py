# -*- coding: utf-8 -*-
"""LoRA adapters on a shared base model: added, used, saved, loaded, removed.

Any number of adapters sit on one set of weights, each under a name of its own.
Changing them changes the modules for everybody who shares the weights, so it
waits for the model's lock. Raises WeightsError, ConfigError and TrainingError.
"""

import contextlib
import copy
import itertools
import json
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from peft import (
    LoraConfig,
    PeftModel,
    get_peft_model,
    get_peft_model_state_dict,
    set_peft_model_state_dict,
)
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors import SafetensorError
from safetensors.torch import load_file

from .atomic_files import write_json
from .base_model import BaseModel
from .errors import ConfigError, WeightsError
from .model_lock import LOCK_TIMEOUT_S

DEFAULT_LORA: dict[str, Any] = {
    "r": 16,
    "lora_alpha": 32,
    "target_modules": "all-linear",
    "task_type": "CAUSAL_LM",
}

ADAPTER_FILE = "adapter_model.safetensors"
BASE_FILE = "base_model.json"
"""Says on which weights an adapter of this package was trained."""

DEFAULT_SEED = 7

_numbers = itertools.count(1)


def add_adapter(
    base: BaseModel,
    lora_config: Mapping[str, Any] | None,
    seed: int = DEFAULT_SEED,
) -> str:
    """Add a fresh adapter to a base model; it changes no reply yet.

    Args:
        base (`BaseModel`):
            The base; its layers are wrapped in place.
        lora_config (`Mapping[str, Any] | None`):
            Arguments of peft's `LoraConfig`; what is left out comes from
            `DEFAULT_LORA`.
        seed (`int`, optional):
            For the random half of its weights.

    Returns:
        `str`: The name of the adapter.

    Raises:
        `ConfigError`: peft refuses the configuration for this model.
    """
    name = _new_name()
    try:
        config = LoraConfig(**{**DEFAULT_LORA, **(lora_config or {})})
        with _changing(base), torch.random.fork_rng(_gpus(base)):
            torch.manual_seed(seed)
            _attach(base, name, config)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            "fine_tune_config.lora_config", [str(error)]
        ) from error
    for parameter in adapter_parameters(base, name).values():
        # Whole-precision weights: the steps of an optimizer are smaller than
        # the spacing of 16-bit numbers.
        parameter.data = parameter.data.float()
    return name


def copy_adapter(base: BaseModel, name: str) -> str:
    """Add an adapter with the weights of another one."""
    config = copy.deepcopy(peft_model(base).peft_config[name])
    new_name = _new_name()
    with _changing(base):
        _attach(base, new_name, config)
        places = adapter_parameters(base, new_name)
        for key, parameter in adapter_parameters(base, name).items():
            place = places[key.replace(f".{name}.", f".{new_name}.")]
            place.data = parameter.data.clone()
    return new_name


def load_adapter(base: BaseModel, folder: Path) -> str:
    """Load an adapter from a folder.

    Returns:
        `str`: The name under which it is on the base model.

    Raises:
        `WeightsError`: The folder has no adapter, or one of another base.
    """
    if not (folder / ADAPTER_FILE).is_file():
        raise WeightsError(
            f"{folder.absolute()} has no {ADAPTER_FILE}",
            fix="give the folder of a finished fine-tuning run",
        )
    _check_base(base, folder)
    config = _read_lora_config(folder)
    name = _new_name()
    with _changing(base):
        try:
            _attach(base, name, config)
            _copy_tensors(base, name, folder)
        except (TypeError, ValueError) as error:
            _detach(base, name)
            raise WeightsError(
                f"the adapter in {folder.absolute()} cannot be put on "
                f"{base.name}: {error}",
                fix="load the base model that the adapter was trained on",
            ) from error
        except WeightsError:
            _detach(base, name)
            raise
    return name


def save_adapter(base: BaseModel, name: str, folder: Path) -> None:
    """Write an adapter's weights and configuration, as peft lays them out."""
    wrapped = peft_model(base)
    with _changing(base), warnings.catch_warnings():
        # peft asks the hub whether the vocabulary was resized; it never is.
        warnings.simplefilter("ignore")
        wrapped.save_pretrained(
            folder,
            selected_adapters=[name],
            safe_serialization=True,
            save_embedding_layers=False,
        )
    nested = folder / name
    for file in nested.iterdir():
        file.rename(folder / file.name)
    nested.rmdir()
    write_json(
        folder / BASE_FILE,
        {"name": base.name, "fingerprint": base.fingerprint},
    )


def remove_adapter(base: BaseModel, name: str) -> None:
    """Take an adapter off the base model and free its memory."""
    with _changing(base):
        _detach(base, name)


@contextlib.contextmanager
def active_adapter(base: BaseModel, name: str | None) -> Iterator[None]:
    """Compute with one adapter, or with the bare base for None.

    The caller holds the model's lock: the choice is the whole process's.

    Raises:
        `WeightsError`: The base model has no adapter of that name.
    """
    # peft's layers take any name, and compute without an unknown one.
    if name is not None and name not in peft_model(base).peft_config:
        raise WeightsError(f"{base.name} has no adapter {name!r}")
    for layer in _adapter_layers(base):
        layer.enable_adapters(name is not None)
        if name is not None:
            layer.set_adapter(name)
    try:
        yield
    finally:
        for layer in _adapter_layers(base):
            layer.enable_adapters(False)


def adapter_parameters(
    base: BaseModel,
    name: str,
) -> dict[str, torch.nn.Parameter]:
    """The tensors of one adapter, by their name in the model."""
    return {
        key: parameter
        for key, parameter in base.model.named_parameters()
        if f".{name}." in f"{key}."
    }


def peft_model(base: BaseModel) -> PeftModel:
    """The base model with its adapters, as trl wants it.

    Raises:
        `WeightsError`: It has no adapter yet.
    """
    if base.peft_model is None:
        raise WeightsError(f"{base.name} has no adapter")
    return base.peft_model


def _gpus(base: BaseModel) -> list[torch.device]:
    """The devices whose random state is another one than the CPU's."""
    return [base.device] if base.device.type == "cuda" else []


def _new_name() -> str:
    return f"adapter{next(_numbers)}"


def _attach(base: BaseModel, name: str, config: LoraConfig) -> None:
    if base.peft_model is None:
        base.peft_model = get_peft_model(base.model, config, adapter_name=name)
    else:
        base.peft_model.add_adapter(name, config)
    base.model.eval()


def _detach(base: BaseModel, name: str) -> None:
    if base.peft_model is not None and name in base.peft_model.peft_config:
        base.peft_model.delete_adapter(name)


@contextlib.contextmanager
def _changing(base: BaseModel) -> Iterator[None]:
    """Nobody else uses the model, and its 4-bit weights are the exact ones:
    reading the state of a packed layer un-packs it, which rounds it."""
    with base.lock.training(LOCK_TIMEOUT_S):
        base.lock.training_progress = "changing adapters"
        base.weights.use_for_training()
        yield


def _adapter_layers(base: BaseModel) -> Iterator[BaseTunerLayer]:
    return (
        module
        for module in base.model.modules()
        if isinstance(module, BaseTunerLayer)
    )


def _check_base(base: BaseModel, folder: Path) -> None:
    """Refuse an adapter of other weights, even where the shapes agree; one
    that others have written does not say which it wants."""
    path = folder / BASE_FILE
    if not path.is_file():
        return
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        name, fingerprint = record["name"], record["fingerprint"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise WeightsError(
            f"{path.absolute()} cannot be read: {error}",
            fix="restore the file from a copy, or train again",
        ) from error
    if fingerprint != base.fingerprint:
        raise WeightsError(
            f"the adapter in {folder.absolute()} belongs to another base "
            f"model: it was trained on {name}, not on {base.name}",
            fix="load the base model that the adapter was trained on",
        )


def _read_lora_config(folder: Path) -> LoraConfig:
    path = folder / "adapter_config.json"
    try:
        config = LoraConfig.from_pretrained(str(folder))
    except (OSError, ValueError, TypeError, json.JSONDecodeError) as error:
        raise WeightsError(
            f"{path.absolute()} cannot be read: {error}",
            fix="give the folder of a finished fine-tuning run",
        ) from error
    if not isinstance(config, LoraConfig):
        raise WeightsError(
            f"{path.absolute()} is not one of LoRA: {config.peft_type}",
            fix="give the folder of a finished fine-tuning run",
        )
    config.inference_mode = False
    return config


def _copy_tensors(base: BaseModel, name: str, folder: Path) -> None:
    """Fill an adapter from its file; every tensor must have its place."""
    tensors = _read_tensors(folder)
    places = get_peft_model_state_dict(peft_model(base), adapter_name=name)
    shapes = {key: tuple(place.shape) for key, place in places.items()}
    found = {key: tuple(tensor.shape) for key, tensor in tensors.items()}
    if shapes != found:
        wrong = sorted(
            key
            for key in shapes.keys() | found.keys()
            if shapes.get(key) != found.get(key)
        )
        raise WeightsError(
            f"the adapter in {folder.absolute()} belongs to another base "
            f"model than {base.name}: {len(wrong)} tensors differ, first "
            f"{wrong[0]}: {found.get(wrong[0])} in the file, "
            f"{shapes.get(wrong[0])} wanted",
            fix="load the base model that the adapter was trained on",
        )
    for parameter in adapter_parameters(base, name).values():
        parameter.data = parameter.data.float()
    set_peft_model_state_dict(peft_model(base), tensors, adapter_name=name)


def _read_tensors(folder: Path) -> dict[str, torch.Tensor]:
    path = folder / ADAPTER_FILE
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise WeightsError(
            f"{path.absolute()} is damaged: {error}",
            fix="restore the file from a copy, or train again",
        ) from error
