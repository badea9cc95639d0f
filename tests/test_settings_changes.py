# -*- coding: utf-8 -*-
"""What a caller names goes before what a config says, and nothing else."""

import pytest

from local_llm.errors import ConfigError
from local_llm.settings import FineTuneSettings, ModelSettings
from local_llm.settings_changes import (
    for_training,
    settings_of,
    with_context_size,
    with_fine_tuning,
    with_model,
)

CONFIGURED = ModelSettings(
    config_name="mine",
    pretrained_model_name_or_path="owner/model",
    revision="v1",
    fine_tune_config=FineTuneSettings(
        lora_config={"r": 4},
        max_seq_length=64,
    ),
)


def test_settings_are_taken_as_they_are() -> None:
    assert settings_of("", CONFIGURED) is CONFIGURED


def test_an_entry_is_checked() -> None:
    entry = {"config_name": "a", "pretrained_model_name_or_path": "o/m"}
    assert settings_of("", entry).pretrained_model_name_or_path == "o/m"
    with pytest.raises(ConfigError, match="max_lenght"):
        settings_of("", {**entry, "max_lenght": 3})


def test_a_name_alone_is_a_config_of_defaults() -> None:
    settings = settings_of("owner/other", None)
    assert settings.config_name == "owner/other"
    assert settings.pretrained_model_name_or_path == "owner/other"
    assert settings.data_path is None


@pytest.mark.parametrize("config", [[], "embedded", 3])
def test_a_config_that_is_no_object_is_an_error(config) -> None:
    with pytest.raises(ConfigError, match="wanted an object, found"):
        settings_of("", config)


NO_MODELS = [" ", "a/b/c", "x" * 300, "a\0b", "model.gguf", "a b", 3]


@pytest.mark.parametrize("name", NO_MODELS)
def test_a_name_of_no_place_and_no_repository_is_an_error(name) -> None:
    with pytest.raises(ConfigError, match="a hub id such as"):
        settings_of(name, None)
    with pytest.raises(ConfigError, match="a hub id such as"):
        with_model(CONFIGURED, name, None)


@pytest.mark.parametrize("name", ["./a b", "/a/b/c", "~/x", "o/m", "gpt2"])
def test_a_folder_and_a_repository_are_names(name) -> None:
    settings = settings_of(name, None)
    assert settings.pretrained_model_name_or_path == name


@pytest.mark.parametrize("size", [0, 1, -3, True, 3.5, "512"])
def test_a_context_that_there_cannot_be_is_an_error(size) -> None:
    with pytest.raises(ConfigError, match="context_size.*\n.*at least 2"):
        with_context_size(CONFIGURED, size)


def test_a_context_takes_the_place_of_the_configs() -> None:
    assert with_context_size(CONFIGURED, 2).context_size == 2


def test_neither_name_nor_config_is_an_error() -> None:
    with pytest.raises(ConfigError, match="neither"):
        settings_of("", None)


def test_another_model_takes_the_place_of_both_and_of_the_revision() -> None:
    changed = with_model(CONFIGURED, None, "folder")
    assert changed.pretrained_model_name_or_path is None
    assert str(changed.local_model_path) == "folder"
    assert changed.revision is None
    assert changed.fine_tune_config == CONFIGURED.fine_tune_config


def test_no_model_named_changes_nothing() -> None:
    assert with_model(CONFIGURED, None, None) is CONFIGURED


def test_two_models_are_refused() -> None:
    with pytest.raises(ConfigError, match="both given"):
        with_model(CONFIGURED, "owner/a", "folder")


def test_named_keys_of_fine_tuning_are_replaced_and_the_others_stay() -> None:
    changed = with_fine_tuning(CONFIGURED, {"max_seq_length": 32})
    assert changed.fine_tune_config.max_seq_length == 32
    assert changed.fine_tune_config.lora_config == {"r": 4}


def test_without_fine_tuning_there_is_one_of_defaults() -> None:
    bare = ModelSettings(config_name="a", pretrained_model_name_or_path="o/m")
    changed = with_fine_tuning(bare, None)
    assert changed.fine_tune_config == FineTuneSettings(lora_config={})


def test_a_wrong_key_of_fine_tuning_is_named() -> None:
    with pytest.raises(ConfigError, match="max_seq_lenght"):
        with_fine_tuning(CONFIGURED, {"max_seq_lenght": 32})


def test_training_does_not_change_how_the_weights_are_loaded() -> None:
    assert for_training(CONFIGURED, {"max_seq_length": 32}).lora_config == {
        "r": 4,
    }
    with pytest.raises(ConfigError, match="bnb_config") as caught:
        for_training(CONFIGURED, {"bnb_config": {}})
    assert "load_model" in str(caught.value)
