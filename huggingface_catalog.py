# -*- coding: utf-8 -*-
"""The models that `HuggingFaceWrapper` lists, as AgentScope's model cards.

`ListedModels` is the part of the wrapper that knows which models can be named:
entries of a config file, and adapters that were trained here. Loads no
weights. Raises ConfigError.
"""

import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from agentscope.model import ChatModelBase, ModelCard

from local_llm.settings import hub_token, project_folder

if TYPE_CHECKING:
    from local_llm.model_catalog import ModelCatalog, Offer

PROJECT = Path(__file__).resolve().parent
MODEL_CONFIGS = PROJECT / "configs" / "model_configs.json"


class ListedModels(ChatModelBase):
    """A chat model that can be asked for by the name on its card."""

    _catalog: ClassVar["ModelCatalog | None"] = None

    @classmethod
    def offer(
        cls,
        model_configs: str | Path = MODEL_CONFIGS,
        names: Sequence[str] | None = None,
    ) -> "ModelCatalog":
        """Choose what is listed from now on in this process.

        Args:
            model_configs (`str | Path`, optional):
                The config file; the project's own if empty.
            names (`Sequence[str] | None`, optional):
                Its entries that are offered; all local ones if empty.

        Raises:
            `ConfigError`: There is no such entry, or it has faults.
        """
        from local_llm.model_catalog import ModelCatalog
        from local_llm.surroundings import Surroundings, cache_folder

        path, token = Path(model_configs), hub_token()
        surroundings = Surroundings(
            project_folder(path),
            cache_folder(os.environ),
            token and token.get_secret_value(),
        )
        catalog = ModelCatalog(path, surroundings, names)
        _ = catalog.entries  # faults are told here
        ListedModels._catalog = catalog
        return catalog

    @classmethod
    def catalog(cls) -> "ModelCatalog":
        """What is listed: as `offer` has chosen, else the project's."""
        return cls._catalog or cls.offer()

    @classmethod
    def list_models(
        cls,
        custom_yaml_dir: str | None = None,
    ) -> list[ModelCard]:
        """The cards of the entries, then of the adapters trained on them.

        Args:
            custom_yaml_dir (`str | None`, optional):
                A folder whose cards are listed instead.

        Returns:
            `list[ModelCard]`: The name on each can be given as `model`.
        """
        if custom_yaml_dir is not None:
            return super().list_models(custom_yaml_dir)
        from local_llm.model_cards import cards_folder

        catalog = cls.catalog()
        cards = _by_name(
            super().list_models(str(cards_folder(catalog.model_configs))),
        )
        with tempfile.TemporaryDirectory() as folder:
            _write_missing(catalog, cards, Path(folder))
            cards |= _by_name(super().list_models(folder))
        return [
            _card_of(offer, cards[offer.entry])
            for offer in catalog.offers()
            if offer.entry in cards
        ]


def _by_name(cards: Iterable[ModelCard]) -> dict[str, ModelCard]:
    return {card.name: card for card in cards}


def _card_of(offer: "Offer", card: ModelCard) -> ModelCard:
    """The card of an entry, or of an adapter on the entry's weights."""
    # The config may have got a smaller context after the card was written.
    size = offer.settings.context_size or card.context_size
    changes: dict[str, Any] = {"context_size": min(size, card.context_size)}
    if offer.adapter is not None:
        changes |= {"name": offer.name, "label": offer.label}
    return card.model_copy(update=changes)


def _write_missing(
    catalog: "ModelCatalog",
    cards: dict[str, ModelCard],
    folder: Path,
) -> None:
    """Write cards for entries that have none in the config's folder, if they
    can be reached."""
    from local_llm.model_cards import card_text, card_values

    missing = [one for one in catalog.entries if one.entry not in cards]
    for number, offer in enumerate(missing):
        facts = catalog.facts(offer)
        if facts is not None:
            text = card_text(card_values(offer.settings, facts))
            path = folder / f"{number}.yaml"
            path.write_text(text, encoding="utf-8")
