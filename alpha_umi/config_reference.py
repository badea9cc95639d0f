# -*- coding: utf-8 -*-
"""Writes configs/README.md and the JSON Schema of the config.

Run `python -m alpha_umi.config_reference`; with `--check` nothing is written
and the status is 1 when a committed file is not what it would be. Raises
ConfigError where a library's fields cannot be read.
"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local_llm import settings, settings_reference
from local_llm.entry_types import entry_types as model_types
from local_llm.settings_reference import (
    EntryType,
    Part,
    as_json,
    reference,
    versions,
)

from .tool_agent_settings import (
    DEFAULTS,
    ENTRY,
    PAPER_STAGES,
    REQUIRED,
    TOOL_AGENT_TYPE,
    StageSettings,
    ToolAgentSettings,
    stage_section,
)
from .tool_agent_values import FAMILY, NOT_IN_MODEL, STAGES

FOLDER = Path(__file__).resolve().parent.parent / "configs"
COMMAND = "python -m alpha_umi.config_reference"

_MODEL = "tool_agent_model"
_MODEL_NOTE = """\
The keys of an entry of a local model and of its sections, as they are listed
above, but for those below. `fine_tune_config` has a `lora_config`, since every
role is an adapter; without a `fine_tune_config` it is the default one."""
_STAGE_NOTE = """\
`backbone` is trained on the records of all roles; `planner`, `caller` and
`summarizer` start from it, each on its own records. What is left out is the
value of alpha-UMi (arXiv 2401.07324) for models of 7 and 13 billion
weights."""


def entry_types() -> tuple[EntryType, ...]:
    """Every type of entry that a program of this project runs."""
    return (*model_types(), _tool_agent())


def files() -> dict[Path, str]:
    """What the generated files hold, by their names in the folder."""
    return settings_reference.files(entry_types(), COMMAND)


def main(arguments: list[str] | None = None) -> int:
    """Write or check the generated files; the exit status.

    Args:
        arguments (`list[str] | None`, optional):
            The command line's.
    """
    parser = argparse.ArgumentParser(
        prog=COMMAND,
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
            f" run {COMMAND}",
            file=sys.stderr,
        )
    return 1 if stale else 0


def _tool_agent() -> EntryType:
    stages = {name: reference("stage") for name in STAGES}
    entry = Part(
        ENTRY,
        "Keys of an entry of the multi-LLM agent",
        ToolAgentSettings,
        REQUIRED,
        defaults={
            **{name: as_json(value) for name, value in _plain_defaults()},
            **{name: as_json({}) for name in STAGES},
        },
        schemas={"model": reference(_MODEL), **stages},
    )
    model = Part(
        settings.ENTRY.within(FAMILY),
        "Keys of `model`",
        schemas={
            "generation": reference("generation"),
            "fine_tune_config": _fine_tuning(),
        },
        name=_MODEL,
        note=_MODEL_NOTE,
        tabled=(),
        refused=_refused(),
    )
    stage = Part(
        stage_section(STAGES[0]),
        "Keys of `backbone`, `planner`, `caller` and `summarizer`",
        StageSettings,
        defaults={key: _of_roles(key) for key in stage_section("").kinds},
        note=_STAGE_NOTE,
    )
    meaning = "an agent of planner, caller and summarizer"
    return EntryType(TOOL_AGENT_TYPE, meaning, (entry, model, stage))


def _plain_defaults() -> list[tuple[str, Any]]:
    return [(key, DEFAULTS[key]) for key in DEFAULTS if key not in STAGES]


def _of_roles(key: str) -> str:
    """The defaults of a key, one for each stage."""
    return ", ".join(
        f"{name} {as_json(getattr(PAPER_STAGES[name], key))}"
        for name in STAGES
    )


def _fine_tuning() -> dict[str, Any]:
    """The schema of `fine_tune_config` without what is not set here."""
    return {
        **reference("fine_tune_config"),
        "required": ["lora_config"],
        "properties": {
            "lora_config": {"type": "object"},
            "training_args": {"properties": _never("training_args")},
            **_never("fine_tune_config"),
        },
    }


def _never(name: str) -> dict[str, bool]:
    return dict.fromkeys(NOT_IN_MODEL[name], False)


def _refused() -> Mapping[str, str]:
    """What the model does not set, by key path, and why."""
    return {
        f"{path}{key}": reason
        for name, path in (
            ("entry", ""),
            ("fine_tune_config", "fine_tune_config."),
            ("training_args", "fine_tune_config.training_args."),
        )
        for key, reason in NOT_IN_MODEL[name].items()
    }


if __name__ == "__main__":
    sys.exit(main())
