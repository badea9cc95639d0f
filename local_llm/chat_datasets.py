# -*- coding: utf-8 -*-
"""Reads conversations to train on, and says what became of every row.

Knows no tokens and no template; reads nothing else from the hub than data.
Raises DatasetError with the row and turn, ModelAccessError for the hub.
"""

import hashlib
import json
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .chat_format import Turn
from .conversation_formats import Row, RowDropped, to_turns
from .dataset_files import find_local_path, read_path
from .dataset_hub import HubDataset, read_hub
from .errors import ConfigError, DatasetError
from .turn_repair import clean_turns, repair_turns

__all__ = [
    "ChatData",
    "Conversation",
    "Drop",
    "clean_turns",
    "load_chat_data",
    "split_conversations",
    "to_turns",
]

DUPLICATE = "duplicate conversation"
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
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


@dataclass(frozen=True, slots=True)
class Drop:
    """A row that was left out; the place names the turn where one is at
    fault."""

    where: str
    reason: str


@dataclass(frozen=True)
class ChatData:
    """What was read: the conversations, and an account of every row."""

    train: tuple[Conversation, ...]
    held_out: tuple[Conversation, ...]
    drops: tuple[Drop, ...]
    formats: dict[str, int]
    """The rows kept, by the name of their format."""
    source: str
    fingerprint: str
    """sha256 over the turns of train and held_out, in order."""
    adjustments: dict[str, int] = field(default_factory=dict)
    """The rows kept that were repaired, by what was done to them."""

    def drop_counts(self) -> dict[str, int]:
        """Counts the rows left out.

        Returns:
            `dict[str, int]`:
                By reason, the most frequent first.
        """
        return dict(Counter(drop.reason for drop in self.drops).most_common())

    def summary(self) -> str:
        """Says in one line what was read, dropped, adjusted and held out.

        Returns:
            `str`:
                For example "264 rows, 48 multi-turn, 1 dropped (1 empty
                turn), 26 held out".
        """
        kept = (*self.train, *self.held_out)
        multi_turn = sum(one.is_multi_turn for one in kept)
        parts = [
            f"{len(kept):,} rows",
            f"{multi_turn:,} multi-turn",
            f"{len(self.drops):,} dropped" + _listed(self.drop_counts()),
        ]
        if self.adjustments:
            parts.append("adjusted" + _listed(self.adjustments))
        if self.held_out:
            parts.append(f"{len(self.held_out):,} held out")
        return ", ".join(parts)


def load_chat_data(
    data_path: str,
    *,
    token: str | None = None,
    base: Path | None = None,
    held_out_share: float = 0.1,
    held_out_rows: int | None = None,
    strict: bool = False,
    merge_same_role: bool = True,
    split: str = "train",
    revision: str | None = None,
    cache_dir: str | Path | None = None,
) -> ChatData:
    """Reads a dataset into conversations for training and evaluation.

    Args:
        data_path (`str`):
            A file, a folder, or the id owner/name of a dataset on the hub.
        token (`str | None`, optional):
            The Hugging Face token.
        base (`Path | None`, optional):
            Where relative paths start; the working folder if not given.
        held_out_share (`float`, defaults to `0.1`):
            The expected share of rows to hold out, see
            `split_conversations`.
        held_out_rows (`int | None`, optional):
            A number of rows to hold out, in place of the share.
        strict (`bool`, defaults to `False`):
            Whether the first row to be dropped is an error instead.
        merge_same_role (`bool`, defaults to `True`):
            Whether neighbouring turns of one role become one turn.
        split (`str`, defaults to `"train"`):
            The split of a hub dataset; files have none.
        revision (`str | None`, optional):
            The revision of a hub dataset.
        cache_dir (`str | Path | None`, optional):
            Where hub datasets are kept.

    Returns:
        `ChatData`:
            The conversations and the account of all rows.
    """
    _check_split_settings(held_out_share, held_out_rows)
    hub = HubDataset(data_path, split, revision, token or None, cache_dir)
    place, rows = _open_source(data_path, base, hub)
    collected = _Collected(strict, merge_same_role)
    collected.add_all(rows)
    collected.require_conversations(place)
    train, held_out = split_conversations(
        list(collected.kept.values()),
        held_out_share,
        held_out_rows,
    )
    return collected.as_chat_data(train, held_out, data_path)


