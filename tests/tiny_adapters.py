# -*- coding: utf-8 -*-
"""Adapters of tiny models, as if they had been trained."""

from pathlib import Path

import torch

from local_llm.adapters import (
    adapter_parameters,
    add_adapter,
    remove_adapter,
    save_adapter,
)
from local_llm.base_model import BaseModel


def make_adapter(base: BaseModel, folder: Path, seed: int = 0) -> Path:
    """Write an adapter that changes replies, and leave the base bare.

    Args:
        base (`BaseModel`):
            What it belongs to.
        folder (`Path`):
            Where it will stand, as peft lays it out.
        seed (`int`, optional):
            Of its numbers.
    """
    name = add_adapter(base, {"r": 4})
    generator = torch.Generator().manual_seed(seed)
    for parameter in adapter_parameters(base, name).values():
        noise = torch.randn(parameter.shape, generator=generator)
        parameter.data = noise * 0.3
    folder.mkdir(parents=True)
    save_adapter(base, name, folder)
    remove_adapter(base, name)
    return folder
