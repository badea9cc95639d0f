# -*- coding: utf-8 -*-
"""Stops a run before a value that is not finite can spread.

Looks at gradients before the optimizer uses them and at weights before they
are committed; changes neither. Raises TrainingError.
"""

from collections.abc import Iterable, Mapping

import torch

from .errors import TrainingError


def check_gradients(
    parameters: Iterable[tuple[str, torch.nn.Parameter]],
    step: int,
) -> float:
    """See that an optimizer step would use finite gradients.

    Under a gradient scaler (float16) infinite ones are part of its work:
    check the gradients that it has let pass.

    Args:
        parameters (`Iterable[tuple[str, torch.nn.Parameter]]`):
            The trained parameters with their names.
        step (`int`):
            The optimizer step about to be made, for the message.

    Returns:
        `float`: The largest absolute value; 0 where nothing would change.

    Raises:
        `TrainingError`: A value is not finite, or no parameter has a gradient.
    """
    gradients = {
        name: parameter.grad
        for name, parameter in parameters
        if parameter.grad is not None
    }
    if not gradients:
        raise TrainingError(
            f"no parameter has a gradient at step {step}: nothing is trained",
            fix="name modules in lora_config.target_modules that the model "
            "has and uses",
        )
    return _checked(gradients, "the gradient of", f"at step {step}")


def check_weights(tensors: Mapping[str, torch.Tensor], step: int) -> None:
    """See that what is about to be committed is finite.

    Args:
        tensors (`Mapping[str, torch.Tensor]`):
            The trained tensors by their names.
        step (`int`):
            The step they come from, for the message.

    Raises:
        `TrainingError`: A value is not.
    """
    _checked(tensors, "the weight", f"after step {step}")


def _checked(
    tensors: Mapping[str, torch.Tensor],
    what: str,
    when: str,
) -> float:
    # One number for all: a wait for the device for each would cost more than
    # the check. A maximum cannot overflow and hands on what is not finite.
    detached = [one.detach() for one in tensors.values() if one.numel()]
    largest = float(torch.nn.utils.get_total_norm(detached, torch.inf))
    if largest < torch.inf:
        return largest
    name = next(
        name
        for name, tensor in tensors.items()
        if not torch.isfinite(tensor).all()
    )
    raise TrainingError(
        f"{what} {name} has values that are not finite {when}",
        fix="lower learning_rate, or compute in bfloat16 or float32",
    )
