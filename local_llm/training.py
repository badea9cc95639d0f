# -*- coding: utf-8 -*-
"""Fine-tunes an adapter on conversations, with trl's SFTTrainer.

Takes a loaded base model, an adapter on it and conversations; changes the
adapter's weights and nothing else. Renders through the model's chat format, so
the loss is on assistant turns and their end-of-turn alone. Knows no files but
a scratch folder, and no generation. Raises DatasetError and TrainingError.
"""

import contextlib
import copy
import gc
import logging
import random
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from datasets import Dataset
from transformers import TrainerCallback
from trl import SFTConfig

from .adapter_trainer import AdapterTrainer
from .adapters import DEFAULT_SEED, adapter_parameters, peft_model
from .base_model import BaseModel
from .chat_datasets import Conversation
from .errors import ConfigError, DatasetError, LocalLLMError, TrainingError
from .memory import peak_memory_bytes, reset_peak_memory
from .model_lock import LOCK_TIMEOUT_S
from .training_rows import TrainingRows, render_rows

if TYPE_CHECKING:
    from .settings import FineTuneSettings

log = logging.getLogger(__name__)

DEFAULT_TRAINING: dict[str, Any] = {
    "learning_rate": 2e-4,  # QLoRA, Dettmers et al. 2023, table 9
    "lr_scheduler_type": "cosine",
    "warmup_steps": 0.05,  # below 1: the share of all steps
    "num_train_epochs": 3,
    "per_device_train_batch_size": 4,
    "logging_steps": 1,
    "seed": DEFAULT_SEED,
}


@dataclass(frozen=True, slots=True)
class Step:
    """How far a run is; the loss is None until it was first logged."""

    number: int
    total: int
    loss: float | None


@dataclass(frozen=True)
class TrainingResult:
    """What a run did.

    Attributes:
        losses (`list[tuple[int, float]]`):
            Step and training loss, as logged.
        held_out_before, held_out_after (`float | None`):
            Mean loss of the held-out tokens under the loss; None without
            held-out conversations.
        steps (`int`):
            Optimizer steps.
        tokens, trained_tokens (`int`):
            In the training rows, and those of them under the loss.
        seconds (`float`):
            Of the optimizer steps, without the evaluations.
        peak_memory_bytes (`int`):
            Of the device; of the process on a CPU.
        shortened (`int`), without_answer (`list[str]`):
            Rows cut and rows left out, see `TrainingRows`.
    """

    losses: list[tuple[int, float]]
    held_out_before: float | None
    held_out_after: float | None
    steps: int
    tokens_seen: int
    seconds: float
    peak_memory_bytes: int
    train_rows: TrainingRows = field(repr=False)
    held_out_rows: TrainingRows = field(repr=False)

    @property
    def tokens_per_second(self) -> float:
        """Training tokens, padding not counted."""
        return self.tokens_seen / self.seconds if self.seconds else 0.0


def train(
    base: BaseModel,
    adapter: str,
    train_conversations: Sequence[Conversation],
    held_out: Sequence[Conversation],
    settings: "FineTuneSettings",
    scratch: Path,
    on_step: Callable[[Step], None] = lambda step: None,
) -> TrainingResult:
    """Train one adapter; the caller sees progress, and nothing is saved.

    Args:
        base (`BaseModel`):
            The model; nobody else may use it meanwhile, its lock is taken.
        adapter (`str`):
            The adapter to train.
        train_conversations (`Sequence[Conversation]`):
            What to learn from.
        held_out (`Sequence[Conversation]`):
            What to measure the loss on, before and after; may be empty.
        settings (`FineTuneSettings`):
            `training_args` and `max_seq_length` are used.
        scratch (`Path`):
            A folder for the trainer's own files.
        on_step (`Callable[[Step], None]`, optional):
            Called after each optimizer step.

    Raises:
        `DatasetError`: No row has anything to learn.
        `TrainingError`: The run had to stop; the adapter is not to be used.
    """
    length = min(settings.max_seq_length, base.context_size)
    rows = render_rows(base.chat_format, train_conversations, length)
    held_out_rows = render_rows(base.chat_format, held_out, length)
    if not rows.rows:
        raise DatasetError(
            f"no row has an answer within {length} tokens",
            fix="raise max_seq_length, or use shorter conversations",
        )
    with (
        base.lock.training(LOCK_TIMEOUT_S),
        _training_state(base, adapter),
        _random_states_kept(base.device),
    ):
        progress = _Progress(base, on_step)
        with _translated_errors(rows, progress):
            trainer = _build_trainer(base, adapter, rows, settings, scratch)
            result = _run(trainer, progress, rows, held_out_rows)
        del trainer
        _check_finite(base, adapter)
    gc.collect()
    return result


