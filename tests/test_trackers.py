# -*- coding: utf-8 -*-
"""Trackers draw what the history has, go on where a run goes on, and are used
only where they are asked for."""

import socket
import sys
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import (
    EventAccumulator,
)
from tiny_agents import fine_tuning, local_model
from tiny_models import conversation
from transformers.integrations import integration_utils

from local_llm import atomic_files, checkpoints, trackers
from local_llm.adapters import add_adapter
from local_llm.base_model import BaseModel
from local_llm.chat_datasets import Conversation
from local_llm.errors import ConfigError
from local_llm.settings import FineTuneSettings
from local_llm.trained_weights import AdapterWeights
from local_llm.training import TrainingResult, train
from local_llm.training_progress import Step

HELD_OUT = [conversation("What is the capital?", "Paris.")]
STEPS = 6


def trained(
    base: BaseModel,
    rows: list[Conversation],
    folder: Path,
    report_to: Any,
    **more: Any,
) -> TrainingResult:
    """A run of some steps with a checkpoint and an evaluation every two."""
    settings = FineTuneSettings(
        lora_config={},
        max_seq_length=256,
        training_args={
            "max_steps": STEPS,
            "per_device_train_batch_size": 2,
            "save_steps": 2,
            "eval_strategy": "steps",
            "eval_steps": 2,
            **({} if report_to is None else {"report_to": report_to}),
        },
    )
    if not checkpoints.is_unfinished(folder):
        checkpoints.begin(folder, {})
    weights = AdapterWeights(base, add_adapter(base, {"lora_dropout": 0.0}))
    return train(weights, rows, HELD_OUT, settings, folder, **more)


def interrupted_and_resumed(
    base: BaseModel,
    rows: list[Conversation],
    folder: Path,
    report_to: str,
) -> TrainingResult:
    """A run that died in step 6, of which step 5 was told to the tracker, and
    that goes on from step 4."""

    def die(step: Step) -> None:
        if step.number == STEPS:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(base, rows, folder, report_to, on_step=die)
    newest = checkpoints.newest_committed(folder)
    assert newest is not None
    assert checkpoints.step_of(newest) == 4
    return trained(base, rows, folder, report_to, resume_from=newest)


def drawn(folder: Path, name: str) -> list[tuple[int, float]]:
    """The points of a curve in tensorboard's files."""
    events = EventAccumulator(str(folder / trackers.TRACKER_LOGS)).Reload()
    return [(one.step, one.value) for one in events.Scalars(name)]


def assert_same(
    found: list[tuple[int, float]],
    wanted: list[tuple[int, float]],
) -> None:
    assert [step for step, _ in found] == [step for step, _ in wanted]
    values = [value for _, value in wanted]
    assert [value for _, value in found] == pytest.approx(values, rel=1e-5)


