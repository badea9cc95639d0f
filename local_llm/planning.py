# -*- coding: utf-8 -*-
"""A run before it begins: its rows, its steps, and whether it will fit.

Reads the data, the tokenizer and the architecture, and never the weights.
Raises the errors of data and models, and TrainingError for what cannot fit.
"""

from dataclasses import dataclass
from pathlib import Path

import torch

from .base_model import context_size, load_config, load_tokenizer
from .chat_format import ChatFormat
from .disk_room import free_bytes
from .errors import TrainingError
from .estimates import (
    USABLE_SHARE,
    DiskEstimate,
    MemoryEstimate,
    estimate_disk,
    gigabytes,
)
from .local_model import LocalModel
from .memory import free_memory_bytes
from .model_shapes import ModelShape, examine_model
from .model_sources import LoadRequest
from .preview import PreviewRow, preview_rows
from .run_times import TimeEstimate, estimate_time, measure_speed
from .schedules import Schedule, checkpoints_at_once, keeps_best
from .settings import ModelSettings
from .settings_changes import for_training
from .surroundings import Surroundings, load_request
from .training_arguments import chosen_training
from .training_rows import TrainingRows, render_parts
from .workloads import (
    Change,
    Workload,
    changes_to_fit,
    decide_checkpointing,
    process_part,
)


@dataclass(frozen=True, slots=True)
class Fit:
    """Something that a run needs, and how much of it is free."""

    what: str
    needed: int
    free: int

    @property
    def share(self) -> float:
        """Of what is free, how much is needed."""
        return self.needed / max(1, self.free)

    @property
    def fits(self) -> bool:
        """Whether it suffices, with a little to spare."""
        return self.share <= USABLE_SHARE


@dataclass(frozen=True)
class RunPlan:
    """What a run will do and need.

    Attributes:
        model (`str`):
            What would be loaded.
        data (`str`):
            What was read, in one line.
        rows (`TrainingRows`), held_out (`TrainingRows`):
            As training renders them.
        shape (`ModelShape`), schedule (`Schedule`):
            The model with its adapter, and the steps.
        memory (`MemoryEstimate`), disk (`DiskEstimate`):
            What it needs.
        time (`TimeEstimate`):
            How long its steps take on this machine.
        is_checkpointed (`bool`), checkpointing_reason (`str`):
            Whether gradient checkpointing is used, and why.
        fits (`tuple[Fit, ...]`):
            Memory and disk, the tightest first.
        changes (`tuple[Change, ...]`):
            What to change where the memory is too small.
    """

    model: str
    data: str
    rows: TrainingRows
    held_out: TrainingRows
    shape: ModelShape
    schedule: Schedule
    memory: MemoryEstimate
    disk: DiskEstimate
    time: TimeEstimate
    is_checkpointed: bool
    checkpointing_reason: str
    fits: tuple[Fit, ...]
    changes: tuple[Change, ...]

    @property
    def longest_row(self) -> int:
        """Tokens of the longest row."""
        return max(len(row["input_ids"]) for row in self.rows.rows)

    def require_fit(self) -> None:
        """Refuse a run that will not fit.

        Raises:
            `TrainingError`: It needs more than is free.
        """
        lacking = [one for one in self.fits if not one.fits]
        if lacking:
            listed = "; ".join(_lack(one) for one in lacking)
            raise TrainingError(
                f"the fine-tuning will not fit: {listed}",
                fix=_advice(lacking, self.changes),
            )


@dataclass(frozen=True)
class Preview:
    """Some training examples, and all of them in numbers."""

    source: str
    shown: list[PreviewRow]
    rows: TrainingRows


