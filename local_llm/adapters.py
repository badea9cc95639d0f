# -*- coding: utf-8 -*-
"""LoRA adapters on a shared base model: added, used, saved, loaded, removed.

Any number of adapters sit on one set of weights, each under a name of its own.
Changing them changes the modules for everybody who shares the weights, so it
waits for the model's lock. Raises WeightsError, ConfigError and TrainingError.
"""

import contextlib
import copy
import hashlib
import itertools
import re
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

from .adapter_files import (
    ADAPTER_FILE,
    check_base,
    is_adapter,
    read_lora_config,
    read_tensors,
    write_base_record,
)
from .adapter_layers import (
    has_whole_layers,
    linear_layers,
    make_exact,
    reads_base_weights,
    use_adapter,
)
from .base_model import BaseModel
from .errors import ConfigError, WeightsError
from .library_defaults import DEFAULT_LORA, DEFAULT_SEED
from .lora_limits import refusals
from .model_lock import LOCK_TIMEOUT_S

_REFUSED_BY_PEFT = (
    AttributeError,
    ImportError,
    LookupError,
    NotImplementedError,
    RuntimeError,
    TypeError,
    ValueError,
    re.error,
)
"""What it raises, at a configuration that does not fit the model's layers."""

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
    name, place = _new_name(), "fine_tune_config.lora_config"
    given = lora_config or {}
    problems = [*refusals(given), *_unknown_tokens(base, given)]
    if problems:
        raise ConfigError(place, problems)
    try:
        config = LoraConfig(**{**DEFAULT_LORA, **given})
        with _changing(base), torch.random.fork_rng(_gpus(base)):
            torch.manual_seed(seed)
            _attach(base, name, config)
    except _REFUSED_BY_PEFT as error:
        _detach(base, name)
        raise ConfigError(place, [str(error)]) from error
    return name


def copy_adapter(base: BaseModel, name: str) -> str:
    """Add an adapter with the weights of another one."""
    config = copy.deepcopy(config_of(base, name))
    new_name = _new_name()
    with _changing(base):
        _attach(base, new_name, config)
        places = adapter_parameters(base, new_name)
        for key, parameter in adapter_parameters(base, name).items():
            place = places[re.sub(rf"\.{name}(?=\.|$)", f".{new_name}", key)]
            place.data = parameter.data.clone()
    return new_name


def config_of(base: BaseModel, name: str) -> LoraConfig:
    """The configuration of one adapter."""
    return peft_model(base).peft_config[name]


def differing_keys(
    own: LoraConfig,
    lora_config: Mapping[str, Any] | None,
) -> dict[str, tuple[Any, Any]]:
    """What an adapter's configuration has otherwise than a wanted one.

    Returns:
        `dict[str, tuple[Any, Any]]`: By key, the adapter's value and the
            wanted one; only keys of the wanted one are looked at.
    """
    wanted = LoraConfig(**(lora_config or {}))
    pairs = {
        key: (getattr(own, key), getattr(wanted, key))
        for key in lora_config or {}
    }
    # peft has resolved the shorthand when it put the adapter on.
    return {
        key: (has, wants)
        for key, (has, wants) in pairs.items()
        if has != wants and wants != "all-linear"
    }


def load_adapter(base: BaseModel, folder: Path) -> str:
    """Load an adapter from a folder.

    Returns:
        `str`: The name under which it is on the base model.

    Raises:
        `WeightsError`: The folder has no adapter, or one of another base.
    """
    if not is_adapter(folder):
        raise WeightsError(
            f"{folder.absolute()} has no {ADAPTER_FILE}",
            fix="give the folder of a finished fine-tuning run",
        )
    check_base(base, folder)
    config = read_lora_config(folder)
    name = _new_name()
    with _changing(base):
        try:
            _attach(base, name, config)
            _copy_tensors(base, name, folder)
        except _REFUSED_BY_PEFT as error:
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
    write_base_record(base, folder)


