# -*- coding: utf-8 -*-
"""Reads the rows of one data file, or the value of a JSON file, plain or gzip.

Knows nothing of conversations, of folders and of the hub.
Raises DatasetError with the file, and the line where there is one.
"""

import contextlib
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from .conversation_formats import FORMATS
from .dataset_tables import delimited_rows, parquet_rows
from .errors import DatasetError
from .row_values import Row, around, describe, shown

READABLE_SUFFIXES = (
    *(".json", ".jsonl", ".csv", ".tsv"),
    *(".json.gz", ".jsonl.gz", ".csv.gz", ".tsv.gz"),
    ".parquet",
)
MAX_DECOMPRESSED_BYTES = 1 << 30  # a small gzip file can hold terabytes
CONTEXT_BYTES = 30


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
            fix=f"convert it to a file with one of the endings {endings()}",
        )
    read = _READERS[name.removesuffix(".gz").rpartition(".")[2]]
    with _faults_named(path), _open(path) as stream:
        for place, row in read(stream, path):
            where = f"{label} {place}"
            yield where, _require_object(row, where)


def read_document(path: Path) -> object:
    """Reads a file that holds one JSON value, plain or gzip.

    Args:
        path (`Path`):
            The file.
    """
    with _faults_named(path), _open(path) as stream:
        return _parse(_decode(stream.read(), path, 1), path, 1)


def unreadable(path: Path, error: OSError) -> DatasetError:
    """Makes the error for a file or folder that the system refuses.

    Args:
        path (`Path`):
            The file or folder.
        error (`OSError`):
            What the system said.
    """
    return DatasetError(
        f"{path} cannot be read: {error.strerror or type(error).__name__}",
        fix="check the file and its permissions",
    )


def endings() -> str:
    """The endings of the files that are read, for messages."""
    return ", ".join(READABLE_SUFFIXES)


@contextlib.contextmanager
def _faults_named(path: Path) -> Iterator[None]:
    """Says of which file it is that the system or gzip complains."""
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DatasetError(
            f"{path} is not a complete gzip file",
            fix="fetch or compress the file again",
        ) from error
    except OSError as error:
        raise unreadable(path, error) from error


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
