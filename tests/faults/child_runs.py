# -*- coding: utf-8 -*-
"""A whole fine-tuning of a tiny model, in a process that meets with a fault.

The process is forked from one that has imported everything and computed
nothing, which saves the seconds of the imports.
"""

import json
import math
import multiprocessing
import os
import resource
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Literal

HERE = Path(__file__).resolve().parent
SEARCHED = [str(HERE), str(HERE.parent), str(HERE.parents[1])]
sys.path[:0] = [one for one in SEARCHED if one not in sys.path]

import spots  # noqa: E402
import torch  # noqa: E402
from spots import Spot  # noqa: E402
from tiny_agents import local_model, write_rows  # noqa: E402

from local_llm import fine_tuning  # noqa: E402
from local_llm.errors import LocalLLMError  # noqa: E402
from local_llm.local_model import LocalModel  # noqa: E402
from local_llm.run_folders import ExistingRun  # noqa: E402
from local_llm.training import TrainingResult  # noqa: E402

LIMIT_S = 120
STEPS = 13
ROWS = 22
QUESTION = "Question 3?"
TRAINING: dict[str, Any] = {
    "max_steps": STEPS,  # of 5 in an epoch, the last of these a short one
    "learning_rate": 8e-2,
    "lr_scheduler_type": "constant",
    "warmup_steps": 0,
    "per_device_train_batch_size": 2,
    "gradient_accumulation_steps": 2,
    "logging_steps": 5,
    "eval_strategy": "steps",
    "eval_steps": 4,
    "save_steps": 3,
}
LAST = {"load_best_model_at_end": False}
VARIANTS: dict[str, dict[str, Any]] = {
    "padding-free": LAST,
    "length-grouped": {"padding_free": False},
    "packed": {"packing": True, "per_device_train_batch_size": 1, **LAST},
}
"""The training arguments that differ, by how rows become batches.

Two publish the last weights, to which every step adds. The best ones are of
an early step, and a resume after that one only copies them.
"""
PUBLISHED = {
    name: "last" if LAST.items() <= training.items() else "best"
    for name, training in VARIANTS.items()
}
"""Which weights a variant publishes."""
NUMBER_FORMATS = {"padding-free": "bfloat16"}
"""float32 in the other variants. Left to the machine it is measured, and a
busy one may measure something else after a kill."""

Start = Literal["forkserver", "spawn"]
"""From the process that has imported everything, or from nothing."""


@dataclass(frozen=True)
class Attempt:
    """What a process shall do, and what happens to it.

    Attributes:
        place (`Path`):
            A folder with `model` and `data.json`; the run will be in `run`.
        variant (`str`):
            One of `VARIANTS`.
        dies_at (`Spot | None`):
            Where it kills itself.
        pauses_at (`tuple[Spot, ...]`):
            Where it waits for what the test does to it.
        not_finite (`tuple[Spot, str] | None`):
            From where on the `loss`, or a `gradient`, is not a number.
        file_bytes (`tuple[Spot, int] | None`):
            From where on no file can be longer than so many bytes.
        loses_folder (`Spot | None`):
            Where somebody takes the folder of the run away.
        counted (`tuple[str, ...]`):
            Functions whose calls are counted.
        training, options (`dict[str, Any]`):
            What replaces training arguments, and keys of
            `fine_tune_config`.
        existing_run (`ExistingRun`), accept_data_change (`bool`):
            See `LocalModel.fine_tune`.
    """

    place: Path
    variant: str = "padding-free"
    dies_at: Spot | None = None
    pauses_at: tuple[Spot, ...] = ()
    not_finite: tuple[Spot, str] | None = None
    file_bytes: tuple[Spot, int] | None = None
    loses_folder: Spot | None = None
    counted: tuple[str, ...] = ()
    training: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    existing_run: ExistingRun = "resume"
    accept_data_change: bool = False


@dataclass(frozen=True)
class Outcome:
    """What a process has left behind.

    Attributes:
        code (`int`):
            Its exit code; minus the signal that has killed it.
        losses, held_out_losses, best_step, tokens_seen, resumed_at:
            See `TrainingResult`; empty where nothing was trained.
        reply (`str`):
            What the fine-tuned model says.
        calls (`dict[str, int]`):
            Of the functions that were counted.
        error (`str`):
            The class of what has ended it, its message and its fix.
    """

    code: int
    losses: list = field(default_factory=list)
    held_out_losses: list = field(default_factory=list)
    best_step: int | None = None
    tokens_seen: int = 0
    resumed_at: list = field(default_factory=list)
    reply: str = ""
    calls: dict[str, int] = field(default_factory=dict)
    error: str = ""


def make_place(folder: Path, model: Path) -> Path:
    """A folder to train in."""
    shutil.copytree(model, folder / "model")
    write_rows(folder / "data.json", ROWS)
    return folder


