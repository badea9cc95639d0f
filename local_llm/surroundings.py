# -*- coding: utf-8 -*-
"""What a model takes from the place it runs in, and what that makes to load.

Reads no environment itself and loads nothing. Raises ConfigError.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .base_model import LoadRequest
from .errors import ConfigError
from .settings import (
    DEFAULT_FINE_TUNING,
    FineTuneSettings,
    ModelSettings,
    resolve_path,
)
from .training_progress import Step


@dataclass(frozen=True)
class Listener:
    """Who is told how far things are.

    Attributes:
        on_status (`Callable[[str], None]`):
            Gets a few words when something long begins.
        on_step (`Callable[[Step], None]`):
            Gets each optimizer step.
    """

    on_status: Callable[[str], None] = lambda text: None
    on_step: Callable[[Step], None] = lambda step: None


@dataclass(frozen=True)
class Surroundings:
    """What a model takes from the place it runs in.

    Attributes:
        folder (`Path`):
            Where relative paths of the settings begin.
        cache (`Path`):
            Where converted models are kept.
        token (`str | None`):
            For gated repositories; never logged.
        listener (`Listener`):
            Who is told how far things are.
    """

    folder: Path
    cache: Path
    token: str | None = field(default=None, repr=False)
    listener: Listener = Listener()

    def path(self, path: str | Path) -> Path:
        """A path of the settings as an absolute one."""
        return resolve_path(path, self.folder).absolute()

    def path_text(self, path: str | Path | None) -> str | None:
        """The same as text; None stays None."""
        return None if path is None else str(self.path(path))


def cache_folder(environment: Mapping[str, str]) -> Path:
    """Where converted models are kept.

    Args:
        environment (`Mapping[str, str]`):
            `LOCAL_LLM_CACHE` names the folder; else it is one of its own
            under `XDG_CACHE_HOME` or `~/.cache`.
    """
    named = environment.get("LOCAL_LLM_CACHE")
    if named:
        return Path(named).expanduser()
    caches = environment.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(caches).expanduser() / "local_llm"


def load_request(
    settings: ModelSettings,
    surroundings: Surroundings,
) -> LoadRequest:
    """What the settings of a model ask to be loaded here.

    Raises:
        `ConfigError`: They name no model.
    """
    chosen = settings.fine_tune_config or DEFAULT_FINE_TUNING
    source = surroundings.path_text(settings.local_model_path)
    quantization = _quantization(chosen)
    # What is trained whole is not rounded; what is only asked may be.
    whole = chosen.trains_all_weights and not _quantizes(quantization)
    return LoadRequest(
        source=source or _named_source(settings, surroundings),
        cache=surroundings.cache,
        tokenizer=surroundings.path_text(settings.local_tokenizer_path),
        revision=settings.revision,
        quantization=quantization,
        dtype="float32" if whole else None,
        device=settings.device,
        token=surroundings.token,
        fast_head=settings.fast_head,
        keep_quantized=settings.keep_quantized,
        cuda_graphs=settings.cuda_graphs,
    )


def _quantization(chosen: FineTuneSettings) -> dict[str, Any] | None:
    """Weights that are all trained cannot be quantized."""
    if chosen.trains_all_weights and chosen.bnb_config is None:
        return {}
    return chosen.bnb_config


def _quantizes(quantization: Mapping[str, Any] | None) -> bool:
    if quantization is None:  # by default
        return True
    keys = ("load_in_4bit", "load_in_8bit")
    return any(quantization.get(key) for key in keys)


def _named_source(settings: ModelSettings, surroundings: Surroundings) -> str:
    """A hub id, or a path where one of that name exists."""
    name = settings.pretrained_model_name_or_path
    if not name:
        raise ConfigError(
            settings.config_name,
            ["no model is named"],
            fix="set pretrained_model_name_or_path or local_model_path",
        )
    path = surroundings.path(name)
    return str(path) if path.exists() else name
