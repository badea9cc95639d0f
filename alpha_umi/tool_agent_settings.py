# -*- coding: utf-8 -*-
"""The settings of the multi-LLM agent, checked before anything is loaded.

Entries with `model_type: "alpha_umi"`. Imports no torch; touches neither
models nor data. Raises ConfigError with every problem of the entry.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from local_llm.settings import (
    DEFAULT_FINE_TUNING,
    ModelSettings,
    check_model,
    entry_place,
    find_entry,
    model_settings,
    other_type,
)
from local_llm.settings_checks import Findings, check_section, check_values
from local_llm.settings_file import shown
from local_llm.settings_sections import Section, own_section

from .tool_agent_values import FAMILY, READERS, STAGES

TOOL_AGENT_TYPE: Literal["alpha_umi"] = "alpha_umi"


@dataclass(frozen=True)
class StageSettings:
    """How one adapter is trained.

    Attributes:
        num_train_epochs (`float`):
            Passes over its records.
        learning_rate (`float`):
            The highest step size.
        warmup_ratio (`float`):
            The share of the steps in which it rises; trl takes it as a
            `warmup_steps` below 1.
        weight_decay (`float`):
            Pulls weights to zero.
    """

    num_train_epochs: float
    learning_rate: float
    warmup_ratio: float
    weight_decay: float


PAPER_STAGES: Mapping[str, StageSettings] = {
    "backbone": StageSettings(2, 5e-5, 0.4, 0),
    "planner": StageSettings(1, 1e-5, 0.2, 0.01),
    "caller": StageSettings(1, 1e-5, 0.2, 0.01),
    "summarizer": StageSettings(2, 1e-5, 0.4, 0.01),
}
"""What is left out of a stage: the values of alpha-UMi (arXiv 2401.07324) for
models of 7 and 13 billion weights, after `GLPFT/scripts/train_toolbench.sh`
of X-PLUG/Multi-LLM-Agent."""


@dataclass(frozen=True)
class ToolAgentSettings:
    """One entry of the config file, every value checked.

    Attributes:
        config_name (`str`):
            The name of the entry.
        model (`ModelSettings`):
            The base of all roles; its `max_length` bounds the text of a
            role, but not calls that are held to their tools; its
            `fine_tune_config` is never None and has a `lora_config`, and it
            has neither `data_path` nor `output_dir`.
        data_path (`str`):
            A file or a folder of trajectories.
        data_reader (`str`):
            How they are read; one of `READERS`.
        output_dir (`Path`):
            Where the adapters of the roles are kept.
        prompt_style (`Literal["paper", "brief"]`):
            How prompts are written.
        backbone (`StageSettings`):
            The first stage, on the records of all roles.
        planner, caller, summarizer (`StageSettings`):
            The second stage, of each role on its own records.
        search (`Literal["chain", "dfsdt"]`, optional):
            Whether one way is tried, or another where the planner gives up.
        max_steps (`int`, optional):
            Plans in a row before a task is given up.
        constrained_calls (`bool`, optional):
            Whether the caller can only write calls that a tool accepts.
        system_prompt (`str | None`, optional):
            What every conversation starts from.
        demonstration_questions (`list[str]`, optional):
            Asked after training.
        ready_adapters (`Path | None`, optional):
            Adapters that are used where `output_dir` has none.
    """

    config_name: str
    model: ModelSettings
    data_path: str
    data_reader: str
    output_dir: Path
    prompt_style: Literal["paper", "brief"]
    backbone: StageSettings
    planner: StageSettings
    caller: StageSettings
    summarizer: StageSettings
    search: Literal["chain", "dfsdt"] = "chain"
    max_steps: int = 12
    constrained_calls: bool = True
    system_prompt: str | None = None
    demonstration_questions: list[str] = field(default_factory=list)
    ready_adapters: Path | None = None
    model_type: Literal["alpha_umi"] = TOOL_AGENT_TYPE


ENTRY = own_section("alpha_umi", "", ToolAgentSettings, FAMILY)
REQUIRED = ("config_name", "model_type", "model", "data_path", "output_dir")
DEFAULTS: Mapping[str, Any] = {
    "data_reader": READERS[0],
    "prompt_style": "paper",
    **PAPER_STAGES,
}
"""What an entry leaves out and the dataclass has no default for."""


def load_tool_agent_settings(
    path: Path,
    config_name: str,
) -> ToolAgentSettings:
    """The settings of one entry; faults of other entries do not matter.

    Args:
        path (`Path`):
            The config file.
        config_name (`str`):
            The name of the entry.

    Raises:
        `ConfigError`: There is no such entry, another program runs it, or
            it has faults.
    """
    entry = find_entry(path, config_name)
    return parse_tool_agent_settings(entry, entry_place(path, entry))


def parse_tool_agent_settings(
    raw: dict[str, Any],
    where: str,
) -> ToolAgentSettings:
    """The settings of an entry given as a dict.

    Args:
        raw (`dict[str, Any]`):
            The entry as JSON would give it.
        where (`str`):
            Where it comes from, for messages.

    Raises:
        `ConfigError`: The entry has faults.
    """
    findings = Findings()
    values = _checked(raw, findings)
    findings.finish(where)
    values = {**DEFAULTS, **copy.deepcopy(values)}
    name = values["config_name"]
    model = {**values["model"], "config_name": name}
    values["model"] = _with_adapters(model_settings(model))
    for key in ("output_dir", "ready_adapters"):
        if values.get(key) is not None:
            values[key] = Path(values[key])
    return ToolAgentSettings(**values)


def stage_section(name: str) -> Section:
    """The section of a stage.

    Args:
        name (`str`):
            Its key in an entry, one of `STAGES`.
    """
    return own_section("stage", name, StageSettings, FAMILY)


def _checked(raw: object, findings: Findings) -> dict[str, Any]:
    """The right values of an entry."""
    if not isinstance(raw, dict):
        findings.add("", f"wanted an object, found {shown(raw)}")
        return {}
    found = raw.get("model_type", TOOL_AGENT_TYPE)
    if isinstance(found, str) and found != TOOL_AGENT_TYPE:
        findings.add("model_type", other_type(TOOL_AGENT_TYPE, found))
        return {}
    if not check_values(raw, "", findings):
        return {}
    values = check_section(raw, ENTRY, findings)
    for key in [key for key in REQUIRED if key not in raw]:
        findings.add(key, "is missing")
    for name in [name for name in STAGES if name in values]:
        given = check_section(values[name], stage_section(name), findings)
        values[name] = dataclasses.replace(PAPER_STAGES[name], **given)
    if "model" in values:
        values["model"] = _checked_model(values["model"], findings)
    return values


def _checked_model(
    raw: dict[str, Any],
    findings: Findings,
) -> dict[str, Any]:
    inner = findings.inside("model")
    values = check_model(raw, FAMILY, inner)
    given = raw.get("fine_tune_config")
    if isinstance(given, dict) and given.get("lora_config") is None:
        inner.add(
            "fine_tune_config.lora_config",
            "wanted an object, {} for the defaults, since every role is an "
            "adapter, found none",
        )
    findings.take("model", inner)
    return values


def _with_adapters(model: ModelSettings) -> ModelSettings:
    if model.fine_tune_config is not None:
        return model
    fine_tuning = copy.deepcopy(DEFAULT_FINE_TUNING)
    return dataclasses.replace(model, fine_tune_config=fine_tuning)
