# -*- coding: utf-8 -*-
"""Fine-tunes a model on conversations, with trl's SFTTrainer.

Takes what is to be trained and conversations; changes those weights and
nothing else. Renders through the model's chat format, so the loss is on
assistant turns and their end-of-turn alone. Writes checkpoints into one
folder, knows no generation. Raises DatasetError, TrainingError and
CheckpointError.
"""

import contextlib
import gc
import math
import signal
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from datasets import Dataset
from transformers.trainer_callback import PrinterCallback
from trl import SFTConfig, pack_dataset

from . import checkpoints, processes, trackers
from .chat_datasets import Conversation
from .chat_trainer import ChatTrainer
from .errors import (
    CheckpointError,
    ConfigError,
    LocalLLMError,
    TrainingError,
)
from .finite_guard import check_weights
from .library_defaults import DEFAULT_CADENCE
from .memory import (
    free_memory_bytes,
    give_back_freed_memory,
    peak_memory_bytes,
    reset_peak_memory,
)
from .model_lock import LOCK_TIMEOUT_S
from .model_restoration import random_states_kept, restored_for_replies
from .schedules import keeps_best
from .stop_signals import StopRequest, stop_on_signals
from .trained_weights import TrainedWeights
from .training_arguments import (
    REFUSED_BY_TRL,
    build_arguments,
    chosen_training,
    evaluation_problems,
    refused_arguments,
)
from .training_history import TrainingHistory
from .training_progress import Progress, Step, is_exhausted
from .training_result import TrainingResult
from .training_rows import TrainingRows, fingerprint, render_parts
from .workloads import decide_checkpointing, loaded_workload

if TYPE_CHECKING:
    from .settings import FineTuneSettings


def train(
    weights: TrainedWeights,
    train_conversations: Sequence[Conversation],
    held_out: Sequence[Conversation],
    settings: "FineTuneSettings",
    folder: Path,
    on_step: Callable[[Step], None] = lambda step: None,
    resume_from: Path | None = None,
) -> TrainingResult:
    """Train; the caller sees progress, and only checkpoints are written.

    Args:
        weights (`TrainedWeights`):
            What to train; nobody else may use their model meanwhile, its
            lock is taken.
        train_conversations (`Sequence[Conversation]`):
            What to learn from.
        held_out (`Sequence[Conversation]`):
            What to measure the loss on; may be empty.
        settings (`FineTuneSettings`):
            How.
        folder (`Path`):
            Where checkpoints are kept.
        on_step (`Callable[[Step], None]`, optional):
            Called after each optimizer step.
        resume_from (`Path | None`, optional):
            The committed checkpoint to go on from.

    Raises:
        `DatasetError`: No row has anything to learn, or strict_data is set
            and one has not.
        `TrainingError`: The run had to stop; the weights are not to be used.
        `TrainingInterrupted`: A signal asked for the end; the last step is
            committed.
        `CheckpointError`: A checkpoint cannot be written or read.
    """
    base = weights.base
    parts = render_parts(
        base.chat_format,
        train_conversations,
        held_out,
        min(settings.max_seq_length, base.context_size),
        settings.strict_data,
    )
    history = _history_until(resume_from, fingerprint(*parts))
    run = TrainingRun(weights, *parts, settings, folder, history)
    with (
        base.lock.training(LOCK_TIMEOUT_S),
        restored_for_replies(weights),
        weights.trainable(),
        random_states_kept(base.device),
        stop_on_signals() as stop,
    ):
        with _translated_errors(run):
            result = run.finish(on_step, stop, resume_from)
    gc.collect()
    # Replies make copies of the weights beside it.
    give_back_freed_memory()
    return result


def _history_until(checkpoint: Path | None, rows: str) -> TrainingHistory:
    if checkpoint is None:
        return TrainingHistory(rows=rows)
    history = TrainingHistory.read(checkpoint)
    history.resume(checkpoints.step_of(checkpoint), rows)
    return history


