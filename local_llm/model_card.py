# -*- coding: utf-8 -*-
"""The card of a finished run: what it is, how it is used, under which terms.

Its metadata is what the hub reads. Names no folder of the machine that it was
made on. Raises CheckpointError.
"""

import json
import re
import shlex
from pathlib import Path, PurePath

from . import atomic_files
from .embedded_model import EMBEDDED_PREFIX
from .known_licences import UNKNOWN, licence_of
from .markdown_text import code, fenced
from .model_files import is_local
from .report_words import outcome
from .reports import CARD_NAME, RunReport

THIS_FOLDER = "path/to/this/folder"

_LOAD_ADAPTER = """\
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

folder = {folder}
tokenizer = AutoTokenizer.from_pretrained(folder)
base = AutoModelForCausalLM.from_pretrained(
    {base},{revision}
    dtype="auto",
    device_map="auto",
)
model = PeftModel.from_pretrained(base, folder)
"""

_LOAD_MODEL = """\
from transformers import AutoModelForCausalLM, AutoTokenizer

folder = {folder}
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForCausalLM.from_pretrained(
    folder,
    dtype="auto",
    device_map="auto",
)
"""

_ASK = """\
chat = [{{"role": "user", "content": "What is a lake?"}}]
prompt = tokenizer.apply_chat_template(
    chat,
    add_generation_prompt=True,
    return_dict=True,
    return_tensors="pt",
).to(model.device)
ids = model.generate(
    **prompt,
    max_new_tokens=200,{stop}
)
reply = ids[0, prompt["input_ids"].shape[1] :]
print(tokenizer.decode(reply, skip_special_tokens=True))
"""

_STOP = """
    eos_token_id=tokenizer.convert_tokens_to_ids({}),"""

_OWN_SNIPPET = """\
from huggingface_model import HuggingFaceWrapper

model = HuggingFaceWrapper({arguments})
model.load_model(local_model_path={folder})
print(model.local.reply("What is a lake?").text)
"""


_PINNED = """
    config={{
        "config_name": "mine",
        "pretrained_model_name_or_path": {base},
        "revision": {revision},
    }},
"""

_OWN_MODEL_SNIPPET = """\
from huggingface_model import HuggingFaceWrapper

config = {{
    "config_name": "mine",
    "local_model_path": {folder},
    "fine_tune_config": {{}},  # weights as they are, not in 4 bits
}}
model = HuggingFaceWrapper(config=config)
model.load_model()
print(model.local.reply("What is a lake?").text)
"""


def write_card(folder: Path, report: RunReport) -> None:
    """Write the model card, `README.md`.

    Args:
        folder (`Path`):
            The run's folder, not sealed yet.
        report (`RunReport`):
            The run.
    """
    name = code(public_name(report.base["name"]))
    title = f"A LoRA adapter for {name}"
    if report.is_whole_model:
        title = f"{name}, all of its weights fine-tuned"
    parts = [
        f"---\n{_metadata(report)}\n---",
        f"# {title}",
        f"Fine-tuned on {code(public_name(report.data['source']))}. "
        f"{outcome(report)} `report.md` has the whole account.",
        "## Use",
        usage_of(report, _findable(report.base["name"]), THIS_FOLDER),
        "## Terms",
        terms(report),
    ]
    text = "\n\n".join(parts) + "\n"
    atomic_files.write_text(folder / CARD_NAME, text)


def usage_of(report: RunReport, base: str, folder: str) -> str:
    """How what came out of a run is used.

    Args:
        report (`RunReport`):
            The run.
        base (`str`):
            Where its base model is found.
        folder (`str`):
            Where its own folder stands.
    """
    end_of_turn = report.base.get("end_of_turn")
    if not report.is_whole_model:
        return usage(base, end_of_turn, folder, report.base.get("revision"))
    return usage_of_whole(end_of_turn, folder)


def usage_of_whole(end_of_turn: str | None, folder: str) -> str:
    """How a model of its own is used, in this project and without it.

    Args:
        end_of_turn (`str | None`):
            The token that ends a reply, if known and not in its files.
        folder (`str`):
            Where it stands.
    """
    name = _literal(folder)
    snippet = (_LOAD_MODEL + _ASK).format(folder=name, stop=_stop(end_of_turn))
    parts = [
        "With this project:",
        fenced(_OWN_MODEL_SNIPPET.format(folder=name).rstrip(), "python"),
        "With transformers alone:",
        fenced(snippet.rstrip(), "python"),
    ]
    return "\n\n".join(parts)


