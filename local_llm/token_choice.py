# -*- coding: utf-8 -*-
"""Chooses the next token of one reply from the scores of all tokens.

The rules are those of transformers, in its order; a drawn token comes from a
generator of the reply's own. Knows no other replies. Raises GenerationError.
"""

from typing import TYPE_CHECKING

import torch
from transformers import (
    LogitsProcessorList,
    NoRepeatNGramLogitsProcessor,
    RepetitionPenaltyLogitsProcessor,
    SuppressTokensLogitsProcessor,
    TemperatureLogitsWarper,
    TopPLogitsWarper,
)

from .constrained import grammar_mask
from .errors import GenerationError

if TYPE_CHECKING:
    from .base_model import BaseModel
    from .reply_requests import Request, Sampling


class TokenChoice:
    """How one reply goes on.

    Args:
        base (`BaseModel`):
            Whose tokens they are.
        request (`Request`):
            What was asked.

    Attributes:
        is_plain (`bool`):
            Whether the token of the highest score is the choice.

    Raises:
        `GenerationError`: The grammar cannot be used.
    """

    def __init__(self, base: "BaseModel", request: "Request") -> None:
        sampling = request.sampling
        self._rules = _rules(base, request)
        self._shares = _shares(sampling)
        self._top_k = sampling.top_k
        self._generator: torch.Generator | None = None
        if sampling.do_sample:
            self._generator = torch.Generator(base.device)
            if sampling.seed is None:
                self._generator.seed()
            else:
                self._generator.manual_seed(sampling.seed)
        self.is_plain = not (sampling.do_sample or self._rules)

    def choose(self, ids: list[int], scores: torch.Tensor) -> int:
        """The next token.

        Args:
            ids (`list[int]`):
                Prompt and reply so far.
            scores (`torch.Tensor`):
                float32, shape (1, vocabulary).

        Raises:
            `GenerationError`: The grammar leads nowhere, or the scores are no
                numbers.
        """
        known = ids if self._rules else []
        given = torch.tensor([known], dtype=torch.long, device=scores.device)
        for rule in self._rules:
            scores = rule(given, scores)
        if self._generator is None:
            return int(scores.argmax())
        if not 0 < self._top_k < scores.shape[1]:
            return self._drawn(scores)
        # In the order of the vocabulary: two that are nearly as likely would
        # change places with the rounding of their scores.
        tokens = scores.topk(self._top_k).indices.sort().values
        return int(tokens[0, self._drawn(scores.gather(1, tokens))])

    def _drawn(self, scores: torch.Tensor) -> int:
        """A place in the scores, by one random number and the sums of the
        probabilities.

        Rounding in the scores, which depends on the other rows of a batch,
        moves the sums as little, so it seldom makes the place another one.
        """
        for rule in self._shares:
            scores = rule(None, scores)
        sums = scores[0].double().softmax(0).cumsum(0)
        number = torch.rand(
            1,
            generator=self._generator,
            dtype=torch.float64,
            device=scores.device,
        )
        # The first sum above the number, never a token of no probability.
        place = int(torch.searchsorted(sums, number * sums[-1], right=True))
        if place == len(sums):
            raise GenerationError("the scores of the model are no numbers")
        return place


def _rules(base: "BaseModel", request: "Request") -> LogitsProcessorList:
    """What changes the scores, however the token is then chosen."""
    sampling, rules = request.sampling, LogitsProcessorList()
    if sampling.repetition_penalty != 1.0:
        penalty = sampling.repetition_penalty
        rules.append(RepetitionPenaltyLogitsProcessor(penalty))
    # A grammar demands what was said before, quotes and commas at least.
    if sampling.no_repeat_ngram_size > 0 and request.grammar is None:
        size = sampling.no_repeat_ngram_size
        rules.append(NoRepeatNGramLogitsProcessor(size))
    never = base.model.generation_config.suppress_tokens
    if never:
        rules.append(SuppressTokensLogitsProcessor(never, base.device))
    if request.grammar is not None:
        rules.append(grammar_mask(base, request.grammar))
    return rules


def _shares(sampling: "Sampling") -> LogitsProcessorList:
    """What changes the shares of the tokens that are drawn from."""
    rules = LogitsProcessorList()
    if sampling.temperature != 1.0:
        rules.append(TemperatureLogitsWarper(sampling.temperature))
    if sampling.top_p < 1.0:
        rules.append(TopPLogitsWarper(sampling.top_p))
    return rules
