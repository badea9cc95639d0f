# -*- coding: utf-8 -*-
"""The settings of the multi-LLM agent are checked like those of a model."""

import json
from pathlib import Path
from typing import Any, get_args

import pytest
from fresh_process import loaded_after

from alpha_umi.prompts import PromptStyle
from alpha_umi.tool_agent_settings import (
    PAPER_STAGES,
    StageSettings,
    ToolAgentSettings,
    load_tool_agent_settings,
    parse_tool_agent_settings,
)
from local_llm.errors import ConfigError
from local_llm.served_settings import load_any_settings
from local_llm.settings import DEFAULT_FINE_TUNING, parse_settings

PROJECT = Path(__file__).resolve().parents[1]
SHIPPED = PROJECT / "configs" / "model_configs.json"
HEAVY = ("torch", "transformers", "trl", "peft", "agentscope", "datasets")
BASE = {"pretrained_model_name_or_path": "google/gemma-7b"}
ENTRY: dict[str, Any] = {
    "config_name": "tools",
    "model_type": "alpha_umi",
    "model": BASE,
    "data_path": "data/tools.json",
    "output_dir": "runs/tools",
}


def parsed(**changes: Any) -> ToolAgentSettings:
    return parse_tool_agent_settings({**ENTRY, **changes}, "the test")


