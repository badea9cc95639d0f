# -*- coding: utf-8 -*-
"""A process knows its part in a launch, and two that train together give what
one gives, also after a kill."""

import datetime
import filecmp
import json
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest
import torch
import training_pair
from accelerate import PartialState

from local_llm import fine_tuning, processes
from local_llm.errors import CheckpointError, ConfigError, ProcessLost
from local_llm.run_folders import OpenRun

TORCH = {"WORLD_SIZE": "4", "RANK": "3", "LOCAL_RANK": "1"}
MPI = {"PMI_SIZE": "4", "PMI_RANK": "3", "MPI_LOCALRANKID": "1"}
OPEN_MPI = {
    "OMPI_COMM_WORLD_SIZE": "4",
    "OMPI_COMM_WORLD_RANK": "3",
    "OMPI_COMM_WORLD_LOCAL_RANK": "1",
}
NAMES = {
    *TORCH,
    *MPI,
    *OPEN_MPI,
    "ACCELERATE_USE_CPU",
    "LOCAL_WORLD_SIZE",
    "MASTER_ADDR",
    "MASTER_PORT",
    "OMP_NUM_THREADS",
}


@pytest.fixture(name="environment")
def fixture_environment(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets variables, in an environment without those of a launch."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)

    def change(variables: dict[str, str]) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return change


# -- what the environment says --------------------------------------------


def test_a_process_alone_is_the_main_one_of_one(environment: Any) -> None:
    assert processes.count() == 1
    assert processes.is_main()
    assert processes.local_rank() == 0
    assert not processes.uses_cpu()
    processes.connect("cpu")
    processes.wait_for_all()
    assert processes.from_main(lambda: 5) == 5
    assert processes.is_first_to_fail()


@pytest.mark.parametrize("variables", [TORCH, MPI, OPEN_MPI])
def test_a_launcher_says_how_many_there_are_and_which_this_one_is(
    environment: Any,
    variables: dict[str, str],
) -> None:
    environment(variables)
    assert processes.count() == 4
    assert not processes.is_main()
    assert processes.local_rank() == 1


def test_a_launch_that_started_one_of_several_is_refused(
    environment: Any,
) -> None:
    environment({"ACCELERATE_USE_CPU": "True", "MASTER_PORT": "29500"})
    with pytest.raises(
        ConfigError, match="one process, not several"
    ) as caught:
        processes.check_launch()
    assert "--multi_gpu" in str(caught.value.fix)


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"ACCELERATE_USE_CPU": "True"},
        {"MASTER_PORT": "29500", **TORCH},
        {"ACCELERATE_USE_CPU": "True", "MASTER_PORT": "29500", **MPI},
    ],
)
def test_other_launches_are_not(
    environment: Any,
    variables: dict[str, str],
) -> None:
    environment(variables)
    processes.check_launch()


# -- errors ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "is_loss"),
    [
        (
            RuntimeError("[gloo/transport/tcp/pair.cc:553] closed by peer"),
            True,
        ),
        (torch.distributed.DistBackendError("NCCL error"), True),
        (RuntimeError("shapes do not fit"), False),
        (ValueError("a value"), False),
    ],
)
def test_the_loss_of_a_process_is_told_from_other_errors(
    environment: Any,
    error: Exception,
    is_loss: bool,
) -> None:
    assert not processes.is_loss(error)
    environment(TORCH)
    assert processes.is_loss(error) is is_loss


