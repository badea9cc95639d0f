# -*- coding: utf-8 -*-
"""Reads conversations to train on, and says what became of every row.

Knows no tokens and no template; reads nothing else from the hub than data.
Raises DatasetError with the row and turn, ModelAccessError for the hub.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .chat_format import Turn
from .conversation_formats import FORMATS, FormatChoice, read_row, to_turns
from .dataset_sources import DataSource, HubAccess, open_sources
from .dataset_split import Conversation, split_conversations, times_in_epoch
from .errors import ConfigError, DatasetError
from .row_values import Row, RowDropped, shorten
from .settings_data import DataPath, data_sources
from .turn_repair import clean_turns, repair_turns

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


@dataclass(frozen=True, slots=True)
class Drop:
    """A row that was left out; the place names the turn where one is at
    fault."""

    where: str
    reason: str


@dataclass(frozen=True, slots=True)
class SourceRows:
    """What of one source is trained on."""

    name: str
    weight: float
    rows: int
    """Its different rows that were not held out."""
    in_epoch: int
    """How often they count in an epoch, all together."""


@dataclass(frozen=True)
class ChatData:
    """What was read: the conversations, and an account of every row."""

    train: tuple[Conversation, ...]
    """What an epoch goes through; a weight repeats or leaves out rows."""
    held_out: tuple[Conversation, ...]
    drops: tuple[Drop, ...]
    formats: dict[str, int]
    """The rows kept, by the name of their format."""
    source: str
    fingerprint: str
    """sha256 over the turns of train and held_out, in order."""
    adjustments: dict[str, int] = field(default_factory=dict)
    """The rows kept that were repaired, by what was done to them."""
    rows_read: int = 0
    """All rows: those kept and those dropped."""
    multi_turn: int = 0
    """The rows kept in which the user speaks more than once."""
    sources: tuple[SourceRows, ...] = ()

    @property
    def rows_kept(self) -> int:
        """The different conversations, held out or not."""
        return sum(self.formats.values())

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
                For example "264 rows (264 lima), 48 multi-turn, 1 dropped (1
                empty turn), 26 held out".
        """
        parts = [
            f"{self.rows_kept:,} rows" + _listed(self.formats),
            f"{self.multi_turn:,} multi-turn",
            f"{len(self.drops):,} dropped" + _listed(self.drop_counts()),
        ]
        if self.adjustments:
            parts.append("adjusted" + _listed(self.adjustments))
        if self.held_out:
            parts.append(f"{len(self.held_out):,} held out")
        if any(source.weight != 1 for source in self.sources):
            parts.append("in an epoch" + _weighted(self.sources))
        return ", ".join(parts)


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
    collected = _Collected(strict, merge_same_role)
    for number, source in enumerate(sources):
        collected.add_source(number, source)
    conversations = collected.require_conversations(sources)
    train, held_out = split_conversations(
        conversations,
        held_out_share,
        held_out_rows,
    )
    return collected.as_chat_data(train, held_out, sources)


class _Collected:
    """Sorts rows into conversations, drops and counts."""

    def __init__(self, strict: bool, merge_same_role: bool) -> None:
        self.strict = strict
        self.merge_same_role = merge_same_role
        self.kept: dict[tuple[Turn, ...], Conversation] = {}
        self.drops: list[Drop] = []
        self.formats: Counter[str] = Counter()
        self.adjustments: Counter[str] = Counter()
        self.rows_read = 0
        self._source_of: dict[tuple[Turn, ...], int] = {}

    def add_source(self, number: int, source: DataSource) -> None:
        unseen = set(source.choice.columns.values())
        before = self.rows_read
        for where, row in source.rows:
            self.rows_read += 1
            unseen -= row.keys()
            try:
                turns = self._add(where, row, source.choice)
            except RowDropped as drop:
                self._drop(drop)
            else:
                self._source_of[turns] = number
        if unseen and self.rows_read > before:
            raise DatasetError(
                f"no row of {source.place} has a column "
                f"{shorten(repr(min(unseen)))}, which `columns` names",
                fix="correct `columns`, or give this source its own, {} for "
                "none",
            )

    def _add(
        self,
        where: str,
        row: Row,
        choice: FormatChoice,
    ) -> tuple[Turn, ...]:
        read = read_row(row, where, choice)
        repaired, changes = repair_turns(
            read.turns,
            where,
            self.merge_same_role,
            read.places,
        )
        turns = tuple(repaired)
        if turns in self.kept:
            raise RowDropped(where, DUPLICATE)
        self.kept[turns] = Conversation(turns, where)
        self.formats[read.data_format] += 1
        self.adjustments.update(changes)
        return turns

    def _drop(self, drop: RowDropped) -> None:
        if self.strict:
            raise DatasetError(
                f"{drop.where}: {drop.reason}",
                fix="correct the row, or set strict_data to false to drop such"
                " rows",
            ) from drop
        self.drops.append(Drop(drop.where, drop.reason))

    def require_conversations(
        self,
        sources: Sequence[DataSource],
    ) -> list[Conversation]:
        if self.kept:
            return list(self.kept.values())
        place = " and ".join(one.place for one in sources)
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
        sources: Sequence[DataSource],
    ) -> ChatData:
        epoch, counts = self._weigh(train, sources)
        return ChatData(
            train=epoch,
            held_out=held_out,
            drops=tuple(self.drops),
            formats=dict(self.formats),
            source=", ".join(one.name for one in sources),
            fingerprint=_fingerprint(epoch, held_out),
            adjustments=dict(self.adjustments),
            rows_read=self.rows_read,
            multi_turn=sum(one.is_multi_turn for one in self.kept.values()),
            sources=counts,
        )

    def _weigh(
        self,
        train: Sequence[Conversation],
        sources: Sequence[DataSource],
    ) -> tuple[tuple[Conversation, ...], tuple[SourceRows, ...]]:
        """The rows of an epoch, all once before any a second time."""
        numbers = [self._source_of[one.turns] for one in train]
        times = [
            times_in_epoch(one.turns, sources[number].weight)
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
            SourceRows(one.name, one.weight, rows[number], in_epoch[number])
            for number, one in enumerate(sources)
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


def _listed(counts: Mapping[str, int]) -> str:
    listed = ", ".join(f"{count:,} {what}" for what, count in counts.items())
    return f" ({listed})" if listed else ""


def _weighted(sources: Sequence[SourceRows]) -> str:
    listed = ", ".join(
        f"{one.name} {one.rows:,} x {one.weight:g} = {one.in_epoch:,}"
        for one in sources
    )
    return f" ({listed})"