def plan_run(
    settings: ModelSettings,
    surroundings: Surroundings,
    processes: int = 1,
) -> RunPlan:
    """Find out what a run of these settings will do and need.

    Args:
        settings (`ModelSettings`):
            The model, the data and how to train.
        surroundings (`Surroundings`):
            Folders, token and listener.
        processes (`int`, optional):
            How many will train together.

    Raises:
        `ConfigError`: No data is named, or peft refuses the adapter.
        `DatasetError`: The data cannot be trained on.
        `ModelAccessError`: The hub refuses.
        `WeightsError`: There is no such model.
    """
    local = LocalModel(settings, surroundings)
    chosen = for_training(settings, None)
    data = local.read_data()
    wanted = local.model_to_train(chosen)
    request = load_request(local.base_settings(), surroundings)
    chat_format = _chat_format(request, surroundings)
    length = min(chosen.max_seq_length, context_size(wanted.config))
    rows, held_out = render_parts(
        chat_format,
        data.train,
        data.held_out,
        length,
        chosen.strict_data,
    )
    workload = Workload(
        shape=examine_model(wanted),
        rows=rows,
        arguments=chosen_training(chosen),
        max_tokens=length,
        processes=processes,
        process_bytes=process_part(wanted.device == "cpu"),
    )
    summary = f"{data.source}: {data.summary()}"
    folder = local.output_folder()
    return _plan(request.source, summary, workload, held_out, folder)


def preview_run(
    settings: ModelSettings,
    surroundings: Surroundings,
    count: int,
) -> Preview:
    """Render the first training examples of these settings.

    Raises:
        As `plan_run`.
    """
    local = LocalModel(settings, surroundings)
    data = local.read_data()
    request = load_request(local.base_settings(), surroundings)
    chat_format = _chat_format(request, surroundings)
    config = load_config(request, surroundings.listener.on_status)
    chosen = for_training(settings, None)
    length = min(chosen.max_seq_length, context_size(config))
    rows, _ = render_parts(
        chat_format,
        data.train,
        data.held_out,
        length,
        chosen.strict_data,
    )
    return Preview(
        source=f"{data.source}: {data.summary()}",
        shown=preview_rows(chat_format, data.train, count, length),
        rows=rows,
    )


def _chat_format(
    request: LoadRequest,
    surroundings: Surroundings,
) -> ChatFormat:
    progress = surroundings.listener.on_status
    return ChatFormat(load_tokenizer(request, progress))


def _plan(
    model: str,
    data: str,
    workload: Workload,
    held_out: TrainingRows,
    folder: Path,
) -> RunPlan:
    shape, schedule = workload.shape, workload.schedule()
    free = free_memory_bytes(torch.device(shape.device))
    if shape.on_cpu:
        free //= workload.processes  # they share the machine's memory
    is_checkpointed, reason = decide_checkpointing(workload, free)
    memory = workload.memory(is_checkpointed)
    disk = estimate_disk(
        shape,
        workload.optimizer,
        checkpoints_at_once(workload.arguments),
        keeps_best(workload.arguments),
    )
    fits = [
        Fit("memory", memory.needed, free),
        Fit("disk", disk.total, free_bytes(folder)),
    ]
    changes = []
    if not fits[0].fits:
        changes = changes_to_fit(workload, is_checkpointed, free)
    speed = measure_speed(shape, schedule.longest.tokens)
    return RunPlan(
        model=model,
        data=data,
        rows=workload.rows,
        held_out=held_out,
        shape=shape,
        schedule=schedule,
        memory=memory,
        disk=disk,
        time=estimate_time(shape, schedule, is_checkpointed, speed),
        is_checkpointed=is_checkpointed,
        checkpointing_reason=reason,
        fits=tuple(sorted(fits, key=lambda one: -one.share)),
        changes=tuple(changes),
    )


def _lack(fit: Fit) -> str:
    return (
        f"{fit.what} needs {gigabytes(fit.needed)}, "
        f"{gigabytes(fit.free)} are free"
    )


def _advice(lacking: list[Fit], changes: tuple[Change, ...]) -> str:
    advice = [
        f"{one.setting} (then {gigabytes(one.needed)})" for one in changes
    ]
    if advice:
        advice = ["in this order: " + ", ".join(advice)]
    for one in lacking:
        if one.what == "disk":
            advice.append("an output_dir on a disk with more room")
        elif not changes or changes[-1].needed > USABLE_SHARE * one.free:
            advice.append("a smaller model, or a machine with more memory")
    return "; ".join(advice)