def problems_of(**changes: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parsed(**changes)
    return caught.value.problems


def test_a_short_entry_takes_the_values_of_the_paper() -> None:
    settings = parsed()
    assert settings.prompt_style == "paper"
    assert settings.data_reader == "trajectories"
    assert settings.output_dir == Path("runs/tools")
    assert settings.search == "chain"
    assert settings.max_steps == 12
    assert settings.constrained_calls
    assert settings.backbone == StageSettings(2, 5e-5, 0.4, 0)
    assert settings.planner == StageSettings(1, 1e-5, 0.2, 0.01)
    assert settings.caller == StageSettings(1, 1e-5, 0.2, 0.01)
    assert settings.summarizer == StageSettings(2, 1e-5, 0.4, 0.01)


def test_the_paper_trains_the_roles_at_a_fifth_of_the_step_size() -> None:
    rates = {one: PAPER_STAGES[one].learning_rate for one in PAPER_STAGES}
    assert rates.pop("backbone") == pytest.approx(5 * 1e-5)
    assert set(rates.values()) == {1e-5}


def test_a_stage_given_in_part_is_filled_with_the_values_of_its_role() -> None:
    settings = parsed(planner={"learning_rate": 2e-4}, summarizer={})
    assert settings.planner == StageSettings(1, 2e-4, 0.2, 0.01)
    assert settings.summarizer == PAPER_STAGES["summarizer"]


def test_an_entry_with_every_key_is_read() -> None:
    stage = {
        "num_train_epochs": 0.5,
        "learning_rate": 1e-3,
        "warmup_ratio": 0,
        "weight_decay": 0.1,
    }
    settings = parsed(
        data_reader="toolbench",
        prompt_style="brief",
        backbone=stage,
        planner=stage,
        caller=stage,
        summarizer=stage,
        search="dfsdt",
        max_steps=3,
        constrained_calls=False,
        system_prompt="Be brief.",
        demonstration_questions=["What is 2 + 2?"],
    )
    assert settings == ToolAgentSettings(
        config_name="tools",
        model=settings.model,
        data_path="data/tools.json",
        data_reader="toolbench",
        output_dir=Path("runs/tools"),
        prompt_style="brief",
        backbone=StageSettings(0.5, 1e-3, 0, 0.1),
        planner=StageSettings(0.5, 1e-3, 0, 0.1),
        caller=StageSettings(0.5, 1e-3, 0, 0.1),
        summarizer=StageSettings(0.5, 1e-3, 0, 0.1),
        search="dfsdt",
        max_steps=3,
        constrained_calls=False,
        system_prompt="Be brief.",
        demonstration_questions=["What is 2 + 2?"],
    )


def test_the_model_is_that_of_an_entry_with_the_same_keys() -> None:
    model = {
        **BASE,
        "max_length": 96,
        "device": "cpu",
        "generation": {"do_sample": True, "seed": 3},
        "fine_tune_config": {
            "lora_config": {"r": 4},
            "training_args": {"per_device_train_batch_size": 8},
            "bnb_config": {"load_in_4bit": True},
            "max_seq_length": 512,
        },
    }
    alone = {"config_name": "tools", "model_type": "huggingface", **model}
    assert parsed(model=model).model == parse_settings(alone, "here")


def test_without_fine_tuning_the_roles_are_adapters_by_defaults() -> None:
    assert parsed().model.fine_tune_config == DEFAULT_FINE_TUNING


def test_two_entries_share_no_object() -> None:
    first = parsed(demonstration_questions=[]).model.fine_tune_config
    assert first is not None and first.lora_config is not None
    first.lora_config["r"] = 2
    assert parsed().model.fine_tune_config == DEFAULT_FINE_TUNING


def test_the_styles_are_those_of_the_prompts() -> None:
    for style in get_args(PromptStyle):
        assert parsed(prompt_style=style).prompt_style == style


IN_MODEL: list[tuple[dict[str, Any], str]] = [
    ({"data_path": "x"}, "data_path: is not set here: set data_path beside"),
    ({"output_dir": "x"}, "output_dir: is not set here: set output_dir bes"),
    ({"config_name": "x"}, "config_name: is not set here"),
    ({"model_type": "huggingface"}, "model_type: is not set here"),
    ({"system_prompt": "x"}, "set system_prompt beside model"),
    ({"demonstration_prompts": []}, "set demonstration_questions beside"),
    ({"max_lenght": 3}, "max_lenght: unknown key 'max_lenght', did you mean "),
    ({"max_length": 0}, "max_length: wanted an integer at least 1"),
    ({"revision": 3}, "revision: wanted text that is not blank or null"),
    ({"generation": {"device": "cpu"}}, "belongs in the top level of model"),
    ({"generation": {"top_q": 1}}, "generation.top_q: unknown key 'top_q'"),
    (
        {"generation": {"max_new_tokens": 9}},
        "today it is max_length at the top level of model",
    ),
    ({"api_key": "x"}, "api_key: a token does not belong in a config"),
]


@pytest.mark.parametrize(("changes", "problem"), IN_MODEL)
def test_a_fault_of_the_model_has_a_path_that_starts_there(
    changes: dict[str, Any],
    problem: str,
) -> None:
    (found,) = problems_of(model={**BASE, **changes})
    assert found.startswith("model.")
    assert problem in found


IN_FINE_TUNING: list[tuple[dict[str, Any], str]] = [
    ({"lora_config": None}, "lora_config: wanted an object"),
    ({"data_format": "text"}, "set data_reader beside model"),
    ({"continue_lora_finetuning": True}, "every role continues the backbone"),
    ({"training_args": {"learning_rate": 1}}, "set learning_rate in backbone"),
    ({"training_args": {"warmup_steps": 1}}, "set warmup_ratio in backbone"),
    ({"training_args": {"warmup_ratio": 1}}, "set warmup_ratio in backbone"),
    ({"training_args": {"weight_decay": 1}}, "set weight_decay in backbone"),
    ({"training_args": {"num_train_epochs": 1}}, "set num_train_epochs in ba"),
    ({"training_args": {"output_dir": "x"}}, "set output_dir beside model"),
    ({"training_args": {"use_cpu": True}}, "device at the top level of model"),
    ({"training_args": {"r": 1}}, "in model.fine_tune_config.lora_config"),
    ({"lora_config": {"r": 0}}, "lora_config.r: wanted an integer at least 1"),
]


@pytest.mark.parametrize(("changes", "problem"), IN_FINE_TUNING)
def test_what_does_not_belong_into_fine_tuning_is_named(
    changes: dict[str, Any],
    problem: str,
) -> None:
    fine_tuning = {"lora_config": {}, **changes}
    (found,) = problems_of(model={**BASE, "fine_tune_config": fine_tuning})
    assert found.startswith("model.fine_tune_config.")
    assert problem in found


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"serach": "chain"}, "unknown key 'serach', did you mean 'search'?"),
        ({"temperature": 0}, "it belongs in model.generation"),
        ({"max_length": 9}, "it belongs in the top level of model"),
        ({"lora_config": {}}, "it belongs in model.fine_tune_config"),
        ({"learning_rate": 1}, "backbone, planner, caller or summarizer"),
        ({"search": "bfs"}, "search: wanted one of 'chain', 'dfsdt'"),
        ({"max_steps": 0}, "max_steps: wanted an integer at least 1"),
        ({"max_steps": 12.0}, "max_steps: wanted an integer"),
        ({"prompt_style": "long"}, "wanted one of 'paper', 'brief'"),
        ({"data_reader": "sgd"}, "wanted one of 'trajectories', 'toolbench'"),
        ({"data_path": ["a"]}, "data_path: wanted text that is not blank"),
        ({"output_dir": " "}, "output_dir: wanted text that is not blank"),
        ({"constrained_calls": "true"}, "write true without quotes"),
        ({"demonstration_questions": "How?"}, "wanted a list of strings"),
        ({"model": "google/gemma-7b"}, "model: wanted an object"),
        ({"model": {}}, "model.pretrained_model_name_or_path or local_model"),
        ({"planner": 3}, "planner: wanted an object, found 3"),
        (
            {"planner": {"learning_rat": 1}},
            "planner.learning_rat: unknown key 'learning_rat', did you mean "
            "'learning_rate'?",
        ),
        ({"caller": {"warmup_steps": 9}}, "did you mean 'warmup_ratio'?"),
        (
            {"caller": {"warmup_ratio": 1}},
            "caller.warmup_ratio: wanted a number at least 0 and below 1",
        ),
        ({"backbone": {"learning_rate": 0}}, "backbone.learning_rate: wanted"),
        ({"summarizer": {"num_train_epochs": 0}}, "wanted a number above 0"),
        ({"config_name": "a b"}, "config_name: wanted 1 to 64 letters"),
    ],
)
def test_a_wrong_key_or_value_is_named_with_what_is_wanted(
    changes: dict[str, Any],
    problem: str,
) -> None:
    (found,) = problems_of(**changes)
    assert problem in found


