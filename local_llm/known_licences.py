# -*- coding: utf-8 -*-
"""The licences that models and data often have, and what each asks of an
adapter.

A table and how to find a row of it. Reads nothing; raises nothing.
"""

import re
from dataclasses import dataclass

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Licence:
    """A licence.

    Attributes:
        identifier (`str`):
            As the metadata of the hub writes it; `other` where it has none.
        name (`str`):
            As people write it.
        url (`str`):
            Its text.
        asks (`str`):
            What it asks of who passes an adapter on.
        binds_adapters (`bool`):
            Whether what was made with it may not have other terms.
    """

    identifier: str
    name: str
    url: str
    asks: str
    binds_adapters: bool = False


_COMMONS = "https://creativecommons.org/licenses"
_NOTICE = "keep its copyright notice with what you pass on"
_ATTRIBUTION = "name where it comes from"
_SHARE_ALIKE = f"{_ATTRIBUTION}, and pass on under the same licence only"
_NOT_COMMERCIAL = "not for commercial use"

KNOWN_LICENCES = {
    "gemma": Licence(
        "gemma",
        "Gemma Terms of Use",
        "https://ai.google.dev/gemma/terms",
        "these terms apply to every model made from Gemma; pass them and "
        "their prohibited uses on with the adapter, and say what it is",
        binds_adapters=True,
    ),
    "lima": Licence(
        "other",
        "CC BY-NC-SA, or stricter where a source is",
        "https://huggingface.co/datasets/GAIR/lima",
        f"{_NOT_COMMERCIAL}; {_SHARE_ALIKE}",
        binds_adapters=True,
    ),
    "apache-2.0": Licence(
        "apache-2.0",
        "Apache License 2.0",
        "https://www.apache.org/licenses/LICENSE-2.0",
        f"{_NOTICE}, and say what was changed",
    ),
    "mit": Licence(
        "mit",
        "MIT License",
        "https://opensource.org/license/mit",
        _NOTICE,
    ),
    "bsd-3-clause": Licence(
        "bsd-3-clause",
        "BSD 3-Clause License",
        "https://opensource.org/license/bsd-3-clause",
        _NOTICE,
    ),
    "cc0-1.0": Licence(
        "cc0-1.0",
        "CC0 1.0",
        "https://creativecommons.org/publicdomain/zero/1.0/",
        "asks for nothing",
    ),
    "cc-by-4.0": Licence(
        "cc-by-4.0",
        "CC BY 4.0",
        f"{_COMMONS}/by/4.0/",
        _ATTRIBUTION,
    ),
    "cc-by-sa-3.0": Licence(
        "cc-by-sa-3.0",
        "CC BY-SA 3.0",
        f"{_COMMONS}/by-sa/3.0/",
        _SHARE_ALIKE,
        binds_adapters=True,
    ),
    "cc-by-sa-4.0": Licence(
        "cc-by-sa-4.0",
        "CC BY-SA 4.0",
        f"{_COMMONS}/by-sa/4.0/",
        _SHARE_ALIKE,
        binds_adapters=True,
    ),
    "cc-by-nc-4.0": Licence(
        "cc-by-nc-4.0",
        "CC BY-NC 4.0",
        f"{_COMMONS}/by-nc/4.0/",
        f"{_NOT_COMMERCIAL}; {_ATTRIBUTION}",
        binds_adapters=True,
    ),
    "cc-by-nc-sa-4.0": Licence(
        "cc-by-nc-sa-4.0",
        "CC BY-NC-SA 4.0",
        f"{_COMMONS}/by-nc-sa/4.0/",
        f"{_NOT_COMMERCIAL}; {_SHARE_ALIKE}",
        binds_adapters=True,
    ),
    "odc-by": Licence(
        "odc-by",
        "ODC-By 1.0",
        "https://opendatacommons.org/licenses/by/1-0/",
        _ATTRIBUTION,
    ),
}
"""By identifier, or by a name of ours where the hub has no identifier."""

_TEXTS = {
    "apache-2.0": r"apache license\W+version 2\.0|apache[ -](license )?2\.0",
    "mit": r"\bmit license|permission is hereby granted, free of charge, to",
    "bsd-3-clause": r"bsd[ -]3[ -]clause",
    "cc0-1.0": r"cc0[ -]1\.0|creative commons zero|publicdomain/zero/1\.0",
    "cc-by-nc-sa-4.0": r"cc[ -]by[ -]nc[ -]sa[ -]4\.0"
    r"|attribution-noncommercial-sharealike 4\.0",
    "cc-by-nc-4.0": r"cc[ -]by[ -]nc[ -]4\.0|attribution-noncommercial 4\.0",
    "cc-by-sa-4.0": r"cc[ -]by[ -]sa[ -]4\.0|attribution-sharealike 4\.0",
    "cc-by-sa-3.0": r"cc[ -]by[ -]sa[ -]3\.0|attribution-sharealike 3\.0",
    "cc-by-4.0": r"cc[ -]by[ -]4\.0|attribution 4\.0",
    "odc-by": r"open data commons attribution|\bodc-by\b",
    "gemma": r"gemma terms of use",
}
_HEAD_CHARACTERS = 600
"""A licence names itself at the beginning, and others further on."""


def named(identifier: str) -> str:
    """The name that people write, where an identifier is a known one."""
    licence = KNOWN_LICENCES.get(identifier.strip().lower())
    return licence.name if licence else identifier.strip()


def recognised(text: str) -> str | None:
    """The name of the licence whose text or name begins here."""
    head = text[:_HEAD_CHARACTERS].lower()
    found = {
        match.start(): key
        for key, pattern in _TEXTS.items()
        if (match := re.search(pattern, head))
    }
    return KNOWN_LICENCES[found[min(found)]].name if found else None


def licence_of(name: str) -> Licence | None:
    """What is known of a licence, by the name that people write."""
    for licence in KNOWN_LICENCES.values():
        if licence.name == name:
            return licence
    return None
