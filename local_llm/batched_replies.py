# -*- coding: utf-8 -*-
"""Replies to many prompts at once, where nobody waits for the first word.

For evaluations: prompts of like length share a batch, each reply is greedy.
Takes the model's lock for each batch, so that other requests come between.
Knows no turns. Raises GenerationError.
"""

from collections.abc import Callable, Iterator, Sequence

import torch
from transformers import GenerationConfig

from .adapters import active_adapter, use_weights_for_replies
from .base_model import BaseModel
from .errors import GenerationError

BATCH_TOKENS = 4096
"""Prompt tokens of a batch, padding included; a CPU gains little from more,
and the cache of a batch is of this order."""

_LOCK_TIMEOUT_S = 600.0


def batched_replies(
    base: BaseModel,
    adapter: str | None,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    batch_tokens: int = BATCH_TOKENS,
    on_progress: Callable[[int], None] = lambda done: None,
) -> list[str]:
    """Reply to every prompt, greedily.

    In bfloat16 a reply can differ from that of the same prompt alone where
    two tokens are nearly as likely; in float32 they are equal.

    Args:
        base (`BaseModel`):
            Who replies.
        adapter (`str | None`):
            With which adapter, None for the bare base model.
        prompts (`Sequence[Sequence[int]]`):
            Token ids, each of shape (tokens,).
        max_new_tokens (`int`):
            The longest reply, in tokens.
        batch_tokens (`int`, optional):
            Prompt tokens of one batch, padding included.
        on_progress (`Callable[[int], None]`, optional):
            Told after each batch how many replies there are.

    Returns:
        `list[str]`: A text for each prompt, in their order.

    Raises:
        `GenerationError`: A prompt leaves no room for a reply, or the model
            is being trained.
    """
    _check_fit(base, prompts, max_new_tokens)
    texts = [""] * len(prompts)
    done = 0
    for numbers in _batches(prompts, batch_tokens):
        chosen = [prompts[number] for number in numbers]
        replies = _reply(base, adapter, chosen, max_new_tokens)
        for number, text in zip(numbers, replies, strict=True):
            texts[number] = text
        done += len(numbers)
        on_progress(done)
    return texts


def _check_fit(
    base: BaseModel,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
) -> None:
    longest = max((len(ids) for ids in prompts), default=0)
    if longest + max_new_tokens > base.context_size:
        raise GenerationError(
            f"a prompt of {longest} tokens and a reply of {max_new_tokens} "
            f"do not fit into the context of {base.name}, "
            f"{base.context_size} tokens",
            fix="leave long prompts out, or use a model with a longer context",
        )


def _batches(
    prompts: Sequence[Sequence[int]],
    batch_tokens: int,
) -> Iterator[list[int]]:
    """Numbers of prompts, the longest first, so that memory runs out at the
    first batch or never."""
    order = sorted(range(len(prompts)), key=lambda n: -len(prompts[n]))
    while order:
        rows = max(1, batch_tokens // max(1, len(prompts[order[0]])))
        yield order[:rows]
        order = order[rows:]


def _reply(
    base: BaseModel,
    adapter: str | None,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
) -> list[str]:
    ids, mask = _padded_left(base, prompts)
    config = GenerationConfig(
        max_new_tokens=max_new_tokens,
        do_sample=False,
        eos_token_id=list(base.chat_format.stop_ids),
        pad_token_id=base.tokenizer.pad_token_id,
        use_cache=True,
    )
    with base.lock.generating(_LOCK_TIMEOUT_S):
        use_weights_for_replies(base, adapter)
        with active_adapter(base, adapter), torch.inference_mode():
            output = base.model.generate(
                input_ids=ids,
                attention_mask=mask,
                generation_config=config,
            )
    new = output[:, ids.shape[1] :].tolist()
    return base.tokenizer.batch_decode(
        [_until_stop(row, base.chat_format.stop_ids) for row in new],
        skip_special_tokens=True,
        clean_up_tokenization_spaces=False,
    )


def _padded_left(
    base: BaseModel,
    prompts: Sequence[Sequence[int]],
) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and mask, each of shape (prompts, tokens)."""
    width = max(len(ids) for ids in prompts)
    pad = base.tokenizer.pad_token_id
    ids = [[pad] * (width - len(row)) + list(row) for row in prompts]
    mask = [[0] * (width - len(row)) + [1] * len(row) for row in prompts]
    return (
        torch.tensor(ids, device=base.device),
        torch.tensor(mask, device=base.device),
    )


def _until_stop(ids: list[int], stop_ids: Sequence[int]) -> list[int]:
    ends = (place for place, one in enumerate(ids) if one in stop_ids)
    return ids[: next(ends, len(ids))]
