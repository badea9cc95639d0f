# -*- coding: utf-8 -*-
"""What a data path means: a file, a folder with training files, or neither.

Chooses the files of a folder by their names; reads them through
`dataset_files`. Knows nothing of conversations, and nothing of the hub.
Raises DatasetError with the path.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .dataset_files import (
    READABLE_SUFFIXES,
    endings,
    read_file,
    unreadable,
)
from .dataset_tables import is_saved_dataset, saved_rows
from .errors import DatasetError
from .row_values import Row

# Not read, but surely files: a missing one must not be looked for on the hub.
OTHER_FILE_SUFFIXES = (
    *(".arrow", ".feather", ".txt", ".md", ".xlsx", ".yaml", ".yml"),
    *(".zip", ".gz", ".bz2", ".xz", ".zst", ".tar"),
)
# What `datasets` writes beside the data.
DESCRIPTIONS = ("dataset_info.json", "dataset_infos.json")
DATA_FOLDER = "data"
"""Where a clone of a dataset of the hub has its files."""

_EVALUATION_FILE = re.compile(
    r"(^|[._-])(test|valid|validation|val|dev|eval)([._-]|$)",
)
_TRAINING_FILE = re.compile(r"(^|[._-])train([._-]|$)")


@dataclass(frozen=True, slots=True)
class FolderFiles:
    """The data files of a folder, each in order of name.

    Attributes:
        training (`tuple[Path, ...]`):
            Those that are read.
        skipped (`tuple[Path, ...]`):
            Those that are not: they are for evaluation, or their names say
            less than the others' that they are for training.
    """

    training: tuple[Path, ...]
    skipped: tuple[Path, ...]


def find_local_path(data_path: str, base: Path | None = None) -> Path | None:
    """Finds out whether a data path means a file or folder.

    Args:
        data_path (`str`):
            A path, or the id of a dataset on the hub.
        base (`Path | None`, optional):
            The folder that relative paths start from; the working folder
            if not given.

    Returns:
        `Path | None`:
            The absolute path, which exists; None for what is no path.
    """
    expanded = Path(os.path.expanduser(data_path))
    path = Path(os.path.abspath((base or Path.cwd()) / expanded))
    if data_path and os.path.exists(path):
        return path
    if _looks_like_a_path(data_path) or expanded.is_absolute():
        raise DatasetError(
            f"file does not exist: {path}",
            fix="correct data_path; a relative one starts from "
            f"{base or Path.cwd()}",
        )
    return None


def _looks_like_a_path(data_path: str) -> bool:
    suffixes = (*READABLE_SUFFIXES, *OTHER_FILE_SUFFIXES)
    return data_path.startswith((".", "/", "~", "\\")) or (
        data_path.lower().endswith(suffixes)
    )


def read_path(
    path: Path,
    split: str = "train",
    label: str | None = None,
) -> Iterator[tuple[str, Row]]:
    """Reads all rows of a file, of the training files of a folder, or of one
    split of a dataset that was saved as a folder.

    Args:
        path (`Path`):
            An existing file or folder.
        split (`str`, defaults to `"train"`):
            The split of a saved dataset; files have none.
        label (`str | None`, optional):
            The name of the path in places; by default files have their own
            name, and a saved dataset that of its folder.

    Yields:
        `tuple[str, dict]`:
            The place of the row, as "file.json row 12", and the row.
    """
    if not path.is_dir():
        yield from read_file(path, label or path.name)
    elif is_saved_dataset(path):
        name = label or path.name
        for place, row in saved_rows(path, split):
            yield f"{name} {place}", row
    else:
        for file in folder_files(path).training:
            yield from read_file(file, _name_in(path, file, label))


def skipped_files(path: Path, label: str | None = None) -> tuple[str, ...]:
    """Names the data files that `read_path` leaves out.

    Args:
        path (`Path`):
            An existing file or folder.
        label (`str | None`, optional):
            As in `read_path`.
    """
    if not path.is_dir() or is_saved_dataset(path):
        return ()
    skipped = folder_files(path).skipped
    return tuple(_name_in(path, file, label) for file in skipped)


def folder_files(folder: Path) -> FolderFiles:
    """Chooses what to read of a folder.

    Files with a word such as `test` or `validation` in their names are never
    trained on; where some have the word `train`, only those are. A folder
    without any data file of its own is read from its `data` folder.

    Args:
        folder (`Path`):
            An existing folder.
    """
    files = _data_files(folder)
    inner = folder / DATA_FOLDER
    if not files and inner.is_dir():
        files = _data_files(inner)
    names = {file: file.name.lower() for file in files}
    others = [
        file for file in files if not _EVALUATION_FILE.search(names[file])
    ]
    if not others:
        found = ", ".join(names.values()) or "none"
        raise DatasetError(
            f"no training files in folder {folder}; data files there: {found}",
            fix=f"put files with the endings {endings()} there, or name a "
            "file as data_path",
        )
    named = [file for file in others if _TRAINING_FILE.search(names[file])]
    training = named or others
    skipped = [file for file in files if file not in training]
    return FolderFiles(tuple(training), tuple(skipped))


def _data_files(folder: Path) -> list[Path]:
    """What lies in a folder and is of a kind that can be read, by name."""
    try:
        return sorted(
            file
            for file in folder.iterdir()
            if file.name.lower().endswith(READABLE_SUFFIXES)
            and not file.name.startswith(".")
            and file.name.lower() not in DESCRIPTIONS
            and file.is_file()
        )
    except OSError as error:
        raise unreadable(folder, error) from error


def _name_in(folder: Path, file: Path, label: str | None) -> str:
    name = file.relative_to(folder).as_posix()
    return f"{label}/{name}" if label else name
