# -*- coding: utf-8 -*-
"""An unfinished run: its record, and checkpoints that are whole or not used.

A run lives in `<output_dir>.unfinished` until it is published. A checkpoint
counts once its manifest is written and its folder renamed; of what is in it
nothing is known here. Nothing damaged is deleted. Raises CheckpointError.
"""

import contextlib
import json
import logging
import os
import re
import shutil
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import filelock
from safetensors import SafetensorError

from . import atomic_files, disk_room
from .errors import CheckpointError, LocalLLMError

log = logging.getLogger(__name__)

RECORD_NAME = "run.json"
MIN_KEPT = 2
"""With one, a fault of the newest would cost the whole run."""

_OWNER_NAME = "owner.txt"
_FOLDER_NAME = re.compile("checkpoint-([0-9]{1,12})")
_WRITE_FAILURES = (CheckpointError, OSError, RuntimeError, SafetensorError)
"""What torch, safetensors and files raise on a full disk."""


def unfinished_folder(output_dir: Path) -> Path:
    """Where a run is until it stands, finished, in its output folder."""
    return output_dir.parent / f"{output_dir.name}.unfinished"


def begin(folder: Path, record: Mapping[str, Any]) -> None:
    """Create the folder of a run, with the record of what it is made of.

    Args:
        folder (`Path`):
            See `unfinished_folder`.
        record (`Mapping[str, Any]`):
            Values that JSON can hold.

    Raises:
        `CheckpointError`: It is there already, or cannot be written.
    """
    _delete_rest(folder)
    atomic_files.delete_partials(folder)
    if os.path.lexists(folder):
        raise _in_the_way(folder)
    with atomic_files.placed_folder(folder) as partial:
        atomic_files.write_json(partial / RECORD_NAME, record)


def is_unfinished(folder: Path) -> bool:
    """Whether there is a run to resume."""
    return (folder / RECORD_NAME).is_file()


def has_progress(folder: Path) -> bool:
    """Whether there is a run with something to lose: a checkpoint, be it half
    or damaged."""
    return is_unfinished(folder) and any(
        "checkpoint-" in path.name for path in folder.iterdir()
    )


def read_record(folder: Path) -> dict[str, Any]:
    """The record of an unfinished run.

    Raises:
        `CheckpointError`: There is none, or it cannot be read.
    """
    path = folder / RECORD_NAME
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{path.absolute()} cannot be read: {error}",
            fix="start anew with --overwrite, which keeps it aside",
        ) from error
    if not isinstance(record, dict):
        raise CheckpointError(f"{path.absolute()} is not the record of a run")
    return record


def change_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Put another record in the place of the one there, in one step."""
    atomic_files.write_json(folder / RECORD_NAME, record)


@contextlib.contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Keep other processes from resuming a run that is going on.

    A process that dies lets go by itself. On a network file system that lets
    everybody in, checkpoints are still written whole: no two writers share a
    folder.

    Raises:
        `CheckpointError`: Another process goes on with it.
    """
    owner = folder / _OWNER_NAME
    lock = filelock.FileLock(folder / "run.lock")
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout as error:
        raise CheckpointError(
            f"{_read_owner(owner)} is training in {folder.absolute()}",
            fix="wait until it has finished, or end it",
        ) from error
    except OSError as error:
        raise CheckpointError(
            f"cannot write in {folder.absolute()}: {error.strerror}",
            fix="choose an output_dir that you may write to",
        ) from error
    try:
        _delete_partials(folder)
        name = f"process {os.getpid()} on {socket.gethostname()}"
        atomic_files.write_text(owner, name)
        yield
    finally:
        lock.release()


def commit(
    folder: Path,
    step: int,
    write: Callable[[Path], None],
    *,
    keep: int = MIN_KEPT,
) -> Path:
    """Write a checkpoint; it counts only once it is on the disk, whole.

    Where writing fails, it is repeated once after pruning to two. Only
    afterwards are old ones pruned. Where the run itself is gone, nothing is
    written: what has no record cannot be resumed.

    Args:
        folder (`Path`):
            The unfinished run's.
        step (`int`):
            The optimizer steps done.
        write (`Callable[[Path], None]`):
            Writes everything into the folder it is given.
        keep (`int`, optional):
            How many of the newest to keep; never below two.

    Returns:
        `Path`: The committed folder.

    Raises:
        `CheckpointError`: It could not be written twice; those committed
            before are as they were. Or the run is no longer there.
    """
    if not is_unfinished(folder):
        raise CheckpointError(
            f"{folder.absolute()} was taken away while its run went on",
            fix="bring it back and go on with --resume, or begin anew",
        )
    target = folder / f"checkpoint-{step}"
    try:
        _write(target, write)
    except _WRITE_FAILURES as error:
        log.warning("checkpoint not written step=%d: %s", step, error)
        prune(folder, MIN_KEPT)
        _write_again(target, write)
    log.info("checkpoint committed step=%d folder=%s", step, target)
    prune(folder, keep)
    return target


