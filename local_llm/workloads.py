# -*- coding: utf-8 -*-
"""A model, its rows and the training arguments together: what they need.

Chooses gradient checkpointing, and finds what to change where the memory is
too small. Trains nothing, loads nothing. Raises nothing.
"""

import copy
import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .base_model import load_config
from .devices import choose_device, choose_dtype
from .estimates import (
    USABLE_SHARE,
    MemoryEstimate,
    choose_gradient_checkpointing,
    estimate_disk,
    estimate_memory,
    with_checkpointing,
)
from .memory import process_memory_bytes
from .model_shapes import ModelShape, ModelToTrain, examine_model
from .model_sources import LoadRequest, Progress
from .schedules import (
    PADDED_TO,
    Schedule,
    checkpoints_at_once,
    keeps_best,
    make_schedule,
)
from .trained_weights import TrainedWeights
from .training_rows import TrainingRows

if TYPE_CHECKING:
    from .settings import FineTuneSettings

_CHECKPOINTING_KEYS = ("gradient_checkpointing", "activation_checkpointing")
_GPU_LIBRARIES_BYTES = 100_000_000
_OPTIMIZER = "adamw_torch"
_SHORTEST = 64
"""Rows are not advised to be cut below so many tokens."""


@dataclass(frozen=True)
class Workload:
    """What is trained, on what and how.

    Attributes:
        shape (`ModelShape`):
            The model with its adapter.
        rows (`TrainingRows`):
            At least one.
        arguments (`Mapping[str, Any]`):
            Training arguments, with the package's defaults.
        max_tokens (`int`):
            The longest row that is allowed.
        processes (`int`):
            How many train together.
        process_bytes (`int`):
            See `process_part`.
    """

    shape: ModelShape
    rows: TrainingRows
    arguments: Mapping[str, Any]
    max_tokens: int
    processes: int
    process_bytes: int

    def schedule(self) -> Schedule:
        """Its steps."""
        padded_to = PADDED_TO if self.shape.on_cpu else 1
        return make_schedule(
            self.rows,
            self.arguments,
            self.max_tokens,
            self.processes,
            padded_to,
        )

    @property
    def optimizer(self) -> str:
        """The optimizer's name."""
        return str(self.arguments.get("optim", _OPTIMIZER))

    def memory(self, is_checkpointed: bool) -> MemoryEstimate:
        """What one process needs, computing activations once or twice."""
        batch = self.schedule().longest
        estimate = estimate_memory(
            self.shape,
            batch,
            self.optimizer,
            self.process_bytes,
        )
        if is_checkpointed:
            return with_checkpointing(estimate, self.shape, batch)
        return estimate


def loaded_workload(
    weights: TrainedWeights,
    rows: TrainingRows,
    settings: "FineTuneSettings",
    arguments: Mapping[str, Any],
    processes: int,
) -> Workload:
    """The workload of a model that is loaded already.

    Args:
        weights (`TrainedWeights`):
            What is trained.
        rows (`TrainingRows`):
            What it will be trained on.
        settings (`FineTuneSettings`):
            How it was loaded and will be trained.
        arguments (`Mapping[str, Any]`):
            Training arguments, with the package's defaults.
        processes (`int`):
            How many train together.
    """
    base = weights.base
    on_cpu = base.device.type == "cpu"
    config = copy.deepcopy(base.model.config)
    quantization = getattr(config, "quantization_config", None) or {}
    if not isinstance(quantization, Mapping):
        quantization = quantization.to_dict()
    config.__dict__.pop("quantization_config", None)
    shape = examine_model(
        ModelToTrain(
            config=config,
            dtype=base.model.dtype,
            device="cpu" if on_cpu else str(base.device),
            quantization=quantization,
            lora_config=weights.lora_config,
            autocast=uses_autocast(arguments, str(base.device)),
        ),
    )
    return Workload(
        shape=shape,
        rows=rows,
        arguments=arguments,
        max_tokens=min(settings.max_seq_length, base.context_size),
        processes=processes,
        process_bytes=process_part(on_cpu, shape.weight_bytes),
    )


def model_to_train(
    request: LoadRequest,
    lora_config: Mapping[str, Any] | None,
    arguments: Mapping[str, Any],
    progress: Progress,
) -> ModelToTrain:
    """The model as it will be loaded and trained; no weights are read.

    Args:
        request (`LoadRequest`):
            What will be loaded.
        lora_config (`Mapping[str, Any] | None`):
            Of the adapter; None where all weights are trained.
        arguments (`Mapping[str, Any]`):
            Training arguments.
        progress (`Progress`):
            Told what is going on.
    """
    device = choose_device(request.device)
    device = "cpu" if device.startswith("cpu") else device
    quantization = request.quantization_arguments()
    wanted = request.dtype or quantization.get("bnb_4bit_compute_dtype")
    return ModelToTrain(
        config=load_config(request, progress),
        dtype=choose_dtype(device, wanted, request.cache),
        device=device,
        quantization=quantization,
        lora_config=lora_config,
        autocast=uses_autocast(arguments, device),
    )