def test_every_problem_is_told_at_once() -> None:
    found = problems_of(
        search=1,
        x=1,
        backbone={"weight_decay": -1},
        model={"max_length": 0, "generation": {"top_p": 0}},
    )
    assert [one.split(": ")[0] for one in found] == [
        "search",
        "x",
        "backbone.weight_decay",
        "model.max_length",
        "model.generation.top_p",
        "model.pretrained_model_name_or_path or local_model_path",
    ]


@pytest.mark.parametrize("key", ENTRY)
def test_a_required_key_that_is_missing_is_named(key: str) -> None:
    raw = {name: value for name, value in ENTRY.items() if name != key}
    with pytest.raises(ConfigError) as caught:
        parse_tool_agent_settings(raw, "the test")
    assert caught.value.problems == [f"{key}: is missing"]


@pytest.mark.parametrize("raw", [None, [], "x", 3])
def test_an_entry_that_is_no_object_is_refused(raw: Any) -> None:
    with pytest.raises(ConfigError, match="wanted an object"):
        parse_tool_agent_settings(raw, "the test")


@pytest.mark.parametrize("model_type", ["huggingface", "openai_chat"])
def test_an_entry_of_the_other_program_names_that_program(
    model_type: str,
) -> None:
    (found,) = problems_of(model_type=model_type)
    assert "conversation_with_agent_with_finetuned_model.py runs it" in found


def test_the_other_program_names_this_one(tmp_path: Path) -> None:
    path = tmp_path / "configs.json"
    path.write_text(json.dumps([ENTRY]))
    with pytest.raises(ConfigError, match="small_llms.py runs it"):
        load_any_settings(path, "tools")


def test_the_embedded_entry_trains_planner_and_caller_in_small_steps() -> None:
    settings = load_tool_agent_settings(SHIPPED, "tools-embedded")
    assert settings.output_dir == Path("runs/tools")
    assert settings.ready_adapters == Path("adapters/tools")
    assert settings.backbone.learning_rate == 6e-4
    for stage in (settings.planner, settings.caller):
        assert stage.learning_rate == pytest.approx(6e-4 / 5)
        assert stage.warmup_ratio == 0.1
    assert len(settings.demonstration_questions) == 2


def test_the_entry_of_gemma_7b_has_the_values_of_the_paper() -> None:
    settings = load_tool_agent_settings(SHIPPED, "tools-gemma-7b")
    for name, stage in PAPER_STAGES.items():
        assert getattr(settings, name) == stage
    fine_tuning = settings.model.fine_tune_config
    assert fine_tuning is not None
    assert fine_tuning.max_seq_length == 4096
    training = fine_tuning.training_args
    rows = training["per_device_train_batch_size"]
    assert rows * training["gradient_accumulation_steps"] == 48


def test_every_shipped_entry_of_the_type_loads() -> None:
    entries = json.loads(SHIPPED.read_text(encoding="utf-8"))
    names = [
        entry["config_name"]
        for entry in entries
        if entry["model_type"] == "alpha_umi"
    ]
    assert names == [
        "tools-embedded",
        "tools-embedded-sgd",
        "tools-gemma-7b",
    ]
    for name in names:
        found = load_tool_agent_settings(SHIPPED, name)
        assert found.model.config_name == found.config_name == name


def test_a_name_that_is_not_there_is_told_with_the_nearest(
    tmp_path: Path,
) -> None:
    path = tmp_path / "configs.json"
    path.write_text(json.dumps([ENTRY]))
    with pytest.raises(ConfigError, match="did you mean 'tools'"):
        load_tool_agent_settings(path, "tool")


def test_checking_an_entry_imports_no_heavy_library() -> None:
    code = (
        "from alpha_umi.tool_agent_settings import *;"
        f"parse_tool_agent_settings({ENTRY!r}, 'here')"
    )
    assert loaded_after(code, *HEAVY) == []
