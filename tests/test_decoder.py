# -*- coding: utf-8 -*-
"""Rows that are decoded together go on as each of them would alone."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from tiny_models import CONTEXT, DIMENSIONS, LOUD, VOCABULARY, gemma, gemma3
from transformers import (
    FalconConfig,
    FalconForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from local_llm.decoder import Decoder
from local_llm.prefix_cache import PrefixCache

BLOCK = 16
COMMON = {**DIMENSIONS, "initializer_range": LOUD}
LONG, SHORT, MIDDLE = 70, 3, 40


def build(kind: type, config: Any) -> PreTrainedModel:
    torch.manual_seed(5)
    return kind(config).eval()


FAMILIES = {
    "gemma": gemma,
    "gemma 2": lambda: build(
        Gemma2ForCausalLM,
        Gemma2Config(**COMMON, sliding_window=24, attn_implementation="eager"),
    ),
    "gemma 3": lambda: gemma3(sliding_window=24),
    "llama": lambda: build(LlamaForCausalLM, LlamaConfig(**COMMON)),
    "mistral": lambda: build(
        MistralForCausalLM,
        MistralConfig(**COMMON, sliding_window=24),
    ),
    "qwen 3": lambda: build(Qwen3ForCausalLM, Qwen3Config(**COMMON)),
    "gpt-2": lambda: build(
        GPT2LMHeadModel,
        GPT2Config(
            vocab_size=VOCABULARY,
            n_positions=CONTEXT,
            n_embd=64,
            n_layer=2,
            n_head=2,
            initializer_range=LOUD,
        ),
    ),
    "falcon with alibi": lambda: build(
        FalconForCausalLM,
        FalconConfig(
            vocab_size=VOCABULARY,
            hidden_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            alibi=True,
            initializer_range=LOUD,
        ),
    ),
    "mamba": lambda: build(
        MambaForCausalLM,
        MambaConfig(
            vocab_size=VOCABULARY,
            hidden_size=64,
            num_hidden_layers=2,
            initializer_range=LOUD,
        ),
    ),
}


@pytest.fixture(name="model", scope="module", params=list(FAMILIES))
def fixture_model(request: pytest.FixtureRequest) -> PreTrainedModel:
    return FAMILIES[request.param]().eval()


def ids_of(length: int, seed: int = 0) -> list[int]:
    generator = torch.Generator().manual_seed(100 * length + seed)
    return torch.randint(6, 320, (length,), generator=generator).tolist()


def decoder_of(
    model: PreTrainedModel,
    prefixes: PrefixCache | None = None,
) -> Decoder:
    known = PrefixCache(BLOCK) if prefixes is None else prefixes
    return Decoder(model, lambda rows: None, known)


def joined(decoder: Decoder, ids: list[int]) -> torch.Tensor:
    """Read a prompt and take it in; the scores after it."""
    prompt = decoder.begin(ids, None)
    while prompt.scores is None:
        decoder.read(prompt)
    decoder.join(prompt)
    return prompt.scores[0]


def whole_scores(model: PreTrainedModel, ids: list[int]) -> torch.Tensor:
    """The scores after each token, computed at once and without a cache."""
    return model(torch.tensor([ids]), use_cache=False).logits[0].float()


def check(
    model: PreTrainedModel,
    events: Sequence[int | list[int]],
) -> None:
    """Let rows join and leave, a step after each; every score must be that
    of the same row alone.

    Args:
        events (`Sequence[int | list[int]]`):
            A prompt that joins, or the number of a row that leaves.
    """
    decoder, rows = decoder_of(model), []
    with torch.inference_mode():
        for number, event in enumerate(events):
            if isinstance(event, int):
                decoder.leave(event)
                rows[event] = rows[-1]
                rows.pop()
            else:
                first = joined(decoder, event)
                expected = whole_scores(model, event)[-1]
                torch.testing.assert_close(first, expected, **CLOSE)
                rows.append(list(event))
            tokens = [
                ids_of(1, 7 * number + row)[0] for row in range(len(rows))
            ]
            for row, token in zip(rows, tokens, strict=True):
                row.append(token)
            scores = decoder.step(tokens)
            for row, found in zip(rows, scores, strict=True):
                expected = whole_scores(model, row)[-1]
                torch.testing.assert_close(found, expected, **CLOSE)


CLOSE = {"rtol": 1e-4, "atol": 1e-4}
"""In float32, where scores are of the order of 1 to 10."""


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
