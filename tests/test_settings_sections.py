# -*- coding: utf-8 -*-
"""Sections know their keys and the sections around them."""

from __future__ import annotations

from dataclasses import dataclass

from local_llm.settings_names import RESERVED
from local_llm.settings_rules import Rule
from local_llm.settings_sections import (
    LOCAL,
    Family,
    library_section,
    own_section,
)
from local_llm.value_kinds import parse_annotation


@dataclass(frozen=True)
class WheelSettings:
    spokes: int


@dataclass(frozen=True)
class BicycleSettings:
    name: str | None
    wheel: WheelSettings


def test_a_section_takes_the_fields_of_its_dataclass() -> None:
    family = Family({"bicycle": {"name": Rule("what it is called")}}, {})
    section = own_section("bicycle", "my.bicycle", BicycleSettings, family)
    assert section.kinds == {
        "name": parse_annotation("str | None"),
        "wheel": parse_annotation("dict"),
    }
    assert section.rules["name"].meaning == "what it is called"
    assert section.reserved == {}


def test_a_section_of_a_library_has_what_is_not_set_in_it() -> None:
    section = library_section("training_args")
    assert section.path == "fine_tune_config.training_args"
    assert section.reserved == RESERVED["training_args"]


def test_the_same_section_stands_elsewhere_in_another_family() -> None:
    family = Family(LOCAL.rules, {"generation": "model.generation"})
    section = library_section("lora_config").within(family)
    assert section.rules is LOCAL.rules["lora_config"]
    assert section.reserved == {}
    assert section.family.level("generation") == "model.generation"
    assert section.family.level("bnb_config") == "bnb_config"
