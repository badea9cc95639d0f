# -*- coding: utf-8 -*-
"""The settings of a model that a server of the OpenAI API answers for.

Entries with `model_type: "openai_chat"`, checked like those of local models;
reaches no server. Raises ConfigError with every problem of the entry.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from local_llm.served_values import SERVED_RULES
from local_llm.settings import (
    ModelSettings,
    entry_place,
    find_entry,
    parse_settings,
)
from local_llm.settings_checks import (
    Findings,
    check_section,
    check_values,
)
from local_llm.settings_file import shown
from local_llm.settings_names import TOP_LEVEL
from local_llm.settings_sections import Family, own_section

SERVED_TYPE: Literal["openai_chat"] = "openai_chat"


@dataclass(frozen=True)
class ClientSettings:
    """How a server is reached."""

    base_url: str = "http://localhost:8000/v1"
    timeout: float = 600.0
    max_retries: int = 2


@dataclass(frozen=True)
class ServedGenerationSettings:
    """How a server chooses replies; what is empty is left to it."""

    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    seed: int | None = None


@dataclass(frozen=True)
class ServedModelSettings:
    """One entry of the config file, every value checked."""

    config_name: str
    model_name: str
    model_type: Literal["openai_chat"] = SERVED_TYPE
    api_key_variable: str | None = None
    client_args: ClientSettings = ClientSettings()
    generate_args: ServedGenerationSettings = ServedGenerationSettings()
    stream: bool = True
    context_size: int = 32768
    folds_system: bool = True
    system_prompt: str | None = None


FAMILY = Family(SERVED_RULES, {"openai_chat": TOP_LEVEL})
SERVED = own_section("openai_chat", "", ServedModelSettings, FAMILY)
CLIENT = own_section("client_args", "client_args", ClientSettings, FAMILY)
GENERATE = own_section(
    "generate_args",
    "generate_args",
    ServedGenerationSettings,
    FAMILY,
)
REQUIRED = ("config_name", "model_type", "model_name")


def load_any_settings(
    path: Path,
    config_name: str,
) -> ModelSettings | ServedModelSettings:
    """The settings of one entry, of a local model or of a served one.

    Args:
        path (`Path`): The config file.
        config_name (`str`): The name of the entry.
    """
    entry = find_entry(path, config_name)
    where = entry_place(path, entry)
    if entry.get("model_type") == SERVED_TYPE:
        return parse_served_settings(entry, where)
    return parse_settings(entry, where)


def parse_served_settings(
    raw: dict[str, Any],
    where: str,
) -> ServedModelSettings:
    """The settings of an entry given as a dict.

    Args:
        raw (`dict[str, Any]`): The entry as JSON would give it.
        where (`str`): Where it comes from, for messages.
    """
    findings = Findings()
    values: dict[str, Any] = {}
    if not isinstance(raw, dict):
        findings.add("", f"wanted an object, found {shown(raw)}")
    elif check_values(raw, "", findings, "name it in api_key_variable"):
        values = _entry_values(raw, findings)
    findings.finish(where)
    return ServedModelSettings(**copy.deepcopy(values))


def _entry_values(raw: dict[str, Any], findings: Findings) -> dict[str, Any]:
    values = check_section(raw, SERVED, findings)
    for key in REQUIRED:
        if key not in raw:
            findings.add(key, "is missing")
    for section, kind in (
        (CLIENT, ClientSettings),
        (GENERATE, ServedGenerationSettings),
    ):
        if section.name in values:
            given = check_section(values[section.name], section, findings)
            values[section.name] = kind(**given)
    return values
