# -*- coding: utf-8 -*-
"""The keys that say which data to train on, and how to read it.

Checks what an entry has under `data_path` and `columns`; reads no data.
Raises ConfigError with every problem where it is asked for a whole.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from local_llm.settings_checks import (
    Findings,
    check_section,
    check_values,
)
from local_llm.settings_file import join, quoted, shown
from local_llm.settings_sections import own_section
from local_llm.settings_values import DATA_COLUMNS

SECTION = "data_source"


@dataclass(frozen=True)
class DataSourceSettings:
    """One of the sources that `data_path` lists."""

    path: str
    config: str | None = None
    split: str | None = None
    revision: str | None = None
    weight: float = 1.0
    data_format: str | None = None
    columns: dict[str, str] | None = None


DataPath = (
    str | PurePath | Sequence[str | DataSourceSettings | Mapping[str, Any]]
)
"""What a caller may name: one source, or a list of sources."""


def check_data_path(
    value: object,
    path: str,
    findings: Findings,
) -> object:
    """The value of `data_path` with its objects as settings.

    Args:
        value (`object`): A value of the right JSON type.
        path (`str`): Its key path.
        findings (`Findings`): Where problems go.
    """
    if not isinstance(value, list):
        return value
    if not value:
        findings.add(path, "wanted at least one source, found an empty list")
    return [
        _check_source(one, f"{path}[{index}]", findings)
        for index, one in enumerate(value)
    ]


def check_columns(value: object, path: str, findings: Findings) -> None:
    """Note the names in `columns` that no format reads.

    Args:
        value (`object`): A value of the right JSON type.
        path (`str`): Its key path.
        findings (`Findings`): Where problems go.
    """
    for key in value if isinstance(value, dict) else ():
        if key in DATA_COLUMNS:
            continue
        near = difflib.get_close_matches(str(key)[:64], DATA_COLUMNS, n=1)
        hint = (
            f"did you mean {near[0]!r}?"
            if near
            else f"they read {', '.join(DATA_COLUMNS)}"
        )
        findings.add(
            join(path, key),
            f"{quoted(key)} is no column that the formats read, {hint}",
        )


def data_sources(
    data_path: DataPath,
    where: str,
) -> tuple[DataSourceSettings, ...]:
    """The sources that a caller or an entry names, every value checked.

    Args:
        data_path (`DataPath`): One source or a list of sources.
        where (`str`): Where it comes from, for messages.
    """
    if isinstance(data_path, str | PurePath):
        return (DataSourceSettings(str(data_path)),)
    findings = Findings()
    listed: Sequence[object] = data_path
    if not isinstance(data_path, Sequence) or not data_path:
        findings.add(
            "data_path",
            "wanted text, or a list of at least one source, found "
            f"{shown(data_path)}",
        )
        listed = []
    sources = [
        _given_source(one, f"data_path[{index}]", findings)
        for index, one in enumerate(listed)
    ]
    findings.finish(where)
    return tuple(one for one in sources if one is not None)


def _given_source(
    one: object,
    path: str,
    findings: Findings,
) -> DataSourceSettings | None:
    """The source, or None where it has a problem."""
    if isinstance(one, DataSourceSettings):
        return one
    raw = dict(one) if isinstance(one, Mapping) else one
    raw = str(raw) if isinstance(raw, PurePath) else raw
    if not check_values(raw, path, findings):
        return None
    found = _check_source(raw, path, findings)
    return DataSourceSettings(found) if isinstance(found, str) else found


def _check_source(
    raw: object,
    path: str,
    findings: Findings,
) -> str | DataSourceSettings | None:
    """The source, or None where it has a problem."""
    before = len(findings.problems)
    if isinstance(raw, str):
        if not raw.strip():
            problem = f"wanted text that is not blank, found {shown(raw)}"
            findings.add(path, problem)
        return raw
    section = own_section(SECTION, path, DataSourceSettings)
    values = check_section(raw, section, findings)
    if isinstance(raw, dict) and "path" not in raw:
        findings.add(join(path, "path"), "is missing")
    check_columns(values.get("columns"), join(path, "columns"), findings)
    if len(findings.problems) > before:
        return None
    return DataSourceSettings(**values)
