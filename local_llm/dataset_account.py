# -*- coding: utf-8 -*-
"""What was read of a dataset, and what became of every row, also in words.

Values and nothing else: reads nothing and raises nothing.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .dataset_split import Conversation

FILES_NAMED = 5
"""How many of the files that were not read a summary names."""


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
    origin: str
    """Its absolute path, or its id on the hub."""
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
    skipped_files: tuple[str, ...] = ()
    """The data files in folders that were not read."""

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
            f"{self.rows_kept:,} rows" + listed(self.formats),
            f"{self.multi_turn:,} multi-turn",
            f"{len(self.drops):,} dropped" + listed(self.drop_counts()),
        ]
        if self.adjustments:
            parts.append("adjusted" + listed(self.adjustments))
        if self.held_out:
            parts.append(f"{len(self.held_out):,} held out")
        if any(source.weight != 1 for source in self.sources):
            parts.append("in an epoch" + _weighted(self.sources))
        if self.skipped_files:
            parts.append("not read: " + _named(self.skipped_files))
        return ", ".join(parts)


def listed(counts: Mapping[str, int]) -> str:
    """Counts in words, such as " (3 empty turn, 1 no turns)".

    Args:
        counts (`Mapping[str, int]`):
            How many of what; nothing is said of none.
    """
    words = ", ".join(f"{count:,} {what}" for what, count in counts.items())
    return f" ({words})" if words else ""


def _weighted(sources: Sequence[SourceRows]) -> str:
    words = ", ".join(
        f"{one.name} {one.rows:,} x {one.weight:g} = {one.in_epoch:,}"
        for one in sources
    )
    return f" ({words})"


def _named(files: Sequence[str]) -> str:
    """Some of them by their names, and how many more there are."""
    more = len(files) - FILES_NAMED
    named = ", ".join(files[:FILES_NAMED])
    return f"{named} and {more:,} more" if more > 0 else named
