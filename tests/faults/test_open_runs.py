# -*- coding: utf-8 -*-
"""A run begins, goes on or is refused, and nothing that is there is lost."""

import dataclasses
from pathlib import Path

import pytest

from local_llm import atomic_files, checkpoints
from local_llm.checkpoints import claimed, commit, unfinished_folder
from local_llm.errors import CheckpointError
from local_llm.resume_rules import RunRecord
from local_llm.run_folders import check_output, open_run

RECORD = RunRecord(
    base="base",
    data="data",
    first_row=[1, 2, 3],
    lora_config={"r": 4},
    bnb_config={},
    training_args={"learning_rate": 1e-3, "save_steps": 5},
    options={},
    libraries={"torch": "2.11.0"},
)


def write_weights(folder: Path) -> None:
    (folder / "weights").write_text("w")


@pytest.fixture(name="output")
def fixture_output(tmp_path: Path) -> Path:
    """Where a run will stand that is unfinished and has two steps."""
    output = tmp_path / "run"
    with open_run(output, RECORD, "refuse") as run:
        for step in (1, 2):
            commit(run.folder, step, write_weights)
    return output


def finish(output: Path) -> None:
    """Leave a finished run."""
    with atomic_files.sealed_folder(output) as partial:
        write_weights(partial)


# -- before anything expensive ----------------------------------------------


def test_an_unfinished_run_is_in_the_way_of_a_new_one(output: Path) -> None:
    with pytest.raises(CheckpointError, match="can go on with --resume"):
        check_output(output, "refuse")
    check_output(output, "resume")
    check_output(output, "set_aside")


@pytest.mark.parametrize("existing", ["refuse", "resume"])
def test_files_of_others_are_in_the_way(tmp_path: Path, existing: str) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.doc").write_text("x")
    with pytest.raises(CheckpointError, match="files that are not of a run"):
        check_output(tmp_path / "run", existing)
    check_output(tmp_path / "run", "set_aside")


def test_a_disk_without_room_is_told_before_anything(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="are free on its disk"):
        check_output(tmp_path / "run", "refuse", needed_bytes=1 << 62)


# -- beginning and going on -------------------------------------------------


def test_a_new_run_has_a_record_and_no_checkpoint(tmp_path: Path) -> None:
    with open_run(tmp_path / "run", RECORD, "refuse") as run:
        assert run.folder == tmp_path / "run.unfinished"
        assert (run.checkpoint, run.changes) == (None, [])
        record = checkpoints.read_record(run.folder)
    assert record == {**RECORD.as_dict(), "changes": []}


def test_a_run_goes_on_from_its_newest_checkpoint(output: Path) -> None:
    with open_run(output, RECORD, "resume") as run:
        assert run.checkpoint == run.folder / "checkpoint-2"


def test_changes_are_kept_over_several_resumes(output: Path) -> None:
    for cadence in (7, 9):
        arguments = {**RECORD.training_args, "save_steps": cadence}
        record = dataclasses.replace(RECORD, training_args=arguments)
        with open_run(output, record, "resume") as run:
            changes = run.changes
    assert changes == [
        "training_args.save_steps: 5 -> 7",
        "training_args.save_steps: 7 -> 9",
    ]


def test_a_refused_change_leaves_the_record(output: Path) -> None:
    folder = unfinished_folder(output)
    before = (folder / "run.json").read_bytes()
    record = dataclasses.replace(RECORD, base="another")
    with pytest.raises(CheckpointError, match="base: base -> another"):
        with open_run(output, record, "resume"):
            pytest.fail("it may not go on")
    assert (folder / "run.json").read_bytes() == before


def test_a_finished_run_of_other_settings_is_in_the_way(
    tmp_path: Path,
) -> None:
    finish(tmp_path / "run")
    with pytest.raises(CheckpointError, match="a finished run of other"):
        with open_run(tmp_path / "run", RECORD, "resume"):
            pytest.fail("it may not begin")
    with open_run(tmp_path / "run", RECORD, "set_aside") as run:
        assert run.checkpoint is None


# -- setting aside ----------------------------------------------------------


def test_a_run_that_is_set_aside_keeps_its_checkpoints(output: Path) -> None:
    with open_run(output, RECORD, "set_aside") as run:
        assert run.checkpoint is None
    kept = output.with_name("run.unfinished.previous-1")
    newest = checkpoints.newest_committed(kept)
    assert newest == kept / "checkpoint-2"


def test_a_run_that_somebody_is_at_is_not_set_aside(output: Path) -> None:
    """Its next checkpoint would land in the run that takes its place."""
    folder = unfinished_folder(output)
    with claimed(folder):
        with pytest.raises(CheckpointError, match="is training in"):
            with open_run(output, RECORD, "set_aside"):
                pytest.fail("two may not train in one folder")
    assert checkpoints.is_unfinished(folder)
    assert not output.with_name("run.unfinished.previous-1").exists()


# -- what killed processes leave --------------------------------------------


def test_what_killed_processes_have_not_finished_is_deleted(
    output: Path,
) -> None:
    left = [
        output.with_name(".run.partial-abc"),
        unfinished_folder(output) / ".checkpoint-3.partial-abc",
    ]
    for folder in left:
        folder.mkdir()
        (folder / "half").write_text("x")
    with open_run(output, RECORD, "resume") as run:
        assert run.checkpoint == run.folder / "checkpoint-2"
        assert not any(folder.exists() for folder in left)
