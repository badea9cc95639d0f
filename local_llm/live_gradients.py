# -*- coding: utf-8 -*-
"""Sees at the first step of a run that everything in it is trained.

Of gradients that are there, only whether they are zero is looked at here.
Changes nothing. Raises TrainingError.
"""

from collections.abc import Mapping
from typing import Any

import torch

from .errors import TrainingError


class LiveGradients:
    """Which trained tensors a model computes with, and whether they learn.

    Experts that no token is sent to, and layers for images or sound, take no
    part in a step and get no gradient; all that does take part must.

    Args:
        module (`torch.nn.Module`):
            What is trained; it is watched until `check` is called.
        parameters (`Mapping[str, torch.nn.Parameter]`):
            Its trained parameters with their names.
    """

    def __init__(
        self,
        module: torch.nn.Module,
        parameters: Mapping[str, torch.nn.Parameter],
    ) -> None:
        self._parameters = parameters
        self._used: set[int] = set()
        trained = {id(one) for one in parameters.values()}
        self._hooks = [
            layer.register_forward_hook(self._note)
            for layer in module.modules()
            if trained & {id(one) for one in layer.parameters(recurse=False)}
        ]

    def _note(self, layer: torch.nn.Module, *_: Any) -> None:
        self._used.update(id(one) for one in layer.parameters(recurse=False))

    def check(self, largest: float | None, step: int) -> None:
        """See that the gradients of a step train what it computed with.

        That some are zero is right: one half of a new adapter is.

        Args:
            largest (`float | None`):
                The largest absolute value of all gradients, where it is
                known.
            step (`int`):
                The optimizer step about to be made, for the message.

        Raises:
            `TrainingError`: A tensor has no gradient, or all are zero.
        """
        for hook in self._hooks:
            hook.remove()
        for name, parameter in self._parameters.items():
            if parameter.grad is None and id(parameter) in self._used:
                raise TrainingError(
                    f"{name} has no gradient at step {step}, although the "
                    "model computes with it",
                    fix="leave gradient_checkpointing_kwargs out, or set "
                    "gradient_checkpointing to false",
                )
        if largest == 0:
            raise TrainingError(
                f"every gradient is zero at step {step}: nothing is trained",
                fix="train on answers that the model does not know by heart, "
                "or return to the defaults of lora_config and training_args",
            )
