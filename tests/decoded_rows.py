# -*- coding: utf-8 -*-
"""What tests of decoded rows share: models of many families, and the scores
that each row must have."""

from collections.abc import Sequence
from typing import Any

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
from local_llm.step_graphs import StepGraphs

BLOCK = 16
COMMON = {**DIMENSIONS, "initializer_range": LOUD}
LONG, SHORT, MIDDLE = 70, 3, 40
CLOSE = {"rtol": 1e-4, "atol": 1e-4}
"""In float32, where scores are of the order of 1 to 10."""


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


def ids_of(length: int, seed: int = 0) -> list[int]:
    generator = torch.Generator().manual_seed(100 * length + seed)
    return torch.randint(6, 320, (length,), generator=generator).tolist()


def decoder_of(
    model: PreTrainedModel,
    prefixes: PrefixCache | None = None,
    graphs: StepGraphs | None = None,
) -> Decoder:
    known = PrefixCache(BLOCK) if prefixes is None else prefixes
    return Decoder(model, lambda rows: None, known, graphs)


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
    graphs: StepGraphs | None = None,
    steps: int = 1,
) -> None:
    """Let rows join and leave, some steps after each; every score must be
    that of the same row alone.

    Args:
        events (`Sequence[int | list[int]]`):
            A prompt that joins, or the number of a row that leaves.
        graphs (`StepGraphs | None`, optional):
            Captured steps of the model.
        steps (`int`, optional):
            After each event.
    """
    decoder, rows = decoder_of(model, graphs=graphs), []
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
            for seed in range(7 * number, 7 * number + steps):
                check_step(model, decoder, rows, seed)


def check_step(
    model: PreTrainedModel,
    decoder: Decoder,
    rows: Sequence[list[int]],
    seed: int = 0,
) -> None:
    """Add a token to each row; its scores must be those of the row alone."""
    tokens = [ids_of(1, seed + row)[0] for row in range(len(rows))]
    for row, token in zip(rows, tokens, strict=True):
        row.append(token)
    scores = decoder.step(tokens)
    for row, found in zip(rows, scores, strict=True):
        expected = whole_scores(model, row)[-1]
        torch.testing.assert_close(found, expected, **CLOSE)
