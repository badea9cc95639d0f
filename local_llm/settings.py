# -*- coding: utf-8 -*-
"""The settings of a config entry, checked before anything heavy is loaded.

Imports no torch and no library that does; touches neither model nor data.
Raises ConfigError with every problem of the entry, each with its key path.
"""

from __future__ import annotations

import copy
import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from local_llm.errors import ConfigError
from local_llm.hub_token import hub_token
from local_llm.settings_checks import (
    Findings,
    check_section,
    check_values,
)
from local_llm.settings_combinations import (
    entry_problems,
    fine_tune_problems,
)
from local_llm.settings_data import (
    DataSourceSettings,
    check_columns,
    check_data_path,
)
from local_llm.settings_file import (
    absolute,
    names_of,
    quoted,
    read_entries,
    shown,
)
from local_llm.settings_names import PROGRAMS
from local_llm.settings_sections import (
    LOCAL,
    Family,
    library_section,
    own_section,
)

__all__ = [
    "DEFAULT_FINE_TUNING",
    "DataSourceSettings",
    "FineTuneSettings",
    "GenerationSettings",
    "ModelSettings",
    "check_model",
    "hub_token",
    "load_all_settings",
    "load_settings",
    "model_settings",
    "other_type",
    "parse_fine_tune_config",
    "parse_settings",
    "project_folder",
    "resolve_path",
]

MODEL_TYPE: Literal["huggingface"] = "huggingface"


@dataclass(frozen=True)
class GenerationSettings:
    """How replies are chosen; configs/README.md says what each key means."""

    do_sample: bool = False
    temperature: float = 0.7
    top_p: float = 1.0
    top_k: int = 50
    repetition_penalty: float = 1.0
    no_repeat_ngram_size: int = 0
    seed: int | None = None
    request_timeout_s: float = 600.0
    stop: list[str] = field(default_factory=list)
    thinking_enable: bool | None = None


@dataclass(frozen=True)
class FineTuneSettings:
    """How a model is fine-tuned; the three dicts go to the libraries."""

    lora_config: dict[str, Any] | None = None
    training_args: dict[str, Any] = field(default_factory=dict)
    bnb_config: dict[str, Any] | None = None
    max_seq_length: int = 1024
    continue_lora_finetuning: bool = False
    held_out_share: float = 0.1
    held_out_rows: int | None = None
    strict_data: bool = False
    merge_same_role: bool = True
    data_format: str | None = None
    columns: dict[str, str] = field(default_factory=dict)
    early_stopping_patience: int | None = None

    @property
    def trains_all_weights(self) -> bool:
        """Whether the whole model is trained, without an adapter."""
        return self.lora_config is None and not self.continue_lora_finetuning


DEFAULT_FINE_TUNING = FineTuneSettings(lora_config={})
"""Where an entry does not say how to fine-tune: an adapter, by defaults."""


@dataclass(frozen=True)
class ModelSettings:
    """One entry of the config file, every value checked."""

    config_name: str
    model_type: Literal["huggingface"] = MODEL_TYPE
    pretrained_model_name_or_path: str | None = None
    revision: str | None = None
    local_model_path: Path | None = None
    local_tokenizer_path: Path | None = None
    max_length: int = 256
    device: str | None = None
    data_path: str | list[str | DataSourceSettings] | None = None
    output_dir: Path | None = None
    fine_tune_config: FineTuneSettings | None = None
    generation: GenerationSettings = GenerationSettings()
    system_prompt: str | None = None
    demonstration_prompts: list[str] = field(default_factory=list)
    stream: bool = True
    context_size: int | None = None
    fast_head: bool = True
    keep_quantized: bool = True
    cuda_graphs: bool = False


ENTRY = own_section("entry", "", ModelSettings)
GENERATION = own_section("generation", "generation", GenerationSettings)
FINE_TUNE = own_section(
    "fine_tune_config",
    "fine_tune_config",
    FineTuneSettings,
)
PATH_KEYS = ("local_model_path", "local_tokenizer_path", "output_dir")
LIBRARY_SECTIONS = ("lora_config", "training_args", "bnb_config")


def load_settings(path: Path, config_name: str) -> ModelSettings:
    """The settings of one entry; faults of other entries do not matter.

    Args:
        path (`Path`): The config file.
        config_name (`str`): The name of the entry.
    """
    entry = find_entry(path, config_name)
    return parse_settings(entry, entry_place(path, entry))


def find_entry(path: Path, config_name: str) -> dict[str, Any]:
    """One entry of a config file, of whatever type, not checked yet.

    Args:
        path (`Path`): The config file.
        config_name (`str`): The name of the entry.
    """
    entries = read_entries(path)
    for entry in entries:
        if entry["config_name"] == config_name:
            return entry
    names = [entry["config_name"] for entry in entries]
    near = difflib.get_close_matches(str(config_name)[:64], names, n=1)
    hint = f", did you mean {quoted(near[0])}?" if near else ""
    raise ConfigError(
        absolute(path),
        [
            f"no entry is named {quoted(config_name)}{hint}; "
            f"the names found are {names_of(entries)}",
        ],
    )


def load_all_settings(path: Path) -> dict[str, ModelSettings]:
    """The settings of every entry of this package's model type, by name.

    Args:
        path (`Path`): The config file; its entries of other types are left.
    """
    settings: dict[str, ModelSettings] = {}
    findings = Findings()
    for entry in read_entries(path):
        name = entry["config_name"]
        if _is_for_another_program(entry):
            continue
        try:
            settings[name] = parse_settings(entry, entry_place(path, entry))
        except ConfigError as error:
            findings.problems += [
                f"entry {quoted(name)}: {problem}"
                for problem in error.problems
            ]
    findings.finish(absolute(path))
    return settings


