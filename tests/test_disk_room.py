# -*- coding: utf-8 -*-
"""A place that cannot be written, or is too small, is found out beforehand."""

import shutil
from pathlib import Path

import pytest

from local_llm.disk_room import (
    check_disk_space,
    check_writable,
    readable_size,
)
from local_llm.errors import CheckpointError


@pytest.fixture(name="below_a_file")
def fixture_below_a_file(tmp_path: Path) -> Path:
    """A path that nobody can write, whatever the rights: even root."""
    (tmp_path / "file").write_text("in the way")
    return tmp_path / "file" / "run"


@pytest.mark.parametrize("inner", ["", "deeper/still"])
def test_a_folder_that_cannot_be_written_is_found_out_beforehand(
    below_a_file: Path,
    inner: str,
) -> None:
    with pytest.raises(CheckpointError, match="cannot write in"):
        check_writable(below_a_file / inner / "run")


def test_finding_out_leaves_nothing(tmp_path: Path) -> None:
    check_writable(tmp_path / "runs" / "one")
    assert list(tmp_path.iterdir()) == []


def test_a_disk_with_room_is_fine(tmp_path: Path) -> None:
    check_disk_space(tmp_path / "not" / "there" / "yet", 1)


def test_a_disk_without_room_tells_what_is_needed_and_free(
    tmp_path: Path,
) -> None:
    free = shutil.disk_usage(tmp_path).free
    with pytest.raises(CheckpointError, match="needs .* GB, and .* are free"):
        check_disk_space(tmp_path / "run", free + 10**12)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (2_550_000, "2.5 MB"),
        (17_000_000_000, "17.0 GB"),
    ],
)
def test_a_size_is_told_in_its_unit(size: int, text: str) -> None:
    assert readable_size(size) == text
