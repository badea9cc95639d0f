# -*- coding: utf-8 -*-
"""A run is followed step by step, stops in time and saves as it is told."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tiny_models import conversation, trainer_of
from transformers import TrainerState, TrainingArguments

from local_llm.adapters import add_adapter
from local_llm.base_model import BaseModel
from local_llm.chat_trainer import ChatTrainer
from local_llm.errors import TrainingError
from local_llm.stop_signals import StopRequest
from local_llm.trained_weights import AdapterWeights
from local_llm.training_history import TrainingHistory
from local_llm.training_progress import Progress, is_exhausted
from local_llm.training_rows import render_rows

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


@pytest.fixture(name="trainer")
def fixture_trainer(
    tiny: BaseModel,
    tmp_path: Path,
) -> Iterator[ChatTrainer]:
    """Of a new adapter, one half of which is zero; it is followed."""
    weights = AdapterWeights(tiny, add_adapter(tiny, {"lora_dropout": 0.0}))
    told = [conversation("Who?", "I."), conversation("When?", "Now.")]
    rows = render_rows(tiny.chat_format, told, 128)
    with trainer_of(weights, rows, tmp_path, max_steps=3) as trainer:
        trainer.add_callback(progress_of(trainer))
        yield trainer


def progress_of(trainer: ChatTrainer) -> Progress:
    return Progress(trainer, lambda step: None, StopRequest(), None)


def test_a_new_adapter_of_which_half_has_zero_gradients_is_trained(
    trainer: ChatTrainer,
) -> None:
    before = trainer.weights.copy()
    trainer.train()
    after = trainer.weights.copy()
    assert not any(torch.equal(before[one], after[one]) for one in before)


def test_a_weight_without_a_gradient_ends_the_run_at_its_first_step(
    trainer: ChatTrainer,
) -> None:
    name = next(iter(trainer.weights.parameters()))
    path, _, half = name.removesuffix(".weight").rpartition(".")
    layer = trainer.weights.base.model.get_submodule(path)
    getattr(layer, half)[trainer.weights.adapter].register_forward_hook(
        lambda _, given, result: result.detach(),
    )
    with pytest.raises(TrainingError, match=f"^{name} has no gradient at st"):
        trainer.train()


def test_gradients_that_are_all_zero_end_the_run_at_its_first_step(
    trainer: ChatTrainer,
) -> None:
    for one in trainer.weights.parameters().values():
        one.register_hook(torch.zeros_like)
    with pytest.raises(TrainingError, match="every gradient is zero at step"):
        trainer.train()


def test_a_resumed_run_saves_as_often_as_the_settings_say_now(
    trainer: ChatTrainer,
) -> None:
    arguments = TrainingArguments(
        save_steps=2,
        eval_steps=0.25,
        logging_steps=7,
        use_cpu=True,
    )
    state = TrainerState(
        max_steps=40, save_steps=5, eval_steps=5, logging_steps=5
    )
    progress_of(trainer).on_train_begin(arguments, state, None)
    assert (state.save_steps, state.eval_steps) == (2, 10)
    assert state.logging_steps == 7
