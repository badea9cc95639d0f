# -*- coding: utf-8 -*-
"""Training changes one adapter, learns, and leaves the model as it was."""

import dataclasses
import logging
import math
import random
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_agents import messages_of
from tiny_models import CONTEXT, conversation, load_own, reply

from local_llm import checkpoints
from local_llm.adapters import (
    adapter_parameters,
    add_adapter,
    load_adapter,
    save_adapter,
)
from local_llm.base_model import BaseModel
from local_llm.chat_datasets import Conversation
from local_llm.chat_trainer import ChatTrainer
from local_llm.errors import (
    ConfigError,
    DatasetError,
    GenerationError,
    TrainingError,
)
from local_llm.generation import engine_of
from local_llm.settings import FineTuneSettings
from local_llm.trained_weights import AdapterWeights
from local_llm.training import TrainingResult, train
from local_llm.training_progress import Step

QUESTION = "What is the capital of France?"
FAST = {
    "num_train_epochs": 8,
    "per_device_train_batch_size": 2,
    "learning_rate": 5e-3,
    "save_strategy": "no",
}


@pytest.fixture(name="base", scope="module")
def fixture_base(
    tiny_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> BaseModel:
    """In 4-bit; every test adds adapters of its own."""
    return load_own(tiny_folder, tmp_path_factory.mktemp("base"))


def settings_of(
    max_seq_length: int = 256,
    **training_args: Any,
) -> FineTuneSettings:
    return FineTuneSettings(
        training_args={**FAST, **training_args},
        max_seq_length=max_seq_length,
    )


def trained(
    base: BaseModel,
    adapter: str,
    rows: Sequence[Conversation],
    scratch: Path,
    held_out: Sequence[Conversation] = (),
    settings: FineTuneSettings | None = None,
    **more: Any,
) -> TrainingResult:
    return train(
        AdapterWeights(base, adapter),
        rows,
        held_out,
        settings or settings_of(),
        scratch,
        **more,
    )


def tensors(base: BaseModel, adapter: str | None = None) -> dict[str, Any]:
    """Copies of an adapter's tensors; of all others' and the base's else."""
    named = (
        adapter_parameters(base, adapter)
        if adapter
        else dict(base.model.named_parameters())
    )
    return {key: one.detach().clone() for key, one in named.items()}


def changed(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    assert before.keys() == after.keys()
    return {k for k in before if not torch.equal(before[k], after[k])}


# -- learning -------------------------------------------------------------


def test_the_loss_falls_in_training_and_on_what_was_held_out(
    base: BaseModel,
    lima_like_rows: list[Conversation],
    tmp_path: Path,
) -> None:
    result = trained(
        base,
        add_adapter(base, None),
        lima_like_rows,
        tmp_path,
        held_out=[conversation("What is the capital?", "Paris.")],
    )
    steps, losses = zip(*result.losses, strict=True)
    assert steps == tuple(range(1, result.steps + 1))
    assert result.steps == 16  # 4 rows, 2 at once, 8 times
    assert losses[-1] < losses[0] / 2
    assert result.held_out_before is not None
    assert result.held_out_after is not None
    assert result.held_out_after < result.held_out_before - 0.5
    assert result.tokens_seen == 8 * result.train_rows.tokens
    assert result.seconds > 0
    assert result.tokens_per_second == result.tokens_seen / result.seconds
    assert result.peak_memory_bytes > 1 << 20


def test_a_model_learns_an_answer_by_heart_and_to_stop_after_it(
    base: BaseModel,
    tmp_path: Path,
) -> None:
    adapter = add_adapter(base, None)
    trained(
        base,
        adapter,
        [conversation(QUESTION, "It is Paris.")],
        tmp_path,
        settings=settings_of(num_train_epochs=40),
    )
    assert reply(base, QUESTION, adapter=adapter) == "It is Paris."
    assert reply(base, QUESTION) != "It is Paris."


def test_without_held_out_rows_there_is_no_held_out_loss(
    base: BaseModel,
    lima_like_rows: list[Conversation],
    tmp_path: Path,
) -> None:
    settings = settings_of(max_steps=1)
    adapter = add_adapter(base, None)
    result = trained(
        base, adapter, lima_like_rows, tmp_path, settings=settings
    )
    assert result.held_out_before is None
    assert result.held_out_after is None


def test_the_loss_of_the_first_step_is_the_one_held_out_would_have(
    base: BaseModel,
    lima_like_rows: list[Conversation],
    tmp_path: Path,
) -> None:
    """Evaluation and training weigh tokens, not rows, in the same way."""
    result = trained(
        base,
        add_adapter(base, {"lora_dropout": 0.0}),
        lima_like_rows,
        tmp_path,
        held_out=lima_like_rows,
        settings=settings_of(
            max_steps=1,
            per_device_train_batch_size=1,
            gradient_accumulation_steps=4,
        ),
    )
    assert result.losses[0][1] == pytest.approx(
        result.held_out_before,
        rel=0.02,  # packed weights and exact ones, in bfloat16
    )


def test_training_goes_on_from_the_weights_of_the_adapter(
    base: BaseModel,
    lima_like_rows: list[Conversation],
    tmp_path: Path,
) -> None:
    adapter = add_adapter(base, None)
    first = trained(
        base, adapter, lima_like_rows, tmp_path, held_out=lima_like_rows
    )
    save_adapter(base, adapter, tmp_path / "adapter")
    again = load_adapter(base, tmp_path / "adapter")
    second = trained(
        base, again, lima_like_rows, tmp_path, held_out=lima_like_rows
    )
    assert second.held_out_before == first.held_out_after
    assert second.losses[0][1] < first.losses[0][1] / 2


def test_the_same_seed_gives_the_same_adapter(
    tiny_folder: Path,
    lima_like_rows: list[Conversation],
    tmp_path: Path,
) -> None:
    base = load_own(tiny_folder, tmp_path)
    found = []
    for _ in range(2):
        torch.manual_seed(3)
        adapter = add_adapter(base, {"lora_dropout": 0.1})
        result = trained(base, adapter, lima_like_rows, tmp_path)
        found.append((result.losses, list(tensors(base, adapter).values())))
    assert found[0][0] == found[1][0]
    assert all(map(torch.equal, found[0][1], found[1][1]))


# -- what it leaves -------------------------------------------------------


def test_only_the_given_adapter_changes(
    base: BaseModel,
    lima_like_rows: list[Conversation],
    tmp_path: Path,
) -> None:
    add_adapter(base, None)
    adapter = add_adapter(base, None)
    everything = tensors(base)
    own = tensors(base, adapter)
    trained(base, adapter, lima_like_rows, tmp_path)
    assert changed(everything, tensors(base)) == own.keys()
    dtypes = {one.dtype for one in adapter_parameters(base, adapter).values()}
    assert dtypes == {torch.float32}


@pytest.mark.parametrize("padding_free", [True, False])
def test_the_model_is_as_before_but_for_the_adapter(
    tiny: BaseModel,
    lima_like_rows: list[Conversation],
    tmp_path: Path,
    padding_free: bool,
) -> None:
    before = reply(tiny, QUESTION)
    adapter = add_adapter(tiny, None)
    forward = tiny.model.forward
    stops = tiny.model.generation_config.to_dict()
    tokenizer = (tiny.tokenizer.eos_token, tiny.tokenizer.pad_token)
    settings = settings_of(padding_free=padding_free)
    trained(tiny, adapter, lima_like_rows, tmp_path, settings=settings)
    assert not any(module.training for module in tiny.model.modules())
    assert tiny.model.config.use_cache is True
    assert not tiny.model.is_gradient_checkpointing
    assert tiny.model.forward == forward
    assert not any(one.requires_grad for one in tiny.model.parameters())
    assert (tiny.tokenizer.eos_token, tiny.tokenizer.pad_token) == tokenizer
    assert tiny.model.generation_config.to_dict() == stops
    assert tiny.lock.training_progress is None
    assert reply(tiny, QUESTION) == before
    assert reply(tiny, QUESTION, adapter=adapter) != before


def test_the_random_state_of_the_process_is_left_alone(
    base: BaseModel,
    lima_like_rows: list[Conversation],
    tmp_path: Path,
) -> None:
    adapter = add_adapter(base, None)
    before = (torch.random.get_rng_state(), random.getstate())
    numbers = np.random.get_state()[1].copy()
    settings = settings_of(max_steps=1)
    trained(base, adapter, lima_like_rows, tmp_path, settings=settings)
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert np.array_equal(np.random.get_state()[1], numbers)


# -- progress and the lock ------------------------------------------------


def test_each_step_is_told_with_its_number_the_total_and_the_loss(
    base: BaseModel,
    lima_like_rows: list[Conversation],
    tmp_path: Path,
) -> None:
    steps: list[Step] = []
    result = trained(
        base,
        add_adapter(base, None),
        lima_like_rows,
        tmp_path,
        settings=settings_of(max_steps=4),
        on_step=steps.append,
    )
    assert [(one.number, one.total) for one in steps] == [
        (number, 4) for number in range(1, 5)
    ]
    told = [one.loss for one in steps if one.loss is not None]
    assert told == [loss for _, loss in result.losses][: len(told)]
    assert len(told) >= 3


def test_a_reply_during_training_is_refused_with_the_step(
    base: BaseModel,
    lima_like_rows: list[Conversation],
    tmp_path: Path,
) -> None:
    refused: list[str] = []

    def ask(step: Step) -> None:
        with pytest.raises(GenerationError) as caught:
            reply(base, QUESTION)
        refused.append(caught.value.message)

    settings = settings_of(max_steps=2)
    adapter = add_adapter(base, None)
    trained(
        base,
        adapter,
        lima_like_rows,
        tmp_path,
        settings=settings,
        on_step=ask,
    )
    assert refused == [
        f"fine-tuning in progress (step {number}/2)" for number in (1, 2)
    ]
    assert reply(base, QUESTION, adapter=adapter)


def test_training_waits_until_a_running_reply_is_over(
    base: BaseModel,
    lima_like_rows: list[Conversation],
    tmp_path: Path,
) -> None:
    engine_of(base)
    adapter = add_adapter(base, None)
    leave = threading.Event()
    using = threading.Event()

    def use() -> None:
        with base.lock.generating(5):
            using.set()
            leave.wait(10)

    thread = threading.Thread(target=use)
    thread.start()
    assert using.wait(5)
    threading.Timer(0.3, leave.set).start()
    settings = settings_of(max_steps=1)
    trained(base, adapter, lima_like_rows, tmp_path, settings=settings)
    assert leave.is_set()
    thread.join(5)


# -- what goes wrong ------------------------------------------------------


def assert_usable(base: BaseModel, before: str) -> None:
    """The model answers as before, and may be trained again."""
    assert base.lock.training_progress is None
    assert not base.model.training
    assert reply(base, QUESTION) == before


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_the_run(
    base: BaseModel,
    lima_like_rows: list[Conversation],
    tmp_path: Path,
    value: float,
) -> None:
    before = reply(base, QUESTION)
    adapter = add_adapter(base, None)
    first = next(iter(adapter_parameters(base, adapter).values()))
    first.data[0, 0] = value
    with pytest.raises(TrainingError) as caught:
        trained(base, adapter, lima_like_rows, tmp_path)
    assert "the loss is nan at step 1" in caught.value.message
    assert "lower learning_rate" in str(caught.value.fix)
    assert_usable(base, before)


def test_an_exception_of_the_listener_leaves_the_model_usable(
    base: BaseModel,
    lima_like_rows: list[Conversation],
    tmp_path: Path,
) -> None:
    before = reply(base, QUESTION)

    def interrupt(step: Step) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(
            base,
            add_adapter(base, None),
            lima_like_rows,
            tmp_path,
            on_step=interrupt,
        )
    assert_usable(base, before)


def test_running_out_of_memory_says_what_to_do(
    base: BaseModel,
    lima_like_rows: list[Conversation],
    tmp_path: Path,
) -> None:
    before = reply(base, QUESTION)

    def out_of_memory(step: Step) -> None:
        raise torch.OutOfMemoryError("full")

    with pytest.raises(TrainingError, match="out of memory .* longest row"):
        trained(
            base,
            add_adapter(base, None),
            lima_like_rows,
            tmp_path,
            on_step=out_of_memory,
        )
    assert_usable(base, before)


def test_rows_without_an_answer_alone_are_a_dataset_error(
    base: BaseModel,
    tmp_path: Path,
) -> None:
    with pytest.raises(DatasetError) as caught:
        trained(
            base,
            add_adapter(base, None),
            [conversation("u" * 300, "a")],
            tmp_path,
            settings=settings_of(max_seq_length=50),
        )
    assert caught.value.message == "no row has an answer within 50 tokens"


def test_strict_data_refuses_a_row_whose_answer_is_too_far_in(
    base: BaseModel,
    tmp_path: Path,
) -> None:
    settings = settings_of(max_seq_length=50)
    with pytest.raises(DatasetError, match="row 2: no answer within 50 tok"):
        trained(
            base,
            add_adapter(base, None),
            [conversation("u", "a")],
            tmp_path,
            held_out=[conversation("u" * 300, "a", where="row 2")],
            settings=dataclasses.replace(settings, strict_data=True),
        )


def test_no_row_is_longer_than_the_context_of_the_model(
    base: BaseModel,
    tmp_path: Path,
) -> None:
    result = trained(
        base,
        add_adapter(base, None),
        [conversation("u", "a b " * CONTEXT)],
        tmp_path,
        settings=settings_of(max_seq_length=4 * CONTEXT, max_steps=1),
    )
    assert result.train_rows.tokens == CONTEXT
    assert result.train_rows.shortened == 1


@pytest.mark.parametrize(
    "arguments",
    [
        {"warmup_steps": -1},
        {"lr_scheduler_type": "no such"},
        {"optim": "no such"},
        {"no_such_argument": 1},
        {"max_steps": 2, "save_strategy": "best"},
        {"assistant_only_loss": True, "use_liger_kernel": True},
        {"activation_offloading": True},  # which a CPU has not
    ],
    ids=str,
)
def test_arguments_that_trl_refuses_name_their_entry(
    base: BaseModel,
    lima_like_rows: list[Conversation],
    tmp_path: Path,
    arguments: dict[str, Any],
) -> None:
    before = reply(base, QUESTION)
    with pytest.raises(ConfigError) as caught:
        trained(
            base,
            add_adapter(base, None),
            lima_like_rows,
            tmp_path,
            settings=settings_of(**arguments),
        )
    assert caught.value.where == "fine_tune_config.training_args"
    assert_usable(base, before)


@pytest.mark.parametrize(
    "arguments",
    [
        {"load_best_model_at_end": True},
        {"eval_strategy": "steps"},
        {"eval_strategy": "epoch"},
    ],
    ids=str,
)
def test_evaluations_without_rows_are_refused_before_the_first_step(
    base: BaseModel,
    lima_like_rows: list[Conversation],
    tmp_path: Path,
    arguments: dict[str, Any],
) -> None:
    settings = settings_of(**arguments)
    adapter = add_adapter(base, None)
    with pytest.raises(ConfigError) as caught:
        trained(base, adapter, lima_like_rows, tmp_path, settings=settings)
    (key,) = arguments
    assert caught.value.problems == [
        f"training_args.{key}: no rows are held out to evaluate on",
    ]


def test_a_resumed_run_has_the_cadence_of_its_checkpoint_without_a_warning(
    base: BaseModel,
    lima_like_rows: list[Conversation],
    tmp_path: Path,
) -> None:
    def die(done: Step) -> None:
        if done.number == 5:
            raise KeyboardInterrupt

    folder = tmp_path / "run"
    checkpoints.begin(folder, {})
    run = (base, add_adapter(base, None), lima_like_rows, folder)
    shares = settings_of(max_steps=7, save_strategy="steps", save_steps=0.3)
    with pytest.raises(KeyboardInterrupt):
        trained(*run, settings=shares, on_step=die)
    newest = checkpoints.newest_committed(folder)
    with messages_of("transformers", logging.WARNING) as warned:
        result = trained(*run, settings=shares, resume_from=newest)
    assert result.resumed_at == [3]
    assert [one for one in warned if "do not match" in one] == []
    last = checkpoints.newest_committed(folder)
    assert last is not None and checkpoints.step_of(last) == 7


@pytest.mark.parametrize("error", [KeyError("odd"), AttributeError("odd")])
def test_whatever_the_libraries_raise_on_the_way_ends_a_run_in_words(
    base: BaseModel,
    lima_like_rows: list[Conversation],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(ChatTrainer, "training_step", fail)
    adapter, before = add_adapter(base, None), reply(base, QUESTION)
    with pytest.raises(TrainingError) as caught:
        trained(base, adapter, lima_like_rows, tmp_path)
    kind = type(error).__name__
    assert caught.value.message == f"training stopped: {kind}: {error}"
    assert_usable(base, before)
