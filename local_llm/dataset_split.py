# -*- coding: utf-8 -*-
"""Which conversations are held out, and how often the others are trained on.

Decided by hashes of the texts, so that no other row moves one. Reads no data;
raises nothing.
"""

import hashlib
import itertools
import json
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from .turns import Turn

_HASH_RANGE = 1 << 256


@dataclass(frozen=True, slots=True)
class Conversation:
    """Turns that a chat template takes, and the row they came from."""

    turns: tuple[Turn, ...]
    where: str

    @property
    def is_multi_turn(self) -> bool:
        """Whether the user speaks more than once."""
        return sum(turn.role == "user" for turn in self.turns) > 1


def split_conversations(
    conversations: Sequence[Conversation],
    share: float,
    rows: int | None = None,
) -> tuple[tuple[Conversation, ...], tuple[Conversation, ...]]:
    """Splits by the hash of the first user turn, which no other row moves.

    A plain text, which has no user turn, is split by the hash of its text.
    Conversations whose first user turns differ only in case and white space
    stay together. At least one such group remains for training.

    Args:
        conversations (`Sequence[Conversation]`):
            The conversations to split.
        share (`float`):
            Held out is what hashes below this share of the range of hashes,
            so the share of rows is the one expected, not an exact one.
        rows (`int | None`, optional):
            If given, the share is not used: held out are the groups with
            the smallest hashes, as many as fit into this number of rows.

    Returns:
        `tuple[tuple[Conversation, ...], tuple[Conversation, ...]]`:
            For training and held out, each in the order given.
    """
    groups: dict[int, int] = defaultdict(int)
    for conversation in conversations:
        groups[_split_hash(conversation)] += 1
    below = int(share * _HASH_RANGE)
    candidates = sorted(groups)[:-1]
    if rows is None:
        chosen = {one for one in candidates if one < below}
    else:
        chosen = _smallest_that_fit(candidates, groups, rows)
    train: list[Conversation] = []
    held_out: list[Conversation] = []
    for conversation in conversations:
        held = _split_hash(conversation) in chosen
        (held_out if held else train).append(conversation)
    return tuple(train), tuple(held_out)


def _smallest_that_fit(
    candidates: Iterable[int],
    sizes: dict[int, int],
    rows: int,
) -> set[int]:
    chosen = set()
    for one in candidates:
        if sizes[one] <= rows:
            chosen.add(one)
            rows -= sizes[one]
    return chosen


def _split_hash(conversation: Conversation) -> int:
    turns = conversation.turns
    users = (one for one in turns if one.role == "user")
    first = next(users, turns[0])  # a plain text has no user
    text = _canonical(first.text)
    return int(hashlib.sha256(text.encode("utf-8")).hexdigest(), 16)


def _canonical(text: str) -> str:
    """A text without the differences of case and white space."""
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())


def answered_in_training(
    train: Iterable[Conversation],
    held_out: Iterable[Conversation],
) -> list[Conversation]:
    """Finds what was held out and is learned all the same.

    Its first question is in no conversation for training, but a later one
    may be, and with the same answer. Case and white space do not count.

    Args:
        train (`Iterable[Conversation]`):
            What is for training.
        held_out (`Iterable[Conversation]`):
            What is to be measured.

    Returns:
        `list[Conversation]`:
            Those held out of which an answer is in training too, to the
            same turn of the user.
    """
    learned = {pair for one in train for pair in _answers(one)}
    return [
        one
        for one in held_out
        if any(pair in learned for pair in _answers(one))
    ]


def _answers(conversation: Conversation) -> Iterator[tuple[str, str]]:
    """Each turn of the user with the assistant's turn after it."""
    for asked, answer in itertools.pairwise(conversation.turns):
        if (asked.role, answer.role) == ("user", "assistant"):
            yield _canonical(asked.text), _canonical(answer.text)


def times_in_epoch(turns: Sequence[Turn], weight: float) -> int:
    """Says how often a conversation counts in an epoch.

    The fraction of a weight chooses conversations by their hash, so that
    other rows change nothing.

    Args:
        turns (`Sequence[Turn]`):
            The conversation.
        weight (`float`):
            The weight of its source.
    """
    whole, fraction = divmod(weight, 1)
    written = json.dumps(["weight", *([one.role, one.text] for one in turns)])
    digest = hashlib.sha256(written.encode("ascii")).digest()
    share = int.from_bytes(digest[:6], "big") / (1 << 48)
    return int(whole) + (share < fraction)
