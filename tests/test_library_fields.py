# -*- coding: utf-8 -*-
"""The fields read from the libraries' sources are the libraries' own.

The last tests import trl, peft and transformers, to compare with the truth.
"""

import dataclasses
import importlib
import importlib.util
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local_llm import library_fields as module
from local_llm.errors import ConfigError
from local_llm.library_fields import LIBRARIES, library_fields
from local_llm.value_kinds import accepts


@pytest.fixture(name="fresh")
def fresh_caches() -> Iterator[None]:
    """Nothing read before, and nothing kept afterwards."""
    library_fields.cache_clear()
    module._package_folder.cache_clear()
    yield
    library_fields.cache_clear()
    module._package_folder.cache_clear()


@pytest.mark.parametrize("section", LIBRARIES)
def test_a_library_that_is_not_installed_is_named(
    section: str,
    fresh: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="is not installed") as caught:
        library_fields(section)
    assert caught.value.fix == "pip install -r requirements.txt"


@pytest.mark.parametrize("section", LIBRARIES)
def test_a_library_of_another_shape_is_told(
    section: str,
    fresh: None,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(module, "_package_folder", lambda package: tmp_path)
    with pytest.raises(ConfigError, match="to read"):
        library_fields.__wrapped__(section)


@pytest.mark.parametrize(
    ("section", "key", "right", "wrong"),
    [
        ("training_args", "learning_rate", 1, "2e-4"),
        ("training_args", "lr_scheduler_type", "cosine", "cosin"),
        ("training_args", "optim", "adamw_torch", "adam"),
        ("training_args", "log_level", "info", 3),
        ("training_args", "bf16", None, "True"),
        ("training_args", "packing_strategy", "bfd", "best"),
        ("training_args", "save_strategy", "epoch", "best"),
        ("lora_config", "target_modules", ["q_proj"], 1),
        ("training_args", "report_to", ["trackio"], ["x"]),
        ("training_args", "pad_to_multiple_of", "auto", "8"),
        ("lora_config", "init_lora_weights", "gaussian", "pissa_niter_16"),
        ("lora_config", "rank_pattern", {"q_proj": 4}, {"q_proj": "4"}),
        ("lora_config", "eva_config", {"rho": 2.0}, None),
        ("bnb_config", "load_in_4bit", True, "True"),
        ("bnb_config", "llm_int8_threshold", 6, "6"),
        ("bnb_config", "llm_int8_skip_modules", ["lm_head"], "lm_head"),
    ],
)
def test_a_field_accepts_what_the_library_does(
    section: str,
    key: str,
    right: Any,
    wrong: Any,
) -> None:
    kinds = library_fields(section)[key].kinds
    assert accepts(kinds, right)
    assert wrong is None or not accepts(kinds, wrong)


@pytest.mark.parametrize("section", ["training_args", "lora_config"])
def test_the_fields_are_those_of_the_imported_class(section: str) -> None:
    package, name = {
        "training_args": ("trl", "SFTConfig"),
        "lora_config": ("peft", "LoraConfig"),
    }[section]
    imported = getattr(importlib.import_module(package), name)
    truth = {
        field.name for field in dataclasses.fields(imported) if field.init
    }
    assert set(library_fields(section)) == truth


def test_the_arguments_are_those_of_the_imported_class() -> None:
    imported = importlib.import_module("transformers").BitsAndBytesConfig
    truth = set(inspect.signature(imported.__init__).parameters)
    assert set(library_fields("bnb_config")) == truth - {"self", "kwargs"}


def choices_of(key: str) -> set[Any]:
    kinds = library_fields("training_args")[key].kinds
    return {choice for kind in kinds for choice in kind.choices}


def test_the_trackers_are_those_of_the_library_each_by_its_name() -> None:
    module = importlib.import_module(
        "transformers.integrations.integration_utils",
    )
    known = set(module.INTEGRATION_TO_CALLBACK)
    assert choices_of("report_to") == known | {"none"}


@pytest.mark.parametrize("key", ["log_level", "log_level_replica"])
def test_the_log_levels_are_those_of_the_library(key: str) -> None:
    module = importlib.import_module("transformers.training_args")
    assert choices_of(key) == set(module.trainer_log_levels)


def test_the_choices_for_debugging_are_those_of_the_library() -> None:
    module = importlib.import_module("transformers.debug_utils")
    known = {option.value for option in module.DebugOption}
    assert choices_of("debug") == known | {""}
