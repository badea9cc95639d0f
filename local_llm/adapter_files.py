# -*- coding: utf-8 -*-
"""The folder of an adapter, as peft lays it out, and what it was made on.

Reads and writes files; puts nothing on a model. Raises WeightsError.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from peft import LoraConfig
from safetensors import SafetensorError
from safetensors.torch import load_file

from .atomic_files import write_json
from .base_model import BaseModel
from .errors import WeightsError
from .lora_limits import refusals

ADAPTER_FILE = "adapter_model.safetensors"
BASE_FILE = "base_model.json"
"""Says on which weights an adapter of this package was trained."""


@dataclass(frozen=True)
class NamedBase:
    """A base model as an adapter's folder names it.

    Attributes:
        name (`str`):
            A hub id, a path, or `embedded:<name>`.
        revision (`str | None`):
            Branch, tag or commit of the hub, where one was named.
    """

    name: str
    revision: str | None = None

    def __str__(self) -> str:
        at = f" at revision {self.revision}" if self.revision else ""
        return f"{self.name}{at}"


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter, as peft lays it out."""
    return (folder / ADAPTER_FILE).is_file()


def named_base(folder: Path) -> NamedBase:
    """The base model that an adapter's folder says it was trained on.

    Raises:
        `WeightsError`: It says none.
    """
    of_peft = folder / "adapter_config.json", "base_model_name_or_path"
    found = noted_base(folder) or _base_in(*of_peft)
    if found is not None:
        return found
    raise WeightsError(
        f"the adapter in {folder.absolute()} does not say on which base "
        "model it was trained",
        fix="name the base model in the settings, and give this folder to "
        "load_model(local_model_path=...)",
    )


def noted_base(folder: Path) -> NamedBase | None:
    """The base model in the record of this package, None without one."""
    return _base_in(folder / BASE_FILE, "name")


def _base_in(path: Path, key: str) -> NamedBase | None:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        name, revision = record.get(key), record.get("revision")
    except (OSError, ValueError, AttributeError):
        return None
    if not isinstance(name, str) or not name:
        return None
    return NamedBase(name, revision if isinstance(revision, str) else None)


def write_base_record(base: BaseModel, folder: Path) -> None:
    """Say beside weights from which base model they were made."""
    record = {
        "name": base.name,
        "revision": base.revision,
        "fingerprint": base.fingerprint,
    }
    write_json(folder / BASE_FILE, record)


def check_base(base: BaseModel, folder: Path) -> None:
    """Refuse an adapter of other weights, even where the shapes agree; one
    that others have written does not say which it wants."""
    path = folder / BASE_FILE
    if not path.is_file():
        return
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        # Earlier versions did not note the revision.
        wanted = NamedBase(record["name"], record.get("revision"))
        fingerprint = record["fingerprint"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise WeightsError(
            f"{path.absolute()} cannot be read: {error}",
            fix="restore the file from a copy, or train again",
        ) from error
    if fingerprint != base.fingerprint:
        found = NamedBase(base.name, base.revision)
        raise WeightsError(
            f"the adapter in {folder.absolute()} belongs to another base "
            f"model: it was trained on {wanted}, not on {found}",
            fix="load the base model that the adapter was trained on",
        )


def read_lora_config(folder: Path) -> LoraConfig:
    """The configuration of an adapter that can share a base model.

    Raises:
        `WeightsError`: It cannot be read, or is more than an adapter.
    """
    path = folder / "adapter_config.json"
    fix = "give the folder of a finished fine-tuning run"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(record, dict):
            raise ValueError("it is no object")
        problems = refusals(record)
        config = None
        if not problems:
            config = LoraConfig.from_pretrained(str(folder))
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise WeightsError(
            f"{path.absolute()} cannot be read: {error}",
            fix=fix,
        ) from error
    if problems:
        raise WeightsError(
            f"{path.absolute()}: {'; '.join(problems)}",
            fix="convert the adapter to a plain one, as peft's manual says",
        )
    if not isinstance(config, LoraConfig):
        raise WeightsError(
            f"{path.absolute()} is not one of LoRA: {config.peft_type}",
            fix=fix,
        )
    config.inference_mode = False
    return config


def read_tensors(folder: Path) -> dict[str, torch.Tensor]:
    path = folder / ADAPTER_FILE
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise WeightsError(
            f"{path.absolute()} is damaged: {error}",
            fix="restore the file from a copy, or train again",
        ) from error
