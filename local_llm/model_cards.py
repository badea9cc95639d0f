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
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from . import atomic_files, base_model
from .errors import (
    ConfigError,
    LocalLLMError,
    ModelAccessError,
    WeightsError,
)
from .settings import ModelSettings, load_all_settings, project_folder
from .surroundings import Surroundings, cache_folder, load_request
from .template_thinking import thinking_switch

MODEL_CONFIGS = (
    Path(__file__).resolve().parents[1] / "configs" / "model_configs.json"
)

_DRAWN = ("temperature", "top_p", "top_k")
"""Parameters that matter where tokens are drawn, and ask for it."""

_THOUGHTS = "application/x-thinking"
"""What AgentScope calls them; it shows a switch for models that give some."""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What a card says of a model that does not stand in the config.

    Attributes:
        context_size (`int`):
            The longest sequence, in tokens; prompt and reply share it.
        switches_thinking (`bool`):
            Whether its chat template lets thinking be switched.
    """

    context_size: int
    switches_thinking: bool = False


def cards_folder(model_configs: Path) -> Path:
    """Where the cards of a config file's models lie."""
    return model_configs.parent / "model_cards"


def card_values(settings: ModelSettings, facts: ModelFacts) -> dict[str, Any]:
    """What stands on the card of an entry's model.

    Args:
        settings (`ModelSettings`):
            The entry.
        facts (`ModelFacts`):
            What its files say.
    """
    thoughts = [_THOUGHTS] if facts.switches_thinking else []
    return {
        "name": settings.config_name,
        "label": label_of(settings, settings.config_name),
        "status": "active",
        "input_types": ["text/plain"],
        "output_types": ["text/plain", *thoughts],
        "context_size": facts.context_size,
        "output_size": facts.context_size,
        "parameter_overrides": _overrides(settings),
    }


def label_of(settings: ModelSettings, what: str) -> str:
    """How people see a model: the weights, and what is special about it."""
    path = settings.local_model_path
    source = path or settings.pretrained_model_name_or_path or ""
    weights = Path(str(source).rpartition(":")[2]).name
    return f"{weights} ({what})"


def facts_of(
    settings: ModelSettings,
    surroundings: Surroundings,
) -> ModelFacts:
    """What the files of an entry's model say; its weights are not read.

    Raises:
        `ModelAccessError`, `WeightsError`: They cannot be read here.
    """
    request = load_request(settings, surroundings)
    tell = surroundings.listener.on_status
    size = base_model.context_size(base_model.load_config(request, tell))
    return ModelFacts(
        min(size, settings.context_size or size),
        thinking_switch(base_model.load_tokenizer(request, tell)) is not None,
    )


def card_text(values: dict[str, Any]) -> str:
    """A card as its file has it."""
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


def write_cards(
    model_configs: Path,
    surroundings: Surroundings,
) -> list[Path]:
    """Write the card of every local model of a config file.

    Where a model cannot be reached, what its files say is taken from the
    card that is there.

    Returns:
        `list[Path]`: The cards.

    Raises:
        `ConfigError`: The config file has problems, or there is no place for
            cards beside it.
        `ModelAccessError`, `WeightsError`: A model without a card cannot be
            reached.
    """
    folder, written = cards_folder(model_configs), []
    for settings in load_all_settings(model_configs).values():
        path = folder / f"{settings.config_name}.yaml"
        facts = _facts(settings, surroundings, path)
        text = card_text(card_values(settings, facts))
        try:
            folder.mkdir(exist_ok=True)
            written.append(atomic_files.write_text(path, text))
        except OSError as error:
            raise ConfigError(
                str(folder.absolute()),
                [f"cards cannot be written: {error.strerror or error}"],
                fix="make room for a folder of that name",
            ) from error
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
    hidden = {name: {"hidden": True} for name in ("stop", "grammar")}
    return shown | hidden


def _facts(
    settings: ModelSettings,
    surroundings: Surroundings,
    card: Path,
) -> ModelFacts:
    try:
        return facts_of(settings, surroundings)
    except (ModelAccessError, WeightsError):
        known = _facts_on(card)
        if known is None:
            raise
        return known


def _facts_on(card: Path) -> ModelFacts | None:
    """What a card says, None where it cannot be read."""
    try:
        values = yaml.safe_load(card.read_text(encoding="utf-8"))
        thinks = _THOUGHTS in values.get("output_types", ())
        return ModelFacts(values["context_size"], thinks)
    except (OSError, ValueError, LookupError, AttributeError, yaml.YAMLError):
        return None


def main(argv: Sequence[str] | None = None) -> int:
    """Write the cards and say which; the exit code is that of the error."""
    parser = argparse.ArgumentParser(description="Write the model cards.")
    parser.add_argument("--model-configs", type=Path, default=MODEL_CONFIGS)
    path = parser.parse_args(argv).model_configs
    cache = cache_folder(os.environ)
    try:
        cards = write_cards(path, Surroundings(project_folder(path), cache))
    except LocalLLMError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(*cards, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
