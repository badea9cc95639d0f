# -*- coding: utf-8 -*-
"""Whether something can be written at a place, found out before it is made.

Leaves nothing behind. Raises CheckpointError.
"""

import shutil
import tempfile
from pathlib import Path

from .errors import CheckpointError


def check_writable(folder: Path) -> None:
    """Find out now whether a folder can be created, written and renamed in.

    Raises:
        `CheckpointError`: It cannot.
    """
    try:
        place = _nearest(folder.parent)
        probe = Path(tempfile.mkdtemp(prefix=".probe-", dir=place))
        probe.rename(f"{probe}-moved").rmdir()
    except OSError as error:
        raise CheckpointError(
            f"cannot write in {folder.parent.resolve()}: {error.strerror}",
            fix="choose an output_dir that you may write to",
        ) from error


def check_disk_space(folder: Path, needed_bytes: int) -> None:
    """Find out now whether a folder's disk has room for what will come.

    Args:
        folder (`Path`):
            Where it will be written; need not be there yet.
        needed_bytes (`int`):
            How much will be written.

    Raises:
        `CheckpointError`: There is less.
    """
    free = free_bytes(folder)
    if free < needed_bytes:
        raise CheckpointError(
            f"{folder.absolute()} needs {readable_size(needed_bytes)}, and "
            f"{readable_size(free)} are free on its disk",
            fix=f"free {readable_size(needed_bytes - free)} there, or choose "
            "an output_dir on another disk",
        )


def free_bytes(folder: Path) -> int:
    """How much fits on the disk of a folder, which need not be there yet."""
    return shutil.disk_usage(_nearest(folder)).free


def _nearest(path: Path) -> Path:
    """The path, or what stands nearest above it."""
    places = (path.absolute(), *path.absolute().parents)
    return next(one for one in places if one.exists())


def readable_size(size: int) -> str:
    """A number of bytes in the unit that a reader would choose."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} bytes"
