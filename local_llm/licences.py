# -*- coding: utf-8 -*-
"""Finds out under which licence a base model and its data are, and what that
asks of an adapter.

Looks at what is known, beside local files, in the hub's cache, and last on
the hub, briefly. Judges nothing and raises nothing: what is not found is
"unknown".
"""

import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from .embedded_model import EMBEDDED_PACKAGE, EMBEDDED_PREFIX
from .errors import ModelAccessError
from .hub_access import HubRepository, translated_hub_errors
from .known_licences import KNOWN_LICENCES, UNKNOWN, named, recognised
from .markdown_text import visible

log = logging.getLogger(__name__)

HUB_TIMEOUT_S = 3.0
LONGEST_NAME = 200

_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
_KNOWN_IDS = {
    "model": ((r"google/gemma-(1\.1|2b?|3n?|7b)(-.*)?", "gemma"),),
    "dataset": ((r"GAIR/lima", "lima"),),
}
"""Those whose page says less than their terms, or is behind a gate."""

_LICENCE_FILE = re.compile(r"(licen[cs]e|copying)(\.(md|txt))?", re.I)
_LICENCE_LINE = re.compile(
    r"^[ \t#>*_-]*licen[cs]es?[ \t*_]*:[ \t*_]*(\S.*)$",
    re.I | re.M,
)
_FRONT_MATTER = re.compile(r"\A---\n.*?^---$", re.S | re.M)
_READ_CHARACTERS = 1 << 16

_NO_ANSWER = (OSError, ValueError, TypeError, LookupError, AttributeError)
"""What reading an answer raises that did not come from the hub, as where a
network asks its users to log in."""

Kind = Literal["model", "dataset"]


@dataclass(frozen=True, slots=True)
class Finding:
    """A licence and what says so.

    Attributes:
        name (`str`):
            Its name; one of the project's own names where it has one.
        where (`str`):
            What it was found in; empty where nothing was.
    """

    name: str
    where: str = ""


_NOT_FOUND = Finding(UNKNOWN)


def hub_id(source: str, folder: Path) -> str | None:
    """The id on the hub that a source of weights or data is, if it is one.

    Args:
        source (`str`):
            As settings name it.
        folder (`Path`):
            Where relative paths begin.
    """
    if _local_place(source, folder) or not _HUB_ID.fullmatch(source):
        return None
    return source


def find_licence(
    kind: Kind,
    source: str,
    folder: Path,
    token: str | None,
) -> Finding:
    """Find the licence of a base model or of a dataset.

    Args:
        kind (`Kind`):
            What the source is, `model` or `dataset`.
        source (`str`):
            The embedded model, a path, or an id on the hub; anything else
            has a licence that is not known.
        folder (`Path`):
            Where relative paths begin.
        token (`str | None`):
            For the hub; never logged.
    """
    if source.startswith(EMBEDDED_PREFIX):
        terms = KNOWN_LICENCES["gemma"].name
        return Finding(terms, f"package {EMBEDDED_PACKAGE}")
    place = _local_place(source, folder)
    if place is not None:
        return _beside(place)
    name = hub_id(source, folder)
    if name is None:
        return _NOT_FOUND
    for pattern, key in _KNOWN_IDS[kind]:
        if re.fullmatch(pattern, name, re.I):
            return Finding(
                KNOWN_LICENCES[key].name, f"what is known of {name}"
            )
    return _on_the_hub(HubRepository(kind, name, token=token))


def _local_place(source: str, folder: Path) -> Path | None:
    try:
        path = os.path.join(folder, os.path.expanduser(source))
    except ValueError:  # the name of a home folder that none can have
        return None
    return Path(path) if source and os.path.exists(path) else None


def _beside(place: Path) -> Finding:
    """What a folder says of its files: its card, its licence, its readme."""
    folder = place if place.is_dir() else place.parent
    readme = folder / "README.md"
    name = _of_metadata(_front_matter(readme))
    if name != UNKNOWN:
        return Finding(name, str(readme))
    for file in _licence_files(folder):
        text = _beginning(file)
        name = recognised(text) or _one_line(text)
        if name:
            return Finding(name, str(file))
    words = _FRONT_MATTER.sub("", _beginning(readme))
    line = _LICENCE_LINE.search(words)
    if line is not None:
        words = _one_line(line[1]).rstrip(" .")
        return Finding(recognised(words) or named(words), str(readme))
    return _NOT_FOUND


def _on_the_hub(repository: HubRepository) -> Finding:
    """What the card in the cache says, or else the hub's answer."""
    where = f"hub card of {repository.repo_id}"
    name = _of_metadata(_cached_card(repository))
    if name == UNKNOWN:
        name = _of_metadata(_hub_card(repository))
    return Finding(name, where) if name != UNKNOWN else _NOT_FOUND


def _cached_card(repository: HubRepository) -> Mapping[str, Any]:
    from huggingface_hub import try_to_load_from_cache

    try:
        path = try_to_load_from_cache(
            repository.repo_id,
            "README.md",
            revision=repository.revision,
            repo_type=repository.kind,
        )
    except (OSError, ValueError):
        return {}
    return _front_matter(Path(path)) if isinstance(path, str) else {}


def _hub_card(repository: HubRepository) -> Mapping[str, Any]:
    """The metadata that the hub has of a repository, without a retry."""
    from huggingface_hub import HfApi

    hub = HfApi(token=repository.token)
    ask = hub.model_info if repository.kind == "model" else hub.dataset_info
    try:
        with translated_hub_errors(repository):
            info = ask(
                repository.repo_id,
                revision=repository.revision,
                timeout=HUB_TIMEOUT_S,
            )
        return info.card_data.to_dict() if info.card_data else {}
    except ModelAccessError as error:
        log.info("licence not found: %s", error.message)
    except _NO_ANSWER as error:
        log.info("licence not found: %s", type(error).__name__)
    return {}


def _front_matter(readme: Path) -> Mapping[str, Any]:
    """The metadata at the beginning of a model card or dataset card."""
    import yaml
    from huggingface_hub import metadata_load

    try:
        return metadata_load(readme) or {}
    except (OSError, ValueError, LookupError, RecursionError, yaml.YAMLError):
        return {}


def _of_metadata(card: Mapping[str, Any]) -> str:
    found = card.get("license")
    if found == "other" and card.get("license_name"):
        found = card["license_name"]
    several = found if isinstance(found, list) else [found]
    names = [named(_one_line(str(one))) for one in several if one]
    return ", ".join(names) or UNKNOWN


def _licence_files(folder: Path) -> list[Path]:
    try:
        return sorted(
            file
            for file in folder.iterdir()
            if _LICENCE_FILE.fullmatch(file.name) and file.is_file()
        )
    except OSError:
        return []


def _beginning(file: Path) -> str:
    try:
        with file.open(encoding="utf-8-sig", errors="replace") as stream:
            return stream.read(_READ_CHARACTERS)
    except OSError:
        return ""


def _one_line(text: str) -> str:
    """The first line that has something on it."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    return visible(first.strip(" \t#*_")).strip()[:LONGEST_NAME]
