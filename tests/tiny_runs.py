# -*- coding: utf-8 -*-
"""Unfinished runs with checkpoints of a few bytes, for who damages them."""

from collections.abc import Callable
from pathlib import Path

import dying_writer
import pytest

from local_llm.checkpoints import begin, commit, unfinished_folder

RECORD = {"base": "b", "training_args": {"learning_rate": 2e-4}}


def write_step(step: int) -> Callable[[Path], None]:
    """What writes the files of a step."""
    return lambda folder: dying_writer.write(folder, step, "no point")


def names(folder: Path) -> list[str]:
    """What is in a folder, hidden ones included."""
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(name="run")
def fixture_run(tmp_path: Path) -> Path:
    """An unfinished run with the steps 5 and 10."""
    folder = unfinished_folder(tmp_path / "run")
    begin(folder, RECORD)
    for step in (5, 10):
        commit(folder, step, write_step(step))
    return folder
