# -*- coding: utf-8 -*-
"""Reads rows from data files, plain or gzip, and from their folders.

Knows nothing of conversations, and nothing of the hub.
Raises DatasetError with the file, and the line where there is one.
"""

import gzip
import io
import json
import os
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from .conversation_formats import FORMATS
from .dataset_tables import (
    delimited_rows,
    is_saved_dataset,
    parquet_rows,
    saved_rows,
)
from .errors import DatasetError
from .row_values import Row, around, describe, shown

READABLE_SUFFIXES = (
    *(".json", ".jsonl", ".csv", ".tsv"),
    *(".json.gz", ".jsonl.gz", ".csv.gz", ".tsv.gz"),
    ".parquet",
)
# Not read, but surely files: a missing one must not be looked for on the hub.
OTHER_FILE_SUFFIXES = (
    *(".arrow", ".feather", ".txt", ".md", ".xlsx", ".yaml", ".yml"),
    *(".zip", ".gz", ".bz2", ".xz", ".zst", ".tar"),
)
# What `datasets` writes beside the data.
DESCRIPTIONS = ("dataset_info.json", "dataset_infos.json")
MAX_DECOMPRESSED_BYTES = 1 << 30  # a small gzip file can hold terabytes
CONTEXT_BYTES = 30

_EVALUATION_FILE = re.compile(r"(test|valid|validation|dev|eval)([._-]|$)")
_TRAINING_FILE = re.compile(r"train([._-]|$)")


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
        for file in _training_files(path):
            name = f"{label}/{file.name}" if label else file.name
            yield from read_file(file, name)


def _training_files(folder: Path) -> list[Path]:
    """The data files of a folder in order of name, without test files."""
    try:
        files = sorted(
            file
            for file in folder.iterdir()
            if file.name.lower().endswith(READABLE_SUFFIXES)
            and not file.name.startswith(".")
            and file.name.lower() not in DESCRIPTIONS
            and file.is_file()
        )
    except OSError as error:
        raise _unreadable(folder, error) from error
    names = {file: file.name.lower() for file in files}
    training = [file for file in files if _TRAINING_FILE.match(names[file])]
    others = [
        file for file in files if not _EVALUATION_FILE.match(names[file])
    ]
    if not others:
        found = ", ".join(names.values()) or "none"
        raise DatasetError(
            f"no training files in folder {folder}; data files there: {found}",
            fix=f"put files with the endings {_endings()} there",
        )
    return training or others


def read_file(path: Path, label: str) -> Iterator[tuple[str, Row]]:
    """Reads all rows of one file.

    Args:
        path (`Path`):
            The file; its ending says how it is read.
        label (`str`):
            The name of the file in messages.

    Yields:
        `tuple[str, dict]`:
            The place of the row and the row. In a .jsonl file the number
            of the row is that of the line; of a table with a header both
            are given, as "row 3 (line 5)".
    """
    name = path.name.lower()
    if not name.endswith(READABLE_SUFFIXES):
        raise DatasetError(
            f"{path} is not of a kind that can be read",
            fix=f"convert it to a file with one of the endings {_endings()}",
        )
    read = _READERS[name.removesuffix(".gz").rpartition(".")[2]]
    try:
        with _open(path) as stream:
            for place, row in read(stream, path):
                where = f"{label} {place}"
                yield where, _require_object(row, where)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DatasetError(
            f"{path} is not a complete gzip file",
            fix="fetch or compress the file again",
        ) from error
    except OSError as error:
        raise _unreadable(path, error) from error


def _open(path: Path) -> BinaryIO:
    if not path.name.lower().endswith(".gz"):
        return path.open("rb")
    return io.BufferedReader(_CappedGzip(gzip.open(path, "rb"), path))


class _CappedGzip(io.RawIOBase):
    """A gzip stream that refuses to grow beyond the cap."""

    def __init__(self, stream: gzip.GzipFile, path: Path) -> None:
        super().__init__()
        self._stream = stream
        self._path = path
        self._left = MAX_DECOMPRESSED_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        size = self._stream.readinto(buffer)
        self._left -= size
        if self._left < 0:
            raise DatasetError(
                f"{self._path} holds more than {MAX_DECOMPRESSED_BYTES} "
                "bytes when decompressed",
                fix="split it, or decompress it if you trust it",
            )
        return size

    def close(self) -> None:
        self._stream.close()
        super().close()


