# -*- coding: utf-8 -*-
"""The adapters that `make tools` uses are whole, small, and say what they are
made of."""

import json
from pathlib import Path

import pytest

from alpha_umi.arms import find_arm
from alpha_umi.tool_agent_settings import load_tool_agent_settings
from alpha_umi.trained_team import is_trained, read_team, trained_folder
from local_llm.adapter_files import named_base, read_lora_config
from local_llm.reports import check_run

PROJECT = Path(__file__).resolve().parents[1]
CONFIGS = PROJECT / "configs" / "model_configs.json"
SETTINGS = load_tool_agent_settings(CONFIGS, "tools-embedded")
FOLDER = PROJECT / "adapters" / "tools"
ARM = find_arm("alpha-umi")
ROLES = ["caller", "planner", "summarizer"]


def test_they_are_what_the_entry_uses_before_anything_is_trained(
    tmp_path: Path,
) -> None:
    (tmp_path / "adapters").symlink_to(PROJECT / "adapters")
    assert is_trained(FOLDER, ARM)
    found = trained_folder(SETTINGS, tmp_path, ARM)
    assert found == tmp_path / "adapters" / "tools"


def test_they_are_asked_as_they_were_trained() -> None:
    record = read_team(FOLDER, ARM.name)
    assert sorted(record.arm.plays.values()) == ROLES
    assert record.style == SETTINGS.prompt_style


@pytest.mark.parametrize("role", ROLES)
def test_no_file_of_an_adapter_was_changed(role: str) -> None:
    check_run(FOLDER / role)


@pytest.mark.parametrize("role", ROLES)
def test_an_adapter_is_what_the_entry_trains(role: str) -> None:
    chosen = SETTINGS.model.fine_tune_config
    assert chosen is not None and chosen.lora_config is not None
    config = read_lora_config(FOLDER / role)
    assert config.r == chosen.lora_config["r"]
    assert config.lora_alpha == chosen.lora_config["lora_alpha"]
    base = named_base(FOLDER / role)
    assert base.name == SETTINGS.model.pretrained_model_name_or_path
    report = json.loads((FOLDER / role / "report.json").read_bytes())
    assert report["data"]["source"] == f"{role}.jsonl"


def test_they_take_less_than_8_megabytes_together() -> None:
    files = [one for one in FOLDER.rglob("*") if one.is_file()]
    assert sum(one.stat().st_size for one in files) < 8e6
