# -*- coding: utf-8 -*-
"""The settings of a served model are checked like those of a local one."""

import json
from pathlib import Path
from typing import Any

import pytest

from local_llm.errors import ConfigError
from local_llm.served_settings import (
    ClientSettings,
    ServedGenerationSettings,
    ServedModelSettings,
    load_any_settings,
    parse_served_settings,
)
from local_llm.settings import ModelSettings

SHIPPED = Path(__file__).resolve().parents[1] / "configs/model_configs.json"
ENTRY = {
    "config_name": "served",
    "model_type": "openai_chat",
    "model_name": "runs/mine-merged",
}


def problems_of(**changes: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_served_settings({**ENTRY, **changes}, "the test")
    return caught.value.problems


def test_an_entry_with_every_key_is_read() -> None:
    settings = parse_served_settings(
        {
            **ENTRY,
            "api_key_variable": "SERVER_KEY",
            "client_args": {"base_url": "https://host/v1", "timeout": 5},
            "generate_args": {"max_tokens": 9, "temperature": 0, "seed": 1},
            "stream": False,
            "context_size": 4096,
            "folds_system": False,
            "system_prompt": "Be brief.",
        },
        "the test",
    )
    assert settings == ServedModelSettings(
        config_name="served",
        model_name="runs/mine-merged",
        api_key_variable="SERVER_KEY",
        client_args=ClientSettings("https://host/v1", timeout=5),
        generate_args=ServedGenerationSettings(9, temperature=0, seed=1),
        stream=False,
        context_size=4096,
        folds_system=False,
        system_prompt="Be brief.",
    )


def test_the_shipped_entry_is_of_the_merged_embedded_run() -> None:
    settings = load_any_settings(SHIPPED, "embedded-served")
    assert isinstance(settings, ServedModelSettings)
    local = load_any_settings(SHIPPED, "embedded")
    assert isinstance(local, ModelSettings)
    assert settings.model_name == f"{local.output_dir}-merged"
    assert settings.generate_args == ServedGenerationSettings(
        max_tokens=local.max_length,
        temperature=0,
        frequency_penalty=pytest.approx(
            local.generation.repetition_penalty - 1,
        ),
    )


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"modelname": "x"}, "modelname: unknown key 'modelname', did you "),
        ({"base_url": "http://x/v1"}, "it belongs in client_args"),
        ({"temperature": 0}, "it belongs in generate_args"),
        (
            {"client_args": {"base_ur": "http://x"}},
            "client_args.base_ur: unknown key 'base_ur', did you mean "
            "'base_url'?",
        ),
        (
            {"generate_args": {"max_length": 3}},
            "generate_args.max_length: unknown key",
        ),
        ({"model_name": "  "}, "model_name: wanted text that is not blank"),
        ({"model_name": 3}, "model_name: wanted text that is not blank"),
        ({"stream": "true"}, "write true without quotes"),
        ({"context_size": 0}, "context_size: wanted an integer at least 16"),
        ({"client_args": []}, "client_args: wanted an object"),
        (
            {"client_args": {"base_url": "localhost:8000"}},
            "client_args.base_url: wanted an address such as",
        ),
        (
            {"client_args": {"timeout": 0}},
            "client_args.timeout: wanted a number above 0, found 0",
        ),
        (
            {"generate_args": {"temperature": 3}},
            "generate_args.temperature: wanted a number at least 0 and at "
            "most 2",
        ),
        ({"api_key_variable": "a b"}, "wanted the name of a variable"),
        ({"model_type": "other"}, "model_type: wanted 'openai_chat'"),
    ],
)
def test_a_wrong_key_or_value_is_named_with_what_is_wanted(
    changes: dict[str, Any],
    problem: str,
) -> None:
    found = problems_of(**changes)
    assert len(found) == 1
    assert problem in found[0]


def test_every_problem_is_told_at_once() -> None:
    found = problems_of(stream=1, client_args={"timeout": -1}, x=1)
    assert len(found) == 3


@pytest.mark.parametrize("key", ["config_name", "model_name", "model_type"])
def test_a_required_key_that_is_missing_is_named(key: str) -> None:
    entry = {name: value for name, value in ENTRY.items() if name != key}
    with pytest.raises(ConfigError, match=f"{key}: is missing"):
        parse_served_settings(entry, "the test")


@pytest.mark.parametrize(
    "changes",
    [
        {"api_key": "sk-secret-of-mine"},
        {"client_args": {"api_key": "sk-secret-of-mine"}},
    ],
)
def test_a_key_in_the_config_is_refused_unseen(
    changes: dict[str, Any],
) -> None:
    found = problems_of(**changes)
    assert "name it in api_key_variable" in found[0]
    assert "sk-secret" not in "".join(found)


def test_a_password_in_the_address_is_refused_unseen() -> None:
    address = "http://me:sesame@host/v1"
    found = problems_of(client_args={"base_url": address})
    assert "sesame" not in "".join(found)


def test_what_is_no_object_is_refused() -> None:
    with pytest.raises(ConfigError, match="wanted an object, found a list"):
        parse_served_settings([], "the test")


def test_entries_of_both_types_are_told_apart(tmp_path: Path) -> None:
    local = {
        "config_name": "local",
        "model_type": "huggingface",
        "local_model_path": "model",
    }
    path = tmp_path / "configs.json"
    path.write_text(json.dumps([ENTRY, local]))
    served = load_any_settings(path, "served")
    assert isinstance(served, ServedModelSettings)
    assert isinstance(load_any_settings(path, "local"), ModelSettings)
