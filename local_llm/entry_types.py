# -*- coding: utf-8 -*-
"""The entries of models as the reference of the config shows them.

Tables and headings of the `huggingface` and `openai_chat` entries; writes
nothing. Raises ConfigError where a library's fields cannot be read.
"""

import json
from typing import Any

from local_llm.library_defaults import DEFAULT_QUANTIZATION
from local_llm.library_fields import LIBRARIES
from local_llm.served_settings import (
    CLIENT,
    GENERATE,
    SERVED,
    SERVED_TYPE,
    ClientSettings,
    ServedGenerationSettings,
    ServedModelSettings,
)
from local_llm.served_settings import REQUIRED as SERVED_REQUIRED
from local_llm.settings import (
    ENTRY,
    FINE_TUNE,
    GENERATION,
    MODEL_TYPE,
    FineTuneSettings,
    GenerationSettings,
    ModelSettings,
)
from local_llm.settings_data import SECTION, DataSourceSettings
from local_llm.settings_reference import REQUIRED, EntryType, Part, reference
from local_llm.settings_rules import Rule
from local_llm.settings_sections import library_section, own_section

SOURCE = own_section(SECTION, "data_path[]", DataSourceSettings)

_NOTES = {
    "bnb_config": f" Where `bnb_config` is null, it is "
    f"`{json.dumps(DEFAULT_QUANTIZATION)}`, or `{{}}` where every weight is "
    "trained; in one that is given, what is left out is the library's "
    "default.",
}


def entry_types() -> tuple[EntryType, EntryType]:
    """The entries of models, of this machine's and of served ones."""
    local = (
        Part(
            ENTRY,
            "Keys of an entry",
            ModelSettings,
            REQUIRED,
            schemas={
                "data_path": _sources_schema(ENTRY.rules["data_path"]),
                "generation": reference("generation"),
                "fine_tune_config": reference("fine_tune_config"),
            },
        ),
        Part(
            SOURCE,
            "Keys of a source that `data_path` lists",
            DataSourceSettings,
            ("path",),
        ),
        Part(GENERATION, "Keys of `generation`", GenerationSettings),
        Part(
            FINE_TUNE,
            "Keys of `fine_tune_config`",
            FineTuneSettings,
            schemas={name: reference(name) for name in LIBRARIES},
        ),
        *map(_library_part, LIBRARIES),
    )
    served = (
        Part(
            SERVED,
            "Keys of an entry of a served model",
            ServedModelSettings,
            SERVED_REQUIRED,
            schemas={
                "client_args": reference("client_args"),
                "generate_args": reference("generate_args"),
            },
        ),
        Part(CLIENT, "Keys of `client_args`", ClientSettings),
        Part(GENERATE, "Keys of `generate_args`", ServedGenerationSettings),
    )
    return (
        EntryType(MODEL_TYPE, "a model that is loaded here", local),
        EntryType(SERVED_TYPE, "a model that a server has", served),
    )


def _sources_schema(rule: Rule) -> dict[str, Any]:
    text = {"type": "string"} | rule.schema()
    source = {"anyOf": [text, reference(SECTION)]}
    several = {"type": "array", "minItems": 1, "items": source}
    return {"anyOf": [text, several]}


def _library_part(name: str) -> Part:
    return Part(
        library_section(name),
        f"Keys of `fine_tune_config.{name}`",
        note=_library_note(name),
    )


def _library_note(name: str) -> str:
    library = LIBRARIES[name]
    note = _NOTES.get(name, "")
    return (
        f"Any field of {library.title} may stand here; [its documentation]"
        f"({library.url}) has them all.{note} The most used, and those with a "
        "range:"
    )