def fine_tune_config(variant: str, **training: Any) -> dict[str, Any]:
    """The settings of a variant, some training arguments replaced."""
    return {
        "held_out_rows": 4,
        "max_seq_length": 96,
        "lora_config": {"r": 4, "lora_alpha": 8, "lora_dropout": 0.1},
        "bnb_config": {
            "load_in_4bit": True,
            "bnb_4bit_compute_dtype": NUMBER_FORMATS.get(variant, "float32"),
        },
        "training_args": {**TRAINING, **VARIANTS[variant], **training},
    }


# -- the process that tests -------------------------------------------------


def run(
    attempt: Attempt,
    meanwhile: Callable[[BaseProcess], None] = lambda process: None,
    start: Start = "forkserver",
) -> Outcome:
    """Fine-tune in a process of its own.

    Args:
        attempt (`Attempt`):
            How, and with which fault.
        meanwhile (`Callable[[BaseProcess], None]`, optional):
            Called while that process is at work.
        start (`Start`, optional):
            What the process is made from.
    """
    noted = attempt.place / "outcome.json"
    noted.unlink(missing_ok=True)
    context = multiprocessing.get_context(start)
    process = context.Process(target=do, args=(attempt,))
    process.start()
    try:
        meanwhile(process)
        process.join(LIMIT_S)
        assert process.exitcode is not None, "it did not end in time"
    finally:
        process.kill()
    values = json.loads(noted.read_text()) if noted.exists() else {}
    assert values or process.exitcode not in (0, 1), log_of(attempt.place)
    return Outcome(process.exitcode, **values)


def log_of(place: Path) -> str:
    """What the last process has printed."""
    return (place / "log").read_text(encoding="utf-8", errors="replace")


# -- the process that trains ------------------------------------------------


def do(attempt: Attempt) -> None:
    """Fine-tune, and write down what came of it."""
    log = (attempt.place / "log").open("w")
    os.dup2(log.fileno(), 1)
    os.dup2(log.fileno(), 2)
    torch.set_num_threads(1)
    # As in a terminal, however the tests were started.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        _note(attempt.place, **_fine_tuned(attempt))
    except LocalLLMError as error:
        _note(attempt.place, error=f"{type(error).__name__}: {error}")
        sys.exit(error.exit_code)


def _fine_tuned(attempt: Attempt) -> dict[str, Any]:
    training = fine_tune_config(attempt.variant, **attempt.training)
    model = local_model(
        attempt.place,
        fine_tune_config={**training, **attempt.options},
        max_length=6,
    )
    model.load_model()
    before = {QUESTION: model.reply(QUESTION)}
    _prepare(attempt, model)
    calls = spots.count_calls(attempt.counted)
    results = _noted_results()
    report = model.fine_tune(
        model.read_data(),
        before=before,
        existing_run=attempt.existing_run,
        accept_data_change=attempt.accept_data_change,
    )
    found = asdict(results[0]) if results else {}
    wanted = Outcome.__dataclass_fields__.keys() & found.keys()
    return {
        **{name: found[name] for name in wanted},
        "reply": report.demonstrations[0].after.text,
        "calls": calls,
    }


def _noted_results() -> list[TrainingResult]:
    """The results of what is trained from now on."""
    results: list[TrainingResult] = []
    real = fine_tuning.train

    def noting(*args: Any) -> TrainingResult:
        results.append(real(*args))
        return results[-1]

    fine_tuning.train = noting
    return results


def _note(place: Path, **values: Any) -> None:
    (place / "outcome.json").write_text(json.dumps(values))


def _prepare(attempt: Attempt, model: LocalModel) -> None:
    """Set up what is going to happen to this process."""
    if attempt.dies_at is not None:
        spots.act_at(attempt.dies_at, spots.die)
    for spot in attempt.pauses_at:
        spots.act_at(spot, lambda: spots.pause(attempt.place))
    if attempt.not_finite is not None:
        spot, what = attempt.not_finite
        spots.act_at(spot, lambda: _poison(model, what))
    if attempt.file_bytes is not None:
        spot, size = attempt.file_bytes
        limits = (size, size)
        spots.act_at(
            spot,
            lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limits),
        )
    if attempt.loses_folder is not None:
        folder = attempt.place / "run.unfinished"
        taken = attempt.place / "taken away"
        spots.act_at(attempt.loses_folder, lambda: folder.rename(taken))


def _poison(model: LocalModel, what: str) -> None:
    """Let what follows from the next batch be no number."""
    trained = [p for p in model.base.model.parameters() if p.requires_grad]
    if what == "gradient":
        trained[0].register_hook(lambda gradient: gradient * math.nan)
    else:
        model.base.model.model.norm.register_forward_hook(
            lambda module, given, result: result * math.nan,
        )
