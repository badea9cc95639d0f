# -*- coding: utf-8 -*-
"""Training examples as the model will see them, with what it learns marked.

Cuts the very ids and labels of training into spans of text. Knows no weights
and no terminal. Raises nothing.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from .chat_datasets import Conversation
from .chat_format import ChatFormat
from .labelled_loss import IGNORED
from .training_rows import render_rows


@dataclass(frozen=True, slots=True)
class Span:
    """Neighbouring tokens that are all under the loss, or all not."""

    text: str
    is_trained: bool


@dataclass(frozen=True, slots=True)
class PreviewRow:
    """One training example.

    Attributes:
        where (`str`):
            The row of the data that it came from.
        spans (`tuple[Span, ...]`):
            Its text; control tokens are part of it.
        tokens (`int`), trained_tokens (`int`):
            All tokens, and those under the loss.
        is_shortened (`bool`):
            Whether its end was cut.
    """

    where: str
    spans: tuple[Span, ...]
    tokens: int
    trained_tokens: int
    is_shortened: bool

    @property
    def trained_share(self) -> float:
        """Tokens under the loss, of all."""
        return self.trained_tokens / self.tokens


def preview_rows(
    chat_format: ChatFormat,
    conversations: Sequence[Conversation],
    count: int,
    max_tokens: int,
) -> list[PreviewRow]:
    """The first examples that training would use.

    Args:
        chat_format (`ChatFormat`):
            Renders turns.
        conversations (`Sequence[Conversation]`):
            What training would learn from, in order.
        count (`int`):
            How many examples; fewer where there are fewer.
        max_tokens (`int`):
            The longest row, see `render_rows`.
    """
    shown: list[PreviewRow] = []
    for conversation in conversations:
        if len(shown) >= count:
            break
        rendered = render_rows(chat_format, [conversation], max_tokens)
        shown += [
            _preview(chat_format, conversation.where, row, rendered.shortened)
            for row in rendered.rows
        ]
    return shown


def _preview(
    chat_format: ChatFormat,
    where: str,
    row: dict[str, list[int]],
    shortened: int,
) -> PreviewRow:
    tokens = list(zip(row["input_ids"], row["labels"], strict=True))
    spans = [
        Span(_text(chat_format, [one for one, _ in group]), is_trained)
        for is_trained, group in itertools.groupby(tokens, _is_trained)
    ]
    return PreviewRow(
        where=where,
        spans=tuple(spans),
        tokens=len(tokens),
        trained_tokens=sum(map(_is_trained, tokens)),
        is_shortened=shortened > 0,
    )


def _is_trained(token: tuple[int, int]) -> bool:
    return token[1] != IGNORED


def _text(chat_format: ChatFormat, ids: list[int]) -> str:
    return chat_format.tokenizer.decode(
        ids,
        skip_special_tokens=False,
        clean_up_tokenization_spaces=False,
    )