def newest_committed(folder: Path) -> Path | None:
    """The checkpoint to go on from: the newest that is as it was written.

    Newer ones that are not are renamed to `<name>.damaged-<n>`.

    Raises:
        `CheckpointError`: A damaged one cannot be renamed.
    """
    for _, path in reversed(_numbered(folder)):
        try:
            atomic_files.check_nothing_else(path)
            atomic_files.check_manifest(path)
            return path
        except CheckpointError as error:
            aside = atomic_files.set_aside(path, "damaged")
            log.warning("checkpoint not used, kept as %s: %s", aside, error)
    return None


def step_of(checkpoint: Path) -> int:
    """The optimizer steps that a checkpoint comes after.

    Raises:
        `CheckpointError`: It is not named as a checkpoint.
    """
    match = _FOLDER_NAME.fullmatch(checkpoint.name)
    if match is None:
        raise CheckpointError(f"{checkpoint.absolute()} is no checkpoint")
    return int(match[1])


def prune(folder: Path, keep: int) -> None:
    """Delete old checkpoints, all but the newest.

    Args:
        folder (`Path`):
            The unfinished run's.
        keep (`int`):
            How many of the newest to keep; never below two.
    """
    for path in folder.glob(".checkpoint-*.deleted"):
        shutil.rmtree(path, ignore_errors=True)
    committed = [
        one for one in _numbered(folder) if atomic_files.is_whole(one[1])
    ]
    for _, path in committed[: -max(keep, MIN_KEPT)]:
        _delete(path)


def discard(folder: Path) -> None:
    """Delete an unfinished run, which stands finished elsewhere by now, or
    what an earlier try has left of it."""
    _delete(folder)


def _numbered(folder: Path) -> list[tuple[int, Path]]:
    """Everything named as a checkpoint, in the order of the steps."""
    if not folder.is_dir():
        return []
    return sorted(
        (int(match[1]), path)
        for path in folder.iterdir()
        if (match := _FOLDER_NAME.fullmatch(path.name))
    )


def _delete_partials(folder: Path) -> None:
    """Delete what killed processes have not finished in a run."""
    for path in folder.glob(".checkpoint-*.partial-*"):
        shutil.rmtree(path, ignore_errors=True)


def _in_the_way(folder: Path) -> CheckpointError:
    if is_unfinished(folder):
        return CheckpointError(
            f"{folder.absolute()} holds a run that did not finish",
            fix="go on with --resume, or start anew with --overwrite, which "
            "keeps it aside",
        )
    return CheckpointError(
        f"{folder.absolute()} has no record of a run",
        fix="start anew with --overwrite, which keeps it aside",
    )


def _read_owner(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return "another process"


def _write(target: Path, write: Callable[[Path], None]) -> None:
    with atomic_files.sealed_folder(target) as partial:
        write(partial)


def _write_again(target: Path, write: Callable[[Path], None]) -> None:
    try:
        _write(target, write)
    except _WRITE_FAILURES as error:
        what = error.message if isinstance(error, LocalLLMError) else error
        free = disk_room.readable_size(disk_room.free_bytes(target))
        raise CheckpointError(
            f"{target.absolute()} could not be written, twice: {what}; "
            f"{free} are free on its disk",
            fix="free some disk space, then go on with --resume: what was "
            "saved before is as it was",
        ) from error


def _delete(folder: Path) -> None:
    """Delete a folder so that a kill leaves none that looks whole.

    That nothing is left matters less than that a run goes on.
    """
    _delete_rest(folder)
    try:
        os.rename(folder, _doomed(folder))
    except FileNotFoundError:
        return
    except OSError as error:
        log.warning("cannot delete %s: %s", folder, error)
    _delete_rest(folder)


def _delete_rest(folder: Path) -> None:
    shutil.rmtree(_doomed(folder), ignore_errors=True)


def _doomed(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.deleted")
