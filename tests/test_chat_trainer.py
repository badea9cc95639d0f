# -*- coding: utf-8 -*-
"""The trainer's loss is that of the labelled tokens, however rows are put
together, and it never goes on from a value that is not finite."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import (
    conversation,
    gemma3,
    load_own,
    save_model,
    trainer_of,
)

from local_llm.adapters import adapter_parameters, add_adapter
from local_llm.base_model import BaseModel
from local_llm.chat_datasets import Conversation
from local_llm.chat_trainer import ChatTrainer, LengthGroupedSampler
from local_llm.errors import TrainingError
from local_llm.trained_weights import AdapterWeights, AllWeights
from local_llm.training_rows import TrainingRows, render_rows

Rows = list[Conversation]
FLOAT32 = {"load_in_4bit": True, "bnb_4bit_compute_dtype": "float32"}
WINDOW = 16
UNEQUAL = [
    conversation("What is the capital of France?", "Paris."),
    conversation("And now?", "Now goodbye to you all.", "Sure?", "Yes."),
    conversation("Count.", "One, two, three."),
    conversation("Hi.", "Hello."),
]


@pytest.fixture(name="base", scope="module")
def fixture_base(
    tiny_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> BaseModel:
    """In 4-bit and float32; every test adds adapters of its own."""
    folder = tmp_path_factory.mktemp("base")
    return load_own(tiny_folder, folder, quantization=FLOAT32)


@pytest.fixture(name="windowed", scope="module")
def fixture_windowed(tmp_path_factory: pytest.TempPathFactory) -> BaseModel:
    """A Gemma 3 that looks back 16 tokens in one of its layers, which is less
    than any row has."""
    folder = tmp_path_factory.mktemp("windowed")
    model = save_model(folder / "model", gemma3(sliding_window=WINDOW))
    return load_own(model, folder, quantization=FLOAT32)


@pytest.fixture(name="rows")
def fixture_rows(base: BaseModel) -> TrainingRows:
    return render_rows(base.chat_format, UNEQUAL, 512)


@pytest.fixture(name="trainer")
def fixture_trainer(
    base: BaseModel,
    rows: TrainingRows,
    tmp_path: Path,
) -> Iterator[ChatTrainer]:
    """Of one adapter that answers differently already; padded batches."""
    weights = loud_adapter(base)
    with trainer_of(
        weights,
        rows,
        tmp_path,
        max_steps=2,
        per_device_train_batch_size=2,
        padding_free=False,
    ) as trainer:
        yield trainer


def loud_adapter(base: BaseModel) -> AdapterWeights:
    name = add_adapter(base, {"r": 4, "lora_dropout": 0.0})
    generator = torch.Generator().manual_seed(3)
    for parameter in adapter_parameters(base, name).values():
        noise = torch.randn(parameter.shape, generator=generator)
        parameter.data = noise * 0.05
    return AdapterWeights(base, name)


def losses_of(trainer: ChatTrainer) -> list[float]:
    """The loss of each batch of an epoch, over its labelled tokens."""
    found = []
    for inputs in trainer.get_train_dataloader():
        loss = trainer.compute_loss(trainer.model.train(), inputs)
        found.append(loss.item())
    return found


def summed_loss(base: BaseModel, folder: Path, **arguments: Any) -> float:
    """The summed loss of all tokens of the rows, in a layout."""
    rows = render_rows(base.chat_format, UNEQUAL, 512)
    weights = loud_adapter(base)
    total = 0.0
    with trainer_of(weights, rows, folder, **arguments) as trainer:
        for inputs in trainer.get_train_dataloader():
            count = torch.tensor(1.0)
            loss = trainer.compute_loss(
                trainer.model.train(),
                inputs,
                num_items_in_batch=count,
            )
            total += loss.item()
    return total


@pytest.mark.parametrize("padding_free", [False, True])
def test_what_is_learned_of_a_batch_is_the_answers_and_their_ends(
    base: BaseModel,
    rows: TrainingRows,
    tmp_path: Path,
    padding_free: bool,
) -> None:
    learned = []
    with trainer_of(
        loud_adapter(base),
        rows,
        tmp_path,
        per_device_train_batch_size=2,
        padding_free=padding_free,
    ) as trainer:
        for batch in trainer.get_train_dataloader():
            assert batch["input_ids"].shape[0] == (1 if padding_free else 2)
            chosen = batch["labels"][batch["labels"] != -100]
            ids = batch["input_ids"][batch["labels"] != -100]
            assert torch.equal(chosen, ids)
            text = base.tokenizer.decode(chosen)
            learned += text.split("<end_of_turn>")[:-1]
    answers = [
        turn.text
        for one in UNEQUAL
        for turn in one.turns
        if turn.role == "assistant"
    ]
    assert sorted(learned) == sorted(answers)


@pytest.mark.parametrize("family", ["base", "windowed"])
@pytest.mark.parametrize(
    "layout",
    [
        {"packing": True, "max_seq_length": 160},
        {"packing": True, "max_seq_length": 512},
        {"packing": True, "per_device_train_batch_size": 2},
        {"packing": True, "packing_strategy": "bfd_split"},
        {"per_device_train_batch_size": 4, "padding_free": True},
        {"per_device_train_batch_size": 4, "padding_free": False},
    ],
    ids=str,
)
def test_packed_and_separate_rows_have_equal_losses(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    family: str,
    layout: dict[str, Any],
) -> None:
    base = request.getfixturevalue(family)
    rows = render_rows(base.chat_format, UNEQUAL, 512).rows
    assert min(len(row["input_ids"]) for row in rows) > WINDOW
    separate = summed_loss(
        base,
        tmp_path,
        per_device_train_batch_size=1,
        padding_free=False,
    )
    together = summed_loss(base, tmp_path, **layout)
    assert together == pytest.approx(separate, rel=1e-5)


def test_packing_puts_several_rows_into_one(
    base: BaseModel,
    rows: TrainingRows,
    tmp_path: Path,
) -> None:
    with trainer_of(
        loud_adapter(base), rows, tmp_path, packing=True
    ) as trainer:
        (batch,) = trainer.get_train_dataloader()
    starts = (batch["position_ids"][0, : rows.tokens] == 0).sum()
    assert starts == len(UNEQUAL)
    assert batch["input_ids"].shape == (1, -(-rows.tokens // 32) * 32)


@pytest.mark.parametrize("experts", [None, 4])
def test_several_processes_look_for_unused_weights_only_among_experts(
    tiny: BaseModel,
    tmp_path: Path,
    experts: int | None,
) -> None:
    if experts is not None:
        tiny.model.config.num_local_experts = experts
    rows = render_rows(tiny.chat_format, UNEQUAL, 512)
    with trainer_of(loud_adapter(tiny), rows, tmp_path) as trainer:
        wanted = trainer.args.ddp_find_unused_parameters
    assert wanted is (experts is not None)


def test_padding_is_not_counted_as_tokens(
    trainer: ChatTrainer,
    rows: TrainingRows,
) -> None:
    trainer.current_gradient_accumulation_steps = 1
    for inputs in trainer.get_train_dataloader():
        trainer.training_step(trainer.model, inputs)
    trainer.finish_step(stop_requested=False)
    assert trainer.history.tokens_seen == rows.tokens


def test_the_loss_of_a_step_is_kept_with_its_number(
    trainer: ChatTrainer,
) -> None:
    trainer.current_gradient_accumulation_steps = 1
    inputs = next(iter(trainer.get_train_dataloader()))
    loss = trainer.training_step(trainer.model, inputs)
    trainer.state.global_step = 5
    assert trainer.finish_step(stop_requested=False) == (loss.item(), False)
    assert trainer.history.losses == [(5, loss.item())]


def test_the_mean_loss_does_not_depend_on_the_batches(
    trainer: ChatTrainer,
    rows: TrainingRows,
) -> None:
    together = trainer.mean_loss(rows.rows)
    alone = [trainer.mean_loss([row]) for row in rows.rows]
    counts = [sum(i != -100 for i in row["labels"][1:]) for row in rows.rows]
    weighted = sum(a * n for a, n in zip(alone, counts, strict=True))
    assert together == pytest.approx(weighted / sum(counts), rel=1e-5)


def test_measuring_leaves_mode_and_random_state_as_they_were(
    trainer: ChatTrainer,
    rows: TrainingRows,
) -> None:
    trainer.model.train()
    state = torch.get_rng_state()
    trainer.mean_loss(rows.rows)
    assert trainer.model.training
    assert torch.equal(torch.get_rng_state(), state)


def test_a_loss_that_is_not_finite_stops_the_run(
    trainer: ChatTrainer,
) -> None:
    parameter = next(p for p in trainer.model.parameters() if p.requires_grad)
    parameter.data = torch.full_like(parameter.data, float("nan"))
    with pytest.raises(TrainingError, match="the loss is nan at step 1"):
        trainer.train()


def test_a_whole_model_has_the_loss_of_its_frozen_self(
    base: BaseModel,
    tiny_folder: Path,
    rows: TrainingRows,
    tmp_path: Path,
) -> None:
    own = load_own(tiny_folder, tmp_path / "whole", quantization={})
    with trainer_of(AllWeights(own), rows, tmp_path) as trainer:
        trained = trainer.mean_loss(rows.rows)
    frozen = AdapterWeights(own, add_adapter(own, {}))
    with trainer_of(frozen, rows, tmp_path) as trainer:
        assert trainer.mean_loss(rows.rows) == pytest.approx(trained, rel=2e-2)


# -- order of the rows ----------------------------------------------------

LENGTHS = [5, 90, 6, 88, 7, 85, 8, 80]


def padding_of(order: list[int], lengths: list[int], size: int) -> int:
    steps = [order[i : i + size] for i in range(0, len(order), size)]
    chosen = [[lengths[row] for row in step] for step in steps]
    return sum(max(step) * len(step) - sum(step) for step in chosen)


def test_steps_of_equally_long_rows_hold_little_padding() -> None:
    lengths = LENGTHS * 16
    order = list(LengthGroupedSampler(lengths, 4, seed=7))
    assert sorted(order) == list(range(128))
    as_given = padding_of(list(range(128)), lengths, 4)
    assert padding_of(order, lengths, 4) < as_given / 5


def test_the_order_follows_from_seed_and_epoch_alone() -> None:
    sampler = LengthGroupedSampler(LENGTHS * 8, 2, seed=7)
    first = list(sampler)
    torch.rand(3)
    assert list(LengthGroupedSampler(LENGTHS * 8, 2, seed=7)) == first
    sampler.set_epoch(1)
    assert list(sampler) != first
    sampler.set_epoch(0)
    assert list(sampler) == first
