# -*- coding: utf-8 -*-
"""Finds the adapters that finished runs have left below some folders.

Reads small files and the sizes of large ones, no weights. Raises nothing: a
folder that is not whole is no finished run.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from . import atomic_files
from .adapter_files import NamedBase, is_adapter, noted_base

DEPTH = 4
"""Folders below the given ones that are looked into: a comparison of the
multi-LLM agent keeps its stages so deep."""


@dataclass(frozen=True)
class TrainedAdapter:
    """An adapter that was trained here.

    Attributes:
        folder (`Path`):
            Of the finished run.
        base (`NamedBase`):
            What it was trained on.
    """

    folder: Path
    base: NamedBase


def trained_adapters(places: Iterable[Path]) -> list[TrainedAdapter]:
    """The adapters of finished runs in some folders and below them.

    Args:
        places (`Iterable[Path]`):
            Where to look; those that do not exist hold none.

    Returns:
        `list[TrainedAdapter]`: Each once, in the order of their folders.
    """
    folders = sorted(
        {folder for place in places for folder in _sealed_in(place, DEPTH)},
    )
    return [
        TrainedAdapter(folder, base)
        for folder in folders
        if is_adapter(folder)
        and atomic_files.is_whole(folder)
        and (base := noted_base(folder)) is not None
    ]


def _sealed_in(folder: Path, depth: int) -> Iterator[Path]:
    """A finished run, or those below a folder; none is within another. What
    is being written has a name that begins with a dot."""
    if atomic_files.is_sealed(folder):
        yield folder
    elif depth:
        try:
            inner = [one for one in folder.iterdir() if one.is_dir()]
        except OSError:
            return
        for one in inner:
            if not one.name.startswith(".") and not one.is_symlink():
                yield from _sealed_in(one, depth - 1)
