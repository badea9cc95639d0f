# -*- coding: utf-8 -*-
"""A schema and a page are made of the sections that are passed in."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from local_llm.settings_reference import (
    EntryType,
    Part,
    files,
    page,
    reference,
    schema,
)
from local_llm.settings_rules import Rule
from local_llm.settings_sections import Family, own_section


@dataclass(frozen=True)
class WheelSettings:
    spokes: int = 32


@dataclass(frozen=True)
class BicycleSettings:
    name: str
    wheel: WheelSettings | None = None
    colours: list[str] = field(default_factory=list)
    bell: str = "none"


FAMILY = Family(
    {
        "bicycle": {
            "name": Rule("what it is called"),
            "wheel": Rule("both of them, see below"),
            "colours": Rule("from front to back"),
        },
        "wheel": {"spokes": Rule("how many", minimum=8)},
    },
    {},
    {"bicycle": {"bell": "it has a fixed one"}},
)
BICYCLE = Part(
    own_section("bicycle", "", BicycleSettings, FAMILY),
    "Keys of a bicycle",
    BicycleSettings,
    ("name",),
    schemas={"wheel": reference("front_wheel")},
)
WHEEL = Part(
    own_section("wheel", "wheel", WheelSettings, FAMILY),
    "Keys of `wheel`",
    WheelSettings,
    name="front_wheel",
    note="Front and rear are alike.",
)
TYPES = [EntryType("openai_chat", "a bicycle", (BICYCLE, WHEEL))]


def test_a_section_in_a_section_is_a_reference_to_its_schema() -> None:
    found = schema(TYPES)
    assert found["$defs"]["bicycle"] == {
        "type": "object",
        "additionalProperties": False,
        "required": ["name"],
        "properties": {
            "name": {"type": "string", "description": "what it is called"},
            "wheel": {
                "anyOf": [
                    {"$ref": "#/$defs/front_wheel"},
                    {"type": "null"},
                ],
                "description": "both of them, see below",
            },
            "colours": {
                "type": "array",
                "items": {"type": "string"},
                "description": "from front to back",
            },
        },
    }
    assert found["$defs"]["front_wheel"]["properties"]["spokes"] == {
        "type": "integer",
        "minimum": 8,
        "description": "how many",
    }


def test_the_entries_of_a_type_have_its_schema_and_no_others() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    checker = jsonschema.Draft202012Validator(schema(TYPES))
    entry = {"config_name": "a", "model_type": "openai_chat"}
    assert not checker.is_valid([entry])
    assert checker.is_valid([{**entry, "model_type": "other", "x": 1}])


def test_the_page_has_a_table_for_each_section() -> None:
    text = page(TYPES, "make page")
    assert "- `openai_chat`: a bicycle;" in text
    assert "`make page` after a change" in text
    assert "## Keys of `wheel`\n\nFront and rear are alike.\n\n| key" in text
    assert "| `name` | a string | required |  | what it is called |" in text
    assert "| `colours` | a list of strings | `[]` |" in text
    assert "| `spokes` | an integer | `32` | at least 8 | how many |" in text
    assert "Not set here:\n\n- `bell`: it has a fixed one" in text


def test_a_section_without_rows_has_no_table() -> None:
    bare = Part(WHEEL.section, "Keys of `wheel`", WheelSettings, tabled=())
    text = page([EntryType("openai_chat", "a wheel", (bare,))], "make page")
    assert "| key |" not in text
    assert text.endswith("## Keys of `wheel`\n")


def test_the_files_are_the_page_and_the_schema() -> None:
    found = files(TYPES, "make page")
    assert found[Path("README.md")] == page(TYPES, "make page")
    text = found[Path("model_configs.schema.json")]
    assert json.loads(text) == schema(TYPES)
