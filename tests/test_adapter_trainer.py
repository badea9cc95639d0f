# -*- coding: utf-8 -*-
"""The trainer counts real tokens and never goes on from a loss that is none."""

from pathlib import Path

import pytest
import torch
from datasets import Dataset
from trl import SFTConfig

from local_llm.adapter_trainer import AdapterTrainer
from local_llm.adapters import (
    active_adapter,
    adapter_parameters,
    add_adapter,
    peft_model,
)
from local_llm.base_model import BaseModel
from local_llm.chat_datasets import Conversation
from local_llm.errors import TrainingError
from local_llm.training_rows import TrainingRows, render_rows

Rows = list[Conversation]


@pytest.fixture(name="rows")
def fixture_rows(tiny: BaseModel, lima_like_rows: Rows) -> TrainingRows:
    return render_rows(tiny.chat_format, lima_like_rows, 256)


@pytest.fixture(name="trainer")
def fixture_trainer(
    tiny: BaseModel,
    rows: TrainingRows,
    tmp_path: Path,
) -> AdapterTrainer:
    """A trainer of one fresh adapter; its batches are padded."""
    return make_trainer(tiny, rows, tmp_path, padding_free=False)


def make_trainer(
    tiny: BaseModel,
    rows: TrainingRows,
    tmp_path: Path,
    *,
    padding_free: bool,
) -> AdapterTrainer:
    adapter = add_adapter(tiny, None)
    with active_adapter(tiny, adapter):
        pass
    model = peft_model(tiny)
    model.base_model.enable_adapter_layers()
    model.set_adapter(adapter)
    arguments = SFTConfig(
        output_dir=str(tmp_path),
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        max_length=None,
        max_steps=2,
        per_device_train_batch_size=2,
        padding_free=padding_free,
        pad_to_multiple_of=32,
        dataset_kwargs={"skip_prepare_dataset": True},
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
    )
    trainer = AdapterTrainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_list(rows.rows),
        processing_class=tiny.tokenizer,
    )
    for parameter in adapter_parameters(tiny, adapter).values():
        parameter.data = parameter.data.float()
    return trainer


@pytest.mark.parametrize("padding_free", [False, True])
def test_what_is_learned_of_a_batch_is_the_answers_and_their_ends(
    tiny: BaseModel,
    rows: TrainingRows,
    lima_like_rows: Rows,
    tmp_path: Path,
    padding_free: bool,
) -> None:
    trainer = make_trainer(tiny, rows, tmp_path, padding_free=padding_free)
    learned = []
    for batch in trainer.get_train_dataloader():
        assert batch["input_ids"].shape[0] == (1 if padding_free else 2)
        chosen = batch["labels"][batch["labels"] != -100]
        assert torch.equal(
            chosen,
            batch["input_ids"][batch["labels"] != -100],
        )
        learned += tiny.tokenizer.decode(chosen).split("<end_of_turn>")[:-1]
    answers = [
        turn.text
        for conversation in lima_like_rows
        for turn in conversation.turns
        if turn.role == "assistant"
    ]
    assert sorted(learned) == sorted(answers)


def test_padding_is_not_counted_as_tokens(
    trainer: AdapterTrainer,
    rows: TrainingRows,
) -> None:
    trainer.train()
    assert trainer.tokens_seen == rows.tokens


def test_the_mean_loss_does_not_depend_on_the_batches(
    trainer: AdapterTrainer,
    rows: TrainingRows,
) -> None:
    together = trainer.mean_loss(rows)
    alone = [
        trainer.mean_loss(TrainingRows([row], 0, [])) for row in rows.rows
    ]
    counts = [sum(i != -100 for i in row["labels"]) for row in rows.rows]
    weighted = sum(a * n for a, n in zip(alone, counts, strict=True))
    assert together == pytest.approx(weighted / sum(counts), rel=2e-2)


def test_without_rows_there_is_no_mean_loss(trainer: AdapterTrainer) -> None:
    assert trainer.mean_loss(TrainingRows([], 0, [])) is None


def test_measuring_leaves_the_mode_as_it_was(
    trainer: AdapterTrainer,
    rows: TrainingRows,
) -> None:
    trainer.model.train()
    trainer.mean_loss(rows)
    assert trainer.model.training


def test_a_loss_that_is_not_finite_stops_the_run(
    trainer: AdapterTrainer,
) -> None:
    parameter = next(p for p in trainer.model.parameters() if p.requires_grad)
    parameter.data = torch.full_like(parameter.data, float("nan"))
    with pytest.raises(TrainingError, match="the loss is nan at step 1"):
        trainer.train()