def _open_source(
    data_path: str,
    base: Path | None,
    hub: HubDataset,
) -> tuple[str, Iterator[tuple[str, Row]]]:
    """The name of the source in messages, and its rows."""
    path = find_local_path(data_path, base)
    if path is not None:
        return str(path), read_path(path)
    if not _HUB_ID.fullmatch(data_path):
        raise DatasetError(
            f"{data_path!r} is neither an existing path nor the id of a "
            "dataset",
            fix="give a file, a folder, or owner/name as on the hub",
        )
    return f"split {hub.split!r} of {data_path}", read_hub(hub)


class _Collected:
    """Sorts rows into conversations, drops and counts."""

    def __init__(self, strict: bool, merge_same_role: bool) -> None:
        self.strict = strict
        self.merge_same_role = merge_same_role
        self.kept: dict[tuple[Turn, ...], Conversation] = {}
        self.drops: list[Drop] = []
        self.formats: Counter[str] = Counter()
        self.adjustments: Counter[str] = Counter()

    def add_all(self, rows: Iterable[tuple[str, Row]]) -> None:
        for where, row in rows:
            try:
                self._add(where, row)
            except RowDropped as drop:
                self._drop(drop)

    def _add(self, where: str, row: Row) -> None:
        name, written = to_turns(row, where)
        repaired, changes = repair_turns(written, where, self.merge_same_role)
        turns = tuple(repaired)
        if turns in self.kept:
            raise RowDropped(where, DUPLICATE)
        self.kept[turns] = Conversation(turns, where)
        self.formats[name] += 1
        self.adjustments.update(changes)

    def _drop(self, drop: RowDropped) -> None:
        if self.strict:
            raise DatasetError(
                f"{drop.where}: {drop.reason}",
                fix="correct the row, or switch strict off to drop such rows",
            ) from drop
        self.drops.append(Drop(drop.where, drop.reason))

    def require_conversations(self, place: str) -> None:
        if self.kept:
            return
        if not self.drops:
            raise DatasetError(
                f"0 rows in {place}",
                fix="choose data that has rows",
            )
        counts = Counter(drop.reason for drop in self.drops)
        raise DatasetError(
            f"every row in {place} was dropped{_listed(counts)}; "
            f"the first: {self.drops[0].where}",
            fix="correct the rows, or choose other data",
        )

    def as_chat_data(
        self,
        train: tuple[Conversation, ...],
        held_out: tuple[Conversation, ...],
        source: str,
    ) -> ChatData:
        return ChatData(
            train=train,
            held_out=held_out,
            drops=tuple(self.drops),
            formats=dict(self.formats),
            source=source,
            fingerprint=_fingerprint(train, held_out),
            adjustments=dict(self.adjustments),
        )


def split_conversations(
    conversations: Sequence[Conversation],
    share: float,
    rows: int | None = None,
) -> tuple[tuple[Conversation, ...], tuple[Conversation, ...]]:
    """Splits by the hash of the first user turn, which no other row moves.

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
    first = next(one for one in conversation.turns if one.role == "user")
    text = unicodedata.normalize("NFC", first.text).casefold()
    canonical = " ".join(text.split())
    return int(hashlib.sha256(canonical.encode("utf-8")).hexdigest(), 16)


def _fingerprint(*parts: Sequence[Conversation]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        for conversation in part:
            turns = [[turn.role, turn.text] for turn in conversation.turns]
            digest.update(json.dumps(turns).encode("ascii") + b"\n")
        digest.update(b"\n")
    return digest.hexdigest()


def _check_split_settings(share: float, rows: int | None) -> None:
    problems = []
    if not 0 <= share < 1:
        problems.append(f"held_out_share is {share}, want 0 <= share < 1")
    if rows is not None and rows < 0:
        problems.append(f"held_out_rows is {rows}, want 0 or more")
    if problems:
        raise ConfigError("the split of the data", problems)


def _listed(counts: dict[str, int]) -> str:
    listed = ", ".join(f"{count:,} {what}" for what, count in counts.items())
    return f" ({listed})" if listed else ""
