# -*- coding: utf-8 -*-
"""Decodes several rows with one model, each with its own adapter.

A prompt is read alone and in parts of fixed borders, so that its keys and
values do not depend on the company nor on what of it was read before; then it
joins the others, which go on by one token at a time. Knows tokens and scores,
no requests. The caller holds the model's lock. Raises what the model raises.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from transformers import DynamicCache

from .model_step import ModelStep
from .slot_cache import SlotCache, has_plain_cache

if TYPE_CHECKING:
    from transformers import PreTrainedModel
    from transformers.cache_utils import Cache

    from .prefix_cache import PrefixCache
    from .step_graphs import StepGraphs

MOST_ROWS = 16
"""Rows that are decoded together; a CPU gains little from more."""


@dataclass(eq=False)
class Prompt:
    """A prompt that is being read.

    Attributes:
        ids (`list[int]`):
            All of it, shape (tokens,).
        adapter (`str | None`):
            With which adapter.
        cache (`Cache`):
            What has been read.
        done (`int`):
            How many tokens that is.
        scores (`torch.Tensor | None`):
            Of the token after it, shape (1, vocabulary), when all is read.
    """

    ids: list[int]
    adapter: str | None
    cache: "Cache"
    done: int = 0
    scores: torch.Tensor | None = None


class Decoder:
    """The rows that are decoded together.

    Args:
        model (`PreTrainedModel`):
            Decodes them.
        use_adapters (`Callable[[Sequence[str | None]], object]`):
            Told before each forward which adapter each of its rows has;
            returns what the model then computes with, the same object for
            the same tensors.
        prefixes (`PrefixCache`):
            What prompts began with before.
        graphs (`StepGraphs | None`, optional):
            Captured steps of the model; None where each step is run anew.

    Attributes:
        most_rows (`int`):
            How many fit in; one where the model's cache cannot be shared.
    """

    def __init__(
        self,
        model: "PreTrainedModel",
        use_adapters: Callable[[Sequence[str | None]], object],
        prefixes: "PrefixCache",
        graphs: "StepGraphs | None" = None,
    ) -> None:
        self._config = model.config
        self._device = model.device
        self._step = ModelStep(model)
        self._use_adapters = use_adapters
        self._prefixes = prefixes
        self._shares = has_plain_cache(model.config)
        self._graphs = graphs if self._shares else None
        self.most_rows = MOST_ROWS if self._shares else 1
        self.clear()

    def clear(self) -> None:
        """Give up all rows."""
        self._cache: Cache | None = None
        self._adapters: list[str | None] = []
        self._lengths: list[int] = []
        self._forget_graphs()

    def give_back_memory(self) -> None:
        """Forget what is not needed, after memory ran out or may have."""
        self._prefixes.clear()
        self._forget_graphs()
        torch.cuda.empty_cache()

    def begin(self, ids: list[int], adapter: str | None) -> Prompt:
        """Start to read a prompt, after what is known of it."""
        if not self._shares:
            return Prompt(ids, adapter, DynamicCache(config=self._config))
        prompt = Prompt(ids, adapter, SlotCache(self._config))
        for states in self._prefixes.find(adapter, ids):
            prompt.cache.append(states)
            prompt.done += self._prefixes.block_tokens
        return prompt

    def read(self, prompt: Prompt) -> None:
        """Read the next part of a prompt."""
        start, whole = prompt.done, len(prompt.ids)
        # State-space models read a prompt at once or token by token.
        size = self._prefixes.block_tokens if self._shares else whole
        end = min(start + size, whole)
        ids = self._tensor([prompt.ids[start:end]])
        positions = torch.arange(start, end, device=self._device)[None]
        self._use_adapters([prompt.adapter])
        if end < whole:
            self._step.read(ids, positions, prompt.cache)
        else:
            prompt.scores = self._step.scores(
                ids, positions, None, prompt.cache
            )
        prompt.done = end
        if self._shares and end - start == size:
            self._prefixes.keep(
                prompt.adapter,
                prompt.ids[:end],
                prompt.cache.states(start, end),
            )

    def join(self, prompt: Prompt) -> None:
        """Take a prompt that is read as the last row."""
        if self._cache is None:
            self._cache = prompt.cache
        else:
            self._cache.join(prompt.cache)
        self._adapters.append(prompt.adapter)
        self._lengths.append(len(prompt.ids))

    def leave(self, row: int) -> None:
        """Give up a row; the last one takes its place."""
        for values in (self._adapters, self._lengths):
            values[row] = values[-1]
            values.pop()
        if self._lengths:
            self._cache.leave(row, self._lengths)
        else:
            self.clear()

    def step(self, tokens: Sequence[int]) -> torch.Tensor:
        """Add a token to every row.

        Args:
            tokens (`Sequence[int]`):
                One for each row.

        Returns:
            `torch.Tensor`: Scores of the tokens after them, float32, shape
                (rows, vocabulary).
        """
        in_use = self._use_adapters(self._adapters)
        lengths = self._tensor(self._lengths)[:, None]
        ids = self._tensor(tokens)[:, None]
        inputs = (ids, lengths, self._mask(), self._cache)
        if self._graphs is None:
            scores = self._step.scores(*inputs)
        else:
            scores = self._graphs.scores(*inputs, in_use)
        self._lengths = [length + 1 for length in self._lengths]
        return scores

    def _forget_graphs(self) -> None:
        if self._graphs is not None:
            self._graphs.clear()

    def _mask(self) -> torch.Tensor | None:
        """Which tokens of a row are its own, with the one to come; shape
        (rows, tokens)."""
        longest = max(self._lengths)
        if min(self._lengths) == longest:
            return None
        padding = longest - self._tensor(self._lengths)
        places = torch.arange(longest + 1, device=self._device)
        return (places >= padding[:, None]).long()

    def _tensor(self, values: Sequence) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.long, device=self._device)