@pytest.fixture(name="elsewhere")
def fixture_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Path:
    """The working folder, in which nothing may appear."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_none_is_used_by_default(
    tiny: BaseModel,
    lima_like_rows: list[Conversation],
    tmp_path: Path,
    elsewhere: Path,
) -> None:
    trained(tiny, lima_like_rows, tmp_path / "run", None)
    assert list(elsewhere.iterdir()) == []
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert trackers.TRACKER_LOGS not in names
    assert {"checkpoint-4", "checkpoint-6"} <= names


def test_tensorboard_draws_the_losses_of_the_history(
    tiny: BaseModel,
    lima_like_rows: list[Conversation],
    tmp_path: Path,
    elsewhere: Path,
) -> None:
    folder = tmp_path / "run"
    result = trained(tiny, lima_like_rows, folder, ["tensorboard"])
    assert_same(drawn(folder, "train/loss"), result.losses)
    assert_same(drawn(folder, "eval/loss"), result.held_out_losses)
    assert list(elsewhere.iterdir()) == []


def test_the_curve_in_tensorboard_goes_on_where_a_resumed_run_does(
    tiny: BaseModel,
    lima_like_rows: list[Conversation],
    tmp_path: Path,
) -> None:
    folder = tmp_path / "run"
    result = interrupted_and_resumed(
        tiny, lima_like_rows, folder, "tensorboard"
    )
    assert [step for step, _ in result.losses] == [1, 2, 3, 4, 5, 6]
    assert_same(drawn(folder, "train/loss"), result.losses)
    assert_same(drawn(folder, "eval/loss"), result.held_out_losses)


def test_a_finished_run_holds_what_was_drawn(
    project: Path,
    elsewhere: Path,
) -> None:
    model = local_model(
        project, fine_tune_config=fine_tuning(report_to="tensorboard")
    )
    model.load_model()
    report = model.fine_tune(model.read_data())
    folder = model.output_folder()
    wanted = [(step, loss) for step, loss in report.losses]
    assert_same(drawn(folder, "train/loss"), wanted)
    assert atomic_files.check_manifest(folder) is None
    assert list(elsewhere.iterdir()) == []


def test_a_missing_tracker_is_found_before_anything_is_loaded(
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "trackio", None)
    model = local_model(
        project, fine_tune_config=fine_tuning(report_to="trackio")
    )
    with pytest.raises(ConfigError, match="trackio is not installed"):
        model.read_data()


@pytest.fixture(name="trackio")
def fixture_trackio(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """trackio, which keeps what it is told in a folder of the test."""
    for name in [one for one in sys.modules if one.startswith("trackio")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    import trackio

    return trackio


def test_trackio_keeps_one_run_with_the_steps_of_the_history(
    trackio: Any,
    tiny: BaseModel,
    lima_like_rows: list[Conversation],
    tmp_path: Path,
) -> None:
    from trackio.sqlite_storage import SQLiteStorage

    folder = tmp_path / "one.unfinished"
    result = interrupted_and_resumed(tiny, lima_like_rows, folder, "trackio")
    (run,) = trackio.Api().runs("huggingface")
    assert run.name == trackers.run_name(folder)
    assert run.name.startswith("one-")
    found = {
        row["step"]: row["train/loss"]
        for row in SQLiteStorage.get_logs("huggingface", run.name)
        if "train/loss" in row
    }
    assert_same(sorted(found.items()), result.losses)
    assert (tmp_path / "trackio").is_dir()


@pytest.mark.parametrize("report_to", ["tensorboard", "trackio"])
def test_nothing_leaves_the_machine(
    trackio: Any,
    monkeypatch: pytest.MonkeyPatch,
    tiny: BaseModel,
    lima_like_rows: list[Conversation],
    tmp_path: Path,
    report_to: str,
) -> None:
    called: list[object] = []
    connect = socket.socket.connect

    def recorded(one: socket.socket, address: Any) -> None:
        is_far = one.family != socket.AF_UNIX and address[0] != "127.0.0.1"
        if is_far:
            called.append(address)
        connect(one, address)

    monkeypatch.setattr(socket.socket, "connect", recorded)
    trained(tiny, lima_like_rows, tmp_path / "run", report_to)
    assert called == []


@pytest.mark.parametrize("name", ["tensorboard", "trackio"])
def test_a_tracker_that_is_not_installed_is_named_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigError) as caught:
        trackers.check_installed([name])
    assert caught.value.problems == [f"report_to: {name} is not installed"]
    assert caught.value.fix == f"pip install {name}, or leave report_to out"


def test_every_tracker_of_transformers_has_a_package_that_is_looked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = set(integration_utils.INTEGRATION_TO_CALLBACK) - {"kubeflow"}
    monkeypatch.setattr(trackers, "_is_installed", lambda module: False)
    with pytest.raises(ConfigError) as caught:
        trackers.check_installed(sorted(known))  # kubeflow is no package
    assert caught.value.problems == [
        f"report_to: {name} is not installed" for name in sorted(known)
    ]


def test_a_tracker_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        trackers.callbacks("no-such-tracker", tmp_path, 0)
    (problem,) = caught.value.problems
    assert problem.startswith("report_to: no-such-tracker is not supported")


@pytest.mark.parametrize("report_to", [None, "none", [], ["none"]])
def test_no_tracker_may_be_named_in_several_ways(report_to: Any) -> None:
    trackers.check_installed(report_to)
    assert trackers.names_of(report_to) == []


def test_a_run_keeps_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "mine.unfinished"
    name = trackers.run_name(folder)
    assert name.startswith("mine-")
    assert trackers.run_name(folder) == name
