# -*- coding: utf-8 -*-
"""Writes the cards of the local models that a config file names.

    python -m local_llm.model_cards

A card is a YAML file as AgentScope reads it: what a model is called, how much
it takes and gives, and the values of its parameters. Loads no weights. Raises
ConfigError, ModelAccessError and WeightsError.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from . import atomic_files, base_model
from .errors import ModelAccessError, WeightsError
from .settings import ModelSettings, load_all_settings, project_folder
from .surroundings import Surroundings, cache_folder, load_request

MODEL_CONFIGS = (
    Path(__file__).resolve().parents[1] / "configs" / "model_configs.json"
)

_DRAWN = ("temperature", "top_p", "top_k")
"""Parameters that matter where tokens are drawn, and ask for it."""


def cards_folder(model_configs: Path) -> Path:
    """Where the cards of a config file's models lie."""
    return model_configs.parent / "model_cards"


def card_values(settings: ModelSettings, context_size: int) -> dict[str, Any]:
    """What stands on the card of an entry's model.

    Args:
        settings (`ModelSettings`):
            The entry.
        context_size (`int`):
            The longest sequence, in tokens; prompt and reply share it.
    """
    return {
        "name": settings.config_name,
        "label": label_of(settings, settings.config_name),
        "status": "active",
        "input_types": ["text/plain"],
        "output_types": ["text/plain"],
        "context_size": context_size,
        "output_size": context_size,
        "parameter_overrides": _overrides(settings),
    }


def label_of(settings: ModelSettings, what: str) -> str:
    """How people see a model: the weights, and what is special about it."""
    path = settings.local_model_path
    source = path or settings.pretrained_model_name_or_path or ""
    weights = Path(str(source).rpartition(":")[2]).name
    return f"{weights} ({what})"


def context_size_of(
    settings: ModelSettings,
    surroundings: Surroundings,
) -> int:
    """The longest sequence of an entry's model, in tokens; its files are
    asked, not its weights.

    Raises:
        `ModelAccessError`, `WeightsError`: They cannot be read here.
    """
    request = load_request(settings, surroundings)
    config = base_model.load_config(request, surroundings.listener.on_status)
    size = base_model.context_size(config)
    return min(size, settings.context_size or size)


def card_text(values: dict[str, Any]) -> str:
    """A card as its file has it."""
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


def write_cards(
    model_configs: Path,
    surroundings: Surroundings,
) -> list[Path]:
    """Write the card of every local model of a config file.

    Where a model cannot be reached, the size of its context is that of the
    card that is there.

    Returns:
        `list[Path]`: The cards.

    Raises:
        `ConfigError`: The config file has problems.
        `ModelAccessError`, `WeightsError`: A model without a card cannot be
            reached.
    """
    folder = cards_folder(model_configs)
    folder.mkdir(exist_ok=True)
    written = []
    for settings in load_all_settings(model_configs).values():
        path = folder / f"{Path(settings.config_name).name}.yaml"
        size = _context_size(settings, surroundings, path)
        text = card_text(card_values(settings, size))
        written.append(atomic_files.write_text(path, text))
    return written


def _overrides(settings: ModelSettings) -> dict[str, dict[str, Any]]:
    """The entry's choices as defaults of the form that people fill in."""
    chosen = asdict(settings.generation)
    names = ["do_sample", "repetition_penalty"]
    names += _DRAWN if settings.generation.do_sample else ()
    defaults = {"max_tokens": settings.max_length}
    defaults |= {name: chosen[name] for name in names}
    shown = {name: {"default": value} for name, value in defaults.items()}
    # Not something to be typed into a form.
    return {**shown, "grammar": {"hidden": True}}


def _context_size(
    settings: ModelSettings,
    surroundings: Surroundings,
    card: Path,
) -> int:
    try:
        return context_size_of(settings, surroundings)
    except (ModelAccessError, WeightsError):
        if not card.is_file():
            raise
    return yaml.safe_load(card.read_text(encoding="utf-8"))["context_size"]


def main(argv: Sequence[str] | None = None) -> int:
    """Write the cards and say which."""
    parser = argparse.ArgumentParser(description="Write the model cards.")
    parser.add_argument("--model-configs", type=Path, default=MODEL_CONFIGS)
    path = parser.parse_args(argv).model_configs
    cache = cache_folder(os.environ)
    for card in write_cards(path, Surroundings(project_folder(path), cache)):
        print(card)
    return 0


if __name__ == "__main__":
    sys.exit(main())
