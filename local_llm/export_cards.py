# -*- coding: utf-8 -*-
"""The model cards of what is made of a finished run.

Each is the run's own card, which has base, data and terms, under a paragraph
that says what was made of it, with the report that it leads to. Raises nothing.
"""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import model_files
from .embedded_model import EMBEDDED_PREFIX

CARD_NAME = "README.md"
REPORT_FILES = ("report.json", "report.md", "loss.png")
"""What a run's card leads its readers to."""

_FRONT_MATTER = re.compile(r"\A---\s*\n.*?\n---\s*\n", re.DOTALL)
_TITLE = re.compile(r"^# ", re.MULTILINE)
_ADAPTER_TAGS = ("lora", "peft", "qlora", "trl")


def write_merged_card(run: Path, base: str, dtype: str, folder: Path) -> None:
    """Write the card of a model with its adapter merged in.

    Args:
        run (`Path`):
            The folder of the finished run.
        base (`str`):
            The base model that was reloaded.
        dtype (`str`):
            The number format of the weights.
        folder (`Path`):
            Where to write it.
    """
    shown = _shown(base)
    text = (
        f"# {shown}, fine-tuned\n\n"
        f"A whole model: the adapter described below was merged into {shown}, "
        f"in {dtype}. `AutoModelForCausalLM.from_pretrained` loads it, and it "
        f"ends its replies by itself. The terms below apply to it as well.\n"
    )
    metadata = {**_metadata_of(run, base), "library_name": "transformers"}
    _write(folder, metadata, text, run)


def write_gguf_card(run: Path, base: str, name: str, folder: Path) -> None:
    """Write the card of a GGUF file.

    Args:
        run (`Path`):
            The folder of the finished run.
        base (`str`):
            The base model that was fine-tuned.
        name (`str`):
            The file that lies beside the card.
        folder (`Path`):
            Where to write it.
    """
    text = (
        f"# {_shown(base)}, fine-tuned, as GGUF\n\n"
        f"`{name}` is for runtimes that are built on llama.cpp, with the "
        f"template in it; `ollama create NAME -f Modelfile` takes it into "
        f"Ollama. The terms below apply to it as well.\n"
    )
    metadata = {**_metadata_of(run, base), "library_name": "gguf"}
    _write(folder, metadata, text, run)


def _metadata_of(run: Path, base: str) -> dict[str, Any]:
    """The run's own metadata, but for what is true of an adapter only."""
    from huggingface_hub import metadata_load

    path = run / CARD_NAME
    found = dict(metadata_load(path) or {}) if path.is_file() else {}
    tags = [tag for tag in found.pop("tags", []) if tag not in _ADAPTER_TAGS]
    found["pipeline_tag"] = "text-generation"
    found["tags"] = [*tags, "fine-tuned"]
    if "/" in base and not _is_here(base):
        found["base_model"] = base
    if "base_model" in found:
        found["base_model_relation"] = "finetune"
    return found


def _shown(base: str) -> str:
    """A name without the folders of this machine."""
    return Path(base).name if model_files.is_local(base) else base


def _is_here(base: str) -> bool:
    return base.startswith(EMBEDDED_PREFIX) or model_files.is_local(base)


def _write(
    folder: Path,
    metadata: Mapping[str, Any],
    text: str,
    run: Path,
) -> None:
    from huggingface_hub import metadata_save

    for name in REPORT_FILES:
        if (run / name).is_file():
            shutil.copyfile(run / name, folder / name)
    path = folder / CARD_NAME
    path.write_text(f"\n{text}{_body_of(run)}", encoding="utf-8")
    metadata_save(path, dict(metadata))


def _body_of(run: Path) -> str:
    """The run's own card, one heading lower, without its metadata."""
    path = run / CARD_NAME
    if not path.is_file():
        return ""
    body = _FRONT_MATTER.sub("", path.read_text(encoding="utf-8"), count=1)
    return "\n" + _TITLE.sub("## ", body.strip(), count=1) + "\n"
