# -*- coding: utf-8 -*-
"""Rows that are decoded together go on as each of them would alone."""

from collections.abc import Sequence

import pytest
import torch
from decoded_rows import (
    BLOCK,
    CLOSE,
    FAMILIES,
    LONG,
    MIDDLE,
    SHORT,
    check,
    decoder_of,
    ids_of,
    joined,
    whole_scores,
)
from tiny_models import gemma
from transformers import PreTrainedModel

from local_llm.decoder import Decoder
from local_llm.prefix_cache import PrefixCache


@pytest.fixture(name="model", scope="module", params=list(FAMILIES))
def fixture_model(request: pytest.FixtureRequest) -> PreTrainedModel:
    return FAMILIES[request.param]().eval()


@pytest.mark.parametrize(
    "lengths",
    [
        [SHORT],
        [SHORT, LONG],
        [LONG, SHORT],
        [MIDDLE, LONG, SHORT, LONG + 1, BLOCK, 2 * BLOCK],
    ],
    ids=str,
)
def test_rows_that_join_at_different_times_go_on_as_alone(
    model: PreTrainedModel,
    lengths: list[int],
) -> None:
    most = decoder_of(model).most_rows
    check(model, [ids_of(length) for length in lengths[:most]])


def test_rows_that_leave_do_not_change_those_that_stay(
    model: PreTrainedModel,
) -> None:
    if decoder_of(model).most_rows == 1:
        pytest.skip("one row at a time")
    check(
        model,
        [
            ids_of(LONG),
            ids_of(SHORT),
            ids_of(MIDDLE),
            0,
            ids_of(LONG, seed=1),
            2,
            ids_of(SHORT, seed=1),
            1,
            1,
            ids_of(MIDDLE, seed=1),
        ],
    )


def test_a_row_after_all_have_left_begins_anew(model: PreTrainedModel) -> None:
    decoder = decoder_of(model)
    with torch.inference_mode():
        joined(decoder, ids_of(LONG))
        decoder.leave(0)
        found = joined(decoder, ids_of(SHORT))
        expected = whole_scores(model, ids_of(SHORT))[-1]
    torch.testing.assert_close(found, expected, **CLOSE)


def test_only_a_cache_of_keys_and_values_is_shared_by_rows() -> None:
    rows = {
        name: decoder_of(make()).most_rows for name, make in FAMILIES.items()
    }
    assert [name for name, most in rows.items() if most == 1] == ["mamba"]
    assert set(rows.values()) == {1, 16}


@pytest.mark.parametrize("name", ["gemma", "gemma 3", "llama"])
def test_in_16_bits_the_company_changes_scores_by_rounding_alone(
    name: str,
) -> None:
    model = FAMILIES[name]().to(torch.bfloat16).eval()
    prompts = [ids_of(length) for length in (SHORT, LONG, MIDDLE, BLOCK)]
    tokens = [
        [ids_of(1, 9 * n + row)[0] for row in range(4)] for n in range(8)
    ]
    with torch.inference_mode():
        together = stepped(model, prompts, tokens)
        alone = [
            stepped(model, [ids], [[one[row]] for one in tokens])
            for row, ids in enumerate(prompts)
        ]
    apart = (together - torch.cat(alone, dim=1)).abs()
    assert together.std() > 1
    assert apart.max() < 0.1


def stepped(
    model: PreTrainedModel,
    prompts: list[list[int]],
    tokens: list[list[int]],
) -> torch.Tensor:
    """The scores after each step, shape (steps, rows, vocabulary)."""
    decoder = decoder_of(model)
    for ids in prompts:
        joined(decoder, ids)
    return torch.stack([decoder.step(one) for one in tokens])


# -- what was read before -------------------------------------------------


@pytest.mark.parametrize("common", [0, BLOCK - 1, BLOCK, 50, LONG])
@pytest.mark.parametrize("name", ["gemma", "gemma 2", "gemma 3", "mistral"])
def test_a_known_beginning_changes_no_bit_of_the_scores(
    name: str,
    common: int,
) -> None:
    model, prefixes = FAMILIES[name]().eval(), PrefixCache(BLOCK)
    ids = ids_of(LONG)
    before = ids[:common] + ids_of(20, seed=3)
    with torch.inference_mode():
        expected = joined(decoder_of(model), ids)
        joined(decoder_of(model, prefixes), before)
        assert prefixes.tokens_spared == 0
        found = joined(decoder_of(model, prefixes), ids)
    assert torch.equal(found, expected)
    assert prefixes.tokens_spared == common // BLOCK * BLOCK


def test_the_beginning_of_one_adapter_is_not_that_of_another() -> None:
    model, prefixes = gemma().eval(), PrefixCache(BLOCK)
    told: list[Sequence[str | None]] = []
    decoder = Decoder(model, told.append, prefixes)
    with torch.inference_mode():
        for adapter in ("one", "two", "one"):
            prompt = decoder.begin(ids_of(BLOCK + 4), adapter)
            while prompt.scores is None:
                decoder.read(prompt)
    assert told == [["one"], ["one"], ["two"], ["two"], ["one"]]
    assert prefixes.tokens_spared == BLOCK


def test_the_last_row_takes_the_place_of_one_that_leaves() -> None:
    told: list[list[str | None]] = []
    decoder = Decoder(
        gemma().eval(),
        lambda rows: told.append(list(rows)),
        PrefixCache(BLOCK),
    )
    with torch.inference_mode():
        for adapter in ("one", None, "two"):
            prompt = decoder.begin(ids_of(SHORT), adapter)
            decoder.read(prompt)
            decoder.join(prompt)
        decoder.leave(0)
        decoder.step([40, 41])
    assert told[-1] == ["two", None]
