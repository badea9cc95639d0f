# -*- coding: utf-8 -*-
"""The process that others are forked from, and what an unhurt run gives."""

import multiprocessing
import os
from collections.abc import Callable, Iterator
from multiprocessing import forkserver
from pathlib import Path

import pytest

if not hasattr(os, "fork"):
    collect_ignore_glob = ["*"]
else:
    from child_runs import SEARCHED, Attempt, make_place, run
    from comparison import Unhurt
    from kill_points import DRAWN


@pytest.fixture(scope="session", autouse=True)
def the_process_to_fork_from() -> Iterator[None]:
    """One thread in all of them: with more, sums come out differently."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("PYTHONPATH", os.pathsep.join(SEARCHED))
        multiprocessing.set_forkserver_preload(["preloaded"])
        forkserver.ensure_running()
    yield


@pytest.fixture(scope="session")
def unhurt(
    tiny_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str], Unhurt]:
    """Gives the unhurt run of a variant; each is made once."""
    found: dict[str, Unhurt] = {}

    def give(variant: str) -> Unhurt:
        if variant not in found:
            folder = tmp_path_factory.mktemp("unhurt")
            place = make_place(folder / "place", tiny_folder)
            outcome = run(Attempt(place, variant, counted=DRAWN))
            found[variant] = Unhurt(place, outcome)
        return found[variant]

    return give


@pytest.fixture
def place(tiny_folder: Path, tmp_path: Path) -> Path:
    """A folder to train in."""
    return make_place(tmp_path / "place", tiny_folder)
