# -*- coding: utf-8 -*-
"""What the page of the config says of defaults is what a run takes."""

import json
from pathlib import Path
from typing import Any

import pytest

from local_llm.adapters import add_adapter, peft_model
from local_llm.base_model import BaseModel
from local_llm.entry_types import entry_types
from local_llm.library_defaults import CHOSEN, DEFAULTS
from local_llm.library_fields import LIBRARIES, library_fields
from local_llm.settings import FineTuneSettings
from local_llm.settings_reference import page
from local_llm.training_arguments import build_arguments

OURS = {"report_to", "save_total_limit"}
"""Trainers do not get them: the package keeps checkpoints and trackers."""


def defaults_on_the_page(section: str) -> dict[str, str]:
    """The cells of the column of defaults, by key."""
    heading = f"## Keys of `fine_tune_config.{section}`"
    table = page(entry_types(), "a command").partition(heading)[2]
    table = table.partition("\n## ")[0]
    rows = [line.split(" | ") for line in table.splitlines()]
    return {
        cells[0].strip("| `"): cells[2]
        for cells in rows
        if cells[0].startswith("| `")
    }


def values_on_the_page(section: str) -> dict[str, Any]:
    """Those that are values, and neither chosen nor required."""
    return {
        key: json.loads(cell.strip("`"))
        for key, cell in defaults_on_the_page(section).items()
        if cell.startswith("`")
    }


def test_a_trainer_without_training_arguments_has_those_of_the_page(
    tiny: BaseModel,
    tmp_path: Path,
) -> None:
    built = build_arguments(tiny, FineTuneSettings(), tmp_path, False)
    said = values_on_the_page("training_args")
    assert said["learning_rate"] == 2e-4 and said["seed"] == 7
    other = {
        key: (value, getattr(built, key))
        for key, value in said.items()
        if key not in OURS and getattr(built, key) != value
    }
    assert other == {}


def test_an_adapter_of_an_empty_lora_config_has_those_of_the_page(
    tiny: BaseModel,
) -> None:
    name = add_adapter(tiny, {})
    config = peft_model(tiny).peft_config[name]
    said = values_on_the_page("lora_config")
    # peft resolves the shorthand, and names its method itself.
    assert said.pop("target_modules") == "all-linear"
    assert said.pop("peft_type") is None
    assert {key: getattr(config, key) for key in said} == said


@pytest.mark.parametrize("section", LIBRARIES)
def test_every_default_is_one_of_a_key_of_the_library(section: str) -> None:
    named = DEFAULTS.get(section, {}).keys() | CHOSEN.get(section, {}).keys()
    assert named <= library_fields(section).keys()


def test_what_is_chosen_says_how() -> None:
    for section, keys in CHOSEN.items():
        cells = defaults_on_the_page(section)
        assert {key: cells[key] for key in keys} == {
            key: f"chosen: {how}" for key, how in keys.items()
        }
