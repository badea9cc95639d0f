# -*- coding: utf-8 -*-
"""A run goes on with what it is made of, or not at all."""

import shutil
import signal
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
from child_runs import PUBLISHED, ROWS, STEPS, Attempt, make_place, run
from comparison import Unhurt, adapter_of, assert_equal_runs, report_of
from kill_points import CHECKPOINTS, PROGRESS, TRAINER
from spots import REACHED, Spot, wait_until
from tiny_agents import write_rows
from tiny_models import gemma, save_model

KILLED_AT = 9
COMMITS = f"{CHECKPOINTS}:commit"
WHO_IS_AT_IT = {"owner.txt", "run.lock"}


@pytest.fixture(name="killed_place", scope="module")
def fixture_killed_place(
    tiny_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A place with a run that was killed; to be copied, not to be changed."""
    folder = tmp_path_factory.mktemp("killed")
    place = make_place(folder / "place", tiny_folder)
    spot = Spot(f"{PROGRESS}.on_step_end", "after", KILLED_AT + 2)
    assert run(Attempt(place, dies_at=spot)).code == -signal.SIGKILL
    return place


@pytest.fixture(name="begun")
def fixture_begun(killed_place: Path, tmp_path: Path) -> Path:
    """A place of its own with a run that was killed."""
    return shutil.copytree(killed_place, tmp_path / "begun")


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    """The files of a folder with the times of their changes."""
    return {
        str(path.relative_to(folder)): (
            path.stat().st_mtime_ns,
            path.read_bytes(),
        )
        for path in folder.rglob("*")
        if path.is_file() and path.name not in WHO_IS_AT_IT
    }


# -- what may not change ----------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"training": {"learning_rate": 1e-3}},
            "training_args.learning_rate: 0.08 -> 0.001 (must stay the same)",
        ),
        (
            {"training": {"per_device_train_batch_size": 4}},
            "training_args.per_device_train_batch_size: 2 -> 4 (must",
        ),
        (
            {"training": {"gradient_accumulation_steps": 1}},
            "training_args.gradient_accumulation_steps: 2 -> 1 (must",
        ),
        (
            {"training": {"seed": 8}},
            "training_args.seed: 7 -> 8 (must stay the same)",
        ),
        (
            {"training": {"packing": True}},
            "training_args.packing: not set -> true (must",
        ),
        (
            {"training": {"max_steps": 10}},
            "training_args.max_steps: 13 -> 10 (may grow)",
        ),
        (
            {"options": {"lora_config": {"r": 8, "lora_dropout": 0.1}}},
            "lora_config.r: 4 -> 8 (must stay the same)",
        ),
        (
            {"options": {"max_seq_length": 64}},
            "options.max_seq_length: 96 -> 64 (must stay the same)",
        ),
        (
            {"options": {"held_out_rows": 3}},
            "data: ",
        ),
    ],
    ids=str,
)
def test_a_run_does_not_go_on_with_other_settings_and_stays_as_it_was(
    begun: Path,
    changes: dict[str, Any],
    said: str,
) -> None:
    before = contents(begun / "run.unfinished")
    refused = run(Attempt(begun, **changes))
    assert refused.code == 3
    assert ": the unfinished run cannot go on" in refused.error
    assert f"\n  - {said}" in refused.error
    assert contents(begun / "run.unfinished") == before


def test_all_that_may_not_change_is_named_at_once(begun: Path) -> None:
    refused = run(
        Attempt(
            begun,
            training={"seed": 8, "learning_rate": 1e-3},
            options={"lora_config": {"r": 8}},
        ),
    )
    lines = refused.error.splitlines()
    assert [line.split(":")[0] for line in lines if "  - " in line] == [
        "  - lora_config.lora_alpha",
        "  - lora_config.lora_dropout",
        "  - lora_config.r",
        "  - training_args.learning_rate",
        "  - training_args.seed",
    ]


def test_a_run_does_not_go_on_with_other_data(begun: Path) -> None:
    write_rows(begun / "data.json", ROWS, answer="Another")
    before = contents(begun / "run.unfinished")
    refused = run(Attempt(begun))
    assert refused.code == 3
    assert "\n  - data: " in refused.error
    assert "accept it with --accept-data-change" in refused.error
    assert contents(begun / "run.unfinished") == before


def test_a_run_does_not_go_on_with_another_base(begun: Path) -> None:
    save_model(begun / "model", gemma(seed=5))
    before = contents(begun / "run.unfinished")
    refused = run(Attempt(begun))
    assert refused.code == 3
    assert "\n  - base: " in refused.error
    assert contents(begun / "run.unfinished") == before


# -- what may change --------------------------------------------------------


def test_a_run_goes_on_for_more_steps_and_the_report_says_so(
    unhurt: Callable[[str], Unhurt],
    begun: Path,
) -> None:
    outcome = run(Attempt(begun, training={"max_steps": 16}))
    assert outcome.code == 0
    assert outcome.resumed_at == [KILLED_AT]
    assert outcome.losses[:STEPS] == unhurt("padding-free").outcome.losses
    assert [step for step, _ in outcome.losses[STEPS:]] == [14, 15, 16]
    changes = ["training_args.max_steps: 13 -> 16"]
    assert report_of(begun)["changes"] == changes


def test_a_run_goes_on_with_another_cadence_and_learns_the_same(
    unhurt: Callable[[str], Unhurt],
    begun: Path,
) -> None:
    cadence = {"save_steps": 2, "logging_steps": 1}
    attempt = Attempt(begun, training=cadence, counted=(COMMITS,))
    outcome = run(attempt)
    assert outcome.calls == {COMMITS: 3}  # of the steps 10, 12 and 13
    assert_equal_runs(begun, outcome, unhurt("padding-free"))
    assert report_of(begun)["changes"] == [
        "training_args.logging_steps: 5 -> 1",
        "training_args.save_steps: 3 -> 2",
    ]


def test_a_run_goes_on_with_other_evaluations(begun: Path) -> None:
    outcome = run(Attempt(begun, training={"eval_steps": 5}))
    assert outcome.code == 0
    steps = [step for step, _ in outcome.held_out_losses]
    assert steps == [0, 4, 8, 10, STEPS]
    changes = ["training_args.eval_steps: 4 -> 5"]
    assert report_of(begun)["changes"] == changes


def test_a_run_goes_on_with_gradient_checkpointing_and_learns_the_same(
    unhurt: Callable[[str], Unhurt],
    begun: Path,
) -> None:
    """It follows from the memory that is free, which a resume may change."""
    saving = {"gradient_checkpointing": True}
    outcome = run(Attempt(begun, training=saving))
    assert_equal_runs(begun, outcome, unhurt("padding-free"))


def test_a_run_goes_on_with_other_data_where_that_is_accepted(
    begun: Path,
) -> None:
    write_rows(begun / "data.json", ROWS, answer="Another")
    outcome = run(Attempt(begun, accept_data_change=True))
    assert outcome.code == 0
    assert outcome.resumed_at == [KILLED_AT]
    report = report_of(begun)
    assert any(one.startswith("data: ") for one in report["changes"])
    note = f"the data changed at step {KILLED_AT}: the held-out loss before "
    assert any(one.startswith(note) for one in report["notes"])


def test_other_data_is_measured_anew_and_what_is_kept_has_seen_some_of_it(
    place: Path,
) -> None:
    variant = "length-grouped"
    assert PUBLISHED[variant] == "best"
    spot = Spot(f"{PROGRESS}.on_step_end", "after", KILLED_AT + 2)
    killed = run(Attempt(place, variant, dies_at=spot))
    assert killed.code == -signal.SIGKILL
    write_rows(place / "data.json", ROWS, answer="Another")
    outcome = run(Attempt(place, variant, accept_data_change=True))
    measured = dict(outcome.held_out_losses)
    assert list(measured) == [KILLED_AT, 12, STEPS]
    assert outcome.best_step in (12, STEPS)
    report = report_of(place)
    assert report["held_out_before"] == measured[KILLED_AT]
    assert report["held_out_after"] == measured[outcome.best_step]


def test_a_change_of_the_data_outlives_a_kill(begun: Path) -> None:
    """What was measured on the old rows stays forgotten."""
    write_rows(begun / "data.json", ROWS, answer="Another")
    spot = Spot(f"{CHECKPOINTS}:commit")  # before the first on the new data
    killed = run(Attempt(begun, accept_data_change=True, dies_at=spot))
    assert killed.code == -signal.SIGKILL
    outcome = run(Attempt(begun))
    assert outcome.resumed_at == [KILLED_AT]
    steps = [step for step, _ in outcome.held_out_losses]
    assert steps == [KILLED_AT, 12, STEPS]


def test_data_that_leaves_no_step_to_make_is_refused(place: Path) -> None:
    once = {"max_steps": -1, "num_train_epochs": 1}
    spot = Spot(f"{PROGRESS}.on_step_end", "after", 4)
    killed = run(Attempt(place, training=once, dies_at=spot))
    assert killed.code == -signal.SIGKILL
    write_rows(place / "data.json", 10)  # two steps, and three are made
    attempt = Attempt(place, training=once, accept_data_change=True)
    refused = run(attempt)
    assert refused.code == 3
    assert "checkpoint-3 is at the end of the run" in refused.error
    assert "raise num_train_epochs" in refused.error
    assert not (place / "run").exists()
    write_rows(place / "data.json", ROWS)
    outcome = run(attempt)
    assert outcome.resumed_at == [3]
    assert outcome.held_out_losses[0][0] == 0


# -- what is there already --------------------------------------------------


def test_a_finished_run_that_is_resumed_stays_as_it_is(
    unhurt: Callable[[str], Unhurt],
    tmp_path: Path,
) -> None:
    finished = unhurt("padding-free")
    place = shutil.copytree(finished.place, tmp_path / "place")
    before = contents(place / "run")
    outcome = run(Attempt(place))
    assert outcome.losses == []
    assert outcome.reply == finished.outcome.reply
    assert contents(place / "run") == before
    assert not (place / "run.unfinished").exists()


def test_a_finished_run_that_is_used_leaves_an_unfinished_one_of_other_settings(
    unhurt: Callable[[str], Unhurt],
    tmp_path: Path,
) -> None:
    place = tmp_path / "place"
    shutil.copytree(unhurt("padding-free").place, place)
    other = Attempt(
        place,
        training={"seed": 8},
        dies_at=Spot(f"{PROGRESS}.on_step_end", "after", 4),
        existing_run="set_aside",
    )
    assert run(other).code == -signal.SIGKILL
    before = contents(place / "run.unfinished")
    assert run(Attempt(place)).losses == []
    assert contents(place / "run.unfinished") == before


def test_a_run_in_the_way_is_refused_and_stays_as_it_was(begun: Path) -> None:
    before = contents(begun / "run.unfinished")
    refused = run(Attempt(begun, existing_run="refuse"))
    assert refused.code == 3
    assert "a run that did not finish" in refused.error
    assert contents(begun / "run.unfinished") == before


def test_a_run_that_is_set_aside_is_kept_and_can_be_brought_back(
    unhurt: Callable[[str], Unhurt],
    begun: Path,
) -> None:
    before = contents(begun / "run.unfinished")
    outcome = run(Attempt(begun, existing_run="set_aside"))
    assert outcome.resumed_at == []
    assert_equal_runs(begun, outcome, unhurt("padding-free"))
    kept = begun / "run.unfinished.previous-1"
    assert contents(kept) == before
    first = adapter_of(begun)
    shutil.rmtree(begun / "run")
    kept.rename(begun / "run.unfinished")
    assert run(Attempt(begun)).resumed_at == [KILLED_AT]
    assert adapter_of(begun) == first


@pytest.mark.parametrize("existing_run", ["resume", "set_aside", "refuse"])
def test_a_run_that_is_going_on_is_left_alone_by_others(
    unhurt: Callable[[str], Unhurt],
    place: Path,
    existing_run: str,
) -> None:
    others = []

    def disturb(process: BaseProcess) -> None:
        wait_until((place / REACHED).exists)
        others.append(run(Attempt(place, existing_run=existing_run)))
        (place / REACHED).unlink()

    spot = Spot(f"{TRAINER}._write_checkpoint", "after", 2)
    outcome = run(Attempt(place, pauses_at=(spot,)), disturb)
    assert others[0].code == 3
    who = "a run that did not finish"
    if existing_run != "refuse":
        who = "is training in"
    assert who in others[0].error
    assert_equal_runs(place, outcome, unhurt("padding-free"))
