# -*- coding: utf-8 -*-
"""Conversations as the rows of ids and labels that a trainer takes.

Counts what it cuts and leaves out. Knows no weights. Raises DatasetError
where nothing is left, or more is left out than is allowed.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from .chat_datasets import Conversation
from .chat_format import ChatFormat, RenderedChat
from .errors import DatasetError
from .labelled_loss import IGNORED

Row = dict[str, list[int]]


@dataclass(frozen=True, slots=True)
class TrainingRows:
    """Conversations as token ids, and what became of the long ones.

    Attributes:
        rows (`list[dict[str, list[int]]]`):
            `input_ids` and `labels`, each of shape (tokens,); a row stands
            here as often as it was given.
        shortened (`int`):
            Different rows whose end was cut to the longest sequence.
        without_answer (`list[str]`):
            Different rows left out: the cut would have left nothing to learn.
    """

    rows: list[Row]
    shortened: int
    without_answer: list[str]

    @property
    def tokens(self) -> int:
        """All tokens."""
        return sum(len(row["input_ids"]) for row in self.rows)

    @property
    def trained_tokens(self) -> int:
        """Tokens under the loss."""
        return sum(
            label != IGNORED for row in self.rows for label in row["labels"]
        )


def render_rows(
    chat_format: ChatFormat,
    conversations: Sequence[Conversation],
    max_tokens: int,
) -> TrainingRows:
    """Turn conversations into ids and labels.

    Args:
        chat_format (`ChatFormat`):
            Renders turns.
        conversations (`Sequence[Conversation]`):
            What to render.
        max_tokens (`int`):
            The longest row; longer ones lose their end.
    """
    whole = {
        one: chat_format.render(one.turns)
        for one in dict.fromkeys(conversations)
    }
    cut = {one: _cut(chat, max_tokens) for one, chat in whole.items()}
    rows = [cut[one] for one in conversations]
    return TrainingRows(
        rows=[row for row in rows if row is not None],
        shortened=sum(
            cut[one] is not None and len(chat.ids) > max_tokens
            for one, chat in whole.items()
        ),
        without_answer=[one.where for one, row in cut.items() if row is None],
    )


def _cut(chat: RenderedChat, max_tokens: int) -> Row | None:
    """The row that is left of a conversation, if any of it is learned."""
    ids, mask = chat.ids[:max_tokens], chat.mask[:max_tokens]
    if not any(mask):
        return None
    labels = [
        token_id if learned else IGNORED
        for token_id, learned in zip(ids, mask, strict=True)
    ]
    return {"input_ids": ids, "labels": labels}


def render_parts(
    chat_format: ChatFormat,
    train: Sequence[Conversation],
    held_out: Sequence[Conversation],
    max_tokens: int,
    strict: bool,
) -> tuple[TrainingRows, TrainingRows]:
    """Turn both parts of the data into ids and labels.

    Args:
        chat_format (`ChatFormat`):
            Renders turns.
        train (`Sequence[Conversation]`), held_out (`Sequence[Conversation]`):
            What to learn from, and what to measure on.
        max_tokens (`int`):
            The longest row, see `render_rows`.
        strict (`bool`):
            Whether the first row to be left out is an error instead.

    Returns:
        `tuple[TrainingRows, TrainingRows]`:
            To learn from, and to measure on.

    Raises:
        `DatasetError`: No row has anything to learn, or `strict` and one of
            either part has not.
    """
    rows = render_rows(chat_format, train, max_tokens)
    measured = render_rows(chat_format, held_out, max_tokens)
    left_out = [*rows.without_answer, *measured.without_answer]
    if strict and left_out:
        raise DatasetError(
            f"{left_out[0]}: no answer within {max_tokens} tokens",
            fix="raise max_seq_length, shorten the row, or set strict_data to "
            "false to leave such rows out",
        )
    if not rows.rows:
        raise DatasetError(
            f"no row has an answer within {max_tokens} tokens",
            fix="raise max_seq_length, or use shorter conversations",
        )
    return rows, measured


def fingerprint(*parts: TrainingRows) -> str:
    """sha256 of the ids and labels of rows, in their order."""
    text = json.dumps([part.rows for part in parts])
    return hashlib.sha256(text.encode()).hexdigest()