def _json_lines(
    stream: BinaryIO,
    path: Path,
) -> Iterator[tuple[str, object]]:
    for number, line in enumerate(stream, start=1):
        text = _decode(line, path, number)
        if text.strip():
            yield f"row {number}", _parse(text, path, number)


def _json(stream: BinaryIO, path: Path) -> Iterator[tuple[str, object]]:
    content = stream.read()
    text = _decode(content, path, 1)
    if not text.strip():
        return
    if _holds_json_lines(text):
        yield from _json_lines(io.BytesIO(content), path)
        return
    rows = _rows_of(_parse(text, path, 1), path)
    for number, row in enumerate(rows, start=1):
        yield f"row {number}", row


def _comma_separated(
    stream: BinaryIO,
    path: Path,
) -> Iterator[tuple[str, object]]:
    return delimited_rows(_lines(stream, path), path, ",")


def _tab_separated(
    stream: BinaryIO,
    path: Path,
) -> Iterator[tuple[str, object]]:
    return delimited_rows(_lines(stream, path), path, "\t")


def _lines(stream: BinaryIO, path: Path) -> Iterator[str]:
    for number, line in enumerate(stream, start=1):
        yield _decode(line, path, number)


def _holds_json_lines(text: str) -> bool:
    """Whether a .json file holds one object a line, as many exports do."""
    first, _, rest = text.lstrip().partition("\n")
    if not rest.strip() or not first.startswith("{"):
        return False
    try:
        json.loads(first)
    except (ValueError, RecursionError):
        return False
    return True


def _rows_of(value: object, path: Path) -> list[object]:
    """The rows in a JSON document: a list, one row, or {"data": [...]}."""
    if isinstance(value, list):
        return value
    if isinstance(value, dict):
        if any(value.keys() >= set(one.columns) for one in FORMATS.values()):
            return [value]
        lists = [part for part in value.values() if isinstance(part, list)]
        if len(lists) == 1:
            return cast(list[object], lists[0])
    raise DatasetError(
        f"{path} holds {describe(value)}, want a list of rows",
        fix="write the rows as one JSON list, or one a line in a .jsonl file",
    )


def _decode(content: bytes, path: Path, line: int) -> str:
    try:
        # A byte order mark is the habit of some editors; it means nothing.
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line += content.count(b"\n", 0, error.start)
        before = content[max(0, error.start - CONTEXT_BYTES) : error.start]
        raise DatasetError(
            f"{path}:{line}: not UTF-8, byte 0x{content[error.start]:02x} "
            f"after {before!r}",
            fix="save the file as UTF-8",
        ) from error


def _parse(text: str, path: Path, line: int) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise DatasetError(
            f"{path}:{line + error.lineno - 1}:{error.colno}: not JSON "
            f"({error.msg}) near {around(text, error.pos)!r}",
            fix="correct the line; each row is one JSON object",
        ) from error
    except (ValueError, RecursionError) as error:
        problem = (
            "nested too deeply"
            if isinstance(error, RecursionError)
            else "a number with too many digits"
        )
        raise DatasetError(
            f"{path}:{line}: JSON that cannot be read: {problem}",
            fix="take the row out",
        ) from error


def _require_object(row: object, where: str) -> Row:
    if not isinstance(row, dict):
        raise DatasetError(
            f"{where} is {describe(row)}, want an object: {shown(row)}",
            fix='write each row as {"column": value, ...}',
        )
    return row


def _unreadable(path: Path, error: OSError) -> DatasetError:
    return DatasetError(
        f"{path} cannot be read: {error.strerror or type(error).__name__}",
        fix="check the file and its permissions",
    )


def _endings() -> str:
    return ", ".join(READABLE_SUFFIXES)


_READERS: dict[
    str,
    Callable[[BinaryIO, Path], Iterator[tuple[str, object]]],
] = {
    "json": _json,
    "jsonl": _json_lines,
    "csv": _comma_separated,
    "tsv": _tab_separated,
    "parquet": parquet_rows,
}
