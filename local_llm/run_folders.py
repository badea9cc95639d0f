# -*- coding: utf-8 -*-
"""The folder of a run from its beginning to its end: new, resumed, in the way.

Decides what happens where something stands already, so that nothing is lost.
Trains nothing. Raises CheckpointError.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from . import atomic_files, checkpoints, disk_room
from .errors import CheckpointError
from .resume_rules import RunRecord, compare, record_from

ExistingRun = Literal["refuse", "resume", "set_aside"]
"""What to do with a run that stands where a new one shall: refuse to begin;
go on with it; begin anew and keep it under another name."""

_CHANGES = "changes"


@dataclass(frozen=True)
class OpenRun:
    """A run that this process goes on with.

    Attributes:
        folder (`Path`):
            Where its checkpoints are.
        checkpoint (`Path | None`):
            The one to go on from; None to begin.
        changes (`list[str]`):
            What was changed at this and at earlier resumes.
    """

    folder: Path
    checkpoint: Path | None
    changes: list[str]


def check_output(
    output: Path,
    existing: ExistingRun,
    needed_bytes: int = 0,
) -> None:
    """Find out, before anything expensive, whether a run can begin.

    Args:
        output (`Path`):
            Where it will stand when it is finished.
        existing (`ExistingRun`):
            What to do with a run that is there.
        needed_bytes (`int`, optional):
            What checkpoints and the finished run will take.

    Raises:
        `CheckpointError`: The folder cannot be written, its disk is full,
            or something is in the way.
    """
    disk_room.check_writable(output)
    disk_room.check_disk_space(output, needed_bytes)
    if existing == "set_aside":
        return
    unfinished = checkpoints.unfinished_folder(output)
    if existing == "refuse" and checkpoints.has_progress(unfinished):
        raise _in_the_way(
            unfinished,
            "a run that did not finish and can go on with --resume",
        )
    if existing == "refuse" and checkpoints.is_unfinished(unfinished):
        with checkpoints.claimed(unfinished):
            pass  # nobody is at it
    if _holds_something_else(output):
        raise _in_the_way(output, "files that are not of a run")


@contextlib.contextmanager
def open_run(
    output: Path,
    record: RunRecord,
    existing: ExistingRun,
    accept_data_change: bool = False,
) -> Iterator[OpenRun]:
    """Begin a run, or go on with one; nobody else may meanwhile.

    Args:
        output (`Path`):
            Where it will stand when it is finished.
        record (`RunRecord`):
            What it is made of.
        existing (`ExistingRun`):
            What to do with a run that is there; one without a checkpoint is
            begun anew where this is another.
        accept_data_change (`bool`, optional):
            Whether a resumed run may use other data from here on.

    Raises:
        `CheckpointError`: A run is in the way, or cannot go on with this
            record; or another process is at it.
    """
    folder = checkpoints.unfinished_folder(output)
    if not (existing == "resume" and _is_of(folder, record)):
        _discard_without_progress(folder)
    if existing == "set_aside":
        _set_aside(folder)
    goes_on = existing == "resume" and checkpoints.is_unfinished(folder)
    if not goes_on:
        if existing != "set_aside" and atomic_files.is_sealed(output):
            raise _in_the_way(output, "a finished run of other settings")
        checkpoints.begin(folder, {**record.as_dict(), _CHANGES: []})
    with checkpoints.claimed(folder):
        atomic_files.delete_partials(output)
        changes, checkpoint = [], None
        if goes_on:
            changes = _changed_record(folder, record, accept_data_change)
            checkpoint = checkpoints.newest_committed(folder)
        yield OpenRun(folder, checkpoint, changes)


def _is_of(folder: Path, record: RunRecord) -> bool:
    """Whether the run in a folder is made of the very same."""
    try:
        found = record_from(checkpoints.read_record(folder))
    except CheckpointError:
        return False
    return found.as_dict() == record.as_dict()


def _discard_without_progress(folder: Path) -> None:
    """Delete a run that failed before its first checkpoint, if nobody is at
    it: it holds nothing, and corrected settings could not begin beside it."""
    if not checkpoints.is_unfinished(folder):
        return
    if checkpoints.has_progress(folder):
        return
    with checkpoints.claimed(folder):
        # Whoever let it go just now may have come further.
        if not checkpoints.has_progress(folder):
            checkpoints.discard(folder)


def _set_aside(folder: Path) -> None:
    """Keep an unfinished run under another name, if nobody is at it."""
    with contextlib.ExitStack() as stack:
        if checkpoints.is_unfinished(folder):
            stack.enter_context(checkpoints.claimed(folder))
        atomic_files.set_aside(folder, "previous")


def _changed_record(
    folder: Path,
    record: RunRecord,
    accept_data_change: bool,
) -> list[str]:
    """Compare what a run was made of with what it is made of now, and write
    down what has changed."""
    before = checkpoints.read_record(folder)
    now = compare(
        record_from(before),
        record,
        accept_data_change=accept_data_change,
    )
    changes = [*before.get(_CHANGES, []), *now]
    if now:
        checkpoints.change_record(
            folder,
            {**record.as_dict(), _CHANGES: changes},
        )
    return changes


def _holds_something_else(output: Path) -> bool:
    if atomic_files.is_sealed(output) or not output.exists():
        return False
    return not output.is_dir() or any(output.iterdir())


def _in_the_way(folder: Path, what: str) -> CheckpointError:
    return CheckpointError(
        f"{folder.absolute()} holds {what}",
        fix="begin anew with --overwrite, which keeps it under another name, "
        "or choose another output_dir",
    )
