# -*- coding: utf-8 -*-
"""Trains in one of two processes, or in the only one, for who compares them.

Run as `python training_pair.py MODEL PLACE JOB`, in a process for each
`RANK`; a job is one of `JOBS`.
"""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import torch  # noqa: E402
from tiny_models import conversation, load_own  # noqa: E402

from local_llm import processes  # noqa: E402
from local_llm.adapters import adapter_parameters, add_adapter  # noqa: E402
from local_llm.base_model import BaseModel  # noqa: E402
from local_llm.errors import CheckpointError  # noqa: E402
from local_llm.local_model import LocalModel  # noqa: E402
from local_llm.settings import (  # noqa: E402
    FineTuneSettings,  # noqa: E402
    ModelSettings,
    parse_settings,
)
from local_llm.surroundings import Listener, Surroundings  # noqa: E402
from local_llm.trained_weights import AdapterWeights  # noqa: E402
from local_llm.training import train  # noqa: E402
from local_llm.training_progress import Step  # noqa: E402

FLOAT32 = {"load_in_4bit": True, "bnb_4bit_compute_dtype": "float32"}
NUMBERS = "one two three four five six seven eight nine ten eleven".split()
ROWS = [
    conversation(f"What is {word}?", "It is a number. " * (1 + index % 3))
    for index, word in enumerate(NUMBERS)
]
HELD_OUT = [conversation("What is twelve?", "It is one more than eleven.")] * 3

LAYOUTS: dict[str, dict[str, Any]] = {
    "padded": {"padding_free": False, "rows_at_once": 2},
    "in one line": {"padding_free": True, "rows_at_once": 4},
    "accumulated": {"rows_at_once": 2, "gradient_accumulation_steps": 3},
    "packed": {"rows_at_once": 2, "packing": True, "max_seq_length": 96},
}
"""How rows are put together; `rows_at_once` are shared by all processes.
Eleven rows make the last batch of an epoch a smaller one everywhere, and of
two at once one that has no row for the second process."""

KILLED_AT, KILL_STEPS = 5, 9
DIES = 137  # as a shell tells a SIGKILL
LIMIT_S = 300


def trained(base: BaseModel, place: Path, layout: dict) -> dict[str, Any]:
    """What training in a layout gives, whatever the number of processes."""
    arguments = dict(layout)
    length = arguments.pop("max_seq_length", 256)
    rows = arguments.pop("rows_at_once") // processes.count()
    name = add_adapter(base, {"r": 4, "lora_dropout": 0.0}, seed=3)
    settings = FineTuneSettings(
        lora_config={},
        max_seq_length=length,
        training_args={
            "per_device_train_batch_size": rows,
            "num_train_epochs": 2,
            "learning_rate": 2e-3,
            "save_strategy": "no",
            "eval_strategy": "steps",
            "eval_steps": 2,
            "load_best_model_at_end": False,
            **arguments,
        },
    )
    weights = AdapterWeights(base, name)
    result = train(weights, ROWS, HELD_OUT, settings, place)
    found = adapter_parameters(base, name).values()
    return {
        "losses": result.losses,
        "held out": result.held_out_losses,
        "tokens": result.tokens_seen,
        "weights": torch.cat([one.flatten() for one in found]).tolist(),
    }


def curves(model: Path, place: Path) -> dict[str, Any]:
    """What training gives, for each layout."""
    base = load_own(model, place, quantization=FLOAT32)
    return {
        name: trained(base, place, layout) for name, layout in LAYOUTS.items()
    }


def local_model(
    model: Path,
    place: Path,
    on_step: Callable[[Step], None] = lambda step: None,
) -> LocalModel:
    """A loaded model that trains with checkpoints and a random dropout."""
    settings: ModelSettings = parse_settings(
        {
            "config_name": "pair",
            "model_type": "huggingface",
            "local_model_path": str(model),
            "data_path": "rows.json",
            "output_dir": "run",
            "fine_tune_config": {
                "lora_config": {"r": 4, "lora_dropout": 0.2},
                "bnb_config": FLOAT32,
                "held_out_rows": 2,
                "training_args": {
                    "max_steps": KILL_STEPS,
                    "per_device_train_batch_size": 1,
                    "learning_rate": 2e-3,
                    "save_steps": 2,
                    "eval_strategy": "steps",
                    "eval_steps": 3,
                },
            },
        },
        "a test",
    )
    place.mkdir(parents=True, exist_ok=True)
    rows = [
        {"conversations": [turn.text for turn in one.turns]} for one in ROWS
    ]
    if processes.is_main():
        (place / "rows.json").write_text(json.dumps(rows))
    surroundings = Surroundings(
        folder=place,
        cache=place / "cache",
        listener=Listener(on_step=on_step),
    )
    local = LocalModel(settings, surroundings)
    local.load_model()
    processes.connect("cpu")
    processes.wait_for_all()
    return local


def fine_tuned(
    model: Path,
    place: Path,
    on_step: Callable[[Step], None] = lambda step: None,
) -> dict[str, Any]:
    """What a run gives that goes on where one was interrupted."""
    steps: list[int] = []

    def follow(step: Step) -> None:
        steps.append(step.number)
        on_step(step)

    local = local_model(model, place, follow)
    report = local.fine_tune(local.read_data(), existing_run="resume")
    return {
        "losses": report.losses,
        "held out": [report.held_out_before, report.held_out_after],
        "first step": steps[0],
    }


def calls(model: Path, place: Path) -> dict[str, Any]:
    """What comes back from the main process."""

    def fail() -> None:
        raise CheckpointError("no room", fix="make some")

    processes.connect("cpu")
    own = processes.local_rank() + 17
    made = processes.from_main(lambda: [0, own])
    try:
        processes.from_main(fail)
    except CheckpointError as error:
        raised = [type(error).__name__, error.message, error.fix]
    return {"made": made, "raised": raised}


def die(step: Step) -> None:
    """End as `kill -9` ends a process, after the first checkpoints."""
    if step.number == KILLED_AT:
        os.kill(os.getpid(), signal.SIGKILL)


JOBS: dict[str, Callable[[Path, Path], dict[str, Any]]] = {
    "calls": calls,
    "curves": curves,
    "whole": lambda model, place: fine_tuned(model, place.parent / "whole"),
    "killed": lambda model, place: fine_tuned(
        model, place.parent / "cut", die
    ),
    "resumed": lambda model, place: fine_tuned(model, place.parent / "cut"),
}


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def in_two_processes(model: Path, place: Path, *jobs: str) -> list[int]:
    """Run jobs one after the other in the same two processes.

    Returns:
        `list[int]`: Their exit codes; the results lie in `place`, one file
            for each job.
    """
    common = {
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, __file__, str(model), str(place), *jobs]
    both = [
        subprocess.Popen(
            command,
            env={
                **os.environ,
                **common,
                "RANK": str(rank),
                "LOCAL_RANK": str(rank),
            },
        )
        for rank in range(2)
    ]
    return [one.wait(LIMIT_S) for one in both]


def main(model: Path, place: Path, jobs: list[str]) -> None:
    """Do the jobs and leave what they gave."""
    torch.set_num_threads(1)
    for job in jobs:
        own = place / f"process {processes.local_rank()}"
        own.mkdir(parents=True, exist_ok=True)
        result = JOBS[job](model, own)
        (own / f"{job}.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
