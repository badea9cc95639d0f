# -*- coding: utf-8 -*-
"""Texts that a grammar allows, drawn byte by byte without any model."""

import random

from llguidance import LLMatcher, LLTokenizer, TokenizerWrapper

_END = 256


class _Bytes:
    """A vocabulary of all bytes and an end."""

    eos_token_id = _END
    bos_token_id = None
    tokens = [*(bytes([one]) for one in range(_END)), b"<end>"]
    special_token_ids = [_END]

    def __call__(self, text: str | bytes) -> list[int]:
        return list(text if isinstance(text, bytes) else text.encode())


_TOKENS = LLTokenizer(TokenizerWrapper(_Bytes()))


def matcher_of(grammar: str) -> LLMatcher:
    """A grammar at its beginning."""
    matcher = LLMatcher(
        _TOKENS,
        LLMatcher.grammar_from_lark(grammar),
        log_level=0,
    )
    assert not matcher.is_error(), matcher.get_error()
    return matcher


def accepts(grammar: str, text: str) -> bool:
    """Whether a text follows a grammar from its beginning to its end."""
    matcher = matcher_of(grammar)
    ids = list(text.encode())
    return matcher.try_consume_tokens(ids) == len(ids) and (
        matcher.is_accepting()
    )


def random_text(grammar: str, seed: int) -> str:
    """A text in which each byte was drawn from all that the grammar allows."""
    matcher = matcher_of(grammar)
    draw = random.Random(seed)
    text = bytearray()
    while not matcher.is_stopped():
        mask = matcher.compute_bitmask()
        fitting = [
            one for one in range(_END + 1) if mask[one // 8] >> (one % 8) & 1
        ]
        chosen = draw.choice(fitting)
        assert matcher.consume_token(chosen), matcher.get_error()
        if chosen != _END:
            text.append(chosen)
    return text.decode()


def greedy_text(grammar: str, wanted: str) -> str:
    """A text for which one character is chosen wherever the grammar allows
    it, else the largest byte: what a model says that wants to go on."""
    matcher = matcher_of(grammar)
    text = bytearray()
    while not matcher.is_stopped():
        mask = matcher.compute_bitmask()
        fitting = [one for one in range(_END) if mask[one // 8] >> one % 8 & 1]
        liked = [one for one in fitting if one in wanted.encode()]
        if not fitting:
            break
        chosen = (liked or fitting)[-1]
        assert matcher.consume_token(chosen), matcher.get_error()
        text.append(chosen)
    return text.decode()
