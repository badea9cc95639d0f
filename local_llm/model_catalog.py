# -*- coding: utf-8 -*-
"""The models that can be asked for by a name alone.

These are the local entries of a config file, on the bare base model, and the
adapters that were trained here on one of them. Knows no AgentScope. Raises
ConfigError, CheckpointError, WeightsError and ModelAccessError.
"""

import dataclasses
import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from .adapter_files import ADAPTER_FILE, NamedBase, is_adapter
from .atomic_files import MANIFEST_NAME
from .errors import (
    CheckpointError,
    ConfigError,
    LocalLLMError,
    ModelAccessError,
    WeightsError,
)
from .loaded_model import LoadedModel
from .model_cards import ModelFacts, facts_of, label_of
from .named_adapters import named_adapters
from .settings import MODEL_TYPE, ModelSettings, load_settings
from .settings_file import quoted, read_entries
from .surroundings import Surroundings, load_request
from .trained_adapters import trained_adapters

log = logging.getLogger(__name__)

Model = TypeVar("Model", bound=LoadedModel)

RUNS = "runs"
"""Where runs stand whose entry says nothing else."""


@dataclass(frozen=True)
class Offer:
    """A model that can be asked for.

    Attributes:
        name (`str`):
            What to ask for: an entry's name, or the folder of a run.
        entry (`str`):
            The entry whose weights and parameters it has.
        settings (`ModelSettings`):
            What to load; names no data, so that nothing is trained.
        adapter (`Path | None`):
            The folder of the adapter that comes on top.
    """

    name: str
    entry: str
    settings: ModelSettings
    adapter: Path | None = None

    @property
    def label(self) -> str:
        """What people see in a list."""
        return label_of(self.settings, self.name)


class ModelCatalog:
    """What a config file and the runs beside it offer.

    Args:
        model_configs (`Path`):
            The config file; it is read once.
        surroundings (`Surroundings`):
            Where its relative paths begin.
        names (`Sequence[str] | None`, optional):
            The entries that are offered, and nothing else; without, all local
            ones.
    """

    def __init__(
        self,
        model_configs: Path,
        surroundings: Surroundings,
        names: Sequence[str] | None = None,
    ) -> None:
        self.model_configs = model_configs
        self.surroundings = surroundings
        self._names = names
        self._facts: dict[str, ModelFacts | None] = {}

    @cached_property
    def entries(self) -> list[Offer]:
        """The entries themselves.

        Raises:
            `ConfigError`: One that was named does not exist or has faults;
                without names, those with faults are left out.
        """
        if self._names is not None:
            return [self._entry(name) for name in self._names]
        offers = []
        for raw in self._raw_entries:
            if raw.get("model_type", MODEL_TYPE) != MODEL_TYPE:
                continue
            try:
                offers.append(self._entry(raw["config_name"]))
            except ConfigError as error:
                log.warning("left out: %s", error)
        return offers

    def offers(self) -> list[Offer]:
        """The entries, then the adapters of runs that are finished now."""
        found = {offer.name: offer for offer in self.entries}
        by_base = {self._base(one): one for one in reversed(self.entries)}
        for trained in trained_adapters(self._run_folders()):
            entry = by_base.get(trained.base)
            if entry is None:
                continue
            name = self._name_of(trained.folder)
            settings = dataclasses.replace(entry.settings, config_name=name)
            offer = Offer(name, entry.entry, settings, trained.folder)
            found.setdefault(name, offer)
        return list(found.values())

    def find(self, name: str) -> Offer | None:
        """The offer of a name, None where it is a model's own name.

        Raises:
            `ConfigError`: Entries were named, and it is not on one of them.
        """
        offers = {offer.name: offer for offer in self.offers()}
        if name not in offers and self._names is not None:
            # Else whoever reaches a service could have it load anything. A
            # service tells nobody why it could not make a model.
            log.warning("no model %s is offered", quoted(name))
            raise ConfigError(
                str(self.model_configs.absolute()),
                [f"no model {quoted(name)} is offered here"],
                fix=f"use one of {', '.join(offers)}",
            )
        return offers.get(name)

    def use(self, model: Model, offer: Offer) -> Model:
        """A loaded model with the adapter of an offer, which is loaded unless
        it lies on the weights already. One that was trained again in its
        place is loaded beside the older one, which may still be in use.

        Args:
            model (`Model`):
                Of the offer's settings.
            offer (`Offer`):
                What was asked for.

        Raises:
            `CheckpointError`: A file of the run is missing or was changed.
            `WeightsError`: It was trained on other weights.
        """
        if offer.adapter is None:
            return model
        try:
            name = _loaded_name(offer.adapter)
            named_adapters(model.base).ensure(name, offer.adapter)
        except LocalLLMError as error:
            log.warning("%s cannot be used: %s", offer.name, error)
            raise
        return model.with_adapter(name)

    def facts(self, offer: Offer) -> ModelFacts | None:
        """What the files of an offered model say, None where they cannot be
        read here. They are asked once."""
        if offer.entry not in self._facts:
            facts = None
            try:
                facts = facts_of(offer.settings, self.surroundings)
            except (ModelAccessError, WeightsError) as error:
                log.warning("%s cannot be examined: %s", offer.entry, error)
            self._facts[offer.entry] = facts
        return self._facts[offer.entry]

    @cached_property
    def _raw_entries(self) -> list[dict]:
        if not self.model_configs.is_file():
            return []
        return read_entries(self.model_configs)

    def _entry(self, name: str) -> Offer:
        settings = load_settings(self.model_configs, name)
        settings = dataclasses.replace(settings, data_path=None)
        path = settings.local_model_path
        folder = path and self.surroundings.path(path)
        if folder is None or not is_adapter(folder):
            return Offer(name, name, settings)
        below = LoadedModel(settings, self.surroundings).base_settings()
        return Offer(name, name, below, folder)

    def _base(self, offer: Offer) -> NamedBase:
        request = load_request(offer.settings, self.surroundings)
        return NamedBase(request.source, request.revision)

    def _run_folders(self) -> list[Path]:
        named = [raw.get("output_dir") for raw in self._raw_entries]
        places = [RUNS, *(one for one in named if isinstance(one, str))]
        return [self.surroundings.path(one) for one in places]

    def _name_of(self, folder: Path) -> str:
        """A run's folder as people write it."""
        project = self.surroundings.path(".")
        inside = folder.is_relative_to(project)
        return (folder.relative_to(project) if inside else folder).as_posix()


def _loaded_name(folder: Path) -> str:
    """What an adapter is called on the weights: another one that is trained
    in its place has another name."""
    manifest = folder / MANIFEST_NAME
    try:
        if manifest.is_file():
            content = manifest.read_bytes()
        else:
            stat = (folder / ADAPTER_FILE).stat()
            content = f"{stat.st_size} {stat.st_mtime_ns}".encode()
    except OSError as error:
        raise CheckpointError(
            f"the adapter in {folder.absolute()} cannot be read: "
            f"{error.strerror or error}",
            fix="restore the folder from a copy, or train again",
        ) from error
    digest = hashlib.sha256(str(folder).encode() + b"\0" + content)
    return f"run-{digest.hexdigest()[:24]}"
