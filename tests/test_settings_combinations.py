# -*- coding: utf-8 -*-
"""What keys must not say together, and what they may."""

from typing import Any

import pytest

from local_llm.settings_combinations import (
    entry_problems,
    fine_tune_problems,
)

RAW = {
    "config_name": "a",
    "model_type": "huggingface",
    "local_model_path": "m",
}


@pytest.mark.parametrize(
    ("training", "text"),
    [
        (
            {"load_best_model_at_end": True, "eval_strategy": "no"},
            "load_best_model_at_end: wanted an eval_strategy with it",
        ),
        ({"logging_steps": 1.5}, "logging_steps: wanted whole steps"),
        ({"fp16": True, "bf16": True}, "found both true"),
        (
            {"fp16_full_eval": True, "bf16_full_eval": True},
            "fp16_full_eval and fine_tune_config.training_args.bf16_full_eval",
        ),
        ({"lr_scheduler_type": "greedy"}, "wanted an eval_strategy with"),
    ],
)
def test_training_args_that_contradict_each_other_are_told(
    training: dict[str, Any],
    text: str,
) -> None:
    (problem,) = fine_tune_problems({"training_args": training})
    assert text in problem


@pytest.mark.parametrize(
    ("lora", "text"),
    [
        ({"layers_to_transform": [0]}, "target_modules as a list"),
        ({"layers_pattern": "h"}, "wanted layers_to_transform with it"),
        ({"lora_bias": True, "use_dora": True}, "found both true"),
        (
            {"lora_bias": True, "init_lora_weights": "gaussian"},
            "wanted true or false with lora_bias, found 'gaussian'",
        ),
        ({"target_modules": "q_proj("}, "target_modules: is no regular"),
        ({"rank_pattern": {"(": 4}}, "rank_pattern: is no regular"),
        ({"rank_pattern": {"q": 0}}, "rank_pattern.q: wanted at least 1"),
        ({"alpha_pattern": {"q": 0}}, "alpha_pattern.q: wanted above 0"),
    ],
)
def test_a_lora_config_that_peft_could_not_use_is_told(
    lora: dict[str, Any],
    text: str,
) -> None:
    (problem,) = fine_tune_problems({"lora_config": lora})
    assert text in problem


@pytest.mark.parametrize(
    "values", [{"held_out_rows": 0}, {"held_out_share": 0}]
)
@pytest.mark.parametrize(
    ("asked", "key"),
    [
        ({"training_args": {"eval_strategy": "steps"}}, "eval_strategy"),
        (
            {"training_args": {"load_best_model_at_end": True}},
            "load_best_model_at_end",
        ),
        ({"early_stopping_patience": 2}, "early_stopping_patience"),
    ],
)
def test_evaluation_needs_rows(
    values: dict[str, Any],
    asked: dict[str, Any],
    key: str,
) -> None:
    (problem,) = fine_tune_problems({**values, **asked})
    assert f"{key}: wanted rows to evaluate on" in problem


def test_early_stopping_needs_evaluations() -> None:
    values = {
        "early_stopping_patience": 2,
        "training_args": {"eval_strategy": "no"},
    }
    (problem,) = fine_tune_problems(values)
    assert "early_stopping_patience: wanted an eval_strategy" in problem


@pytest.mark.parametrize("bits", ["load_in_4bit", "load_in_8bit"])
@pytest.mark.parametrize(
    ("fine_tune", "entry", "found"),
    [
        ({}, {"data_path": "d.json"}, 1),
        ({"lora_config": None}, {}, 1),
        ({}, {}, 0),  # only asked, in few bits
        ({"lora_config": {}}, {"data_path": "d.json"}, 0),
        ({"continue_lora_finetuning": True}, {"local_model_path": "a"}, 0),
    ],
)
def test_quantized_weights_are_not_trained_themselves(
    bits: str,
    fine_tune: dict[str, Any],
    entry: dict[str, Any],
    found: int,
) -> None:
    config = {**fine_tune, "bnb_config": {bits: True}}
    problems = entry_problems(RAW, {**entry, "fine_tune_config": config})
    assert len(problems) == found
    for problem in problems:
        assert f"{bits}: wanted fine_tune_config.lora_config" in problem


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"training_args": {"fp16": True, "bf16": False}},
        {"training_args": {"logging_steps": 0.5, "save_steps": 10}},
        {"bnb_config": {"load_in_4bit": True, "load_in_8bit": False}},
        {
            "training_args": {
                "load_best_model_at_end": True,
                "eval_strategy": "steps",
            },
        },
        {"training_args": {"eval_strategy": "steps"}, "held_out_rows": 4},
        {
            "training_args": {
                "load_best_model_at_end": True,
                "eval_strategy": "steps",
                "eval_steps": 0.1,
                "save_steps": 0.3,
            },
        },
        {
            "lora_config": {
                "target_modules": ["q_proj"],
                "layers_to_transform": [0],
                "rank_pattern": {"q_proj$": 4},
            },
        },
        {"training_args": {"load_best_model_at_end": True}},
        {
            "training_args": {
                "load_best_model_at_end": True,
                "eval_strategy": "epoch",
                "save_strategy": "steps",
            },
        },
        {"early_stopping_patience": 3},
        {"training_args": {"packing_strategy": "bfd", "packing": True}},
    ],
)
def test_what_goes_together_passes(values: dict[str, Any]) -> None:
    assert fine_tune_problems(values) == []


@pytest.mark.parametrize(
    "values",
    [
        {"local_model_path": "runs"},
        {"fine_tune_config": {"lora_config": {"r": 8}}},
    ],
)
def test_continuing_needs_an_adapter_folder_or_a_lora_config(
    values: dict[str, Any],
) -> None:
    fine_tune = values.setdefault("fine_tune_config", {})
    fine_tune["continue_lora_finetuning"] = True
    assert entry_problems(RAW, values) == []
    assert (
        len(
            entry_problems(
                RAW,
                {
                    "fine_tune_config": {
                        "continue_lora_finetuning": True,
                    }
                },
            )
        )
        == 1
    )


def test_a_reply_shorter_than_the_context_passes() -> None:
    assert entry_problems(RAW, {"max_length": 99, "context_size": 100}) == []
