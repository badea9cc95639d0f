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
        ({"load_best_model_at_end": True}, "found none"),
        (
            {"load_best_model_at_end": True, "eval_strategy": "epoch"},
            "found 'epoch' and 'steps'",
        ),
        ({"logging_steps": 1.5}, "logging_steps: wanted whole steps"),
        ({"fp16": True, "bf16": True}, "found both true"),
    ],
)
def test_training_args_that_contradict_each_other_are_told(
    training: dict[str, Any],
    text: str,
) -> None:
    (problem,) = fine_tune_problems({"training_args": training})
    assert text in problem


@pytest.mark.parametrize(
    "values", [{"held_out_rows": 0}, {"held_out_share": 0}]
)
def test_evaluation_needs_rows(values: dict[str, Any]) -> None:
    training = {"eval_strategy": "steps"}
    (problem,) = fine_tune_problems({"training_args": training, **values})
    assert "wanted rows to evaluate on" in problem


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
    ],
)
def test_what_goes_together_passes(values: dict[str, Any]) -> None:
    assert fine_tune_problems(values) == []


@pytest.mark.parametrize(
    "values",
    [
        {"output_dir": "runs"},
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
