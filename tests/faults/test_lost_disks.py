# -*- coding: utf-8 -*-
"""A disk that is full or gone ends a run, and costs nothing that was saved."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from child_runs import STEPS, Attempt, run
from comparison import Unhurt, assert_equal_runs, leftovers
from kill_points import PROGRESS
from spots import Spot

from local_llm.atomic_files import check_manifest
from local_llm.checkpoints import newest_committed

AT_STEP_5 = Spot(f"{PROGRESS}.on_step_end", call=5)
LEVELS = [1_000, 2_000, 4_000, 8_000, 16_000, 20_000, 30_000, 36_000, 50_000]
"""Bytes that a file may have: less than some file of a checkpoint has."""
RANDOM_STATES = 14_000
"""The bytes of the states of the generators, which are written elsewhere."""


@pytest.mark.parametrize("size", LEVELS)
def test_a_full_disk_ends_the_run_and_costs_nothing_that_was_saved(
    unhurt: Callable[[str], Unhurt],
    place: Path,
    size: int,
) -> None:
    stopped = run(Attempt(place, file_bytes=(AT_STEP_5, size)))
    assert stopped.code == 3
    assert stopped.error.startswith("CheckpointError: ")
    said = "checkpoint-6 could not be written, twice"
    if size < RANDOM_STATES:
        said = f"cannot write in {tempfile.gettempdir()}"
    assert said in stopped.error
    assert "fix: free some disk space" in stopped.error
    assert "what was saved before is as it was" in stopped.error
    folder = place / "run.unfinished"
    assert sorted(path.name for path in folder.iterdir()) == [
        "checkpoint-3",
        "owner.txt",
        "run.json",
        "run.lock",
    ]
    check_manifest(folder / "checkpoint-3")
    outcome = run(Attempt(place))
    assert outcome.resumed_at == [3]
    assert_equal_runs(place, outcome, unhurt("padding-free"))


@pytest.mark.parametrize(
    ("target", "size"),
    [
        ("local_llm.trained_weights:AdapterWeights.publish", 20_000),
        ("local_llm.reports:write_report", 2_000),
        ("transformers:PreTrainedTokenizerFast.save_pretrained", 5_000),
    ],
)
def test_a_disk_that_is_full_at_the_end_keeps_what_was_trained(
    unhurt: Callable[[str], Unhurt],
    place: Path,
    target: str,
    size: int,
) -> None:
    stopped = run(Attempt(place, file_bytes=(Spot(target), size)))
    assert stopped.code == 3
    assert stopped.error.startswith("CheckpointError: cannot write")
    assert "fix: free some disk space" in stopped.error
    assert leftovers(place) == ["run.unfinished"]
    outcome = run(Attempt(place))
    assert outcome.resumed_at == [STEPS]
    assert_equal_runs(place, outcome, unhurt("padding-free"))
    assert leftovers(place) == []


def test_a_folder_that_is_taken_away_ends_the_run_and_can_be_brought_back(
    unhurt: Callable[[str], Unhurt],
    place: Path,
) -> None:
    stopped = run(Attempt(place, loses_folder=AT_STEP_5))
    assert stopped.code == 3
    assert stopped.error.startswith("CheckpointError: ")
    assert "was taken away while its run went on" in stopped.error
    assert leftovers(place) == ["taken away"]
    (place / "taken away").rename(place / "run.unfinished")
    newest = newest_committed(place / "run.unfinished")
    assert newest is not None and newest.name == "checkpoint-3"
    outcome = run(Attempt(place))
    assert outcome.resumed_at == [3]
    assert_equal_runs(place, outcome, unhurt("padding-free"))
