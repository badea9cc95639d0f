# -*- coding: utf-8 -*-
"""The reference of the config: a JSON Schema and a page of the keys.

Both come from the tables that check a config, so they cannot disagree with
it; takes the types of entries as they are given. Raises ConfigError where a
library's fields cannot be read.
"""

import ast
import dataclasses
import importlib.metadata
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local_llm.library_defaults import CHOSEN, DEFAULTS
from local_llm.library_fields import library_fields
from local_llm.settings_names import PROGRAMS, SECRET_KEYS
from local_llm.settings_rules import Rule
from local_llm.settings_sections import Section
from local_llm.settings_values import DATA_COLUMNS
from local_llm.value_kinds import Kind, described, kinds_schema

PACKAGES = ("trl", "transformers", "peft")
REQUIRED = ("config_name", "model_type")
"""What every entry has."""

_INTRODUCTION = """\
# Configuration

`model_configs.json` is a list of entries. A program takes one by its
`config_name`. The `model_type` says what an entry is for and which program
runs it; entries of other types are left alone:

{types}

Every value is checked before a model is loaded, and every problem is reported
at once, with its key and the nearest known name.

- Relative paths start from the folder that contains `configs/`.
- An entry names one model: `pretrained_model_name_or_path` or
  `local_model_path`.
- A token never stands in this file. Set `HF_TOKEN` (or `HUGGINGFACE_TOKEN`)
  in the environment or in `.env`; the environment comes first.
- A key whose default is `null` accepts `null`.
- Configs of earlier versions may hold `"True"` and `"False"` for the booleans
  of `bnb_config` and of `fine_tune_config` itself, and `"torch.bfloat16"` for
  a dtype. Both work, with a warning that names the key.

This page and `model_configs.schema.json` are generated: run
`{command}` after a change of the settings or of
a library's version. They were generated with
{versions}.

## Help in an editor

`model_configs.schema.json` is a JSON Schema (2020-12) of the whole file.
Visual Studio Code completes and checks keys with this in
`.vscode/settings.json`:

```json
{{
  "json.schemas": [
    {{
      "fileMatch": ["configs/model_configs.json"],
      "url": "./configs/model_configs.schema.json"
    }}
  ]
}}
```

JetBrains editors: Settings, Languages & Frameworks, Schemas and DTDs, JSON
Schema Mappings. What two keys must not say together only the program checks.
"""


@dataclass(frozen=True)
class Part:
    """A section as the reference shows it.

    Args:
        section (`Section`): Its keys.
        heading (`str`): Its heading on the page.
        values (`type | None`, optional): The dataclass with its defaults;
            None for the section of a library.
        required (`tuple[str, ...]`, optional): Keys without a default.
        defaults (`Mapping[str, str]`, optional): What the page says where
            the dataclass has no default.
        schemas (`Mapping[str, dict[str, Any]]`, optional): The schemas of
            keys that hold sections of their own.
        name (`str`, optional): In the schema, where it is not the section's.
        note (`str`, optional): What stands below the heading.
        tabled (`Sequence[str] | None`, optional): The keys that have a row,
            in this order; None for all with a meaning.
        refused (`Mapping[str, str] | None`, optional): What the page lists
            as not set here, and why; None for what the section refuses.
    """

    section: Section
    heading: str
    values: type | None = None
    required: tuple[str, ...] = ()
    defaults: Mapping[str, str] = field(default_factory=dict)
    schemas: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    name: str = ""
    note: str = ""
    tabled: Sequence[str] | None = None
    refused: Mapping[str, str] | None = None

    @property
    def definition(self) -> str:
        """Its name in the schema."""
        return self.name or self.section.name


@dataclass(frozen=True)
class EntryType:
    """The entries of one `model_type`.

    Args:
        model_type (`str`): What their `model_type` says.
        meaning (`str`): What they are for, in half a sentence.
        parts (`tuple[Part, ...]`): Their sections, the entry itself first.
    """

    model_type: str
    meaning: str
    parts: tuple[Part, ...]


def versions() -> str:
    """The versions whose fields the reference lists, such as "trl 1.16.0"."""
    return ", ".join(
        f"{package} {importlib.metadata.version(package)}"
        for package in PACKAGES
    )


def reference(name: str) -> dict[str, Any]:
    """The schema of a key that holds a section.

    Args:
        name (`str`): The definition of the section.
    """
    return {"$ref": f"#/$defs/{name}"}


def schema(types: Sequence[EntryType]) -> dict[str, Any]:
    """The JSON Schema of a config file.

    Args:
        types (`Sequence[EntryType]`): What its entries may be.
    """
    parts = [part for one in types for part in one.parts]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$comment": f"generated with {versions()}",
        "title": "Model configs",
        "type": "array",
        "minItems": 1,
        "items": {
            "type": "object",
            "required": list(REQUIRED),
            "properties": {
                "config_name": {"type": "string", "minLength": 1},
                "model_type": {"type": "string"},
            },
            "allOf": [_of_type(one) for one in types],
        },
        "$defs": {part.definition: _part_schema(part) for part in parts},
    }


