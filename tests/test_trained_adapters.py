# -*- coding: utf-8 -*-
"""Finished runs with an adapter are found, and nothing else."""

import shutil
from pathlib import Path

import pytest

from local_llm import atomic_files
from local_llm.adapter_files import ADAPTER_FILE, BASE_FILE, NamedBase
from local_llm.trained_adapters import DEPTH, trained_adapters

BASE = '{"name": "owner/name", "revision": "v1", "fingerprint": "f"}'


def leave_run(folder: Path, *files: str) -> Path:
    """What a run leaves: a sealed folder."""
    with atomic_files.sealed_folder(folder) as partial:
        for name in files or (ADAPTER_FILE, BASE_FILE):
            (partial / name).write_text(BASE)
    return folder


def found(*places: Path) -> list[Path]:
    return [one.folder for one in trained_adapters(places)]


def test_runs_are_found_in_a_folder_and_below_it(tmp_path: Path) -> None:
    folders = [
        leave_run(tmp_path / "a"),
        leave_run(tmp_path / "team" / "planner"),
        leave_run(tmp_path / "team" / "caller"),
    ]
    assert found(tmp_path) == sorted(folders)
    assert trained_adapters([tmp_path])[0].base == NamedBase(
        "owner/name",
        "v1",
    )


def test_a_place_can_be_a_run_and_is_named_once(tmp_path: Path) -> None:
    run = leave_run(tmp_path / "a")
    assert found(run, tmp_path, tmp_path / "nowhere") == [run]


def test_a_run_that_is_too_deep_is_not_looked_for(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["d"] * (DEPTH - 1))
    run = leave_run(deep / "run")
    leave_run(deep / "d" / "run")
    assert found(tmp_path) == [run]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda run: (run / "manifest.json").unlink(),
        lambda run: (run / ADAPTER_FILE).unlink(),
        lambda run: (run / ADAPTER_FILE).write_text("cut"),
        lambda run: (run / BASE_FILE).write_text("{}" + " " * len(BASE[2:])),
        lambda run: run.rename(run.with_name(".run.partial-1")),
    ],
    ids=["unfinished", "no adapter", "cut", "no base", "being written"],
)
def test_what_is_not_a_whole_adapter_is_left_out(spoil, tmp_path) -> None:
    run = leave_run(tmp_path / "run")
    assert found(tmp_path) == [run]
    spoil(run)
    assert found(tmp_path) == []


def test_a_run_of_a_whole_model_is_left_out(tmp_path: Path) -> None:
    leave_run(tmp_path / "whole", "config.json", BASE_FILE)
    assert found(tmp_path) == []


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    leave_run(tmp_path / "elsewhere" / "run")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "link").symlink_to(tmp_path / "elsewhere")
    assert found(tmp_path / "runs") == []
    shutil.rmtree(tmp_path / "elsewhere")
    assert found(tmp_path / "runs") == []
