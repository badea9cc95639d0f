# -*- coding: utf-8 -*-
"""The schema of the entries of models says what the settings say."""

import json
from pathlib import Path
from typing import Any

import pytest

from local_llm.entry_types import entry_types
from local_llm.errors import ConfigError
from local_llm.library_fields import library_fields
from local_llm.settings import parse_settings
from local_llm.settings_reference import schema

jsonschema = pytest.importorskip("jsonschema")
CONFIGS = Path(__file__).resolve().parents[1] / "configs"
SHIPPED = json.loads((CONFIGS / "model_configs.json").read_text("utf-8"))
CHECKER = jsonschema.Draft202012Validator(schema(entry_types()))


def is_valid(entry: dict[str, Any]) -> bool:
    """Whether the schema accepts a file with this entry."""
    return bool(CHECKER.is_valid([entry]))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("lora_config.lora_alhpa", 1),
        ("lora_config.r", 0),
        ("lora_config.r", True),
        ("training_args.learning_rate", "2e-4"),
        ("training_args.learning_rate", 0),
        ("training_args.max_steps", 0),
        ("training_args.output_dir", "runs"),
        ("training_args.hub_token", "x"),
        ("bnb_config.bnb_4bit_quant_type", "nf5"),
        ("max_seq_length", 8),
        ("data_format", "csv"),
        ("columns", {"story": "text"}),
        ("columns", {"text": 5}),
    ],
)
def test_the_schema_and_the_settings_refuse_the_same(
    path: str,
    value: Any,
) -> None:
    entry = json.loads(json.dumps(SHIPPED[0]))
    place = entry["fine_tune_config"]
    *parents, key = path.split(".")
    for parent in parents:
        place = place[parent]
    place[key] = value
    assert not is_valid(entry)
    with pytest.raises(ConfigError, match=key):
        parse_settings(entry, "here")


# Not 4.0, an integer of JSON Schema, nor "True", which draws a warning.
POOL = [None, True, -2, -1, 0, 1, 16, 2**32, 0.5, 0.9, 1.5, "", "x", "nf4"]
POOL += ["bfloat16", "CAUSAL_LM", "pissa_niter_4", [], ["x"], [1], {}]
# What these must not say together no schema knows.
APART = {"load_best_model_at_end", "logging_steps", "eval_steps", "save_steps"}
APART |= {"layers_pattern", "layers_to_transform"}


@pytest.mark.parametrize(
    "name", ["training_args", "lora_config", "bnb_config"]
)
def test_the_schema_and_the_settings_agree_on_every_value(name: str) -> None:
    different = []
    for key in library_fields(name).keys() - APART:
        for value in POOL:
            config = {"lora_config": {}, name: {key: value}}
            entry = SHIPPED[1] | {"fine_tune_config": config}
            try:
                accepted = bool(parse_settings(entry, "here"))
            except ConfigError:
                accepted = False
            if accepted != is_valid(entry):
                different.append((key, value))
    assert different == []


@pytest.mark.parametrize(
    "data_path",
    [
        [],
        [" "],
        [5],
        [{"weight": 1}],
        [{"path": "a", "weight": 0}],
        [{"path": "a", "weigth": 1}],
        [{"path": "a", "data_format": "csv"}],
        [{"path": "a", "columns": {"story": "text"}}],
    ],
)
def test_the_schema_and_the_settings_refuse_the_same_sources(
    data_path: Any,
) -> None:
    entry = SHIPPED[1] | {"data_path": data_path}
    assert not is_valid(entry)
    with pytest.raises(ConfigError, match="data_path"):
        parse_settings(entry, "here")


@pytest.mark.parametrize(
    "change",
    [
        {"device": "cuda:1"},
        {"device": None},
        {"revision": None},
        {"fine_tune_config": None},
        {"config_name": "a.b-c_d"},
        {"data_path": ["a", {"path": "b", "weight": 2, "columns": None}]},
        {"data_path": None},
    ],
)
def test_the_schema_and_the_settings_accept_the_same(
    change: dict[str, Any],
) -> None:
    entry = SHIPPED[1] | change
    assert is_valid(entry)
    parse_settings(entry, "here")


def test_entries_of_another_type_may_hold_anything() -> None:
    other = {"config_name": "gpt", "model_type": "dashscope_chat", "x": 1}
    assert is_valid(other)


def test_an_entry_of_a_served_model_may_not() -> None:
    served = next(one for one in SHIPPED if one["model_type"] == "openai_chat")
    assert is_valid(served)
    assert not is_valid({**served, "x": 1})
    assert not is_valid({**served, "client_args": {"timeout": 0}})


def test_every_section_has_a_name_and_a_heading_of_its_own() -> None:
    parts = [part for one in entry_types() for part in one.parts]
    assert len({part.definition for part in parts}) == len(parts)
    assert len({part.heading for part in parts}) == len(parts)
