# -*- coding: utf-8 -*-
"""Training ends where the held-out loss only rises, with the best weights."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import conversation, load_own

from local_llm.adapters import adapter_parameters, add_adapter
from local_llm.base_model import BaseModel
from local_llm.chat_trainer import BEST_WEIGHTS_FILE, WEIGHTS_FILE
from local_llm.checkpoints import RECORD_NAME, step_of
from local_llm.errors import ConfigError
from local_llm.settings import FineTuneSettings
from local_llm.trained_weights import AdapterWeights
from local_llm.training import TrainingResult, train
from local_llm.training_progress import Step

LEARNED = [conversation("Say it.", "Yes, yes, yes, yes.")]
CONTRADICTED = [conversation("Say it.", "No! Never! 12345")]
"""What is learned makes the loss of these rise after the first steps."""


@pytest.fixture(name="base", scope="module")
def fixture_base(
    tiny_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> BaseModel:
    return load_own(tiny_folder, tmp_path_factory.mktemp("base"))


def settings_of(patience: int | None, **training: Any) -> FineTuneSettings:
    return FineTuneSettings(
        lora_config={"lora_dropout": 0.0},
        training_args={
            "max_steps": 14,
            "learning_rate": 2e-2,
            "warmup_steps": 0,
            "lr_scheduler_type": "constant",
            "eval_steps": 1,
            "save_strategy": "no",
            **training,
        },
        max_seq_length=128,
        early_stopping_patience=patience,
    )


class Run:
    """A run whose weights after every step were noted."""

    def __init__(
        self,
        base: BaseModel,
        folder: Path,
        settings: FineTuneSettings,
    ) -> None:
        self.base, self.folder = base, folder
        self.name = add_adapter(base, settings.lora_config)
        self.weights_after: dict[int, torch.Tensor] = {}
        self.result: TrainingResult = train(
            AdapterWeights(base, self.name),
            LEARNED,
            CONTRADICTED,
            settings,
            folder,
            self._note,
        )

    def _note(self, step: Step) -> None:
        self.weights_after[step.number] = self.weights()

    def weights(self) -> torch.Tensor:
        parameters = adapter_parameters(self.base, self.name).values()
        return torch.cat([one.detach().flatten() for one in parameters])


@pytest.fixture(name="full", scope="module")
def fixture_full(
    base: BaseModel,
    tmp_path_factory: pytest.TempPathFactory,
) -> Run:
    """To the end, each step measured."""
    settings = settings_of(None, eval_strategy="steps")
    return Run(base, tmp_path_factory.mktemp("full"), settings)


def test_the_best_step_is_within_the_run(full: Run) -> None:
    result = full.result
    losses = dict(result.held_out_losses)
    assert list(losses) == list(range(15))
    assert result.best_step == min(range(1, 15), key=losses.__getitem__)
    assert 1 <= result.best_step < 14
    assert losses[14] > losses[result.best_step] + 0.1
    assert not result.stopped_early and result.steps == 14


def test_the_best_weights_are_those_kept(full: Run) -> None:
    best = full.result.best_step
    assert torch.equal(full.weights(), full.weights_after[best])
    losses = dict(full.result.held_out_losses)
    assert full.result.held_out_after == losses[best]
    assert not torch.equal(full.weights(), full.weights_after[14])


@pytest.mark.parametrize("patience", [1, 3])
def test_a_run_stops_after_so_many_evaluations_without_a_better_one(
    base: BaseModel,
    full: Run,
    tmp_path: Path,
    patience: int,
) -> None:
    run = Run(base, tmp_path, settings_of(patience))
    losses = [loss for _, loss in full.result.held_out_losses[1:]]
    wanted = next(
        step
        for step in range(1, 15)
        if step - 1 - losses[:step].index(min(losses[:step])) == patience
    )
    assert run.result.steps == wanted < 14
    assert run.result.stopped_early
    assert run.result.best_step == wanted - patience
    kept = run.weights_after[run.result.best_step]
    assert torch.equal(run.weights(), kept)


def test_without_the_best_the_last_weights_are_kept(
    base: BaseModel,
    tmp_path: Path,
) -> None:
    run = Run(base, tmp_path, settings_of(1, load_best_model_at_end=False))
    result = run.result
    assert result.stopped_early and result.best_step is None
    assert torch.equal(run.weights(), run.weights_after[result.steps])
    assert result.held_out_after == dict(result.held_out_losses)[result.steps]


def test_evaluations_and_checkpoints_come_at_steps_of_their_own(
    base: BaseModel,
    tmp_path: Path,
) -> None:
    settings = settings_of(
        None,
        max_steps=7,
        eval_strategy="steps",
        eval_steps=2,
        save_strategy="steps",
        save_steps=3,
    )
    (tmp_path / RECORD_NAME).write_text("{}")
    run = Run(base, tmp_path, settings)
    measured = [step for step, _ in run.result.held_out_losses]
    assert measured == [0, 2, 4, 6, 7]
    saved = sorted(map(step_of, tmp_path.glob("checkpoint-*")))
    assert saved == [6, 7]  # of 3, 6 and 7 the newest two


@pytest.mark.parametrize("kept", [True, False])
def test_a_checkpoint_has_the_best_weights_only_where_they_are_kept(
    base: BaseModel,
    tmp_path: Path,
    kept: bool,
) -> None:
    settings = settings_of(
        None,
        max_steps=2,
        eval_strategy="steps",
        load_best_model_at_end=kept,
        save_strategy="steps",
        save_steps=1,
    )
    (tmp_path / RECORD_NAME).write_text("{}")
    run = Run(base, tmp_path, settings)
    files = {
        one.name for one in (tmp_path / "checkpoint-2").glob("*.safetensors")
    }
    assert files == {WEIGHTS_FILE} | ({BEST_WEIGHTS_FILE} if kept else set())
    assert (run.result.best_step is not None) is kept


def test_the_first_measurement_is_made_once_though_it_is_asked_for(
    base: BaseModel,
    tmp_path: Path,
) -> None:
    settings = settings_of(
        None, max_steps=1, eval_strategy="steps", eval_on_start=True
    )
    run = Run(base, tmp_path, settings)
    assert [step for step, _ in run.result.held_out_losses] == [0, 1]


@pytest.mark.parametrize(
    ("changes", "held_out", "key"),
    [
        ({}, [], "early_stopping_patience: no rows are held out"),
        (
            {"eval_strategy": "no"},
            CONTRADICTED,
            "early_stopping_patience: wanted an eval_strategy",
        ),
    ],
)
def test_patience_that_nothing_can_try_is_an_error(
    base: BaseModel,
    tmp_path: Path,
    changes: dict[str, Any],
    held_out: list[Any],
    key: str,
) -> None:
    settings = settings_of(2)
    settings = replace(
        settings,
        training_args={**settings.training_args, **changes},
    )
    weights = AdapterWeights(base, add_adapter(base, None))
    with pytest.raises(ConfigError) as caught:
        train(weights, LEARNED, held_out, settings, tmp_path)
    assert key in caught.value.problems[0]
    weights.release()
