# -*- coding: utf-8 -*-
"""Rows with adapters of their own compute what peft computes for each."""

import itertools
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
from reply_listeners import loud_adapter
from tiny_models import EXACT, gemma, load_own, save_model

from local_llm import lora_rows
from local_llm.adapter_layers import is_low_rank_only, use_adapter
from local_llm.base_model import BaseModel
from local_llm.lora_rows import LoraRows

SHARED: dict[str, dict[str, Any]] = {
    "low rank": {"r": 2},
    "high rank": {"r": 16, "lora_alpha": 3},
    "rank-stabilized": {"use_rslora": True, "r": 8},
    "patterns": {
        "rank_pattern": {"q_proj": 2, "down_proj": 7},
        "alpha_pattern": {"q_proj": 7},
    },
    "some modules": {"target_modules": ["q_proj", "v_proj"]},
    "one layer": {"layers_to_transform": [1], "target_modules": ["o_proj"]},
}

ALONE: dict[str, dict[str, Any]] = {
    "DoRA": {"use_dora": True},
    "own bias": {"lora_bias": True, "target_modules": ["q_proj"]},
    "embedding": {"target_modules": ["embed_tokens", "q_proj"]},
    "whole norms": {"modules_to_save": ["norm"]},
    "rows of an embedding": {"trainable_token_indices": [4, 5]},
}


@pytest.fixture(name="folder", scope="module")
def fixture_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a model whose attention has biases, so that adapters may."""
    folder = tmp_path_factory.mktemp("biased") / "gemma"
    return save_model(folder, gemma(attention_bias=True))


@pytest.fixture(name="base", scope="module")
def fixture_base(
    folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> BaseModel:
    base = load_own(folder, tmp_path_factory.mktemp("base"), **EXACT)
    for seed, config in enumerate(SHARED.values()):
        loud_adapter(base, seed, **config)
    return base


IDS = torch.arange(40, 52)[None]


def of_peft(base: BaseModel, name: str | None) -> torch.Tensor:
    use_adapter(base.model, name)
    with torch.inference_mode():
        scores = base.model(IDS).logits[0].clone()
    use_adapter(base.model, None)
    return scores


def of_rows(base: BaseModel, *batches: list[str | None]) -> torch.Tensor:
    """The scores of the last of several batches."""
    use_adapter(base.model, None)
    rows = LoraRows(base.model)
    with rows.attached(), torch.inference_mode():
        for names in batches:
            rows.use(names)
            scores = base.model(IDS.expand(len(names), -1)).logits.clone()
    return scores


def names_of(base: BaseModel) -> list[str]:
    assert base.peft_model is not None
    return list(base.peft_model.peft_config)


CLOSE = {"rtol": 1e-4, "atol": 2e-3}
"""Adapters this loud multiply the rounding of float32 a hundredfold."""


def test_each_row_of_a_mixed_batch_has_its_own_adapter(
    base: BaseModel,
) -> None:
    names = [*names_of(base), None, names_of(base)[0]]
    mixed = of_rows(base, names)
    alone = [of_peft(base, name) for name in names]
    for found, expected in zip(mixed, alone, strict=True):
        torch.testing.assert_close(found, expected, **CLOSE)
    apart = [(a - b).abs().max() for a, b in itertools.pairwise(alone[:-1])]
    assert min(apart) > 0.5


@pytest.mark.parametrize("kind", list(SHARED))
def test_a_batch_of_one_adapter_is_that_of_peft(
    base: BaseModel,
    kind: str,
) -> None:
    name = names_of(base)[list(SHARED).index(kind)]
    found = of_rows(base, [name, name])
    torch.testing.assert_close(found[1], of_peft(base, name), **CLOSE)


def test_a_batch_without_adapters_is_bit_for_bit_the_base(
    base: BaseModel,
) -> None:
    assert torch.equal(of_rows(base, [None])[0], of_peft(base, None))


def test_batches_may_be_mixed_otherwise_every_time(base: BaseModel) -> None:
    one, two, three, *_ = names_of(base)
    found = of_rows(
        base, [one, two], [three], [two, None, three], [one], [three, two]
    )
    for scores, name in zip(found, (three, two), strict=True):
        torch.testing.assert_close(scores, of_peft(base, name), **CLOSE)


def test_a_model_is_as_before_when_nobody_is_attached(
    base: BaseModel,
) -> None:
    before = of_peft(base, None)
    of_rows(base, [names_of(base)[0]])
    assert torch.equal(of_peft(base, None), before)


def test_a_model_without_adapters_has_rows_without_adapters(
    folder: Path,
    tmp_path: Path,
) -> None:
    bare = load_own(folder, tmp_path)
    assert of_rows(bare, [None, None]).shape[0] == 2


@pytest.mark.parametrize("kind", list(SHARED))
def test_adapters_of_low_rank_matrices_share_a_batch(
    base: BaseModel,
    kind: str,
) -> None:
    name = names_of(base)[list(SHARED).index(kind)]
    assert is_low_rank_only(base.model, name)


@pytest.mark.parametrize("kind", list(ALONE))
def test_adapters_that_are_more_than_that_are_known(
    folder: Path,
    tmp_path: Path,
    kind: str,
) -> None:
    base = load_own(folder, tmp_path)
    plain = loud_adapter(base, 0)
    name = loud_adapter(base, 1, **ALONE[kind])
    assert not is_low_rank_only(base.model, name)
    assert is_low_rank_only(base.model, plain)


def test_the_same_rows_compute_with_the_same_tensors(base: BaseModel) -> None:
    """Which a captured step reads again, wherever others have been."""
    one, other, third = names_of(base)[:3]
    rows = LoraRows(base.model)
    mixed, single = rows.use([one, other, None]), rows.use([one])
    assert rows.use([one, other, None]) is mixed
    assert rows.use([third]) not in (mixed, single)
    assert rows.use([one, one]) is single
    assert rows.use([one, None, other]) is not mixed
    assert rows.use([one, other, None]) is mixed


def test_a_mixture_that_is_not_kept_comes_again_with_other_tensors(
    base: BaseModel,
) -> None:
    one, other, third = names_of(base)[:3]
    rows = LoraRows(base.model)
    mixed = rows.use([one, other])
    rows.use([one, third])
    assert rows.use([one, other]) is not mixed


def test_not_every_order_of_the_rows_is_kept(
    base: BaseModel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lora_rows, "MOST_MIXTURES", 2)
    one, other = names_of(base)[:2]
    rows = LoraRows(base.model)
    first = weakref.ref(rows.use([one, other]))
    rows.use([other, one])
    assert first() is not None
    rows.use([other, one, None])
    assert first() is None
