# -*- coding: utf-8 -*-
"""The user's arguments go before the defaults, and after what must be."""

from pathlib import Path
from typing import Any

import pytest
from accelerate import PartialState
from tiny_models import load_own

from local_llm.base_model import BaseModel
from local_llm.errors import ConfigError
from local_llm.schedules import keeps_best
from local_llm.settings import FineTuneSettings
from local_llm.training_arguments import (
    build_arguments,
    check_arguments,
    chosen_training,
    evaluation_problems,
)


@pytest.fixture(name="base", scope="module")
def fixture_base(
    tiny_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> BaseModel:
    return load_own(tiny_folder, tmp_path_factory.mktemp("base"))


def settings(patience: int | None = None, **training: Any) -> FineTuneSettings:
    return FineTuneSettings(
        training_args=training,
        max_seq_length=200,
        early_stopping_patience=patience,
    )


def built(base: BaseModel, folder: Path, **training: Any) -> Any:
    return build_arguments(base, settings(**training), folder, False)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (settings(), False),
        (settings(eval_strategy="steps"), True),
        (settings(eval_strategy="no"), False),
        (settings(load_best_model_at_end=True), True),
        (settings(2), True),
        (settings(2, load_best_model_at_end=False), False),
        (settings(eval_strategy="epoch", load_best_model_at_end=False), False),
    ],
    ids=str,
)
def test_the_best_weights_are_kept_where_evaluations_are_made(
    given: FineTuneSettings,
    kept: bool,
) -> None:
    assert keeps_best(chosen_training(given)) is kept


@pytest.mark.parametrize(
    ("given", "when"),
    [
        (settings(), None),
        (settings(2), "steps"),
        (settings(2, load_best_model_at_end=False), "steps"),
        (settings(load_best_model_at_end=True), "steps"),
        (settings(2, eval_strategy="epoch"), "epoch"),
    ],
    ids=str,
)
def test_who_waits_for_a_held_out_loss_gets_evaluations(
    given: FineTuneSettings,
    when: str | None,
) -> None:
    assert chosen_training(given).get("eval_strategy") == when


@pytest.mark.parametrize(
    ("given", "strategy", "has_rows", "keys"),
    [
        (settings(2), "steps", True, []),
        (settings(), "no", False, []),
        (settings(eval_strategy="steps"), "steps", True, []),
        (
            settings(2),
            "steps",
            False,
            ["early_stopping_patience"],
        ),
        (
            settings(2, eval_strategy="steps", load_best_model_at_end=True),
            "steps",
            False,
            [
                "early_stopping_patience",
                "training_args.load_best_model_at_end",
                "training_args.eval_strategy",
            ],
        ),
        (settings(eval_on_start=True), "no", True, []),
        (
            settings(eval_on_start=True),
            "no",
            False,
            ["training_args.eval_on_start"],
        ),
        (
            settings(2, load_best_model_at_end=False),
            "no",
            True,
            ["early_stopping_patience"],
        ),
        (
            settings(load_best_model_at_end=True),
            "no",
            True,
            ["training_args.load_best_model_at_end"],
        ),
    ],
)
def test_what_waits_for_evaluations_that_never_come_is_named(
    given: FineTuneSettings,
    strategy: str,
    has_rows: bool,
    keys: list[str],
) -> None:
    problems = evaluation_problems(given, strategy, has_rows)
    assert [one.partition(":")[0] for one in problems] == keys


def test_checkpoints_and_evaluations_have_times_of_their_own(
    base: BaseModel,
    tmp_path: Path,
) -> None:
    found = built(
        base, tmp_path, eval_strategy="steps", eval_steps=2, save_steps=3
    )
    assert (found.eval_steps, found.save_steps) == (2, 3)
    found = built(base, tmp_path, eval_strategy="epoch")
    assert (found.save_strategy, found.save_steps) == ("steps", 0.1)
    assert found.load_best_model_at_end is False


def test_rows_become_batches_by_what_is_asked(
    base: BaseModel,
    tmp_path: Path,
) -> None:
    layouts = [
        built(base, tmp_path, **training)
        for training in (
            {},
            {"padding_free": False},
            {"packing": True},
            {"per_device_train_batch_size": 1},
        )
    ]
    assert [
        (
            one.packing,
            bool(one.padding_free),
            one.per_device_train_batch_size,
            one.train_sampling_strategy == "group_by_length",
            one.max_length,
        )
        for one in layouts
    ] == [
        (False, True, 4, False, None),
        (False, False, 4, True, None),
        (True, False, 1, False, 200),
        (False, False, 1, True, None),
    ]


def test_seeds_and_trackers_are_as_given_else_fixed_and_none(
    base: BaseModel,
    tmp_path: Path,
) -> None:
    assert (built(base, tmp_path).seed, built(base, tmp_path).report_to) == (
        7,
        [],
    )
    assert built(base, tmp_path, seed=3).seed == 3


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"optim": "galore_adamw"}, "install `galore_torch`"),
        ({"optim": "grokadamw"}, "pip install grokadamw"),
        ({"lr_scheduler_type": "no such"}, "not a valid SchedulerType"),
        ({"save_steps": 1.5}, "must be an integer"),
        ({"no_such_argument": 1}, "no_such_argument"),
    ],
    ids=str,
)
def test_what_needs_no_model_to_be_refused_is_refused_without_one(
    given: dict[str, Any],
    words: str,
) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        check_arguments(settings(**given), "cpu")
    assert caught.value.where == "fine_tune_config.training_args"


def test_a_check_leaves_the_state_of_a_training_that_goes_on(
    base: BaseModel,
    tmp_path: Path,
) -> None:
    built(base, tmp_path)
    before = dict(PartialState._shared_state)
    check_arguments(settings(), "cpu")
    assert PartialState._shared_state == before != {}


def test_what_a_library_refuses_names_the_section(
    base: BaseModel,
    tmp_path: Path,
) -> None:
    with pytest.raises(ConfigError) as caught:
        built(base, tmp_path, lr_scheduler_type="no such")
    assert caught.value.where == "fine_tune_config.training_args"
