# -*- coding: utf-8 -*-
"""Reads conversations to train on, and says what became of every row.

Knows no tokens and no template; reads nothing else from the hub than data.
Raises DatasetError with the row and turn, ModelAccessError for the hub.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from .conversation_formats import FORMATS, FormatChoice, read_row, to_turns
from .dataset_account import ChatData, Drop, SourceRows, listed
from .dataset_sources import DataSource, HubAccess, open_sources
from .dataset_split import (
    Conversation,
    answered_in_training,
    split_conversations,
    times_in_epoch,
)
from .errors import ConfigError, DatasetError
from .row_values import Row, RowDropped, shorten
from .settings_data import DataPath, data_sources
from .turn_repair import clean_turns, repair_turns
from .turns import Turn

__all__ = [
    "ChatData",
    "Conversation",
    "Drop",
    "SourceRows",
    "clean_turns",
    "load_chat_data",
    "split_conversations",
    "to_turns",
]

DUPLICATE = "duplicate conversation"
ANSWERED_IN_TRAINING = "held-out answer also in training"


def load_chat_data(
    data_path: DataPath,
    *,
    token: str | None = None,
    base: Path | None = None,
    held_out_share: float = 0.1,
    held_out_rows: int | None = None,
    strict: bool = False,
    merge_same_role: bool = True,
    data_format: str | None = None,
    columns: Mapping[str, str] | None = None,
    cache_dir: str | Path | None = None,
) -> ChatData:
    """Reads a dataset into conversations for training and evaluation.

    Args:
        data_path (`DataPath`):
            A file, a folder, or the id owner/name of a dataset on the hub;
            or a list of them, as texts, settings or objects with `path`.
        token (`str | None`, optional):
            The Hugging Face token.
        base (`Path | None`, optional):
            Where relative paths start; the working folder if not given.
        held_out_share (`float`, defaults to `0.1`):
            The share of rows to hold out, see `split_conversations`.
        held_out_rows (`int | None`, optional):
            A number of rows to hold out, in place of the share.
        strict (`bool`, defaults to `False`):
            Whether the first row to be dropped is an error instead.
        merge_same_role (`bool`, defaults to `True`):
            Whether neighbouring turns of one role become one turn.
        data_format (`str | None`, optional):
            The format where a source names none; found row by row if empty.
        columns (`Mapping[str, str] | None`, optional):
            The data's names of columns by those of the format, likewise.
        cache_dir (`str | Path | None`, optional):
            Where hub datasets are kept.

    Returns:
        `ChatData`:
            The conversations and the account of all rows.
    """
    _check_split_settings(held_out_share, held_out_rows)
    sources = open_sources(
        data_sources(data_path, "data_path"),
        base,
        HubAccess(token, cache_dir),
        _format_choice(data_format, columns),
    )
    collected = _Collected(sources, strict, merge_same_role)
    for number in range(len(sources)):
        collected.add_source(number)
    train, held_out = split_conversations(
        collected.require_conversations(),
        held_out_share,
        held_out_rows,
    )
    collected.drop_learned(answered_in_training(train, held_out))
    return collected.as_chat_data(train, held_out)


@dataclass(frozen=True, slots=True)
class _Kept:
    """A row that became a conversation."""

    conversation: Conversation
    data_format: str
    changes: Sequence[str]
    source: int


class _Collected:
    """Sorts the rows of sources into conversations, drops and counts."""

    def __init__(
        self,
        sources: Sequence[DataSource],
        strict: bool,
        merge_same_role: bool,
    ) -> None:
        self.sources = sources
        self.strict = strict
        self.merge_same_role = merge_same_role
        self.kept: dict[tuple[Turn, ...], _Kept] = {}
        self.drops: list[Drop] = []
        self.rows_read = 0

    def add_source(self, number: int) -> None:
        source = self.sources[number]
        unseen = set(source.choice.columns.values())
        before = self.rows_read
        for where, row in source.rows:
            self.rows_read += 1
            unseen -= row.keys()
            try:
                self._add(where, row, number)
            except RowDropped as drop:
                self._drop(drop)
        if unseen and self.rows_read > before:
            raise DatasetError(
                f"no row of {source.place} has a column "
                f"{shorten(repr(min(unseen)))}, which `columns` names",
                fix="correct `columns`, or give this source its own, {} for "
                "none",
            )

    def _add(self, where: str, row: Row, number: int) -> None:
        read = read_row(row, where, self.sources[number].choice)
        repaired, changes = repair_turns(
            read.turns,
            where,
            self.merge_same_role,
            read.places,
        )
        turns = tuple(repaired)
        first = self.kept.get(turns)
        if first is not None:
            weights = [self.sources[n].weight for n in (first.source, number)]
            if weights[1] > weights[0]:
                self.kept[turns] = replace(first, source=number)
            raise RowDropped(where, DUPLICATE)
        self.kept[turns] = _Kept(
            Conversation(turns, where),
            read.data_format,
            changes,
            number,
        )

    def _drop(self, drop: RowDropped) -> None:
        if self.strict:
            raise DatasetError(
                f"{drop.where}: {drop.reason}",
                fix="correct the row, or set strict_data to false to drop such"
                " rows",
            ) from drop
        self.drops.append(Drop(drop.where, drop.reason))

    def require_conversations(self) -> list[Conversation]:
        if self.kept:
            return [one.conversation for one in self.kept.values()]
        place = " and ".join(one.place for one in self.sources)
        if not self.drops:
            raise DatasetError(
                f"0 rows in {place}",
                fix="choose data that has rows",
            )
        counts = Counter(drop.reason for drop in self.drops)
        raise DatasetError(
            f"every row in {place} was dropped{listed(counts)}; "
            f"the first: {self.drops[0].where}",
            fix="correct the rows, or choose other data",
        )

    def drop_learned(self, learned: Sequence[Conversation]) -> None:
        """Measuring these would measure what was learned; training on them
        would move rows to the other side when others are added."""
        for one in learned:
            self._drop(RowDropped(one.where, ANSWERED_IN_TRAINING))
            del self.kept[one.turns]

    def as_chat_data(
        self,
        train: Sequence[Conversation],
        held_out: Sequence[Conversation],
    ) -> ChatData:
        kept = self.kept.values()
        measured = tuple(one for one in held_out if one.turns in self.kept)
        epoch, counts = self._weigh(train)
        return ChatData(
            train=epoch,
            held_out=measured,
            drops=tuple(self.drops),
            formats=dict(Counter(one.data_format for one in kept)),
            source=", ".join(one.name for one in self.sources),
            fingerprint=_fingerprint(epoch, measured),
            adjustments=dict(Counter(c for one in kept for c in one.changes)),
            rows_read=self.rows_read,
            multi_turn=sum(one.conversation.is_multi_turn for one in kept),
            sources=counts,
            skipped_files=tuple(
                file for one in self.sources for file in one.skipped
            ),
        )

    def _weigh(
        self,
        train: Sequence[Conversation],
    ) -> tuple[tuple[Conversation, ...], tuple[SourceRows, ...]]:
        """The rows of an epoch, all once before any a second time."""
        numbers = [self.kept[one.turns].source for one in train]
        times = [
            times_in_epoch(one.turns, self.sources[number].weight)
            for one, number in zip(train, numbers, strict=True)
        ]
        epoch = tuple(
            one
            for before in range(max(times))
            for one, count in zip(train, times, strict=True)
            if count > before
        )
        if not epoch:
            raise DatasetError(
                f"the weights leave none of {len(train):,} rows to train on",
                fix="raise the weights",
            )
        rows = Counter(numbers)
        in_epoch: Counter[int] = Counter()
        for number, count in zip(numbers, times, strict=True):
            in_epoch[number] += count
        return epoch, tuple(
            SourceRows(
                name=one.name,
                origin=one.origin,
                weight=one.weight,
                rows=rows[number],
                in_epoch=in_epoch[number],
            )
            for number, one in enumerate(self.sources)
        )


def _fingerprint(*parts: Sequence[Conversation]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        for conversation in part:
            turns = [_written(turn) for turn in conversation.turns]
            digest.update(json.dumps(turns).encode("ascii") + b"\n")
        digest.update(b"\n")
    return digest.hexdigest()


def _written(turn: Turn) -> list[str]:
    unlearned = [] if turn.learned else ["not learned"]
    return [turn.role, turn.text, *unlearned]


def _check_split_settings(share: float, rows: int | None) -> None:
    problems = []
    if not 0 <= share < 1:
        problems.append(f"held_out_share is {share}, want 0 <= share < 1")
    if rows is not None and rows < 0:
        problems.append(f"held_out_rows is {rows}, want 0 or more")
    if problems:
        raise ConfigError("the split of the data", problems)


def _format_choice(
    data_format: str | None,
    columns: Mapping[str, str] | None,
) -> FormatChoice:
    if data_format is not None and data_format not in FORMATS:
        problem = (
            f"data_format is {shorten(repr(data_format))}, want one of "
            f"{', '.join(FORMATS)}"
        )
        raise ConfigError("the format of the data", [problem])
    return FormatChoice(data_format, columns or {})