def usage(
    base: str,
    end_of_turn: str | None,
    folder: str,
    revision: str | None = None,
) -> str:
    """How the adapter is used, in this project and without it.

    Args:
        base (`str`):
            The base model, as settings name it.
        end_of_turn (`str | None`):
            The token that ends a reply, if known.
        folder (`str`):
            Where the adapter stands.
        revision (`str | None`, optional):
            The base model's on the hub, where it is not the newest.
    """
    names = {"base": _literal(base), "folder": _literal(folder)}
    arguments, line = f"model={names['base']}", ""
    if revision:
        name = _literal(revision)
        arguments = _PINNED.format(base=names["base"], revision=name)
        line = f"\n    revision={name},"
    own = _OWN_SNIPPET.format(arguments=arguments, folder=names["folder"])
    parts = [
        "With this project:",
        fenced(own.rstrip(), "python"),
    ]
    if not base.startswith(EMBEDDED_PREFIX) and not base.endswith(".gguf"):
        whole = _LOAD_ADAPTER + _ASK
        snippet = whole.format(
            **names,
            revision=line,
            stop=_stop(end_of_turn),
        )
        parts += ["With peft alone:", fenced(snippet.rstrip(), "python")]
    command = f"python -m local_llm.export {shlex.quote(folder)} --merge"
    parts += [
        "As a model of its own, without peft:",
        fenced(command, "bash"),
    ]
    return "\n\n".join(parts)


def terms(report: RunReport) -> str:
    """The licences of base and data, and what they ask of the adapter."""
    lines = [
        _term("base model", report.licences.get("base", UNKNOWN)),
        *(_term(what, name) for what, name in _data_licences(report)),
    ]
    what = "Such a model" if report.is_whole_model else "An adapter"
    closing = (
        f"{what} is made from both, so it can be passed on only as both "
        "allow. This is what was found, not legal advice."
    )
    text = "\n".join(f"- {line}" for line in lines) + f"\n\n{closing}"
    if report.is_whole_model:
        text = text.replace("the adapter", "the model")
    return text


def _data_licences(report: RunReport) -> list[tuple[str, str]]:
    """The data, each source by its name where there are several, and its
    licence."""
    sources = report.data.get("sources", ())
    if len(sources) < 2:
        return [("data", report.licences.get("data", UNKNOWN))]
    return [
        (f"data {code(public_name(one['name']))}", one["licence"])
        for one in sources
    ]


def public_name(source: str) -> str:
    """A source, or several, without the folders that hold them here."""
    parts = re.split(r"([,;+]\s*)", source)
    return "".join(
        PurePath(part).name if is_local(part) else part for part in parts
    )


def _literal(text: str) -> str:
    """A text as it stands in Python; JSON's own escapes would split what is
    beyond 16 bits into halves."""
    return json.dumps(text, ensure_ascii=False)


def _stop(end_of_turn: str | None) -> str:
    return _STOP.format(_literal(end_of_turn)) if end_of_turn else ""


def _findable(base: str) -> str:
    return f"path/to/{PurePath(base).name}" if is_local(base) else base


def _term(what: str, name: str) -> str:
    if name == UNKNOWN:
        return (
            f"{what}: no licence was found; find out what is allowed before "
            "you pass the adapter on"
        )
    licence = licence_of(name)
    if licence is None:
        return f"{what}: {code(name)}; read what it asks of derived models"
    return f"{what}: [{name}]({licence.url}): {licence.asks}"


def _metadata(report: RunReport) -> str:
    """What the hub reads, as YAML."""
    from huggingface_hub import ModelCardData

    name = report.base["name"]
    is_on_hub = not is_local(name) and not name.startswith(EMBEDDED_PREFIX)
    sources = report.data.get("sources", ())
    data_ids = dict.fromkeys(one["hub_id"] for one in sources)
    identifier = _identifier(report)
    card = ModelCardData(
        base_model=name if is_on_hub else None,
        datasets=[one for one in data_ids if one] or None,
        library_name="transformers" if report.is_whole_model else "peft",
        license=identifier,
        license_name=(
            "terms-of-base-and-data" if identifier == "other" else None
        ),
        pipeline_tag="text-generation",
        tags=None if report.is_whole_model else ["lora"],
    )
    return card.to_yaml()


def _identifier(report: RunReport) -> str | None:
    """The licence of the adapter as the hub writes it; None if not known.

    Data that allows other terms, and data of which nothing is known, leaves
    it to the base model's.
    """
    base = licence_of(report.licences.get("base", UNKNOWN))
    if base is None:
        return None
    data = [licence_of(name) for _, name in _data_licences(report)]
    if any(one and one.binds_adapters and one != base for one in data):
        return "other"
    return base.identifier
