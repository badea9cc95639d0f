# -*- coding: utf-8 -*-
"""A run is followed step by step, stops in time and saves as it is told."""

import pytest
from transformers import TrainerState, TrainingArguments

from local_llm.stop_signals import StopRequest
from local_llm.training_history import TrainingHistory
from local_llm.training_progress import Progress, is_exhausted

FALLING = TrainingHistory(held_out_losses=[(0, 4.0), (5, 3.0), (10, 2.0)])
RISING = TrainingHistory(held_out_losses=[(0, 4.0), (5, 2.0), (10, 3.0)])


@pytest.mark.parametrize(
    ("history", "patience", "expected"),
    [
        (FALLING, 1, False),
        (RISING, 1, True),
        (RISING, 2, False),
        (RISING, None, False),
        (TrainingHistory(), 1, False),
    ],
)
def test_a_run_is_exhausted_where_its_held_out_loss_has_not_fallen_for_long(
    history: TrainingHistory,
    patience: int | None,
    expected: bool,
) -> None:
    assert is_exhausted(history, patience) is expected


def test_a_resumed_run_saves_as_often_as_the_settings_say_now() -> None:
    arguments = TrainingArguments(
        save_steps=2,
        eval_steps=0.25,
        logging_steps=7,
        use_cpu=True,
    )
    state = TrainerState(
        max_steps=40, save_steps=5, eval_steps=5, logging_steps=5
    )
    progress = Progress(None, lambda step: None, StopRequest(), None)
    progress.on_train_begin(arguments, state, None)
    assert (state.save_steps, state.eval_steps) == (2, 10)
    assert state.logging_steps == 7
