# -*- coding: utf-8 -*-
"""Writes the reference of the config: a JSON Schema and a table of the keys.

Both come from the tables that check a config, so they cannot disagree with
it. Run `python -m local_llm.settings_reference`; with `--check` nothing is
written and the status is 1 when a committed file is not what it would be.
"""

import argparse
import ast
import dataclasses
import importlib.metadata
import json
import sys
from pathlib import Path
from typing import Any

from local_llm.library_defaults import (
    CHOSEN,
    DEFAULT_QUANTIZATION,
    DEFAULTS,
)
from local_llm.library_fields import LIBRARIES, library_fields
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
    FineTuneSettings,
    GenerationSettings,
    ModelSettings,
)
from local_llm.settings_data import SECTION, DataSourceSettings
from local_llm.settings_names import RESERVED, SECRET_KEYS
from local_llm.settings_rules import Rule
from local_llm.settings_sections import Section, library_section, own_section
from local_llm.settings_values import DATA_COLUMNS
from local_llm.value_kinds import Kind, described, kinds_schema

FOLDER = Path(__file__).resolve().parent.parent / "configs"
PACKAGES = ("trl", "transformers", "peft")
REQUIRED = ("config_name", "model_type")
REQUIRED_OF = {
    "entry": REQUIRED,
    SECTION: ("path",),
    "openai_chat": SERVED_REQUIRED,
}
VALUES: dict[str, type] = {
    "entry": ModelSettings,
    "generation": GenerationSettings,
    "fine_tune_config": FineTuneSettings,
    SECTION: DataSourceSettings,
    "openai_chat": ServedModelSettings,
    "client_args": ClientSettings,
    "generate_args": ServedGenerationSettings,
}
SOURCE = own_section(SECTION, "data_path[]", DataSourceSettings)

