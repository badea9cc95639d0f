# -*- coding: utf-8 -*-
"""Direct products are those of bitsandbytes, to the bit."""

import copy

import bitsandbytes
import pytest
import torch
from bitsandbytes.functional import has_avx512bf16
from bitsandbytes.nn import Linear4bit

from local_llm import packed_products
from local_llm.packed_products import PackedProduct, PackedProducts

INPUTS, OUTPUTS = 128, 96
packs = pytest.mark.skipif(
    not has_avx512bf16(),
    reason="bitsandbytes packs on CPUs with AVX512-BF16 only",
)


def layer_of(
    quant_type: str = "nf4",
    nested: bool = False,
    bias: bool = False,
    outputs: int = OUTPUTS,
) -> Linear4bit:
    """A layer with random weights, quantized."""
    layer = Linear4bit(
        INPUTS,
        outputs,
        bias=bias,
        compute_dtype=torch.bfloat16,
        compress_statistics=nested,
        quant_type=quant_type,
    )
    # Moving to a device is what quantizes.
    return layer.to("cpu").eval()


def some(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, INPUTS).bfloat16()


def calls_of(product: PackedProduct, monkeypatch) -> list[str]:
    """Which way each product goes from now on."""
    ways: list[str] = []
    by_itself = product._by_itself

    def noted(given: torch.Tensor) -> torch.Tensor:
        ways.append("bitsandbytes")
        return by_itself(given)

    monkeypatch.setattr(product, "_by_itself", noted)
    return ways


@packs
@torch.no_grad()
@pytest.mark.parametrize("shape", [(1, 1), (8, 1), (2, 5), (3,)])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("quant_type", ["nf4", "fp4"])
def test_it_is_the_product_of_the_layer(
    quant_type: str,
    nested: bool,
    bias: bool,
    shape: tuple[int, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    layer = layer_of(quant_type, nested, bias)
    product = PackedProduct(copy.deepcopy(layer))
    given = some(*shape)
    product(given)  # packs
    ways = calls_of(product, monkeypatch)
    found = product(given)
    assert ways == []
    assert found.shape == (*shape, OUTPUTS)
    assert torch.equal(found, layer(given))


@packs
@torch.no_grad()
def test_an_input_in_strides_is_taken() -> None:
    layer = layer_of()
    product = PackedProduct(layer)
    given = some(4, 6).transpose(0, 1)
    wanted = layer(given)
    product(given)
    assert torch.equal(product(given), wanted)


@packs
@torch.no_grad()
def test_a_float32_input_goes_the_way_of_bitsandbytes(monkeypatch) -> None:
    layer = layer_of()
    product = PackedProduct(layer)
    product(some(1))
    ways = calls_of(product, monkeypatch)
    found = product(some(1).float())
    assert found.dtype == torch.float32
    assert ways == ["bitsandbytes"]


@packs
@torch.no_grad()
def test_weights_that_were_changed_are_noticed(monkeypatch) -> None:
    layer, other = layer_of(), layer_of()
    product = PackedProduct(layer)
    given = some(1)
    product(given)
    wanted = other(given)
    layer.weight = other.weight
    ways = calls_of(product, monkeypatch)
    assert torch.equal(product(given), wanted)
    assert torch.equal(product(given), wanted)
    assert ways == ["bitsandbytes"]


@packs
@torch.no_grad()
def test_a_layer_that_cannot_be_packed_multiplies_by_itself(
    monkeypatch,
) -> None:
    layer = layer_of(outputs=40)
    layer.support_avx512bf16_for_cpu = False
    product = PackedProduct(layer)
    ways = calls_of(product, monkeypatch)
    for _ in range(2):
        assert product(some(1)).shape == (1, 40)
    assert ways == ["bitsandbytes"] * 2


@packs
def test_all_layers_are_switched_and_put_back() -> None:
    model = torch.nn.Sequential(layer_of(), torch.nn.ReLU())
    assert PackedProducts.can_use(model)
    products = PackedProducts(model)
    products.use()
    assert isinstance(model[0].forward, PackedProduct)
    products.put_back()
    assert "forward" not in model[0].__dict__


def test_a_model_without_4_bit_layers_has_nothing_to_switch() -> None:
    assert not PackedProducts.can_use(torch.nn.Linear(2, 2))


def test_releases_that_are_not_known_multiply_as_they_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bitsandbytes, "__version__", "0.51.0")
    assert not PackedProducts.can_use(layer_of())


@packs
@torch.no_grad()
def test_where_the_compiled_function_is_missing_nothing_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(packed_products, "_compiled", lambda kind: None)
    layer = layer_of()
    product = PackedProduct(layer)
    given = some(1)
    first = product(given)
    ways = calls_of(product, monkeypatch)
    assert torch.equal(product(given), first)
    assert ways == ["bitsandbytes"]