def _run(
    trainer: AdapterTrainer,
    progress: "_Progress",
    rows: TrainingRows,
    held_out_rows: TrainingRows,
) -> TrainingResult:
    """Measure, train, measure."""
    trainer.add_callback(progress)
    before = trainer.mean_loss(held_out_rows)
    seconds = _timed(trainer.train)
    after = trainer.mean_loss(held_out_rows)
    return TrainingResult(
        losses=progress.losses,
        held_out_before=before,
        held_out_after=after,
        steps=trainer.state.global_step,
        tokens_seen=trainer.tokens_seen,
        seconds=seconds,
        peak_memory_bytes=peak_memory_bytes(trainer.args.device),
        train_rows=rows,
        held_out_rows=held_out_rows,
    )


class _Progress(TrainerCallback):
    """Keeps the losses and tells how far the run is."""

    def __init__(
        self,
        base: BaseModel,
        on_step: Callable[[Step], None],
    ) -> None:
        self._base = base
        self._on_step = on_step
        self.losses: list[tuple[int, float]] = []

    def on_log(
        self,
        args: Any,
        state: Any,
        control: Any,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Keep a logged training loss."""
        if logs and "loss" in logs:
            self.losses.append((state.global_step, logs["loss"]))

    def on_step_end(
        self,
        args: Any,
        state: Any,
        control: Any,
        **kwargs: Any,
    ) -> None:
        """Report the step."""
        progress = f"step {state.global_step}/{state.max_steps}"
        self._base.lock.training_progress = progress
        loss = self.losses[-1][1] if self.losses else None
        self._on_step(Step(state.global_step, state.max_steps, loss))


def _build_trainer(
    base: BaseModel,
    adapter: str,
    rows: TrainingRows,
    settings: "FineTuneSettings",
    scratch: Path,
) -> AdapterTrainer:
    arguments = _sft_config(base, settings, scratch)
    # One process uses one device here, however many are visible; trl refuses
    # the implicit DataParallel of transformers.
    _ = arguments.n_gpu
    arguments._n_gpu = min(arguments._n_gpu, 1)
    reset_peak_memory(base.device)
    parameters = adapter_parameters(base, adapter)
    exact = {key: one.data.float() for key, one in parameters.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        try:
            trainer = AdapterTrainer(
                model=peft_model(base),
                args=arguments,
                train_dataset=Dataset.from_list(rows.rows),
                processing_class=base.tokenizer,
            )
        except (TypeError, ValueError, ImportError) as error:
            raise _refused_arguments(error) from error
        finally:
            # trl makes them bfloat16, which rounds what an earlier run has
            # learned and whose spacing swallows small updates.
            for key, parameter in parameters.items():
                parameter.data = exact[key]
    trainer.remove_callback(_printer())
    return trainer


def _refused_arguments(error: Exception) -> ConfigError:
    return ConfigError("fine_tune_config.training_args", [str(error)])


def _printer() -> type[TrainerCallback]:
    from transformers.trainer_callback import PrinterCallback

    return PrinterCallback


def _sft_config(
    base: BaseModel,
    settings: "FineTuneSettings",
    scratch: Path,
) -> SFTConfig:
    """The user's arguments over our defaults, and over both what follows
    from the device and from how rows are rendered."""
    on_cpu = base.device.type == "cpu"
    half = base.model.dtype == torch.float16
    chosen = {**DEFAULT_TRAINING, **settings.training_args}
    rows_at_once = chosen["per_device_train_batch_size"]
    defaults = {
        "bf16": not on_cpu and not half,
        "fp16": not on_cpu and half,
        "gradient_checkpointing": not on_cpu,
        "padding_free": rows_at_once > 1,
        # Few shapes: the CPU's kernels keep buffers for each they have seen.
        "pad_to_multiple_of": 32 if on_cpu else None,
        "report_to": "none",
        "save_strategy": "no",
        "per_device_eval_batch_size": rows_at_once,
        "optim": "adamw_torch",
    }
    end_of_turn = base.chat_format.end_of_turn_id
    owned = {
        "output_dir": str(scratch),
        "use_cpu": on_cpu,
        "eos_token": base.tokenizer.convert_ids_to_tokens(end_of_turn),
        "max_length": None,
        "dataset_kwargs": {"skip_prepare_dataset": True},
        "disable_tqdm": True,
        "logging_nan_inf_filter": False,
        "push_to_hub": False,
    }
    try:
        return SFTConfig(**{**defaults, **chosen, **owned})
    except (TypeError, ValueError, ImportError) as error:
        raise _refused_arguments(error) from error


@contextlib.contextmanager
def _training_state(base: BaseModel, adapter: str) -> Iterator[None]:
    """Exact weights and one trainable adapter; afterwards as for replies."""
    eos_before = base.tokenizer.eos_token
    generation_config = copy.deepcopy(base.model.generation_config)
    forward = base.model.__dict__.get("forward")
    base.weights.use_for_training()
    model = peft_model(base)
    model.base_model.enable_adapter_layers()
    model.set_adapter(adapter)
    try:
        yield
    finally:
        # trl has patched the forward, set the ends of the tokenizer and of
        # the model and switched checkpointing on; left so, replies would be slower and differ.
        base.model.__dict__.pop("forward", None)
        if forward is not None:
            base.model.forward = forward
        base.tokenizer.eos_token = eos_before
        base.model.generation_config = generation_config
        base.model.gradient_checkpointing_disable()
        base.model.config.use_cache = True
        base.model.eval()
        base.model.requires_grad_(False)


@contextlib.contextmanager
def _random_states_kept(device: torch.device) -> Iterator[None]:
    """Undo the seeding of the whole process by the trainer."""
    python, numbers = random.getstate(), np.random.get_state()
    devices = [device] if device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numbers)


@contextlib.contextmanager
def _translated_errors(
    rows: TrainingRows,
    progress: _Progress,
) -> Iterator[None]:
    try:
        yield
    except LocalLLMError:
        raise
    except (torch.OutOfMemoryError, MemoryError) as error:
        longest = max(len(row["input_ids"]) for row in rows.rows)
        raise TrainingError(
            f"out of memory after {len(progress.losses)} logged steps; the "
            f"longest row has {longest} tokens",
            fix="in this order: per_device_train_batch_size 1 with "
            "gradient_accumulation_steps, a smaller max_seq_length, "
            "gradient_checkpointing true",
        ) from error
    except (RuntimeError, ValueError, OSError) as error:
        raise TrainingError(
            f"training stopped: {type(error).__name__}: {error}",
        ) from error


def _check_finite(base: BaseModel, adapter: str) -> None:
    for name, parameter in adapter_parameters(base, adapter).items():
        if not torch.isfinite(parameter).all():
            raise TrainingError(
                f"the adapter's {name} has values that are not finite",
                fix="lower learning_rate",
            )


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
