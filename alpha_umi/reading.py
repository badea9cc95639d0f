# -*- coding: utf-8 -*-
"""What the readers of datasets share: rows, named faults, choices by name.

Knows no dataset. Raises DatasetError with file and row.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from local_llm.dataset_files import read_file
from local_llm.errors import DatasetError

LONGEST_OBSERVATION = 1024
"""Of what a tool returns, in characters; as in the paper's code."""

_NAME_BYTES = 8


def rows_of(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rows of a JSON or JSON lines file, plain or gzip.

    Args:
        path (`Path`):
            The file.

    Yields:
        `tuple[str, dict]`: File and number of the row, and the row.

    Raises:
        `DatasetError`: It is no such file, or a row is no object.
    """
    yield from read_file(path, str(path))


def first_file(folder: Path, names: Sequence[str]) -> Path:
    """The first of these files that the folder has.

    Args:
        folder (`Path`):
            Where they are looked for.
        names (`Sequence[str]`):
            What they may be called.

    Raises:
        `DatasetError`: It has none of them.
    """
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise DatasetError(
        f"{folder} has no {' and no '.join(names)}",
        fix="give the folder that holds the files of the dataset",
    )


@contextmanager
def faults_named(where: str, what: str, fix: str) -> Iterator[None]:
    """Turn what a row lacks into an error that says where.

    Args:
        where (`str`):
            File and number of the row.
        what (`str`):
            What the row should be, for the message.
        fix (`str`):
            What to do about it.

    Raises:
        `DatasetError`: Something inside met a missing or a wrong field.
    """
    try:
        yield
    except (
        AttributeError,
        IndexError,
        KeyError,
        TypeError,
        ValueError,
    ) as error:
        raise DatasetError(
            f"{where}: no {what}, {type(error).__name__}: {error}",
            fix=fix,
        ) from error


def place_of(name: str) -> float:
    """A number from 0 to 1 that a name has for ever, as if drawn by chance."""
    digest = hashlib.sha256(name.encode()).digest()[:_NAME_BYTES]
    return int.from_bytes(digest) / 256**_NAME_BYTES


def write_results(
    results: Sequence[Mapping[str, Any]],
    count: int,
    limit: int = LONGEST_OBSERVATION,
) -> str:
    """What a tool returns, as JSON of a limited length.

    Whole results are left out from the end, then fields of the first; its
    last text is cut. So what is left is JSON.

    Args:
        results (`Sequence[Mapping[str, Any]]`):
            The results that are known.
        count (`int`):
            How many there are.
        limit (`int`, optional):
            The longest text, in characters.
    """
    kept = [dict(result) for result in results]
    text = _written(kept, count)
    while len(text) > limit and any(kept):
        if len(kept) > 1:
            kept.pop()
        else:
            kept = [_shortened(kept[0], len(text) - limit)]
        text = _written(kept, count)
    return text


def _shortened(result: dict[str, Any], excess: int) -> dict[str, Any]:
    *others, (name, value) = result.items()
    if others or not isinstance(value, str) or len(value) <= excess:
        return dict(others)
    return {name: value[:-excess]}


def _written(results: list[dict[str, Any]], count: int) -> str:
    return json.dumps(
        {"count": count, "results": results},
        ensure_ascii=False,
        separators=(",", ":"),
    )
