# -*- coding: utf-8 -*-
"""What is computed another way for replies, and only for them."""

from pathlib import Path

import pytest
import torch
from tiny_models import gemma, load_own, prompt, reply

from local_llm import int8_head
from local_llm.decoding_parts import (
    decoding_parts,
    make_head_input_contiguous,
)
from local_llm.int8_head import Int8Head, cpu_has_vnni
from local_llm.one_query_attention import NAME, OneQueryAttention

QUESTION = "What is the capital of France?"
fast = pytest.mark.skipif(not cpu_has_vnni(), reason="needs VNNI")


@pytest.fixture(name="every_head_is_wide")
def fixture_every_head_is_wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(int8_head, "LEAST_WEIGHTS", 1)


def kinds(model: torch.nn.Module, fast_head: bool) -> list[type]:
    return [type(part) for part in decoding_parts(model, fast_head)]


def test_a_small_head_stays_exact() -> None:
    assert kinds(gemma(), True) == [OneQueryAttention]


@fast
@pytest.mark.usefixtures("every_head_is_wide")
def test_a_wide_head_is_made_fast_unless_that_is_switched_off() -> None:
    assert kinds(gemma(), True) == [OneQueryAttention, Int8Head]
    assert kinds(gemma(), False) == [OneQueryAttention]


@fast
@pytest.mark.usefixtures("every_head_is_wide")
def test_the_reply_is_the_one_without_the_fast_head(
    tiny_folder: Path,
    tmp_path: Path,
) -> None:
    exact = load_own(tiny_folder, tmp_path / "a", fast_head=False)
    quick = load_own(tiny_folder, tmp_path / "b")
    assert reply(quick, QUESTION) == reply(exact, QUESTION)
    head = quick.model.get_output_embeddings()
    assert "forward" in head.__dict__


@fast
@pytest.mark.usefixtures("every_head_is_wide")
def test_a_model_that_has_replied_is_exact_again_for_training(
    tiny_folder: Path,
    tmp_path: Path,
) -> None:
    base = load_own(tiny_folder, tmp_path)
    ids = torch.tensor([prompt(base, QUESTION)])
    with torch.no_grad():
        before = base.model(ids).logits
    reply(base, QUESTION)
    assert base.model.config._attn_implementation == NAME
    base.weights.use_for_training()
    assert base.model.config._attn_implementation == "sdpa"
    with torch.no_grad():
        assert torch.equal(base.model(ids).logits, before)


def test_the_head_is_given_a_contiguous_input() -> None:
    model = gemma()
    make_head_input_contiguous(model)
    seen: list[torch.Tensor] = []
    head = model.get_output_embeddings()
    head.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    model(torch.tensor([[5, 6, 7], [8, 9, 10]]), logits_to_keep=1)
    assert seen[0].shape == (2, 1, 64)
    assert seen[0].is_contiguous()