def test_a_process_that_nobody_joins_does_not_wait_for_ever(
    environment: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    patience = datetime.timedelta(seconds=1)
    monkeypatch.setattr(processes, "_PATIENCE", patience)
    port = str(training_pair.free_port())
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    environment({"WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1", **address})
    environment({"LOCAL_WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"})
    PartialState._reset_state()  # of a training in this process
    try:
        with pytest.raises(ProcessLost):
            processes.connect("cpu")
    finally:
        PartialState._reset_state()


def test_the_first_of_a_machine_tells_where_there_is_nobody_to_ask(
    environment: Any,
) -> None:
    environment({"WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1"})
    assert not processes.is_first_to_fail()
    environment({"RANK": "4", "LOCAL_RANK": "0"})
    assert processes.is_first_to_fail()


# -- two processes --------------------------------------------------------


@pytest.fixture(name="pair", scope="module")
def fixture_pair(
    tiny_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Where two processes have left what they trained; of one run they were
    killed, and two others have resumed it."""
    place = tmp_path_factory.mktemp("pair")
    start = training_pair.in_two_processes
    ends = start(tiny_folder, place, "calls", "curves", "whole", "killed")
    assert ends == [-9, -9]
    left = {one.name for one in (place / "cut" / "run.unfinished").iterdir()}
    assert {"checkpoint-2", "checkpoint-4"} <= left
    shutil.copytree(place / "cut", place / "killed")
    assert start(tiny_folder, place, "resumed") == [0, 0]
    return place


def left_by(place: Path, rank: int, job: str) -> dict[str, Any]:
    path = place / f"process {rank}" / f"{job}.json"
    return json.loads(path.read_text())


@pytest.fixture(name="alone", scope="module")
def fixture_alone(
    tiny_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Any]:
    """What one process gives with batches of twice the size."""
    return training_pair.curves(tiny_folder, tmp_path_factory.mktemp("alone"))


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("layout", training_pair.LAYOUTS)
def test_two_processes_learn_as_one_with_the_same_global_batch(
    pair: Path,
    alone: dict[str, Any],
    layout: str,
    rank: int,
) -> None:
    one, two = alone[layout], left_by(pair, rank, "curves")[layout]
    for curve in ("losses", "held out"):
        steps, losses = zip(*one[curve], strict=True)
        assert [step for step, _ in two[curve]] == list(steps)
        assert [loss for _, loss in two[curve]] == pytest.approx(
            list(losses), abs=1e-4
        )
    assert two["tokens"] == one["tokens"]
    assert two["weights"] == pytest.approx(one["weights"], abs=1e-4)
    assert len(one["losses"]) >= 4
    assert one["losses"][-1][1] < one["losses"][0][1] - 0.2


def test_both_processes_have_the_same_weights_in_the_end(pair: Path) -> None:
    both = [left_by(pair, rank, "curves") for rank in range(2)]
    for layout in training_pair.LAYOUTS:
        assert both[0][layout]["weights"] == both[1][layout]["weights"]


def test_a_killed_run_of_two_goes_on_as_if_nothing_had_been(
    pair: Path,
) -> None:
    for rank in range(2):
        whole = left_by(pair, rank, "whole")
        assert whole["first step"] == 1
        assert left_by(pair, rank, "resumed") == {**whole, "first step": 5}
        assert len(whole["losses"]) == training_pair.KILL_STEPS
    weights = "run/adapter_model.safetensors"
    assert filecmp.cmp(
        pair / "whole" / weights, pair / "cut" / weights, shallow=False
    )


def test_what_the_main_process_makes_or_raises_is_had_by_all(
    pair: Path,
) -> None:
    for rank in range(2):
        assert left_by(pair, rank, "calls") == {
            "made": [0, 17],
            "raised": ["CheckpointError", "no room", "make some"],
        }


def test_a_killed_run_of_two_is_not_resumed_by_one(
    pair: Path,
    tiny_folder: Path,
) -> None:
    local = training_pair.local_model(tiny_folder, pair / "killed")
    with pytest.raises(CheckpointError) as caught:
        local.fine_tune(local.read_data(), existing_run="resume")
    change = "processes: 2 -> 1 (must stay the same)"
    assert change in caught.value.message


def test_a_checkpoint_that_another_machine_has_alone_is_asked_for(
    tmp_path: Path,
) -> None:
    far = OpenRun(tmp_path, tmp_path / "checkpoint-2", [])
    with pytest.raises(CheckpointError) as caught:
        fine_tuning._check_is_here(far)
    assert f"checkpoint-2 is not on {socket.gethostname()}" in str(caught)
    assert "copy the folder of the unfinished run" in str(caught.value.fix)


def test_who_has_trained_in_two_processes_uses_it_in_one(
    pair: Path,
    tiny_folder: Path,
) -> None:
    local = training_pair.local_model(tiny_folder, pair / "whole")
    report = local.use_finished_run(local.read_data())
    assert report is not None
    assert report.losses == left_by(pair, 0, "whole")["losses"]
    assert local.is_fine_tuned
