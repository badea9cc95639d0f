# -*- coding: utf-8 -*-
"""Undoes what a trainer leaves behind in a model and in the process.

Raises nothing.
"""

import contextlib
import copy
import random
from collections.abc import Iterator

import numpy as np
import torch

from .trained_weights import TrainedWeights

_SET_BY_TRAINERS = (
    "bos_token_id",
    "eos_token_id",
    "pad_token_id",
    "use_cache",
)
"""Values of a model's configuration."""


@contextlib.contextmanager
def restored_for_replies(weights: TrainedWeights) -> Iterator[None]:
    """Undo what the trainer does to a model: left so, replies would be slower
    and differ, and so would the next run."""
    base = weights.base
    eos_before = base.tokenizer.eos_token
    generation_config = copy.deepcopy(base.model.generation_config)
    config = base.model.config.get_text_config()
    values = {name: getattr(config, name, None) for name in _SET_BY_TRAINERS}
    modules = (weights.module, base.model)
    forwards = [module.__dict__.get("forward") for module in modules]
    hooks = _hooks_of(base.model)
    try:
        yield
    finally:
        # trl has patched the forward, set the ends of the tokenizer and of
        # the model and switched checkpointing on.
        for module, forward in zip(modules, forwards, strict=True):
            module.__dict__.pop("forward", None)
            if forward is not None:
                module.forward = forward
        base.tokenizer.eos_token = eos_before
        base.model.generation_config = generation_config
        base.model.gradient_checkpointing_disable()
        base.model.disable_input_require_grads()
        for name, value in values.items():
            setattr(config, name, value)
        _remove_other_hooks(base.model, hooks)
        base.model.eval()


@contextlib.contextmanager
def random_states_kept(device: torch.device) -> Iterator[None]:
    """Undo the seeding of the whole process by the trainer."""
    python, numbers = random.getstate(), np.random.get_state()
    devices = [device] if device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numbers)


def _hooks_of(model: torch.nn.Module) -> set[tuple[str, int]]:
    return {
        (name, key)
        for name, module in model.named_modules()
        for key in module._forward_hooks
    }


def _remove_other_hooks(
    model: torch.nn.Module,
    kept: set[tuple[str, int]],
) -> None:
    """Noise on the embedding, for one, outlives a run that fails."""
    for name, key in _hooks_of(model) - kept:
        del model.get_submodule(name)._forward_hooks[key]
