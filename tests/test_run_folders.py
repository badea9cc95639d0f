# -*- coding: utf-8 -*-
"""Nothing is lost where something stands already."""

from pathlib import Path

import pytest

from local_llm import atomic_files, checkpoints
from local_llm.errors import CheckpointError
from local_llm.resume_rules import RunRecord
from local_llm.run_folders import ExistingRun, check_output, open_run

RECORD = RunRecord(
    base="b1",
    data="d1",
    first_row=[2, 7],
    lora_config={},
    bnb_config={},
    training_args={"max_steps": 10, "learning_rate": 1e-3, "logging_steps": 1},
    options={},
    libraries={},
)
KINDS: list[ExistingRun] = ["refuse", "resume", "set_aside"]


def record(data: str = "d1", **training: object) -> RunRecord:
    values = {**RECORD.as_dict(), "data": data}
    values["training_args"] = {**RECORD.training_args, **training}
    return RunRecord(**values)


@pytest.fixture(name="output")
def fixture_output(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "run"


def begin(output: Path, step: int | None = None) -> Path:
    """An unfinished run, perhaps with a checkpoint."""
    folder = checkpoints.unfinished_folder(output)
    with open_run(output, RECORD, "refuse"):
        pass
    if step is not None:
        checkpoints.commit(
            folder,
            step,
            lambda place: (place / "weights").write_text("w") and None,
        )
    return folder


def finish(output: Path) -> None:
    with atomic_files.sealed_folder(output) as partial:
        (partial / "report.json").write_text("{}")


def names(output: Path) -> set[str]:
    return {path.name for path in output.parent.iterdir()}


@pytest.mark.parametrize("existing", KINDS)
def test_an_empty_place_is_begun_in(
    output: Path,
    existing: ExistingRun,
) -> None:
    check_output(output, existing)
    with open_run(output, RECORD, existing) as run:
        assert run.checkpoint is None and run.changes == []
        assert checkpoints.is_unfinished(run.folder)
    assert not output.exists()


def test_a_run_that_was_begun_is_in_the_way_and_stays(output: Path) -> None:
    folder = begin(output, step=5)
    with pytest.raises(CheckpointError, match="go on with --resume") as caught:
        check_output(output, "refuse")
    assert str(folder) in caught.value.message
    assert checkpoints.newest_committed(folder).name == "checkpoint-5"


def test_a_run_goes_on_from_its_newest_checkpoint(output: Path) -> None:
    folder = begin(output, step=5)
    check_output(output, "resume")
    with open_run(output, RECORD, "resume") as run:
        assert run.folder == folder
        assert run.checkpoint == folder / "checkpoint-5"
        assert run.changes == []


def test_a_run_that_was_only_begun_goes_on_from_nothing(output: Path) -> None:
    begin(output)
    with open_run(output, RECORD, "resume") as run:
        assert run.checkpoint is None


@pytest.mark.parametrize("existing", KINDS)
@pytest.mark.parametrize(
    "corrected",
    [record(learning_rate=1.0), record("d2"), record(max_steps=20)],
    ids=["rate", "data", "steps"],
)
def test_a_run_without_a_checkpoint_gives_way_to_corrected_settings(
    output: Path,
    existing: ExistingRun,
    corrected: RunRecord,
) -> None:
    folder = begin(output)
    check_output(output, existing)
    with open_run(output, corrected, existing) as run:
        assert (run.checkpoint, run.changes) == (None, [])
        found = checkpoints.read_record(folder)
    assert found == {**corrected.as_dict(), "changes": []}
    assert names(output) == {"run.unfinished"}


def test_a_run_without_a_checkpoint_is_begun_again_as_it_was(
    output: Path,
) -> None:
    folder = begin(output)
    (folder / "tracker_logs").mkdir()
    with open_run(output, RECORD, "resume") as run:
        assert run.checkpoint is None
    assert (folder / "tracker_logs").is_dir()
    with open_run(output, RECORD, "refuse"):
        assert not (folder / "tracker_logs").exists()


@pytest.mark.parametrize(
    "name",
    ["checkpoint-5", ".checkpoint-5.partial-abc", "checkpoint-5.damaged-1"],
)
def test_what_there_is_of_a_checkpoint_is_not_begun_over(
    output: Path,
    name: str,
) -> None:
    folder = begin(output)
    (folder / name).mkdir()
    with pytest.raises(CheckpointError, match="go on with --resume"):
        check_output(output, "refuse")
    for existing in ("refuse", "resume"):
        with (
            pytest.raises(CheckpointError),
            open_run(output, record(learning_rate=1.0), existing),
        ):
            pytest.fail("it must not begin")
    assert checkpoints.is_unfinished(folder)


@pytest.mark.parametrize("existing", KINDS)
def test_a_run_without_a_checkpoint_that_somebody_is_at_stays(
    output: Path,
    existing: ExistingRun,
) -> None:
    folder = begin(output)
    with checkpoints.claimed(folder):
        with pytest.raises(CheckpointError, match="is training in"):
            check_output(output, existing)
            with open_run(output, record(learning_rate=1.0), existing):
                pytest.fail("two processes would write there")
        assert checkpoints.read_record(folder)["data"] == "d1"


def test_allowed_changes_are_kept_over_several_resumes(output: Path) -> None:
    begin(output, step=5)
    with open_run(output, record(max_steps=20), "resume") as run:
        first = run.changes
    changed = record(max_steps=20, logging_steps=5)
    with open_run(output, changed, "resume") as run:
        second = run.changes
    assert first == ["training_args.max_steps: 10 -> 20"]
    assert second == [*first, "training_args.logging_steps: 1 -> 5"]
    with open_run(output, changed, "resume") as run:
        assert run.changes == second


def test_a_forbidden_change_leaves_the_run_as_it_was(output: Path) -> None:
    begin(output, step=5)
    with (
        pytest.raises(CheckpointError, match="learning_rate"),
        open_run(output, record(learning_rate=1.0), "resume"),
    ):
        pytest.fail("it must not go on")
    with open_run(output, RECORD, "resume") as run:
        assert run.checkpoint is not None


def test_other_data_must_be_accepted(output: Path) -> None:
    begin(output, step=5)
    with (
        pytest.raises(CheckpointError, match="accept-data-change"),
        open_run(output, record("d2"), "resume"),
    ):
        pytest.fail("it must not go on")
    with open_run(output, record("d2"), "resume", True) as run:
        assert run.changes == ["data: d1 -> d2"]


def test_a_run_that_is_set_aside_is_whole(output: Path) -> None:
    folder = begin(output, step=5)
    check_output(output, "set_aside")
    with open_run(output, record(learning_rate=1.0), "set_aside") as run:
        assert run.checkpoint is None and run.changes == []
    aside = folder.with_name(f"{folder.name}.previous-1")
    assert checkpoints.newest_committed(aside) == aside / "checkpoint-5"


@pytest.mark.parametrize("existing", ["refuse", "resume"])
def test_a_finished_run_is_not_trained_over(
    output: Path,
    existing: ExistingRun,
) -> None:
    finish(output)
    check_output(output, existing)
    with (
        pytest.raises(CheckpointError, match="a finished run of other"),
        open_run(output, RECORD, existing),
    ):
        pytest.fail("it must not begin")
    assert names(output) == {"run"}
    atomic_files.check_manifest(output)


@pytest.mark.parametrize("existing", ["refuse", "resume"])
def test_files_of_others_are_in_the_way(
    output: Path,
    existing: ExistingRun,
) -> None:
    output.mkdir(parents=True)
    check_output(output, existing)  # empty
    (output / "thesis.txt").write_text("mine")
    with pytest.raises(CheckpointError, match="files that are not of a run"):
        check_output(output, existing)


@pytest.mark.parametrize("existing", ["resume", "set_aside"])
def test_nobody_else_may_be_at_it(
    output: Path,
    existing: ExistingRun,
) -> None:
    folder = begin(output, step=5)
    with checkpoints.claimed(folder):
        with (
            pytest.raises(CheckpointError, match="is training in"),
            open_run(output, RECORD, existing),
        ):
            pytest.fail("two processes would write there")
        assert checkpoints.newest_committed(folder) is not None


def test_a_full_disk_is_found_before_a_run(output: Path) -> None:
    with pytest.raises(CheckpointError, match="free"):
        check_output(output, "refuse", needed_bytes=1 << 60)
