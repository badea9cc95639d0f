# -*- coding: utf-8 -*-
"""Holds a reply to a grammar: before each token, forbids what does not fit.

The library is llguidance; its form of a tokenizer is kept for each tokenizer
in use. At the end of the grammar only the tokens that end a reply are left.
Knows no turns and no schemas. Raises GenerationError.
"""

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from transformers import LogitsProcessor

from .base_model import BaseModel
from .chat_format import ChatFormat
from .errors import GenerationError
from .grammars import guidance, short

if TYPE_CHECKING:
    from llguidance import LLMatcher

MOST_GRAMMARS = 32
"""Compiled grammars that are kept for one tokenizer."""

_AS_TEXT = '\n%llguidance {"no_forcing": true}\n'
"""Without it llguidance tokenizes text to which there is no other way, and
that text may turn into a control token: "<eos>" would end the reply."""


class Vocabulary:
    """The tokens of one model as llguidance knows them.

    Args:
        chat_format (`ChatFormat`):
            Its tokenizer, and the tokens that end a reply.
        size (`int`):
            How many tokens the model scores.

    Raises:
        `GenerationError`: llguidance is not installed, or does not know this
            kind of tokenizer.
    """

    def __init__(self, chat_format: ChatFormat, size: int) -> None:
        self.stop_ids = chat_format.stop_ids
        self.size = size
        self._grammars: OrderedDict[str, LLMatcher] = OrderedDict()
        self._tokens = _guidance_tokens(chat_format, size)

    def matcher(self, grammar: str) -> "LLMatcher":
        """A grammar at its beginning.

        Raises:
            `GenerationError`: It cannot be used; says why.
        """
        matcher = self._grammars.get(grammar) or self._compiled(grammar)
        self._grammars[grammar] = matcher
        self._grammars.move_to_end(grammar)
        if len(self._grammars) > MOST_GRAMMARS:
            self._grammars.popitem(last=False)
        return matcher.deep_copy()

    def _compiled(self, grammar: str) -> "LLMatcher":
        kind = guidance().LLMatcher
        whole = kind.grammar_from_lark(grammar + _AS_TEXT)
        matcher = kind(self._tokens, whole, log_level=0)
        if matcher.is_error():
            raise GenerationError(
                f"the grammar cannot be used: {short(matcher.get_error())}",
                fix="correct it, or ask without a grammar",
            )
        return matcher


class GrammarMask(LogitsProcessor):
    """Gives all tokens that do not fit the grammar a score of minus infinity.

    Every row of a batch is at a place of its own in the grammar.

    Args:
        vocabulary (`Vocabulary`):
            The tokens.
        matcher (`LLMatcher`):
            The grammar, at its beginning.
    """

    def __init__(self, vocabulary: Vocabulary, matcher: "LLMatcher") -> None:
        self._stop_ids = list(vocabulary.stop_ids)
        self._beginning = matcher
        self._rows: list[LLMatcher] = []
        self._seen = 0

    def __call__(
        self,
        input_ids: torch.LongTensor,
        scores: torch.FloatTensor,
    ) -> torch.FloatTensor:
        """Mask the scores of the next token.

        Args:
            input_ids (`torch.LongTensor`):
                Prompt and reply so far, shape (rows, tokens).
            scores (`torch.FloatTensor`):
                Shape (rows, vocabulary).

        Returns:
            `torch.FloatTensor`: Shape (rows, vocabulary).

        Raises:
            `GenerationError`: The grammar leads nowhere.
        """
        if not self._rows:
            self._rows = [
                self._beginning.deep_copy() for _ in range(len(input_ids))
            ]
        else:
            new = input_ids[:, self._seen :].tolist()
            for matcher, ids in zip(self._rows, new, strict=True):
                _advance(matcher, ids)
        self._seen = input_ids.shape[1]
        width = scores.shape[1]
        allowed = torch.from_numpy(
            np.stack([self._allowed(one, width) for one in self._rows]),
        ).to(scores.device)
        masked = scores.where(allowed, -torch.inf)
        # Where another rule has forbidden all that fits, the grammar wins.
        stuck = masked.amax(dim=1).isneginf()
        if stuck.any():
            masked[stuck] = masked[stuck].masked_fill(allowed[stuck], 0.0)
        return masked

    def _allowed(self, matcher: "LLMatcher", width: int) -> np.ndarray:
        """Which tokens fit next, shape (width,)."""
        allowed = np.zeros(width, dtype=bool)
        if matcher.is_stopped():
            allowed[self._stop_ids] = True
            return allowed
        packed = np.frombuffer(matcher.compute_bitmask(), dtype=np.uint8)
        _check(matcher)
        bits = np.unpackbits(packed, bitorder="little")[:width]
        allowed[: len(bits)] = bits
        allowed[self._stop_ids] = matcher.is_accepting()
        return allowed


_vocabularies: WeakKeyDictionary[ChatFormat, Vocabulary] = WeakKeyDictionary()
_making = threading.Lock()


def grammar_mask(base: BaseModel, grammar: str) -> GrammarMask:
    """What holds a reply of a model to a grammar.

    The first one for a tokenizer takes seconds: 3 s for a vocabulary of
    262,144.

    Args:
        base (`BaseModel`):
            The model.
        grammar (`str`):
            In the Lark syntax of llguidance, with a rule `start`.

    Raises:
        `GenerationError`: llguidance is not installed, or the grammar cannot
            be used.
    """
    vocabulary = _vocabulary_of(base)
    return GrammarMask(vocabulary, vocabulary.matcher(grammar))


def _vocabulary_of(base: BaseModel) -> Vocabulary:
    chat_format = base.chat_format
    size = base.model.get_input_embeddings().weight.shape[0]
    with _making:
        known = _vocabularies.get(chat_format)
        if known is None or known.stop_ids != chat_format.stop_ids:
            known = Vocabulary(chat_format, size)
            _vocabularies[chat_format] = known
        return known


def _guidance_tokens(chat_format: ChatFormat, size: int) -> Any:
    guidance()
    from llguidance.hf import from_tokenizer

    tokenizer = chat_format.tokenizer
    try:
        return from_tokenizer(
            tokenizer,
            n_vocab=size,
            eos_token=list(chat_format.stop_ids),
        )
    except ValueError as error:
        raise GenerationError(
            f"replies of {tokenizer.name_or_path!r} cannot follow a grammar: "
            f"{error}",
            fix="use the model's fast tokenizer (tokenizer.json)",
        ) from error


def _advance(matcher: "LLMatcher", ids: list[int]) -> None:
    """Follow what was generated; after its end there is only padding."""
    for token_id in ids:
        if matcher.is_stopped():
            return
        matcher.consume_token(token_id)
        _check(matcher)


def _check(matcher: "LLMatcher") -> None:
    if matcher.is_error():
        raise GenerationError(
            f"the grammar could not be followed: {short(matcher.get_error())}",
            fix="give every rule an end, make it simpler, or do without",
        )
