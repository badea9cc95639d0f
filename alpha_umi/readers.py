# -*- coding: utf-8 -*-
"""The readers of trajectories by the names that a command line gives them.

Knows no files itself. Raises ConfigError for a name that no reader has, and
DatasetError as the readers do.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from local_llm.errors import ConfigError

from .excerpts import SMALL, Cut
from .gsm8k import read_gsm8k
from .protocol import Trajectory
from .schema_guided import Part, read_schema_guided
from .star import Split, read_star
from .toolalpaca import read_toolalpaca
from .toolbench import read_toolbench
from .trajectory_files import read_trajectory_file

PartT = TypeVar("PartT")

Reader = Callable[[Path, Cut], list[Trajectory]]
"""Takes where the data are, and how much of a dialogue is wanted."""

_SGD_PARTS: Mapping[str, tuple[str, Part]] = {
    "train": ("train", "all"),
    "dev": ("dev", "all"),
    "test": ("test", "all"),
    "seen": ("test", "seen"),
    "unseen": ("test", "unseen"),
}

_GSM8K_PARTS = {"train": "train", "test": "test"}

_STAR_PARTS: Mapping[str, Split] = {
    "train": "train",
    "test": "test",
    "all": "all",
}


def read_trajectories(
    reader: str,
    path: Path,
    cut: Cut = SMALL,
) -> list[Trajectory]:
    """Read trajectories of any kind.

    Of a dataset with parts the folder itself means the part for training;
    another one is named after it, as in `sgd/test` or `sgd/test.jsonl.gz`:
    `train`, `dev`, `test`, `seen` and `unseen` of Schema-Guided Dialogue, the
    last two of its tests; `train` and `test` of GSM8K; `train`, `test` and
    `all` of STAR.

    Args:
        reader (`str`):
            One of `READERS`.
        path (`Path`):
            The file or folder.
        cut (`Cut`, optional):
            How much of a dialogue a trajectory has, and how tools read, where
            the reader writes them.

    Raises:
        `ConfigError`: No reader has this name.
        `DatasetError`: The data cannot be read.
    """
    if reader not in READERS:
        raise ConfigError(
            str(path),
            [f"no reader is called {reader!r}"],
            fix=f"use one of {', '.join(READERS)}",
        )
    return READERS[reader](path, cut)


def _schema_guided(path: Path, cut: Cut) -> list[Trajectory]:
    folder, (split, part) = _part(path, _SGD_PARTS)
    return read_schema_guided(folder, split, cut, part)


def _star(path: Path, cut: Cut) -> list[Trajectory]:
    folder, split = _part(path, _STAR_PARTS)
    return read_star(folder, split, cut)


def _gsm8k(path: Path, cut: Cut) -> list[Trajectory]:
    folder, split = _part(path, _GSM8K_PARTS)
    return read_gsm8k(folder, split)


def _toolalpaca(path: Path, cut: Cut) -> list[Trajectory]:
    return read_toolalpaca(path, cut.texts)


def _toolbench(path: Path, cut: Cut) -> list[Trajectory]:
    return read_toolbench(path)


def _trajectories(path: Path, cut: Cut) -> list[Trajectory]:
    return read_trajectory_file(path)


def _part(
    path: Path,
    parts: Mapping[str, PartT],
) -> tuple[Path, PartT]:
    """The folder of a dataset and its part."""
    name = path.name.partition(".")[0]
    if name in parts:
        return path.parent, parts[name]
    return path, parts["train"]


READERS: Mapping[str, Reader] = {
    "trajectories": _trajectories,
    "toolbench": _toolbench,
    "schema_guided": _schema_guided,
    "star": _star,
    "toolalpaca": _toolalpaca,
    "gsm8k": _gsm8k,
}
"""By the names that a config's `data_reader` has."""