def remove_adapter(base: BaseModel, name: str) -> None:
    """Take an adapter off the base model and free its memory."""
    with _changing(base):
        _detach(base, name)


def check_has(base: BaseModel, name: str | None) -> None:
    """peft's layers take any name, and compute without an unknown one.

    Raises:
        `WeightsError`: The base model has no adapter of that name.
    """
    if name is not None and name not in peft_model(base).peft_config:
        raise WeightsError(f"{base.name} has no adapter {name!r}")


@contextlib.contextmanager
def active_adapter(base: BaseModel, name: str | None) -> Iterator[None]:
    """Compute with one adapter, or with the bare base for None.

    The caller holds the model's lock: the choice is the whole process's.

    Raises:
        `WeightsError`: The base model has no adapter of that name.
    """
    check_has(base, name)
    use_adapter(base.model, name)
    try:
        yield
    finally:
        use_adapter(base.model, None)


def use_weights_for_replies(base: BaseModel, name: str | None) -> None:
    """Let a model answer fast, with an adapter or without; the caller holds
    the model's lock."""
    if name is not None and reads_base_weights(base.model, name):
        # Packed ones hold other numbers than the adapter was trained on.
        base.weights.use_for_training()
    else:
        base.weights.use_for_generation()


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


def fingerprint(base: BaseModel, name: str) -> str:
    """sha256 of an adapter's tensors, whatever its name is."""
    digest = hashlib.sha256()
    for key, parameter in adapter_parameters(base, name).items():
        digest.update(key.replace(name, "").encode())
        digest.update(parameter.detach().float().cpu().numpy().tobytes())
    return digest.hexdigest()


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


def _unknown_tokens(
    base: BaseModel,
    lora_config: Mapping[str, Any],
) -> list[str]:
    """Tokens to be trained that a model does not have, a line each."""
    given = lora_config.get("trainable_token_indices") or []
    by_layer = given if isinstance(given, Mapping) else {"": given}
    count = base.model.config.get_text_config().vocab_size
    return [
        f"trainable_token_indices: wanted tokens from 0 to {count - 1}, which "
        f"{base.name} has, found {token}"
        for tokens in by_layer.values()
        for token in tokens
        if not 0 <= token < count
    ]


def _new_name() -> str:
    return f"adapter{next(_numbers)}"


def _attach(base: BaseModel, name: str, config: LoraConfig) -> None:
    config.revision = base.revision
    shorthand = config.target_modules == "all-linear"
    if shorthand and has_whole_layers(base.model):
        config.target_modules = linear_layers(base.model)
    if base.peft_model is None:
        base.peft_model = get_peft_model(base.model, config, adapter_name=name)
    else:
        base.peft_model.add_adapter(name, config)
        if base.peft_model.active_adapter not in base.peft_model.peft_config:
            # peft goes on naming one that was removed, and then looks it up.
            base.peft_model.active_adapter = name
    make_exact(base.model, name)
    base.model.eval()


def _detach(base: BaseModel, name: str) -> None:
    if base.peft_model is not None and name in base.peft_model.peft_config:
        base.peft_model.delete_adapter(name)


@contextlib.contextmanager
def _changing(base: BaseModel) -> Iterator[None]:
    """Nobody else uses the model, and its 4-bit weights are the exact ones:
    reading the state of a packed layer un-packs it, which rounds it."""
    with base.lock.changing(LOCK_TIMEOUT_S):
        base.weights.use_for_training()
        yield


def _copy_tensors(base: BaseModel, name: str, folder: Path) -> None:
    """Fill an adapter from its file; every tensor must have its place."""
    tensors = read_tensors(folder)
    places = get_peft_model_state_dict(
        peft_model(base),
        adapter_name=name,
        save_embedding_layers=False,
    )
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
    set_peft_model_state_dict(peft_model(base), tensors, adapter_name=name)
