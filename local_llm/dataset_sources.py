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
from .dataset_files import find_local_path, read_path
from .dataset_hub import HubDataset, read_hub
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
        place (`str`):
            What it is, for messages.
        choice (`FormatChoice`):
            How its rows are read.
        weight (`float`):
            How often its training rows count in an epoch.
        rows (`Iterator[tuple[str, dict]]`):
            Its rows with their places; read once.
    """

    name: str
    place: str
    choice: FormatChoice
    weight: float
    rows: Iterator[tuple[str, Row]]


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
    path = find_local_path(source.path, base)
    split = source.split or _USUAL_SPLIT
    if path is not None:
        _check_local(source, path)
        name, place = source.path, str(path)
        rows = read_path(path, split, source.path if several else None)
    elif _HUB_ID.fullmatch(source.path):
        dataset = HubDataset(
            source.path,
            config=source.config,
            split=split,
            revision=source.revision,
            token=hub.token or None,
            cache_dir=hub.cache_dir,
        )
        name, place = dataset.label, f"split {split!r} of {source.path}"
        rows = read_hub(dataset)
    else:
        raise DatasetError(
            f"{source.path!r} is neither an existing path nor the id of a "
            "dataset",
            fix="give a file, a folder, or owner/name as on the hub",
        )
    chosen = FormatChoice(
        source.data_format or choice.data_format,
        choice.columns if source.columns is None else source.columns,
    )
    return DataSource(name, place, chosen, source.weight, rows)


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
