# -*- coding: utf-8 -*-
"""No optimizer step and no checkpoint is made of values that are not finite."""

import pytest
import torch

from local_llm.errors import TrainingError
from local_llm.finite_guard import check_gradients, check_weights

BAD = [torch.nan, torch.inf, -torch.inf]


@pytest.fixture(name="model")
def fixture_model() -> torch.nn.Module:
    """Two layers with gradients; the first layer is frozen."""
    model = torch.nn.Sequential(*(torch.nn.Linear(4, 4) for _ in range(3)))
    model[0].requires_grad_(False)
    model(torch.ones(2, 4)).square().mean().backward()
    return model


def test_finite_gradients_pass_with_the_largest_of_them(
    model: torch.nn.Module,
) -> None:
    model[2].weight.grad[0, 0] = -17.0
    assert check_gradients(model.named_parameters(), 1) == 17.0


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("name", ["1.weight", "1.bias", "2.weight", "2.bias"])
def test_one_bad_gradient_stops_the_step_and_is_named(
    model: torch.nn.Module,
    name: str,
    bad: float,
) -> None:
    model.get_parameter(name).grad.view(-1)[-1] = bad
    with pytest.raises(TrainingError, match=f"gradient of {name} .* step 6"):
        check_gradients(model.named_parameters(), 6)


def test_the_first_of_several_bad_gradients_is_named(
    model: torch.nn.Module,
) -> None:
    for parameter in model[1:].parameters():
        parameter.grad.fill_(torch.nan)
    with pytest.raises(TrainingError, match="gradient of 1.weight"):
        check_gradients(model.named_parameters(), 1)


def test_gradients_whose_squares_overflow_are_finite(
    model: torch.nn.Module,
) -> None:
    model[1].weight.grad.fill_(3e38)
    assert check_gradients(model.named_parameters(), 1) > 2.9e38


def test_without_any_gradient_nothing_would_be_trained() -> None:
    frozen = torch.nn.Linear(2, 2).requires_grad_(False)
    with pytest.raises(TrainingError, match="no parameter has a gradient"):
        check_gradients(frozen.named_parameters(), 1)


def test_gradients_of_zeros_are_told_as_zero(model: torch.nn.Module) -> None:
    for parameter in model[1:].parameters():
        parameter.grad.zero_()
    assert check_gradients(model.named_parameters(), 1) == 0.0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("bad", BAD)
def test_a_bad_weight_is_named(bad: float, dtype: torch.dtype) -> None:
    tensors = {
        "a": torch.ones(3),
        "empty": torch.ones(0),
        "b": torch.ones(3, dtype=dtype),
    }
    check_weights(tensors, 5)
    tensors["b"][1] = bad
    with pytest.raises(TrainingError, match="weight b has .* after step 5"):
        check_weights(tensors, 5)


def test_checking_changes_nothing(model: torch.nn.Module) -> None:
    before = [one.grad.clone() for one in model[1:].parameters()]
    check_gradients(model.named_parameters(), 1)
    after = [one.grad for one in model[1:].parameters()]
    assert all(map(torch.equal, before, after))
