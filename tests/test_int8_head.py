# -*- coding: utf-8 -*-
"""The head in 8 bits gives the next token that the exact head gives."""

import copy

import pytest
import torch
from torch.nn.functional import linear

from local_llm import int8_head
from local_llm.int8_head import LIKELIEST, Int8Head, can_use, copy_bytes

pytestmark = pytest.mark.skipif(
    not int8_head.cpu_has_vnni(),
    reason="this CPU has no instructions for products of bytes",
)
ROWS, WIDTH = 2000, 96
FORMATS = [torch.float32, torch.bfloat16]


def make_head(
    dtype: torch.dtype = torch.float32,
    bias: bool = False,
) -> torch.nn.Linear:
    """Random weights, some of them far larger than the others."""
    head = torch.nn.Linear(WIDTH, ROWS, bias=bias)
    torch.nn.init.normal_(head.weight)
    head.weight.data[::7, 5] *= 6
    return head.to(dtype).requires_grad_(False)


def some_hidden(tokens: int, dtype: torch.dtype = torch.float32):
    return (torch.randn(tokens, 1, WIDTH) * 3).to(dtype)


@torch.no_grad()
def fast_logits(head: torch.nn.Linear, hidden: torch.Tensor) -> torch.Tensor:
    fast = Int8Head(head)
    fast.use()
    found = head(hidden)
    fast.put_back()
    return found


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("bias", [False, True])
def test_the_likeliest_token_is_that_of_the_exact_head(
    dtype: torch.dtype,
    bias: bool,
) -> None:
    head, hidden = make_head(dtype, bias), some_hidden(200, dtype)
    found, exact = fast_logits(head, hidden), head(hidden)
    assert (found.shape, found.dtype) == (exact.shape, exact.dtype)
    assert torch.equal(found.argmax(-1), exact.argmax(-1))


def test_the_likeliest_logits_are_exact_and_the_others_nearly() -> None:
    head, hidden = make_head(), some_hidden(50)
    found, exact = fast_logits(head, hidden), head(hidden)
    top = found.topk(LIKELIEST // 2).indices
    torch.testing.assert_close(found.gather(-1, top), exact.gather(-1, top))
    error = (found - exact).norm() / exact.norm()
    assert 0.001 < error < 0.02


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("width", [40, 4096, 64 * 80, 64 * 80 + 1])
@pytest.mark.parametrize("order", ["any", "rising", "equal"])
def test_the_likeliest_are_found_as_topk_finds_them(
    order: str,
    width: int,
    rows: int,
) -> None:
    logits = {
        "any": torch.randn(rows, width),
        "rising": torch.arange(width).float().expand(rows, -1),
        "equal": torch.zeros(rows, width),
    }[order]
    found = int8_head._likeliest(logits)
    wanted = logits.topk(min(LIKELIEST, width)).values
    assert len(set(found[0].tolist())) == wanted.shape[1]
    values = logits.gather(1, found).sort(descending=True).values
    assert torch.equal(values, wanted)


def test_a_row_has_the_same_logits_whatever_is_beside_it() -> None:
    head, hidden = make_head(), some_hidden(9)
    hidden[3] *= 100
    together = fast_logits(head, hidden)
    for row, logits in zip(hidden, together, strict=True):
        assert torch.equal(fast_logits(head, row[None])[0], logits)


def test_several_positions_have_the_exact_head() -> None:
    head = make_head(torch.bfloat16)
    hidden = some_hidden(6, torch.bfloat16).reshape(2, 3, WIDTH)
    assert torch.equal(fast_logits(head, hidden), linear(hidden, head.weight))


def test_where_gradients_are_wanted_the_head_is_exact() -> None:
    head, hidden = make_head(), some_hidden(2).requires_grad_()
    fast = Int8Head(head)
    fast.use()
    logits = head(hidden)
    assert torch.equal(logits, linear(hidden, head.weight))
    logits.sum().backward()
    wanted = head.weight.sum(0).expand_as(hidden)
    torch.testing.assert_close(hidden.grad, wanted, rtol=1e-4, atol=1e-4)


def test_afterwards_nothing_is_left_on_the_head() -> None:
    head = make_head()
    before = copy.deepcopy(head.__dict__)
    weight = head.weight.clone()
    fast_logits(head, some_hidden(1))
    assert head.__dict__.keys() == before.keys()
    assert torch.equal(head.weight, weight)


@pytest.mark.parametrize("fused", [False, True])
def test_weights_that_were_trained_since_are_copied_again(
    fused: bool,
) -> None:
    head = make_head().requires_grad_()
    fast = Int8Head(head)
    fast.use()
    fast.put_back()
    hidden = some_hidden(20)
    optimizer = torch.optim.AdamW(head.parameters(), lr=1.0, fused=fused)
    head(hidden).square().mean().backward()
    optimizer.step()
    fast.use()
    with torch.no_grad():
        found = head(hidden)
    exact = linear(hidden, head.weight)
    assert (found - exact).norm() / exact.norm() < 0.02


def test_the_copy_is_made_once() -> None:
    head = make_head()
    fast = Int8Head(head)
    fast.use()
    packed = fast._packed
    fast.put_back()
    fast.use()
    assert fast._packed is packed


def test_nothing_in_and_nothing_out() -> None:
    logits = fast_logits(make_head(), torch.zeros(1, 1, WIDTH))
    assert torch.equal(logits, torch.zeros(1, 1, ROWS))


def test_a_broken_hidden_state_stays_visible() -> None:
    hidden = some_hidden(2)
    hidden[1, 0, 4] = float("nan")
    logits = fast_logits(make_head(), hidden)
    assert logits[0].isfinite().all()
    assert logits[1].isnan().all()


def test_a_vocabulary_below_the_number_of_exact_logits_is_exact() -> None:
    head = torch.nn.Linear(WIDTH, LIKELIEST - 1, bias=False)
    hidden = some_hidden(3)
    with torch.no_grad():
        torch.testing.assert_close(fast_logits(head, hidden), head(hidden))


def test_only_wide_plain_heads_are_copied(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    head = make_head()
    assert not can_use(head)
    monkeypatch.setattr(int8_head, "LEAST_WEIGHTS", ROWS * WIDTH)
    assert can_use(head)
    assert not can_use(torch.nn.Sequential(head))
    assert not can_use(head.to("meta"))


def test_the_memory_of_a_copy_is_known() -> None:
    fast = Int8Head(make_head())
    fast.use()
    parts = (fast._scales, fast._zeros)
    packed = fast._packed.numel() * fast._packed.element_size()
    found = packed + sum(one.nbytes for one in parts)
    assert copy_bytes(ROWS, WIDTH) == found
