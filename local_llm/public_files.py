# -*- coding: utf-8 -*-
"""A finished run, or what was made of it, as others may see it.

The files of a run say where its base model and its data lie on the machine
that it was made on. In what is handed on they have names alone. Changes
nothing in the folder itself. Raises CheckpointError.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from .adapter_files import BASE_FILE
from .atomic_files import MANIFEST_NAME
from .loss_picture import PICTURE_NAME
from .model_card import public_name
from .model_files import is_local
from .report_pages import PAGE_NAME, as_markdown
from .reports import (
    CARD_NAME,
    REPORT_NAME,
    RunReport,
    read_report,
    values_of,
)
from .trackers import TRACKER_LOGS

Files = dict[str, Path | bytes]

_NAMING_FIELDS = ("base", "data", "settings", "notes", "licences", "changes")
"""Of a report; its demonstrations are what people and models said."""

_RECORDS = {
    BASE_FILE: "name",
    "adapter_config.json": "base_model_name_or_path",
}
"""Files that name the base model, and under which key."""


def public_files(folder: Path) -> Files:
    """What to hand on of a sealed folder, by name.

    The logs of trackers are left out: they are full of paths, and named
    after the machine.

    Args:
        folder (`Path`):
            Its files have been checked.

    Returns:
        `dict[str, Path | bytes]`: A path where the file goes as it is, else
            what it shall hold.

    Raises:
        `CheckpointError`: The report cannot be read.
    """
    names = {
        path.relative_to(folder).as_posix(): path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    files: Files = {
        name: path
        for name, path in names.items()
        if not name.startswith(f"{TRACKER_LOGS}/")
    }
    files |= public_texts(folder)
    if CARD_NAME in files:  # may be edited after the manifest was written
        files[CARD_NAME] = names[CARD_NAME].read_bytes()
    files[MANIFEST_NAME] = _manifest(folder, files)
    return files


def public_texts(folder: Path) -> dict[str, bytes]:
    """The files of a folder that name others, with names alone.

    Raises:
        `CheckpointError`: The report cannot be read.
    """
    texts = {
        name: _record(folder / name, key)
        for name, key in _RECORDS.items()
        if (folder / name).is_file()
    }
    if (folder / REPORT_NAME).is_file():
        report = _public_report(read_report(folder))
        has_picture = (folder / PICTURE_NAME).is_file()
        picture = PICTURE_NAME if has_picture else None
        texts[REPORT_NAME] = _json(values_of(report))
        page = as_markdown(report, None, picture)
        texts[PAGE_NAME] = page.encode("utf-8")
    return texts


def _record(path: Path, key: str) -> bytes:
    record = json.loads(path.read_text(encoding="utf-8"))
    name = record.get(key)
    if isinstance(name, str) and is_local(name):
        # A bare name would be one of the hub.
        record[key] = f"./{public_name(name)}"
    return _json(record)


def _public_report(report: RunReport) -> RunReport:
    values = {one: _named(getattr(report, one)) for one in _NAMING_FIELDS}
    return replace(report, **values)


def _named(value: Any) -> Any:
    """A value of JSON in which every place on this machine is a name."""
    if isinstance(value, str):
        return public_name(value)
    if isinstance(value, Mapping):
        return {key: _named(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_named(one) for one in value]
    return str(value.name) if isinstance(value, Path) else value


def _manifest(folder: Path, files: Files) -> bytes:
    """The manifest of what is handed on."""
    path = folder / MANIFEST_NAME
    known = json.loads(path.read_text(encoding="utf-8"))["files"]
    entries = {name: one for name, one in known.items() if name in files}
    entries |= {
        name: {
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
        for name, content in files.items()
        if isinstance(content, bytes)
    }
    return _json({"files": entries})


def _json(value: Any) -> bytes:
    text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    return text.encode("utf-8", "backslashreplace")
