# -*- coding: utf-8 -*-
"""Follows the optimizer steps of a run: reports them and ends it in time.

Decides nothing about weights. Raises TrainingError for gradients that no
optimizer can use, and for weights that would not be trained.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from transformers import TrainerCallback

from .chat_trainer import ChatTrainer
from .finite_guard import check_gradients
from .live_gradients import LiveGradients
from .stop_signals import StopRequest
from .training_history import TrainingHistory


@dataclass(frozen=True, slots=True)
class Step:
    """How far a run is, and the loss of the step just made."""

    number: int
    total: int
    loss: float | None


class Progress(TrainerCallback):
    """Follows the steps: keeps the account, reports, stops in time."""

    def __init__(
        self,
        trainer: ChatTrainer,
        on_step: Callable[[Step], None],
        stop: StopRequest,
        patience: int | None,
    ) -> None:
        self._trainer = trainer
        self._on_step = on_step
        self._stop = stop
        self._patience = patience
        self._step_began = 0.0
        self._first_gradients: LiveGradients | None = None
        self.interrupted_at: int | None = None

    def on_train_begin(
        self,
        args: Any,
        state: Any,
        control: Any,
        **kwargs: Any,
    ) -> None:
        """Save, evaluate and log as often as the settings say now: after a
        resume transformers would do so as often as when the run began."""
        state.compute_steps(args, state.max_steps)
        weights = self._trainer.weights
        self._first_gradients = LiveGradients(
            weights.module,
            weights.parameters(),
        )

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        """Start the clock."""
        self._step_began = time.perf_counter()

    def on_pre_optimizer_step(
        self,
        args: Any,
        state: Any,
        control: Any,
        **kwargs: Any,
    ) -> None:
        """Stop before values that are not finite can spread, and at the
        first step where something would not be trained."""
        step, largest = state.global_step + 1, None
        if not args.fp16:  # there the gradient scaler sorts them out
            parameters = self._trainer.weights.parameters().items()
            largest = check_gradients(parameters, step)
        if self._first_gradients is not None:
            self._first_gradients.check(largest, step)
            self._first_gradients = None

    def on_step_end(
        self,
        args: Any,
        state: Any,
        control: Any,
        **kwargs: Any,
    ) -> None:
        """Close the account of the step; obey a signal."""
        trainer = self._trainer
        loss, must_stop = trainer.finish_step(self._stop.requested is not None)
        trainer.history.seconds += time.perf_counter() - self._step_began
        progress = f"step {state.global_step}/{state.max_steps}"
        trainer.weights.base.lock.training_progress = progress
        self._on_step(Step(state.global_step, state.max_steps, loss))
        if must_stop and state.global_step < state.max_steps:
            self.interrupted_at = state.global_step
            control.should_save = True
            control.should_training_stop = True

    def on_evaluate(
        self,
        args: Any,
        state: Any,
        control: Any,
        **kwargs: Any,
    ) -> None:
        """Stop where the held-out loss has not fallen for long."""
        if is_exhausted(self._trainer.history, self._patience):
            control.should_training_stop = True


def is_exhausted(history: TrainingHistory, patience: int | None) -> bool:
    """Whether the held-out loss has not fallen for too many evaluations."""
    return (
        patience is not None and history.evaluations_since_best() >= patience
    )