def page(types: Sequence[EntryType], command: str) -> str:
    """The page of every key, as Markdown.

    Args:
        types (`Sequence[EntryType]`): What the entries may be.
        command (`str`): What writes the page.
    """
    listed = "\n".join(
        f"- `{one.model_type}`: {one.meaning};\n  `{PROGRAMS[one.model_type]}`"
        for one in types
    )
    texts = [
        _INTRODUCTION.format(
            versions=versions(),
            types=listed,
            command=command,
        ),
    ]
    for part in (part for one in types for part in one.parts):
        texts += [f"## {part.heading}", part.note, _table(part)]
        texts.append(_refused(part))
    return "\n\n".join(text.strip() for text in texts if text) + "\n"


def files(types: Sequence[EntryType], command: str) -> dict[Path, str]:
    """What the generated files hold, by their names in the folder.

    Args:
        types (`Sequence[EntryType]`): What the entries may be.
        command (`str`): What writes them.
    """
    text = json.dumps(schema(types), indent=2, ensure_ascii=False) + "\n"
    return {
        Path("model_configs.schema.json"): text,
        Path("README.md"): page(types, command),
    }


def as_json(value: object) -> str:
    """A value as the page shows it.

    Args:
        value (`object`): What JSON can hold.
    """
    return f"`{json.dumps(value)}`"


def _of_type(one: EntryType) -> dict[str, Any]:
    return {
        "if": {"properties": {"model_type": {"const": one.model_type}}},
        "then": reference(one.parts[0].definition),
    }


def _part_schema(part: Part) -> dict[str, Any]:
    section = part.section
    found = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            key: _key_schema(key, kinds, part)
            for key, kinds in section.kinds.items()
            if key not in section.reserved and key not in SECRET_KEYS
        },
    }
    return found | ({"required": list(part.required)} if part.required else {})


def _key_schema(
    key: str,
    kinds: tuple[Kind, ...],
    part: Part,
) -> dict[str, Any]:
    rule = part.section.rules.get(key, Rule(""))
    may_be_null = any(kind.name == "null" for kind in kinds)
    if key in part.schemas:
        found = part.schemas[key]
        if may_be_null:
            found = {"anyOf": [*found.get("anyOf", [found]), {"type": "null"}]}
    elif rule.choices:
        found = {"enum": [*rule.choices, *([None] if may_be_null else [])]}
    else:
        found = kinds_schema(kinds) | rule.schema()
    if key == "columns":
        found["propertyNames"] = {"enum": list(DATA_COLUMNS)}
    return found | ({"description": rule.meaning} if rule.meaning else {})


def _table(part: Part) -> str:
    section = part.section
    lines = [
        "| key | type | default | range | meaning |",
        "|---|---|---|---|---|",
    ]
    tabled = section.rules if part.tabled is None else part.tabled
    for key in tabled:
        rule = section.rules[key]
        kinds = tuple(k for k in section.kinds[key] if k.name != "null")
        named = any(kind.choices for kind in kinds)
        cells = (
            f"`{key}`",
            "a string" if named or rule.choices else described(kinds),
            _default(key, part),
            described(kinds) if named else rule.range(),
            rule.meaning,
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) if tabled else ""


def _default(key: str, part: Part) -> str:
    if key in part.required:
        return "required"
    if key in part.defaults:
        return part.defaults[key]
    if part.values is None:
        return _library_default(key, part.section.name)
    fields = dataclasses.fields(part.values)
    found = next(one for one in fields if one.name == key)
    if found.default_factory is not dataclasses.MISSING:
        return as_json(found.default_factory())
    if dataclasses.is_dataclass(found.default):
        return as_json({})
    return as_json(found.default)


def _library_default(key: str, section: str) -> str:
    """This package's, else the library's own."""
    if key in CHOSEN.get(section, {}):
        return f"chosen: {CHOSEN[section][key]}"
    if key in DEFAULTS.get(section, {}):
        return as_json(DEFAULTS[section][key])
    text = library_fields(section)[key].default
    return as_json(ast.literal_eval(text)) if text else ""


def _refused(part: Part) -> str:
    refused = part.section.reserved if part.refused is None else part.refused
    if not refused:
        return ""
    reasons: dict[str, list[str]] = {}
    for key, reason in refused.items():
        reasons.setdefault(reason, []).append(f"`{key}`")
    lines = [f"- {', '.join(keys)}: {why}" for why, keys in reasons.items()]
    return "Not set here:\n\n" + "\n".join(lines)
