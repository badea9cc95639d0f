# -*- coding: utf-8 -*-
"""A checkpoint counts when it is whole, and what counts survives a kill."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import dying_writer
import pytest
from tiny_runs import RECORD, fixture_run, names, write_step  # noqa: F401

from local_llm import atomic_files, checkpoints
from local_llm.checkpoints import (
    begin,
    change_record,
    claimed,
    commit,
    discard,
    is_unfinished,
    newest_committed,
    prune,
    read_record,
    step_of,
    unfinished_folder,
)
from local_llm.errors import CheckpointError, TrainingError

PROJECT = Path(__file__).resolve().parents[1]

# -- the run ----------------------------------------------------------------


def test_an_unfinished_run_lies_beside_its_output_folder() -> None:
    found = unfinished_folder(Path("/runs/one.2"))
    assert found == Path("/runs/one.2.unfinished")


def test_a_run_begins_with_its_record_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "run.unfinished"
    begin(folder, RECORD)
    assert names(folder) == ["run.json"]
    assert names(tmp_path / "deep") == ["run.unfinished"]
    assert read_record(folder) == RECORD
    assert is_unfinished(folder)


def test_a_run_does_not_begin_where_one_is(run: Path) -> None:
    with pytest.raises(CheckpointError, match="did not finish") as caught:
        begin(run, {})
    assert "--resume" in caught.value.fix
    assert read_record(run) == RECORD


def test_a_run_does_not_begin_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CheckpointError, match="cannot write .*file/run"):
        begin(tmp_path / "file" / "run.unfinished", RECORD)


def test_a_folder_without_a_record_is_not_said_to_be_resumable(
    tmp_path: Path,
) -> None:
    with pytest.raises(CheckpointError, match="no record of a") as caught:
        begin(tmp_path, RECORD)
    assert "--resume" not in caught.value.fix


def test_what_a_killed_process_has_begun_goes_with_the_next_beginning(
    tmp_path: Path,
) -> None:
    (tmp_path / ".run.unfinished.partial-abc").mkdir()
    begin(tmp_path / "run.unfinished", RECORD)
    assert names(tmp_path) == ["run.unfinished"]


def test_a_record_is_replaced_whole(run: Path) -> None:
    change_record(run, {"base": "b", "changes": ["one"]})
    assert read_record(run) == {"base": "b", "changes": ["one"]}


@pytest.mark.parametrize("text", ["", "{", "[]", "[" * 100_000, "\xff"])
def test_a_record_that_cannot_be_read_is_a_checkpoint_error(
    run: Path,
    text: str,
) -> None:
    (run / "run.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(CheckpointError, match="run.json"):
        read_record(run)


def test_a_folder_without_a_record_is_no_unfinished_run(
    tmp_path: Path,
) -> None:
    assert not is_unfinished(tmp_path)
    assert not is_unfinished(tmp_path / "missing")


def test_a_discarded_run_leaves_nothing(run: Path) -> None:
    discard(run)
    assert names(run.parent) == []
    discard(run)


def test_what_a_killed_deletion_left_goes_when_the_next_run_begins(
    run: Path,
) -> None:
    left = run.with_name(f".{run.name}.deleted")
    run.rename(left)
    begin(run, RECORD)
    assert not left.exists()


def test_a_second_process_is_told_who_is_training(run: Path) -> None:
    with claimed(run):
        with pytest.raises(CheckpointError, match="process [0-9]+ on .* is"):
            with claimed(run):
                pytest.fail("two may not go on with one run")
    with claimed(run):
        pass


def test_a_run_can_be_discarded_by_who_claims_it(run: Path) -> None:
    with claimed(run):
        discard(run)
    assert names(run.parent) == []


# -- committing -------------------------------------------------------------


def test_a_committed_checkpoint_is_the_newest(run: Path) -> None:
    assert newest_committed(run) == run / "checkpoint-10"
    assert step_of(run / "checkpoint-10") == 10
    atomic_files.check_manifest(run / "checkpoint-10")


def test_steps_are_ordered_as_numbers(run: Path) -> None:
    commit(run, 100, write_step(100))
    assert newest_committed(run) == run / "checkpoint-100"


@pytest.mark.parametrize("name", ["missing", "empty"])
def test_without_a_checkpoint_there_is_no_newest(
    tmp_path: Path,
    name: str,
) -> None:
    (tmp_path / "empty").mkdir()
    assert newest_committed(tmp_path / name) is None


def test_an_error_of_the_body_leaves_what_was_there(run: Path) -> None:
    before = names(run)

    def refuse(folder: Path) -> None:
        (folder / "half").write_text("x")
        raise TrainingError("the weights are not finite")

    with pytest.raises(TrainingError, match="not finite"):
        commit(run, 15, refuse)
    assert names(run) == before


def test_a_step_committed_again_takes_the_place_of_the_first(
    run: Path,
) -> None:
    commit(run, 10, lambda folder: (folder / "new").write_text("x"))
    assert newest_committed(run) == run / "checkpoint-10"
    assert (run / "checkpoint-10" / "new").read_text() == "x"
    assert (run / "checkpoint-10.previous-1" / "weights.bin").is_file()


@pytest.mark.parametrize("name", ["checkpoint-", "checkpoint-1.damaged-1"])
def test_other_names_are_no_steps(name: str) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint"):
        step_of(Path(name))


def test_nothing_is_committed_to_a_run_that_was_taken_away(
    run: Path,
) -> None:
    away = run.rename(run.with_name("away"))
    with pytest.raises(CheckpointError, match="was taken away"):
        commit(run, 15, write_step(15))
    assert not run.exists()
    assert newest_committed(away) == away / "checkpoint-10"


# -- pruning ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("keep", "kept"),
    [
        (2, [20, 25]),
        (0, [20, 25]),
        (-3, [20, 25]),
        (3, [15, 20, 25]),
        (9, [5, 10, 15, 20, 25]),
    ],
)
def test_the_newest_are_kept_and_never_less_than_two(
    run: Path,
    keep: int,
    kept: list[int],
) -> None:
    for step in (15, 20, 25):
        commit(run, step, write_step(step), keep=9)
    prune(run, keep)
    found = sorted(step_of(one) for one in run.glob("checkpoint-*"))
    assert found == kept


def test_a_damaged_checkpoint_counts_for_none_and_is_not_deleted(
    run: Path,
) -> None:
    commit(run, 15, write_step(15), keep=3)
    (run / "checkpoint-15" / "weights.bin").write_bytes(b"short")
    prune(run, 2)
    assert {"checkpoint-5", "checkpoint-10", "checkpoint-15"} < {*names(run)}


def test_what_a_killed_pruning_left_goes_with_the_next(run: Path) -> None:
    (run / "checkpoint-5").rename(run / ".checkpoint-5.deleted")
    commit(run, 15, write_step(15))
    assert names(run) == ["checkpoint-10", "checkpoint-15", "run.json"]


# -- kills ------------------------------------------------------------------


@pytest.mark.parametrize("point", dying_writer.POINTS)
def test_after_a_kill_the_newest_committed_one_is_whole(
    tmp_path: Path,
    point: str,
) -> None:
    run = tmp_path / "run.unfinished"
    script = str(PROJECT / "tests" / "dying_writer.py")
    done = subprocess.run(
        [sys.executable, script, str(run), point],
        timeout=60,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    newest = newest_committed(run)
    expected = dying_writer.POINTS[point]
    assert (newest and step_of(newest)) == expected
    if newest is not None:
        assert (newest / "inner" / "state").read_text() == str(expected)
        assert (newest / "weights.bin").read_bytes() == dying_writer.CONTENT
        assert read_record(run) == {"made of": "something"}


@pytest.mark.parametrize("point", dying_writer.POINTS)
def test_after_a_kill_a_run_goes_on_or_begins(
    tmp_path: Path,
    point: str,
) -> None:
    run = tmp_path / "run.unfinished"
    script = str(PROJECT / "tests" / "dying_writer.py")
    command = [sys.executable, script, str(run), point]
    done = subprocess.run(command, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    newest_committed(run)
    if not is_unfinished(run):
        begin(run, RECORD)
    for step in (15, 20):
        commit(run, step, write_step(step))
    assert newest_committed(run) == run / "checkpoint-20"
    discard(run)
    assert not run.exists()


def test_without_a_kill_the_writer_ends_well(tmp_path: Path) -> None:
    script = str(PROJECT / "tests" / "dying_writer.py")
    run = tmp_path / "run.unfinished"
    command = [sys.executable, script, str(run), "never"]
    assert subprocess.run(command, timeout=60, check=False).returncode == 0
    assert names(tmp_path) == []


# -- manifests that lie -----------------------------------------------------


def test_only_a_manifest_makes_a_folder_of_files_a_checkpoint(
    run: Path,
) -> None:
    dying_writer.write(_made(run / "checkpoint-15"), 15, "no point")
    assert newest_committed(run) == run / "checkpoint-10"
    assert (run / "checkpoint-15.damaged-1" / "weights.bin").is_file()


def test_several_damaged_ones_are_all_kept_aside(run: Path) -> None:
    for content in ("first", "second"):
        (_made(run / "checkpoint-15") / "a").write_text(content)
        newest_committed(run)
    assert (run / "checkpoint-15.damaged-1" / "a").read_text() == "first"
    assert (run / "checkpoint-15.damaged-2" / "a").read_text() == "second"


def test_where_all_are_damaged_there_is_none(run: Path) -> None:
    for step in (5, 10):
        (run / f"checkpoint-{step}" / "weights.bin").unlink()
    assert newest_committed(run) is None
    assert checkpoints.is_unfinished(run)


def test_a_manifest_of_nothing_is_no_checkpoint(run: Path) -> None:
    manifest = _made(run / "checkpoint-15") / atomic_files.MANIFEST_NAME
    manifest.write_text(json.dumps({"files": {}}))
    assert newest_committed(run) == run / "checkpoint-10"


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
