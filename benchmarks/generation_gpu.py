# -*- coding: utf-8 -*-
"""Speed of replies of a gemma-7b-shaped model on a GPU.

    python benchmarks/generation.py --gpu            on a GPU
    python benchmarks/generation.py --gpu --small    a tiny model, any device

The weights are random; speed does not depend on their values. Arms: `one_by_one`
asks transformers' `generate`, one request after the other, with peft's switch
of adapters between them; `adapter_names` asks it once for all, each row with
its own adapter; `ours` submits all requests to the engine; `captured` does so
with `cuda_graphs`. Replies end at their length. Prints a table last. It has
not been run on a GPU yet; without one, `captured` is `ours` again.
"""

import itertools
import json
import operator
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from arms import in_turn, ratio
from gpu_smoke import GEMMA_7B, TINY, make_base_model

from local_llm.adapters import (
    active_adapter,
    peft_model,
    use_weights_for_replies,
)
from local_llm.base_model import BaseModel
from local_llm.generation import GenerationEngine
from local_llm.graph_capture import capture_on

TOKENS = 128
ROUNDS = 3
ADAPTERS = 4
CELLS = tuple(
    itertools.product((1, 4, 16), (1, ADAPTERS), (64, 512, 2048)),
)
"""Requests, adapters, tokens of a prompt."""

SMALL_TOKENS = 16
"""Enough for a step to be captured."""
SMALL_CELLS = ((2, 1, 16), (2, 2, 16))


def measure(tiny: bool) -> None:
    """Measure every cell and print the figures, or say that there is no GPU.

    Args:
        tiny (`bool`):
            Whether a small model goes through the same steps.
    """
    if not tiny and not torch.cuda.is_available():
        print("no GPU here: nothing was measured")
        return
    from generation import random_adapter

    base = make_base_model(TINY if tiny else GEMMA_7B)
    base.chat_format.stop_ids = (base.tokenizer.pad_token_id,)
    names = [random_adapter(base, seed) for seed in range(ADAPTERS)]
    rounds, tokens = (1, SMALL_TOKENS) if tiny else (ROUNDS, TOKENS)
    engines = {
        "ours": GenerationEngine(base),
        "captured": GenerationEngine(base, capture_on(base.device)),
    }
    figures = [
        measure_cell(
            base, engines, names[:adapters], requests, prompt, tokens, rounds
        )
        for requests, adapters, prompt in (SMALL_CELLS if tiny else CELLS)
        if adapters <= requests
    ]
    print(json.dumps(figures, indent=1))
    print(table(figures))


def measure_cell(
    base: BaseModel,
    engines: Mapping[str, GenerationEngine],
    names: Sequence[str],
    requests: int,
    prompt_tokens: int,
    tokens: int,
    rounds: int,
) -> dict[str, Any]:
    """Tokens per second of the arms, for one number of each."""
    draw = torch.Generator().manual_seed(requests)
    low, high = 5, base.model.config.vocab_size
    ids = torch.randint(low, high, (requests, prompt_tokens), generator=draw)
    adapters = list(itertools.islice(itertools.cycle(names), requests))
    arms: dict[str, Callable[[], Any]] = {
        "one_by_one": lambda: one_by_one(base, ids, adapters, tokens),
        "adapter_names": lambda: by_adapter_names(base, ids, adapters, tokens),
    }
    for name, engine in engines.items():
        arms[name] = partial(
            by_engine, base, engine, ids.tolist(), adapters, tokens
        )
    texts = {name: arms[name]() for name in engines}
    speeds = in_turn(arms, rounds, requests * tokens)
    return {
        "requests": requests,
        "adapters": len(names),
        "prompt_tokens": prompt_tokens,
        "tokens_per_s": speeds,
        "ours_to_one_by_one": ratio(speeds, "ours", "one_by_one"),
        "ours_to_adapter_names": ratio(speeds, "ours", "adapter_names"),
        "captured_to_ours": ratio(speeds, "captured", "ours"),
        "captured_equal_replies": sum(
            map(operator.eq, texts["captured"], texts["ours"])
        ),
    }


def by_engine(
    base: BaseModel,
    engine: GenerationEngine,
    prompts: Sequence[Sequence[int]],
    adapters: Sequence[str],
    tokens: int,
) -> list[str]:
    """All requests submitted at once."""
    from generation import replies

    base.engine = engine
    return replies(base, prompts, adapters, tokens)


def one_by_one(
    base: BaseModel,
    ids: torch.Tensor,
    adapters: Sequence[str],
    tokens: int,
) -> None:
    """Each request alone, with its adapter switched on before."""
    for row, name in zip(ids, adapters, strict=True):
        use_weights_for_replies(base, name)
        with active_adapter(base, name), torch.inference_mode():
            base.model.generate(**_arguments(base, row[None], tokens))


def by_adapter_names(
    base: BaseModel,
    ids: torch.Tensor,
    adapters: Sequence[str],
    tokens: int,
) -> None:
    """All requests in one batch; peft takes the rows of each adapter apart."""
    use_weights_for_replies(base, adapters[0])
    with active_adapter(base, adapters[0]), torch.inference_mode():
        peft_model(base).eval().generate(
            **_arguments(base, ids, tokens),
            adapter_names=list(adapters),
        )


def _arguments(
    base: BaseModel,
    ids: torch.Tensor,
    tokens: int,
) -> dict[str, Any]:
    """Of `generate`: greedy, and as long as it is wanted."""
    ids = ids.to(base.device)
    return {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "do_sample": False,
        "min_new_tokens": tokens,
        "max_new_tokens": tokens,
        "pad_token_id": base.tokenizer.pad_token_id,
    }


def table(figures: Sequence[dict[str, Any]]) -> str:
    """The cells as Markdown."""
    lines = [
        "| requests | adapters | prompt | ours, tokens/s | times one by one "
        "| times adapter_names | captured, times ours |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in figures:
        ours = one["tokens_per_s"]["ours"]["median"]
        lines.append(
            f"| {one['requests']} | {one['adapters']} "
            f"| {one['prompt_tokens']} | {ours:.0f} "
            f"| {one['ours_to_one_by_one']:.2f} "
            f"| {one['ours_to_adapter_names']:.2f} "
            f"| {one['captured_to_ours']:.2f} |",
        )
    return "\n".join(lines)
