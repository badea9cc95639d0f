# -*- coding: utf-8 -*-
"""Conversations as the rows of ids and labels that a trainer takes.

Counts what it cuts and leaves out. Knows no weights. Raises nothing.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from .chat_datasets import Conversation
from .chat_format import ChatFormat
from .labelled_loss import IGNORED


@dataclass(frozen=True, slots=True)
class TrainingRows:
    """Conversations as token ids, and what became of the long ones.

    Attributes:
        rows (`list[dict[str, list[int]]]`):
            `input_ids` and `labels`, each of shape (tokens,).
        shortened (`int`):
            Rows whose end was cut to the longest sequence.
        without_answer (`list[str]`):
            Rows left out: the cut would have left nothing to learn.
    """

    rows: list[dict[str, list[int]]]
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
    rows: list[dict[str, list[int]]] = []
    shortened = 0
    without_answer = []
    for conversation in conversations:
        chat = chat_format.render(conversation.turns)
        ids, mask = chat.ids[:max_tokens], chat.mask[:max_tokens]
        if not any(mask):
            without_answer.append(conversation.where)
            continue
        shortened += len(chat.ids) > max_tokens
        labels = [
            token_id if learned else IGNORED
            for token_id, learned in zip(ids, mask, strict=True)
        ]
        rows.append({"input_ids": ids, "labels": labels})
    return TrainingRows(rows, shortened, without_answer)


def fingerprint(*parts: TrainingRows) -> str:
    """sha256 of the ids and labels of rows, in their order."""
    text = json.dumps([part.rows for part in parts])
    return hashlib.sha256(text.encode()).hexdigest()
