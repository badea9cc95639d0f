# -*- coding: utf-8 -*-
"""The sources of training data: which there are, and their weights.

Opens files, folders and datasets of the hub alike; judges no row.
Raises ConfigError for a source that contradicts itself, DatasetError for one
that is not there.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .conversation_formats import FormatChoice
from .dataset_hub import HubDataset, read_hub
from .dataset_paths import find_local_path, read_path, skipped_files
from .dataset_tables import is_saved_dataset
from .errors import ConfigError, DatasetError
from .row_values import Row
from .settings_data import DataSourceSettings

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_USUAL_SPLIT = "train"


@dataclass(frozen=True, slots=True)
class HubAccess:
    """As whom the hub is read, and where its datasets are kept."""

    token: str | None = field(default=None, repr=False)
    cache_dir: str | Path | None = None


@dataclass(frozen=True, slots=True)
class DataSource:
    """One source, found but not read.

    Attributes:
        name (`str`):
            What the user calls it.
        origin (`str`):
            Its absolute path, or its id on the hub.
        place (`str`):
            What it is, for messages.
        choice (`FormatChoice`):
            How its rows are read.
        weight (`float`):
            How often its training rows count in an epoch.
        rows (`Iterator[tuple[str, dict]]`):
            Its rows with their places; read once.
        skipped (`tuple[str, ...]`):
            The data files of a folder that are not read.
    """

    name: str
    origin: str
    place: str
    choice: FormatChoice
    weight: float
    rows: Iterator[tuple[str, Row]]
    skipped: tuple[str, ...] = ()


def open_sources(
    sources: Sequence[DataSourceSettings],
    base: Path | None,
    hub: HubAccess,
    choice: FormatChoice,
) -> list[DataSource]:
    """Finds every source, so that a missing one is known before any is read.

    Args:
        sources (`Sequence[DataSourceSettings]`):
            What the user named.
        base (`Path | None`):
            Where relative paths start; the working folder if not given.
        hub (`HubAccess`):
            How datasets of the hub are reached.
        choice (`FormatChoice`):
            For sources that do not say otherwise.
    """
    # Files of one name in two folders are told apart by their paths.
    several = len(sources) > 1
    return [_open(one, base, hub, choice, several) for one in sources]


def _open(
    source: DataSourceSettings,
    base: Path | None,
    hub: HubAccess,
    choice: FormatChoice,
    several: bool,
) -> DataSource:
    chosen = FormatChoice(
        source.data_format or choice.data_format,
        choice.columns if source.columns is None else source.columns,
    )
    path = find_local_path(source.path, base)
    if path is not None:
        return _open_path(source, path, chosen, several)
    if _HUB_ID.fullmatch(source.path):
        return _open_hub(source, hub, chosen)
    raise DatasetError(
        f"{source.path!r} is neither an existing path nor the id of a dataset",
        fix="give a file, a folder, or owner/name as on the hub",
    )


def _open_path(
    source: DataSourceSettings,
    path: Path,
    choice: FormatChoice,
    several: bool,
) -> DataSource:
    _check_local(source, path)
    label = source.path if several else None
    return DataSource(
        name=source.path,
        origin=str(path),
        place=str(path),
        choice=choice,
        weight=source.weight,
        rows=read_path(path, source.split or _USUAL_SPLIT, label),
        skipped=skipped_files(path, label),
    )


def _open_hub(
    source: DataSourceSettings,
    hub: HubAccess,
    choice: FormatChoice,
) -> DataSource:
    dataset = HubDataset(
        source.path,
        config=source.config,
        split=source.split or _USUAL_SPLIT,
        revision=source.revision,
        token=hub.token or None,
        cache_dir=hub.cache_dir,
    )
    return DataSource(
        name=dataset.label,
        origin=source.path,
        place=f"split {dataset.split!r} of {source.path}",
        choice=choice,
        weight=source.weight,
        rows=read_hub(dataset),
    )


def _check_local(source: DataSourceSettings, path: Path) -> None:
    saved = path.is_dir() and is_saved_dataset(path)
    given = {
        "config": source.config,
        "split": None if saved else source.split,
        "revision": source.revision,
    }
    problems = [
        f"{key}: is of datasets on the hub, and this is {path}"
        for key, value in given.items()
        if value is not None
    ]
    if problems:
        raise ConfigError(
            f"the source {source.path!r}",
            problems,
            fix="take it out, or name a file of that split as path",
        )