def disk_needed(
    wanted: ModelToTrain,
    arguments: Mapping[str, Any],
) -> int:
    """The bytes of the checkpoints and the finished run of a model that is
    not loaded yet.

    Args:
        wanted (`ModelToTrain`):
            What will be loaded and trained.
        arguments (`Mapping[str, Any]`):
            Training arguments, with the package's defaults.
    """
    shape = examine_model(wanted)
    optimizer = str(arguments.get("optim", _OPTIMIZER))
    return estimate_disk(
        shape,
        optimizer,
        checkpoints_at_once(arguments),
        keeps_best(arguments),
    ).total


def uses_autocast(arguments: Mapping[str, Any], device: str) -> bool:
    """Whether products of float32 weights are computed in 16 bits."""
    on_gpu = not device.startswith("cpu")
    return bool(arguments.get("bf16", on_gpu) or arguments.get("fp16"))


@dataclass(frozen=True, slots=True)
class Change:
    """A setting to change, and the memory that is needed then; changes are
    made one upon the other."""

    setting: str
    needed: int


def process_part(on_cpu: bool, loaded_bytes: int = 0) -> int:
    """What the process needs besides what is estimated.

    Args:
        on_cpu (`bool`):
            Whether the model is in the machine's own memory.
        loaded_bytes (`int`, optional):
            Of the weights, where they are loaded already.
    """
    if not on_cpu:
        return _GPU_LIBRARIES_BYTES
    return max(0, process_memory_bytes() - loaded_bytes)


def decide_checkpointing(
    workload: Workload,
    free_bytes: int,
) -> tuple[bool, str]:
    """Whether to use gradient checkpointing, and why; what the training
    arguments say goes first."""
    for key in _CHECKPOINTING_KEYS:
        if workload.arguments.get(key) is not None:
            return bool(workload.arguments[key]), "as training_args say"
    estimate = workload.memory(is_checkpointed=False)
    return choose_gradient_checkpointing(estimate, free_bytes)


def changes_to_fit(
    workload: Workload,
    is_checkpointed: bool,
    free_bytes: int,
) -> list[Change]:
    """What to change, in this order, until the memory suffices.

    The last one may still need too much: then a smaller model is wanted.
    """
    changes = []
    for setting, changed, twice in _steps(
        workload,
        is_checkpointed,
        free_bytes,
    ):
        needed = changed.memory(twice).needed
        changes.append(Change(setting, needed))
        if needed <= USABLE_SHARE * free_bytes:
            break
    return changes


def _steps(
    workload: Workload,
    is_checkpointed: bool,
    free_bytes: int,
) -> Iterator[tuple[str, Workload, bool]]:
    schedule = workload.schedule()
    if schedule.rows_at_once > 1:
        accumulation = schedule.rows_at_once * schedule.accumulation
        workload = _with_arguments(workload, 1, accumulation)
        yield (
            "per_device_train_batch_size 1 with "
            f"gradient_accumulation_steps {accumulation}",
            workload,
            is_checkpointed,
        )
    shorter = _shortened(workload, is_checkpointed, free_bytes)
    if shorter is not None:
        workload = shorter
        setting = f"max_seq_length {workload.max_tokens}"
        yield setting, workload, is_checkpointed
    if not is_checkpointed:
        yield "gradient_checkpointing true", workload, True


def _with_arguments(
    workload: Workload,
    rows_at_once: int,
    accumulation: int,
) -> Workload:
    arguments = {
        **workload.arguments,
        "per_device_train_batch_size": rows_at_once,
        "gradient_accumulation_steps": accumulation,
    }
    return dataclasses.replace(workload, arguments=arguments)


def _shortened(
    workload: Workload,
    is_checkpointed: bool,
    free_bytes: int,
) -> Workload | None:
    """With half the length, or a quarter or an eighth where that suffices;
    None where rows are short already."""
    longest = max(len(row["input_ids"]) for row in workload.rows.rows)
    longest = min(longest, workload.max_tokens)
    lengths = [longest // part for part in (2, 4, 8)]
    shorter = [_cut(workload, one) for one in lengths if one >= _SHORTEST]
    for one in shorter:
        if one.memory(is_checkpointed).needed <= USABLE_SHARE * free_bytes:
            return one
    return shorter[0] if shorter else None


def _cut(workload: Workload, max_tokens: int) -> Workload:
    rows = [
        {key: values[:max_tokens] for key, values in row.items()}
        for row in workload.rows.rows
    ]
    return dataclasses.replace(
        workload,
        rows=dataclasses.replace(workload.rows, rows=rows),
        max_tokens=max_tokens,
    )