class TrainingRun:
    """One training run, from the first step or from a checkpoint.

    Args:
        weights (`TrainedWeights`):
            What is trained.
        rows, held_out_rows (`TrainingRows`):
            What it learns from and is measured on.
        settings (`FineTuneSettings`):
            How.
        folder (`Path`):
            Where checkpoints are kept.
        history (`TrainingHistory`):
            What happened before.
    """

    def __init__(
        self,
        weights: TrainedWeights,
        rows: TrainingRows,
        held_out_rows: TrainingRows,
        settings: "FineTuneSettings",
        folder: Path,
        history: TrainingHistory,
    ) -> None:
        self.weights = weights
        self.rows = rows
        self.held_out_rows = held_out_rows
        self.settings = settings
        self.folder = folder
        self.history = history
        self.notes: list[str] = []
        self.keeps_best = keeps_best(chosen_training(settings))

    def finish(
        self,
        on_step: Callable[[Step], None],
        stop: StopRequest,
        resume_from: Path | None,
    ) -> TrainingResult:
        """Run to the end."""
        trainer = self.build_trainer()
        progress = Progress(trainer, on_step, stop, self._patience)
        trainer.add_callback(progress)
        if processes.is_main():
            self._add_trackers(trainer, resume_from)
        self._measure_start(trainer, resume_from)
        if resume_from is None:
            trainer.train()
        elif not self._is_over(trainer, resume_from):
            _settle_shares(trainer)
            trainer.train(resume_from_checkpoint=str(resume_from))
        else:
            trainer.load_checkpoint(resume_from)
        if progress.interrupted_at is not None:
            total = trainer.state.max_steps
            raise stop.interruption(
                # In another process of this run, if not in this one.
                stop.requested or signal.SIGTERM,
                f"step {progress.interrupted_at} of {total}",
                "resume it: --resume for a program, existing_run='resume' "
                "for fine_tune",
            )
        return self._result(trainer)

    def _measure_start(
        self,
        trainer: ChatTrainer,
        resume_from: Path | None,
    ) -> None:
        """Measure the held-out loss before the first step on these rows."""
        step = checkpoints.step_of(resume_from) if resume_from else 0
        if step != self.history.measured_from:
            return
        if resume_from is not None:
            if step >= trainer.total_steps():
                raise CheckpointError(
                    f"{resume_from} is at the end of the run that the other "
                    "data makes: nothing would be learned from it",
                    fix="raise num_train_epochs or max_steps, bring the data "
                    "back, or begin anew with --overwrite",
                )
            trainer.load_checkpoint(resume_from)
            self.notes.append(
                f"the data changed at step {step}: the held-out loss before "
                "is that of then, and only later weights could be kept",
            )
        if self.held_out_rows.rows:
            trainer.evaluate()

    def _add_trackers(
        self,
        trainer: ChatTrainer,
        resume_from: Path | None,
    ) -> None:
        step = checkpoints.step_of(resume_from) if resume_from else 0
        wanted = self.settings.training_args.get("report_to")
        for one in trackers.callbacks(wanted, self.folder, step):
            trainer.add_callback(one)
            if trainer.args.run_name is None:
                trainer.args.run_name = trackers.run_name(self.folder)

    @property
    def _patience(self) -> int | None:
        return self.settings.early_stopping_patience

    def _is_over(self, trainer: ChatTrainer, checkpoint: Path) -> bool:
        """Whether a checkpoint stands at the end of its run: transformers
        would train one more step."""
        at_end = checkpoints.step_of(checkpoint) >= trainer.total_steps()
        return at_end or is_exhausted(self.history, self._patience)

    def build_trainer(self) -> ChatTrainer:
        """Put the trainer together; nothing is trained yet."""
        base = self.weights.base
        processes.connect(base.device.type)
        arguments = self._arguments()
        reset_peak_memory(base.device)
        parameters = self.weights.parameters()
        exact = {key: one.data for key, one in parameters.items()}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            try:
                trainer = ChatTrainer(
                    weights=self.weights,
                    arguments=arguments,
                    rows=self._dataset(arguments),
                    held_out=self.held_out_rows.rows,
                    history=self.history,
                    keeps_best=self.keeps_best,
                    commit=self._commit,
                )
            except REFUSED_BY_TRL as error:
                raise refused_arguments(error) from error
            finally:
                # trl makes them bfloat16, which rounds what an earlier run
                # has learned and whose spacing swallows small updates.
                for key, parameter in parameters.items():
                    parameter.data = exact[key]
        trainer.remove_callback(PrinterCallback)
        return trainer

    def _arguments(self) -> SFTConfig:
        base = self.weights.base
        arguments = build_arguments(
            base,
            self.settings,
            self.folder,
            self._choose_checkpointing(),
        )
        # One process uses one device here, however many are visible; trl
        # refuses the implicit DataParallel of transformers.
        _ = arguments.n_gpu
        arguments._n_gpu = min(arguments._n_gpu, 1)
        problems = evaluation_problems(
            self.settings,
            arguments.eval_strategy,
            bool(self.held_out_rows.rows),
        )
        if problems:
            raise ConfigError(
                "fine_tune_config",
                problems,
                fix="raise held_out_share, or give more data",
            )
        return arguments

    def _choose_checkpointing(self) -> bool:
        """Whether activations are computed twice to save memory."""
        workload = loaded_workload(
            self.weights,
            self.rows,
            self.settings,
            chosen_training(self.settings),
            processes.count(),
        )
        free = free_memory_bytes(self.weights.base.device)
        wanted, reason = decide_checkpointing(workload, free)
        is_on = "on" if wanted else "off"
        self.notes.append(f"gradient checkpointing {is_on}: {reason}")
        return wanted

    def _dataset(self, arguments: SFTConfig) -> Dataset:
        rows = Dataset.from_list(self.rows.rows)
        if not arguments.packing:
            return rows
        return pack_dataset(
            rows,
            arguments.max_length,
            arguments.packing_strategy,
        )

    def _commit(self, step: int, write: Callable[[Path], None]) -> None:
        limit = self.settings.training_args.get("save_total_limit")
        checkpoints.commit(
            self.folder,
            step,
            write,
            keep=limit or DEFAULT_CADENCE["save_total_limit"],
        )

    def _result(self, trainer: ChatTrainer) -> TrainingResult:
        """Keep the best weights, if that is wanted, and add everything up."""
        history = self.history
        steps = trainer.state.global_step
        if self.held_out_rows.rows and history.held_out_at(steps) is None:
            trainer.evaluate()
        kept, best_step = steps, None
        if self.keeps_best and history.best is not None:
            kept = best_step = history.best[0]
            if kept != steps:
                self.weights.put(trainer.best_weights)
        check_weights(self.weights.parameters(), steps)
        return TrainingResult(
            losses=history.losses,
            held_out_losses=history.held_out_losses,
            held_out_before=history.held_out_at(history.measured_from),
            held_out_after=history.held_out_at(kept),
            steps=steps,
            best_step=best_step,
            stopped_early=steps < trainer.state.max_steps,
            resumed_at=history.resumed_at,
            notes=self.notes,
            tokens_seen=history.tokens_seen,
            seconds=history.seconds,
            peak_memory_bytes=peak_memory_bytes(trainer.args.device),
            train_rows=self.rows,
            held_out_rows=self.held_out_rows,
        )


def _settle_shares(trainer: ChatTrainer) -> None:
    """Whole steps in place of shares of all steps: a checkpoint has them so,
    and transformers would warn that they differ."""
    total = trainer.total_steps()
    for name in ("logging_steps", "eval_steps", "save_steps"):
        share = getattr(trainer.args, name)
        if share is not None and share < 1:
            setattr(trainer.args, name, math.ceil(total * share))


@contextlib.contextmanager
def _translated_errors(run: TrainingRun) -> Iterator[None]:
    try:
        yield
    except LocalLLMError:
        raise
    except (torch.OutOfMemoryError, MemoryError) as error:
        longest = max(len(row["input_ids"]) for row in run.rows.rows)
        raise TrainingError(
            f"out of memory after {len(run.history.losses)} steps; the "
            f"longest row has {longest} tokens",
            fix="in this order: per_device_train_batch_size 1 with "
            "gradient_accumulation_steps, a smaller max_seq_length, "
            "gradient_checkpointing true",
        ) from error
    except (*REFUSED_BY_TRL, OSError, RuntimeError) as error:
        if processes.is_loss(error):
            raise processes.loss() from error
        raise TrainingError(
            f"training stopped: {type(error).__name__}: {error}",
        ) from error
