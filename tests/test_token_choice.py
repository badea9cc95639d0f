# -*- coding: utf-8 -*-
"""The rules are those of transformers, the draws those of the probabilities."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import GenerationConfig
from transformers.generation import LogitsProcessorList

from local_llm.errors import GenerationError
from local_llm.generation import Request, Sampling
from local_llm.token_choice import TokenChoice

WORDS = 60
IDS = [3, 4, 5, 3, 4]


def choice_of(sampling: Sampling, suppressed: Any = None) -> TokenChoice:
    base = SimpleNamespace(
        device=torch.device("cpu"),
        model=SimpleNamespace(
            generation_config=GenerationConfig(suppress_tokens=suppressed),
        ),
    )
    request = Request(IDS, print, sampling=sampling)
    return TokenChoice(base, request)  # type: ignore[arg-type]


def scores_of(seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(1, WORDS, generator=generator)


def drawn(sampling: Sampling, count: int) -> torch.Tensor:
    """How often each token is drawn, as a share."""
    choice, scores = choice_of(sampling), scores_of()
    tokens = [choice.choose(IDS, scores) for _ in range(count)]
    return torch.bincount(torch.tensor(tokens), minlength=WORDS) / count


def of_transformers(sampling: Sampling) -> torch.Tensor:
    """The probabilities that transformers draws from, shape (tokens,)."""
    from transformers import (
        NoRepeatNGramLogitsProcessor,
        RepetitionPenaltyLogitsProcessor,
        TemperatureLogitsWarper,
        TopKLogitsWarper,
        TopPLogitsWarper,
    )

    rules = LogitsProcessorList(
        [
            RepetitionPenaltyLogitsProcessor(sampling.repetition_penalty),
            NoRepeatNGramLogitsProcessor(sampling.no_repeat_ngram_size or 99),
            TemperatureLogitsWarper(sampling.temperature),
            TopKLogitsWarper(sampling.top_k or WORDS),
            TopPLogitsWarper(sampling.top_p),
        ],
    )
    return rules(torch.tensor([IDS]), scores_of())[0].softmax(0)


DRAWING = Sampling(do_sample=True, temperature=1.0, top_k=0, seed=1)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"temperature": 0.5},
        {"temperature": 2.0, "top_k": 5},
        {"top_p": 0.8},
        {"top_k": 10, "top_p": 0.6, "temperature": 1.5},
        {"top_k": 1000},
        {"repetition_penalty": 1.5},
        {"no_repeat_ngram_size": 2, "temperature": 3.0},
    ],
    ids=str,
)
def test_tokens_are_drawn_with_the_probabilities_of_transformers(
    changes: dict[str, Any],
) -> None:
    sampling = replace(DRAWING, **changes)
    expected = of_transformers(sampling)
    found = drawn(sampling, 3000)
    assert (found[expected == 0] == 0).all()
    # Three standard deviations of a share of 3,000 draws are 0.027 at most.
    assert (found - expected).abs().max() < 0.03


def test_the_same_seed_draws_the_same_tokens() -> None:
    choices = [choice_of(DRAWING) for _ in range(2)]
    rows = [
        [choice.choose(IDS, scores_of(seed)) for seed in range(50)]
        for choice in choices
    ]
    assert rows[0] == rows[1]
    assert len(set(rows[0])) > 10


def test_rounding_of_the_scores_seldom_changes_a_draw() -> None:
    sampling = replace(DRAWING, top_k=20, top_p=0.9)
    exact, rounded = choice_of(sampling), choice_of(sampling)
    noise, others = torch.Generator().manual_seed(9), 0
    for seed in range(1000):
        scores = scores_of(seed)
        off = 1e-6 * torch.randn(1, WORDS, generator=noise)
        first = exact.choose(IDS, scores)
        others += first != rounded.choose(IDS, scores + off)
    assert others <= 1


def test_without_drawing_the_likeliest_token_is_chosen() -> None:
    choice = choice_of(Sampling(temperature=9.0, top_k=3))
    assert choice.is_plain
    assert choice.choose(IDS, scores_of()) == int(scores_of().argmax())


def test_rules_count_without_drawing_too() -> None:
    choice = choice_of(Sampling(no_repeat_ngram_size=2))
    scores = torch.zeros(1, WORDS)
    scores[0, 5], scores[0, 7] = 9.0, 8.0
    assert not choice.is_plain
    assert choice.choose(IDS, scores) == 7  # 4 was followed by 5 before


def test_tokens_that_a_model_never_says_are_not_chosen() -> None:
    best = int(scores_of().argmax())
    choice = choice_of(Sampling(), suppressed=[best])
    assert choice.choose(IDS, scores_of()) != best
    assert choice_of(Sampling(), suppressed=[]).is_plain


def test_scores_that_are_no_numbers_are_an_error() -> None:
    for top_k in (0, 5):
        choice = choice_of(replace(DRAWING, top_k=top_k))
        with pytest.raises(GenerationError, match="no numbers"):
            choice.choose(IDS, torch.full((1, WORDS), float("nan")))
