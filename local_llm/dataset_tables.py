# -*- coding: utf-8 -*-
"""Reads rows from tables: comma and tab separated, parquet, saved datasets.

Knows nothing of conversations, and nothing of the hub; the libraries that
read parquet are imported where there is some. What a table holds as JSON
comes out as what was written; its other objects are a TableObject.
Raises DatasetError with the file, and the row or line where there is one.
"""

import csv
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from .errors import DatasetError
from .row_values import Row, TableObject, names_of, shorten

LONGEST_FIELD = 1 << 30
ROWS_AT_ONCE = 1000
MAX_TABLE_BYTES = 1 << 33  # a small parquet file can hold terabytes
SAVED_DATASET, SAVED_SPLITS = "state.json", "dataset_dict.json"


def delimited_rows(
    lines: Iterable[str],
    path: Path,
    delimiter: str,
) -> Iterator[tuple[str, Row]]:
    """Reads the rows below a header.

    Args:
        lines (`Iterable[str]`):
            The lines with their ends.
        path (`Path`):
            The file, for messages.
        delimiter (`str`):
            What separates two values.

    Yields:
        `tuple[str, dict]`:
            "row 3 (line 5)", the header not counted as a row, and the row.
            An empty value is null, since the file has no other null.
    """
    # The limit belongs to the process; a long document is a value too.
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_FIELD))
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    records = _records(reader, path)
    header = next(records, None)
    if header is None:
        return
    names = header[1]
    _check_header(names, path)
    for number, (line, values) in enumerate(records, start=1):
        place = f"row {number} (line {line})"
        if len(values) != len(names):
            raise DatasetError(
                f"{path.name} {place} has {len(values)} values, and the "
                f"header {len(names)}",
                fix="put quotes around values with commas, quotes or line "
                "breaks, and double the quotes inside",
            )
        yield (
            place,
            {
                name: value or None
                for name, value in zip(names, values, strict=True)
            },
        )


def _records(reader: Any, path: Path) -> Iterator[tuple[int, list[str]]]:
    """The records that are not blank, with the line each begins in."""
    line = 1
    try:
        for values in reader:
            if values:
                yield line, values
            line = reader.line_num + 1
    except csv.Error as error:
        raise DatasetError(
            f"{path}:{line}: a record that cannot be read: {error}",
            fix="quote values with commas, quotes or line breaks, and double "
            "the quotes inside",
        ) from error


def _check_header(names: list[str], path: Path) -> None:
    twice = [name for name in names if name and names.count(name) > 1]
    if twice:
        raise DatasetError(
            f"{path}:1: two columns are named {shorten(repr(twice[0]))}",
            fix="give each column a name of its own in the first line",
        )


def parquet_rows(stream: BinaryIO, path: Path) -> Iterator[tuple[str, Row]]:
    """Reads the rows of a parquet file, some at a time.

    Args:
        stream (`BinaryIO`):
            The file, open.
        path (`Path`):
            Its name, for messages.

    Yields:
        `tuple[str, dict]`:
            "row 3", and the row.
    """
    import pyarrow.parquet

    with _unreadable_tables(path):
        file = pyarrow.parquet.ParquetFile(stream)
        _check_size(file.metadata, path)
        yield from _rows_of(file.iter_batches(batch_size=ROWS_AT_ONCE))


def _check_size(metadata: Any, path: Path) -> None:
    groups = range(metadata.num_row_groups)
    size = sum(metadata.row_group(one).total_byte_size for one in groups)
    if size > MAX_TABLE_BYTES:
        raise DatasetError(
            f"{path} holds more than {MAX_TABLE_BYTES} bytes when "
            "decompressed",
            fix="split it",
        )


def is_saved_dataset(folder: Path) -> bool:
    """Whether `save_to_disk` of the library datasets wrote a folder.

    Args:
        folder (`Path`):
            An existing folder.
    """
    return any(
        (folder / name).is_file() for name in (SAVED_DATASET, SAVED_SPLITS)
    )


def saved_rows(folder: Path, split: str) -> Iterator[tuple[str, Row]]:
    """Reads the rows of a folder that `save_to_disk` wrote.

    Args:
        folder (`Path`):
            The folder.
        split (`str`):
            Which split, where the folder has several.

    Yields:
        `tuple[str, dict]`:
            "row 3", and the row.
    """
    import datasets

    with _unreadable_tables(folder):
        saved = datasets.load_from_disk(folder)
        if isinstance(saved, datasets.DatasetDict):
            if split not in saved:
                raise DatasetError(
                    f"{folder} has no split {split!r}; its splits: "
                    f"{names_of(dict(saved))}",
                    fix="name one of them as split",
                )
            saved = saved[split]
        yield from dataset_rows(saved)


def dataset_rows(dataset: Any) -> Iterator[tuple[str, Row]]:
    """Reads the rows of a table of the library datasets.

    Args:
        dataset (`datasets.Dataset`):
            The table.

    Yields:
        `tuple[str, dict]`:
            "row 3", and the row.
    """
    # As the table has them: the library's own values do not tell a null that
    # was written from one that fills a place.
    tables = dataset.with_format("arrow").iter(batch_size=ROWS_AT_ONCE)
    yield from _rows_of(tables)


def _rows_of(batches: Iterable[Any]) -> Iterator[tuple[str, Row]]:
    number = 0
    for batch in batches:
        kinds = {field.name: field.type for field in batch.schema}
        for row in batch.to_pylist():
            number += 1
            yield (
                f"row {number}",
                {name: _plain(one, kinds[name]) for name, one in row.items()},
            )


def _plain(value: Any, kind: Any) -> Any:
    """A value of a column of that type, in terms of JSON."""
    import pyarrow

    if value is None:
        return None
    if isinstance(kind, pyarrow.JsonType):
        return json.loads(value)
    if pyarrow.types.is_struct(kind):
        members = {field.name: field.type for field in kind}
        return TableObject(
            {name: _plain(one, members[name]) for name, one in value.items()},
        )
    if isinstance(value, list) and hasattr(kind, "value_type"):
        return [_plain(one, kind.value_type) for one in value]
    return value


@contextmanager
def _unreadable_tables(path: Path) -> Iterator[None]:
    import pyarrow

    try:
        yield
    except DatasetError:
        raise
    except (
        pyarrow.ArrowException,
        *(OSError, ValueError, KeyError, TypeError, OverflowError),
        *(MemoryError, RecursionError),
    ) as error:
        said = str(error).strip().partition("\n")[0]
        raise DatasetError(
            f"{path} cannot be read as a table: "
            f"{shorten(said or type(error).__name__, 200)}",
            fix="fetch or write the file again",
        ) from error
