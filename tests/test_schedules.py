# -*- coding: utf-8 -*-
"""Steps and tokens are counted as the trainer counts them."""

from pathlib import Path
from typing import Any

import pytest
from tiny_models import conversation, load_own

from local_llm.adapters import add_adapter
from local_llm.base_model import BaseModel
from local_llm.labelled_loss import IGNORED
from local_llm.schedules import (
    Schedule,
    checkpoints_at_once,
    make_schedule,
)
from local_llm.settings import FineTuneSettings
from local_llm.trained_weights import AdapterWeights
from local_llm.training import train
from local_llm.training_arguments import chosen_training
from local_llm.training_rows import TrainingRows, render_rows

DEFAULTS = chosen_training(FineTuneSettings())

LENGTHS = (10, 20, 30, 40, 50)


def rows_of(*lengths: int) -> TrainingRows:
    """Rows of which the first half is not under the loss."""
    rows = [
        {
            "input_ids": [5] * length,
            "labels": [IGNORED] * (length // 2) + [5] * (length - length // 2),
        }
        for length in lengths
    ]
    return TrainingRows(rows, 0, [])


def schedule(padded_to: int = 1, processes: int = 1, **more: Any) -> Schedule:
    arguments = {**DEFAULTS, **more}
    rows = rows_of(*LENGTHS)
    return make_schedule(rows, arguments, 64, processes, padded_to)


@pytest.fixture(name="base", scope="module")
def fixture_base(
    tiny_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> BaseModel:
    return load_own(tiny_folder, tmp_path_factory.mktemp("base"))


@pytest.mark.parametrize(
    "arguments",
    [
        {"num_train_epochs": 2, "per_device_train_batch_size": 3},
        {"num_train_epochs": 1, "gradient_accumulation_steps": 2},
        {
            "num_train_epochs": 1.5,
            "per_device_train_batch_size": 2,
            "gradient_accumulation_steps": 2,
        },
        {"max_steps": 5, "per_device_train_batch_size": 2},
        {
            "num_train_epochs": 2,
            "per_device_train_batch_size": 3,
            "dataloader_drop_last": True,
        },
    ],
    ids=str,
)
def test_the_trainer_takes_as_many_steps(
    base: BaseModel,
    tmp_path: Path,
    arguments: dict[str, Any],
) -> None:
    arguments = {"per_device_train_batch_size": 1, **arguments}
    told = [conversation(f"Question {n}?", "Yes.") for n in range(7)]
    settings = FineTuneSettings(
        training_args={**arguments, "save_strategy": "no"},
    )
    adapter = add_adapter(base, None)
    result = train(AdapterWeights(base, adapter), told, [], settings, tmp_path)
    rows = render_rows(base.chat_format, told, 100)
    found = make_schedule(rows, {**DEFAULTS, **arguments}, 100, 1, 1)
    assert found.steps == result.steps


def test_the_tokens_of_whole_epochs_are_those_that_the_trainer_sees(
    base: BaseModel,
    tmp_path: Path,
) -> None:
    arguments = {"num_train_epochs": 2, "per_device_train_batch_size": 2}
    told = [conversation(f"Question {n}?", "Yes." * n) for n in range(1, 7)]
    settings = FineTuneSettings(
        training_args={**arguments, "save_strategy": "no"},
    )
    adapter = add_adapter(base, None)
    result = train(AdapterWeights(base, adapter), told, [], settings, tmp_path)
    rows = render_rows(base.chat_format, told, 100)
    found = make_schedule(rows, {**DEFAULTS, **arguments}, 100, 1, 1)
    assert found.tokens == result.tokens_seen


def test_more_processes_take_fewer_steps() -> None:
    one = schedule(per_device_train_batch_size=1, num_train_epochs=1)
    two = schedule(1, 2, per_device_train_batch_size=1)
    assert (one.steps, one.epochs) == (5, 1.0)
    assert two.steps == 3 * 3  # three epochs of five rows in pairs


def test_without_padding_the_longest_batch_is_the_longest_rows_together():
    batch = schedule(per_device_train_batch_size=3).longest
    assert batch.tokens == 30 + 40 + 50
    assert batch.labelled == 15 + 20 + 25
    assert batch.mask_elements == batch.tokens**2


def test_a_batch_is_rounded_up_as_the_collator_does() -> None:
    batch = schedule(32, per_device_train_batch_size=3).longest
    assert batch.tokens == 128


def test_padded_rows_are_all_as_long_as_the_longest() -> None:
    batch = schedule(per_device_train_batch_size=3, padding_free=False).longest
    assert (batch.tokens, batch.mask_elements) == (150, 3 * 50**2)


def test_one_row_at_a_time_needs_no_mask() -> None:
    batch = schedule(per_device_train_batch_size=1).longest
    assert (batch.tokens, batch.mask_elements) == (50, 0)


def test_a_batch_has_no_more_rows_than_there_are() -> None:
    batch = schedule(per_device_train_batch_size=64).longest
    assert batch.tokens == sum(LENGTHS)


def test_packed_rows_are_as_long_as_allowed_and_fewer() -> None:
    packed = schedule(
        packing=True,
        per_device_train_batch_size=1,
        num_train_epochs=1,
    )
    assert packed.longest.tokens == 64
    assert packed.steps == 3  # 50 + 10, 40 + 20, 30


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        ({}, 3),
        ({"save_total_limit": 1}, 3),
        ({"save_total_limit": 5}, 6),
        ({"load_best_model_at_end": True}, 3),
        ({"save_strategy": "no"}, 0),
    ],
    ids=str,
)
def test_checkpoints_are_counted_with_the_one_being_written(
    arguments: dict[str, Any],
    count: int,
) -> None:
    assert checkpoints_at_once(arguments) == count
