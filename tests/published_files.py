# -*- coding: utf-8 -*-
"""The published files of alpha-UMi, which are read and never copied."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

FOLDER = (
    Path(__file__).resolve().parents[2] / "shared/data/alpha_umi_toolbench"
)


def published(name: str) -> Path:
    """The path of a file; skips the test where it is not at hand."""
    path = FOLDER / f"{name}.json.gz"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    return path


def objects_of(name: str) -> list[dict[str, Any]]:
    """What a file holds."""
    return json.loads(bytes_of(name))


def bytes_of(name: str) -> bytes:
    """What a file holds, as it was before it was compressed."""
    return gzip.decompress(published(name).read_bytes())
