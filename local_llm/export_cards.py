# -*- coding: utf-8 -*-
"""The model cards of what is made of a finished run.

Each says what was made of it and how that is used; on what it was fine-tuned
and under which terms it takes from the run's own card, and all else that
people have written there. The report comes along. Raises CheckpointError.
"""

import re
import shlex
import shutil
from pathlib import Path
from typing import Any

from .embedded_model import EMBEDDED_PREFIX
from .errors import CheckpointError
from .loss_picture import PICTURE_NAME
from .markdown_text import code, fenced
from .model_card import THIS_FOLDER, usage_of_whole
from .model_files import is_local
from .public_files import public_texts
from .report_pages import PAGE_NAME
from .reports import CARD_NAME, REPORT_NAME

_FRONT_MATTER = re.compile(r"\A---\s*\n.*?\n---\s*\n", re.DOTALL)
_TITLE = re.compile(r"\A# .*\n")
_USE = re.compile(r"^## Use\s*\n.*?(?=^## |\Z)", re.DOTALL | re.MULTILINE)
_SECTION = re.compile(r"^## ", re.MULTILINE)
_ADAPTER_TAGS = ("lora", "peft", "qlora", "trl")


def check_card(run: Path) -> None:
    """Find out now whether the card can be read, which people may edit.

    Raises:
        `CheckpointError`: It cannot.
    """
    _metadata_in(run)


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
    metadata = {**_metadata_of(run, base), "library_name": "transformers"}
    shown = _shown(metadata, base)
    what = (
        f"A whole model: an adapter was merged into {code(shown)}, in "
        f"{dtype}. It ends its replies by itself. What is said of the "
        f"adapter below, and its terms, are true of this model as well."
    )
    usage = usage_of_whole(None, THIS_FOLDER)
    text = _text(f"{shown}, fine-tuned", what, usage, run)
    _write(folder, metadata, text, run)


def write_gguf_card(
    run: Path,
    base: str,
    name: str,
    folder: Path,
    *,
    has_modelfile: bool,
) -> None:
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
        has_modelfile (`bool`):
            Whether an Ollama Modelfile lies there too.
    """
    metadata = {**_metadata_of(run, base), "library_name": "gguf"}
    shown = _shown(metadata, base)
    what = (
        f"`{name}` holds {code(shown)}, fine-tuned, for runtimes built on "
        f"llama.cpp. The chat template is in it. What is said of the adapter "
        f"or the model below, and its terms, are true of this file as well."
    )
    title = f"{shown}, fine-tuned, as GGUF"
    text = _text(title, what, _gguf_usage(name, has_modelfile), run)
    _write(folder, metadata, text, run)


def _gguf_usage(name: str, has_modelfile: bool) -> str:
    ollama = "ollama create NAME -f Modelfile\nollama run NAME"
    of_ollama = ["With Ollama:", fenced(ollama, "bash")]
    parts = [
        *(of_ollama if has_modelfile else []),
        "With llama.cpp:",
        fenced(f"llama-cli -m {shlex.quote(name)} -cnv", "bash"),
    ]
    return "\n\n".join(parts)


def _metadata_of(run: Path, base: str) -> dict[str, Any]:
    """The run's own metadata, but for what is true of an adapter only."""
    found = _metadata_in(run)
    tags = found.pop("tags", None) or []
    tags = [tags] if isinstance(tags, str) else tags
    kept = [tag for tag in tags if tag not in _ADAPTER_TAGS]
    found["pipeline_tag"] = "text-generation"
    found["tags"] = list(dict.fromkeys([*kept, "fine-tuned"]))
    is_here = base.startswith(EMBEDDED_PREFIX) or is_local(base)
    if "/" in base and not is_here:
        found["base_model"] = base
    if "base_model" in found:
        found["base_model_relation"] = "finetune"
    return found


def _metadata_in(run: Path) -> dict[str, Any]:
    import yaml
    from huggingface_hub import metadata_load

    path = run / CARD_NAME
    try:
        return dict(metadata_load(path) or {}) if path.is_file() else {}
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise CheckpointError(
            f"the metadata at the beginning of {path.absolute()} cannot be "
            f"read: {error}",
            fix="correct the lines between the two ---, or take them out",
        ) from error


def _shown(metadata: dict[str, Any], base: str) -> str:
    """The base model's name, without the folders of this machine."""
    known = metadata.get("base_model")
    if isinstance(known, str):
        return known
    return Path(base).name if is_local(base) else base


def _text(title: str, what: str, usage: str, run: Path) -> str:
    """A card without its metadata."""
    said, sections = _own_words(run)
    parts = [f"# {title}", what, said, f"## Use\n\n{usage}", sections]
    return "\n\n".join(part for part in parts if part) + "\n"


def _own_words(run: Path) -> tuple[str, str]:
    """What the run's card says before its sections, and in them, without its
    title and how the run itself is used."""
    path = run / CARD_NAME
    if not path.is_file():
        return "", ""
    body = _FRONT_MATTER.sub("", path.read_text(encoding="utf-8"), count=1)
    body = _USE.sub("", _TITLE.sub("", body.lstrip(), count=1), count=1)
    section = _SECTION.search(body)
    end = section.start() if section else len(body)
    return body[:end].strip(), body[end:].strip()


def _write(
    folder: Path,
    metadata: dict[str, Any],
    text: str,
    run: Path,
) -> None:
    from huggingface_hub import metadata_save

    texts = public_texts(run)
    for name in (REPORT_NAME, PAGE_NAME):
        if name in texts:
            (folder / name).write_bytes(texts[name])
    if (run / PICTURE_NAME).is_file():
        shutil.copyfile(run / PICTURE_NAME, folder / PICTURE_NAME)
    path = folder / CARD_NAME
    path.write_text(f"\n{text}", encoding="utf-8")
    metadata_save(path, metadata)