_INTRODUCTION = """\
# Configuration

`model_configs.json` is a list of entries. A program takes one by its
`config_name`; entries of another `model_type` than `huggingface` and
`openai_chat` are left to other programs.
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
`python -m local_llm.settings_reference` after a change of the settings or of
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

_HEADINGS = {
    "entry": "Keys of an entry",
    "generation": "Keys of `generation`",
    "fine_tune_config": "Keys of `fine_tune_config`",
    SECTION: "Keys of a source that `data_path` lists",
    "training_args": "Keys of `fine_tune_config.training_args`",
    "lora_config": "Keys of `fine_tune_config.lora_config`",
    "bnb_config": "Keys of `fine_tune_config.bnb_config`",
    "openai_chat": "Keys of an entry of a served model",
    "client_args": "Keys of `client_args`",
    "generate_args": "Keys of `generate_args`",
}


_NOTES = {
    "bnb_config": f" Where `bnb_config` is null, it is "
    f"`{json.dumps(DEFAULT_QUANTIZATION)}`, or `{{}}` where every weight is "
    "trained; in one that is given, what is left out is the library's "
    "default.",
}


def versions() -> str:
    """The versions whose fields the reference lists, such as "trl 1.16.0"."""
    return ", ".join(
        f"{package} {importlib.metadata.version(package)}"
        for package in PACKAGES
    )


def sections() -> list[Section]:
    """Every section of an entry, in the order of the page."""
    libraries = map(library_section, LIBRARIES)
    local = [ENTRY, SOURCE, GENERATION, FINE_TUNE, *libraries]
    return [*local, SERVED, CLIENT, GENERATE]


def schema() -> dict[str, Any]:
    """The JSON Schema of a config file."""
    definitions = {
        section.name: _section_schema(section) for section in sections()
    }
    for name, required in REQUIRED_OF.items():
        definitions[name]["required"] = list(required)
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
            "allOf": [
                _of_type("huggingface", "entry"),
                _of_type(SERVED_TYPE, "openai_chat"),
            ],
        },
        "$defs": definitions,
    }


def _of_type(model_type: str, definition: str) -> dict[str, Any]:
    return {
        "if": {"properties": {"model_type": {"const": model_type}}},
        "then": {"$ref": f"#/$defs/{definition}"},
    }


def page() -> str:
    """The page of every key, as Markdown."""
    parts = [_INTRODUCTION.format(versions=versions())]
    for section in sections():
        parts.append(f"## {_HEADINGS[section.name]}")
        if section.name in LIBRARIES:
            parts.append(_library_note(section.name))
        parts += [_table(section), _reserved(section.name)]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def files() -> dict[Path, str]:
    """What the generated files hold, by their names in the folder."""
    text = json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"
    return {
        Path("model_configs.schema.json"): text,
        Path("README.md"): page(),
    }


def main(arguments: list[str] | None = None) -> int:
    """Write or check the generated files; the exit status.

    Args:
        arguments (`list[str] | None`, optional): The command line's.
    """
    parser = argparse.ArgumentParser(
        prog="python -m local_llm.settings_reference",
        description="Write configs/README.md and the schema of the config.",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="write nothing; exit with 1 when a file differs",
    )
    parser.add_argument("--folder", type=Path, default=FOLDER)
    options = parser.parse_args(arguments)
    if options.check:
        return _check(options.folder)
    for name, text in files().items():
        (options.folder / name).write_text(
            text,
            encoding="utf-8",
            newline="\n",
        )
    return 0


def _check(folder: Path) -> int:
    stale = [
        str(name)
        for name, text in files().items()
        if not (folder / name).is_file()
        or (folder / name).read_text(encoding="utf-8") != text
    ]
    for name in stale:
        print(
            f"{folder / name} is not what the settings say with {versions()};"
            " run python -m local_llm.settings_reference",
            file=sys.stderr,
        )
    return 1 if stale else 0


def _section_schema(section: Section) -> dict[str, Any]:
    reserved = section.reserved
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            key: _key_schema(key, kinds, section)
            for key, kinds in section.kinds.items()
            if key not in reserved and key not in SECRET_KEYS
        },
    }


def _key_schema(
    key: str,
    kinds: tuple[Kind, ...],
    section: Section,
) -> dict[str, Any]:
    rule = section.rules.get(key, Rule(""))
    if key in _HEADINGS:
        found: dict[str, Any] = {"$ref": f"#/$defs/{key}"}
        if any(kind.name == "null" for kind in kinds):
            found = {"anyOf": [found, {"type": "null"}]}
    elif rule.choices:
        null = [None] if any(kind.name == "null" for kind in kinds) else []
        found = {"enum": [*rule.choices, *null]}
    elif key == "data_path":
        found = _sources_schema(rule)
    else:
        found = kinds_schema(kinds) | rule.schema()
    if key == "columns":
        found["propertyNames"] = {"enum": list(DATA_COLUMNS)}
    return found | ({"description": rule.meaning} if rule.meaning else {})


def _sources_schema(rule: Rule) -> dict[str, Any]:
    text = {"type": "string"} | rule.schema()
    source = {"anyOf": [text, {"$ref": f"#/$defs/{SECTION}"}]}
    several = {"type": "array", "minItems": 1, "items": source}
    return {"anyOf": [text, several, {"type": "null"}]}


def _library_note(name: str) -> str:
    library = LIBRARIES[name]
    note = _NOTES.get(name, "")
    return (
        f"Any field of {library.title} may stand here; [its documentation]"
        f"({library.url}) has them all.{note} The most used, and those with a "
        "range:"
    )


def _table(section: Section) -> str:
    lines = [
        "| key | type | default | range | meaning |",
        "|---|---|---|---|---|",
    ]
    for key, rule in section.rules.items():
        kinds = tuple(k for k in section.kinds[key] if k.name != "null")
        named = any(kind.choices for kind in kinds)
        cells = (
            f"`{key}`",
            "a string" if named or rule.choices else described(kinds),
            _default(key, section),
            described(kinds) if named else rule.range(),
            rule.meaning,
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _default(key: str, section: Section) -> str:
    if key in REQUIRED_OF.get(section.name, ()):
        return "required"
    if section.name in LIBRARIES:
        return _library_default(key, section.name)
    fields = dataclasses.fields(VALUES[section.name])
    field = next(field for field in fields if field.name == key)
    if field.default_factory is not dataclasses.MISSING:
        return _as_json(field.default_factory())
    if dataclasses.is_dataclass(field.default):
        return _as_json({})
    return _as_json(field.default)


def _library_default(key: str, section: str) -> str:
    """This package's, else the library's own."""
    if key in CHOSEN.get(section, {}):
        return f"chosen: {CHOSEN[section][key]}"
    if key in DEFAULTS.get(section, {}):
        return _as_json(DEFAULTS[section][key])
    text = library_fields(section)[key].default
    return _as_json(ast.literal_eval(text)) if text else ""


def _as_json(value: object) -> str:
    return f"`{json.dumps(value)}`"


def _reserved(name: str) -> str:
    reserved = RESERVED.get(name, {})
    if not reserved:
        return ""
    reasons: dict[str, list[str]] = {}
    for key, reason in reserved.items():
        reasons.setdefault(reason, []).append(f"`{key}`")
    lines = [f"- {', '.join(keys)}: {why}" for why, keys in reasons.items()]
    return "Not set here:\n\n" + "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