def parse_settings(raw: dict[str, Any], where: str) -> ModelSettings:
    """The settings of an entry given as a dict.

    Args:
        raw (`dict[str, Any]`): The entry as JSON would give it.
        where (`str`): Where it comes from, for messages.
    """
    findings = Findings()
    values: dict[str, Any] = {}
    if not isinstance(raw, dict):
        findings.add("", f"wanted an object, found {shown(raw)}")
    elif _is_for_another_program(raw):
        findings.add("model_type", other_type(MODEL_TYPE, raw["model_type"]))
    elif check_values(raw, "", findings):
        values = _entry_values(raw, findings)
        findings.problems += entry_problems(raw, values)
    findings.finish(where)
    return model_settings(values)


def check_model(
    raw: dict[str, Any],
    family: Family,
    findings: Findings,
) -> dict[str, Any]:
    """The right values of a model that another program's entry holds.

    Args:
        raw (`dict[str, Any]`): What stands under the key of the model: keys
            of an entry without `config_name` and `model_type`.
        family (`Family`): Where its sections stand in that entry.
        findings (`Findings`): Where problems go, with paths in the model.
    """
    values = _entry_values(raw, findings, family)
    named = {"config_name": "", "model_type": MODEL_TYPE, **raw}
    findings.problems += entry_problems(named, values)
    return values


def parse_fine_tune_config(
    raw: dict[str, Any] | None,
    where: str,
) -> FineTuneSettings:
    """The settings of fine-tuning given as a dict.

    Args:
        raw (`dict[str, Any] | None`): What an entry has under
            `fine_tune_config`; None takes every default.
        where (`str`): Where it comes from, for messages.
    """
    findings = Findings()
    values: dict[str, Any] = {}
    if raw is not None and check_values(raw, FINE_TUNE.path, findings):
        values = _check_fine_tune(raw, findings)
    findings.finish(where)
    return FineTuneSettings(**copy.deepcopy(values))


def project_folder(config_path: Path) -> Path:
    """The folder that relative paths of a config file start from.

    That is the folder which contains `configs/`; for a file that is not in
    a folder of that name, the folder of the file.

    Args:
        config_path (`Path`): The config file.
    """
    folder = Path(absolute(config_path)).parent
    return folder.parent if folder.name == "configs" else folder


def resolve_path(value: str | Path, base: Path) -> Path:
    """A path of a config as a path of this machine.

    Args:
        value (`str | Path`): As the config has it; "~" is the home folder.
        base (`Path`): Where relative paths start, see `project_folder`.
    """
    return Path(base) / os.path.expanduser(value)


def entry_place(path: Path, entry: Mapping[str, Any]) -> str:
    """Where an entry stands, for messages."""
    return f"{absolute(path)}, entry {quoted(entry['config_name'])}"


def other_type(wanted: str, found: object) -> str:
    """What to say of an entry whose `model_type` is another one.

    Args:
        wanted (`str`): The type that is read.
        found (`object`): That of the entry.
    """
    program = PROGRAMS.get(str(found))
    reader = f"{program} runs it" if program else "another program reads it"
    return f"wanted {wanted!r}, found {shown(found)}; {reader}"


def _is_for_another_program(raw: Mapping[str, Any]) -> bool:
    model_type = raw.get("model_type", MODEL_TYPE)
    return isinstance(model_type, str) and model_type != MODEL_TYPE


def _entry_values(
    raw: dict[str, Any],
    findings: Findings,
    family: Family = LOCAL,
) -> dict[str, Any]:
    values = check_section(raw, ENTRY.within(family), findings)
    if "generation" in values:
        values["generation"] = check_section(
            values["generation"],
            GENERATION.within(family),
            findings,
        )
    if values.get("fine_tune_config") is not None:
        values["fine_tune_config"] = _check_fine_tune(
            values["fine_tune_config"],
            findings,
            family,
        )
    if "data_path" in values:
        values["data_path"] = check_data_path(
            values["data_path"],
            "data_path",
            findings,
        )
    return values


def _check_fine_tune(
    raw: object,
    findings: Findings,
    family: Family = LOCAL,
) -> dict[str, Any]:
    values = check_section(raw, FINE_TUNE.within(family), findings)
    columns = values.get("columns")
    check_columns(columns, f"{FINE_TUNE.path}.columns", findings)
    for name in LIBRARY_SECTIONS:
        if values.get(name) is None:
            continue
        try:
            section = library_section(name).within(family)
        except ConfigError as error:
            findings.add(
                f"{FINE_TUNE.path}.{name}",
                f"{'; '.join(error.problems)}; {error.fix}",
            )
        else:
            values[name] = check_section(values[name], section, findings)
    findings.problems += fine_tune_problems(values)
    return values


def model_settings(values: dict[str, Any]) -> ModelSettings:
    """The settings that checked values make.

    Args:
        values (`dict[str, Any]`): Those of an entry, its name included.
    """
    values = copy.deepcopy(values)
    if "generation" in values:
        values["generation"] = GenerationSettings(**values["generation"])
    if values.get("fine_tune_config") is not None:
        fine_tune = FineTuneSettings(**values["fine_tune_config"])
        values["fine_tune_config"] = fine_tune
    for key in PATH_KEYS:
        if values.get(key) is not None:
            values[key] = Path(values[key])
    return ModelSettings(**values)
