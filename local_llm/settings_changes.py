# -*- coding: utf-8 -*-
"""Settings with what a caller names in place of what a config file says.

Raises ConfigError.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .errors import ConfigError
from .model_files import is_local
from .settings import (
    DEFAULT_FINE_TUNING,
    MODEL_TYPE,
    FineTuneSettings,
    ModelSettings,
    parse_fine_tune_config,
    parse_settings,
)
from .settings_file import shown
from .settings_values import RULES


def settings_of(
    model: str,
    config: ModelSettings | Mapping[str, Any] | None,
) -> ModelSettings:
    """The settings that a caller means by a model's name or by a config.

    Args:
        model (`str`):
            A hub id or `embedded:<name>`; used without a config.
        config (`ModelSettings | Mapping[str, Any] | None`):
            Settings, or an entry as the config file has it; `model_type`
            may be left out.

    Raises:
        `ConfigError`: Neither is given, or the entry has problems.
    """
    if isinstance(config, ModelSettings):
        return config
    if config is not None:
        if isinstance(config, Mapping):
            config = {"model_type": MODEL_TYPE, **config}
        return parse_settings(config, "the config of the model")
    if not model:
        raise ConfigError(
            "HuggingFaceWrapper",
            ["neither `model` nor `config` is given"],
            fix="name a model, or use HuggingFaceWrapper.from_config",
        )
    _check_source(model, "HuggingFaceWrapper")
    return ModelSettings(
        config_name=model,
        pretrained_model_name_or_path=model,
    )


def with_context_size(settings: ModelSettings, size: int) -> ModelSettings:
    """Settings with another context, in tokens of prompt and reply.

    Raises:
        `ConfigError`: There is no context of that size.
    """
    rule = RULES["entry"]["context_size"]
    if type(size) is not int or not rule.allows(size):
        raise ConfigError(
            "context_size",
            [f"wanted an integer, {rule.range()}, found {shown(size)}"],
        )
    return dataclasses.replace(settings, context_size=size)


def with_model(
    settings: ModelSettings,
    pretrained_model_name_or_path: str | None,
    local_model_path: str | Path | None,
) -> ModelSettings:
    """Settings with another model; without one named, as they are.

    Raises:
        `ConfigError`: Two models are named, or one that there cannot be.
    """
    if pretrained_model_name_or_path and local_model_path:
        raise ConfigError(
            "load_model",
            [
                "pretrained_model_name_or_path and local_model_path are both "
                "given",
            ],
            fix="give one of them",
        )
    if not pretrained_model_name_or_path and not local_model_path:
        return settings
    if pretrained_model_name_or_path:
        _check_source(pretrained_model_name_or_path, "load_model")
    return dataclasses.replace(
        settings,
        pretrained_model_name_or_path=pretrained_model_name_or_path,
        local_model_path=local_model_path and Path(local_model_path),
        revision=None,
    )


def with_fine_tuning(
    settings: ModelSettings,
    changes: Mapping[str, Any] | None,
) -> ModelSettings:
    """Settings with some keys of `fine_tune_config` replaced; afterwards
    there is one, if only of defaults.

    Raises:
        `ConfigError`: A key does not exist or has a wrong value.
    """
    current = settings.fine_tune_config or DEFAULT_FINE_TUNING
    if changes:
        given = parse_fine_tune_config(dict(changes), "fine_tune_config")
        named = {key: getattr(given, key) for key in changes}
        current = dataclasses.replace(current, **named)
    return dataclasses.replace(settings, fine_tune_config=current)


def for_training(
    settings: ModelSettings,
    changes: Mapping[str, Any] | None,
) -> FineTuneSettings:
    """How to train the model that is loaded, with some keys replaced.

    Raises:
        `ConfigError`: A key is wrong, or asks for other weights.
    """
    if changes and "bnb_config" in changes:
        raise ConfigError(
            "fine_tune_config",
            ["bnb_config: the weights are loaded already"],
            fix="give bnb_config to load_model, then fine-tune",
        )
    return with_fine_tuning(settings, changes).fine_tune_config


def _check_source(model: object, where: str) -> None:
    """Refuse what names neither a place here nor a model of the hub.

    Raises:
        `ConfigError`: It does not; says what does.
    """
    rule = RULES["entry"]["pretrained_model_name_or_path"]
    if isinstance(model, str) and (is_local(model) or rule.allows(model)):
        return
    raise ConfigError(
        where,
        [
            f"wanted a name from list_models, a folder, or {rule.range()}, found "
            f"{shown(model)}"
        ],
    )
