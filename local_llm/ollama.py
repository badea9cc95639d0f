# -*- coding: utf-8 -*-
"""Writes an Ollama Modelfile whose template is the model's own.

Ollama renders conversations with Go's templates, not with Jinja. What stands
between turns is read off the chat template by rendering it; a template that
this does not describe is refused. Knows no weights. Raises WeightsError.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from . import atomic_files
from .chat_format import ChatFormat
from .errors import WeightsError
from .model_files import load_tokenizer
from .turns import OPENING_TEXT

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MODELFILE_NAME = "Modelfile"

_SLOT = "\ue000"  # a private-use character: no template has it
_JOINT = "\n\n"
"""Between texts of one role in a row, as in `merge_same_role`."""

_DATE_FORM = re.compile(r"""strftime_now\(\s*["']([^"']+)["']""")

_PARAMETERS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "min_p": "min_p",
    "repetition_penalty": "repeat_penalty",
}
"""Ollama's names of the fields of generation_config.json."""

_SAMPLED = ("temperature", "top_p", "top_k", "min_p")

_SHAPES = (
    ("user",),
    ("user", "assistant", "user"),
    ("user", "assistant", "user", "assistant", "user"),
)
"""The conversations on which what was read off a template is checked."""


@dataclass(frozen=True, slots=True)
class Joints:
    """The template's own text, by what it stands between.

    Attributes:
        first (`str`):
            Before a first user turn.
        answer (`str`):
            Between a user turn and the answer to it.
        next (`str`):
            Between an answer and the next user turn.
        reply (`str`):
            Between the last user turn and the reply that is asked for.
        system (`str | None`):
            Before a system turn; None where the template has none, and its
            text goes before that of the first user turn.
        after_system (`str`):
            Between a system turn and the first user turn.
    """

    first: str
    answer: str
    next: str
    reply: str
    system: str | None = None
    after_system: str = ""


def write_modelfile(
    folder: Path,
    gguf_name: str,
    target: Path | None = None,
) -> Path:
    """Write the `Modelfile` of a model.

    Args:
        folder (`Path`):
            A model's folder, with tokenizer and chat template; how replies
            are drawn is taken from its generation_config.json.
        gguf_name (`str`):
            The name of the GGUF file, which is or will be beside it.
        target (`Path | None`, optional):
            The folder to write into; that of the model if empty.

    Returns:
        `Path`: The Modelfile; `ollama create NAME -f Modelfile` reads it.

    Raises:
        `WeightsError`: There is no tokenizer or template, or the template is
            more than texts between turns.
    """
    chat_format = ChatFormat(load_tokenizer(folder))
    tokenizer = chat_format.tokenizer
    stops = tokenizer.convert_ids_to_tokens(list(chat_format.stop_ids))
    parameters = [
        *(("stop", json.dumps(stop, ensure_ascii=False)) for stop in stops),
        *_sampling(folder / "generation_config.json"),
    ]
    template = go_template(chat_format)
    lines = [
        f"FROM ./{gguf_name}",
        *_date_notes(tokenizer, template),
        f'TEMPLATE """{template}"""',
        *(f"PARAMETER {name} {value}" for name, value in parameters),
    ]
    text = "\n".join(lines) + "\n"
    return atomic_files.write_text((target or folder) / MODELFILE_NAME, text)


def _date_notes(
    tokenizer: "PreTrainedTokenizerBase",
    template: str,
) -> list[str]:
    """What to say where the chat template writes the date of the day, which
    Ollama's language cannot write in the same form."""
    forms = _DATE_FORM.findall(tokenizer.get_chat_template())
    dates = [datetime.now().strftime(form) for form in dict.fromkeys(forms)]
    return [
        f"# The chat template writes the date of the day. Here it stays that "
        f"of the export, {date}: correct it by hand."
        for date in dates
        if date in template
    ]


def go_template(chat_format: ChatFormat) -> str:
    """The chat template in Go's template language.

    It sees `.System`, all system texts in one, and `.Messages`. A
    conversation that ends with the assistant's words is continued there.

    Raises:
        `WeightsError`: The chat template is more than texts between turns.
    """
    joints = _joints_of(chat_format)
    first, answer = _quoted(joints.first), _quoted(joints.answer)
    opening = _quoted(joints.first + OPENING_TEXT)
    lines = [
        '{{- $before := "" -}}',
        *_system_lines(joints),
        "{{- range .Messages -}}",
        '{{- if and (eq .Role "user") .Content -}}',
        f'{{{{- if eq $before "" }}}}{{{{ {first} }}}}',
        *_after_system_line(joints),
        f'{{{{- else if eq $before "user" }}}}{{{{ {_quoted(_JOINT)} }}}}',
        f"{{{{- else }}}}{{{{ {_quoted(joints.next)} }}}}{{{{ end -}}}}",
        '{{- .Content }}{{ $before = "user" -}}',
        '{{- else if and (eq .Role "assistant") .Content -}}',
        f'{{{{- if eq $before "" }}}}{{{{ {opening} }}}}',
        *_opening_after_system_line(joints),
        "{{- end -}}",
        f'{{{{- if eq $before "assistant" }}}}{{{{ {_quoted(_JOINT)} }}}}',
        f"{{{{- else }}}}{{{{ {answer} }}}}{{{{ end -}}}}",
        '{{- .Content }}{{ $before = "assistant" -}}',
        "{{- end -}}",
        "{{- end -}}",
        f'{{{{- if eq $before "user" }}}}{{{{ {_quoted(joints.reply)} }}}}',
        "{{- end -}}",
    ]
    return "\n".join(lines)


def _system_lines(joints: Joints) -> list[str]:
    """Without a system turn, the text becomes the user's first."""
    before, role = joints.first, "user"
    if joints.system is not None:
        before, role = joints.system, "system"
    return [
        f"{{{{- if .System }}}}{{{{ {_quoted(before)} }}}}{{{{ .System }}}}",
        f'{{{{- $before = "{role}" }}}}{{{{ end -}}}}',
    ]


def _after_system_line(joints: Joints) -> list[str]:
    if joints.system is None:
        return []
    text = _quoted(joints.after_system)
    return [f'{{{{- else if eq $before "system" }}}}{{{{ {text} }}}}']


def _opening_after_system_line(joints: Joints) -> list[str]:
    if joints.system is None:
        return []
    text = _quoted(joints.after_system + OPENING_TEXT)
    return [f'{{{{- else if eq $before "system" }}}}{{{{ {text} }}}}']


def _joints_of(chat_format: ChatFormat) -> Joints:
    tokenizer = chat_format.tokenizer
    first, *_ = _around(tokenizer, ["user"])
    _, answer, after, _ = _around(
        tokenizer,
        ["user", "assistant", "user"],
    )
    *_, reply = _around(tokenizer, ["user"], asks_for_reply=True)
    joints = Joints(_without_bos(tokenizer, first), answer, after, reply)
    if not chat_format.folds_system:
        system, after_system, _ = _around(tokenizer, ["system", "user"])
        joints = Joints(
            joints.first,
            answer,
            after,
            reply,
            _without_bos(tokenizer, system),
            after_system,
        )
    _check(chat_format, joints)
    return joints


def _around(
    tokenizer: "PreTrainedTokenizerBase",
    roles: Sequence[str],
    *,
    asks_for_reply: bool = False,
) -> list[str]:
    """The template's text before, between and after turns."""
    from jinja2.exceptions import TemplateError

    messages = [{"role": role, "content": _SLOT} for role in roles]
    try:
        text = tokenizer.apply_chat_template(
            messages,
            tokenize=False,
            add_generation_prompt=asks_for_reply,
        )
    except TemplateError as error:
        raise _refused(tokenizer, f"does not render: {error}") from error
    texts = text.split(_SLOT)
    if len(texts) != len(roles) + 1:
        raise _refused(tokenizer, "leaves out turns, or repeats them")
    return texts


def _check(chat_format: ChatFormat, joints: Joints) -> None:
    """Compare with what the template itself makes of longer conversations."""
    tokenizer = chat_format.tokenizer
    systems = [()] if chat_format.folds_system else [(), ("system",)]
    for shape in (system + one for system in systems for one in _SHAPES):
        found = _around(tokenizer, shape, asks_for_reply=True)
        found[0] = _without_bos(tokenizer, found[0])
        if found != _joined(shape, joints):
            raise _refused(tokenizer, f"does more for {', '.join(shape)}")


def _joined(shape: Sequence[str], joints: Joints) -> list[str]:
    """What the Go template writes around the turns of a conversation."""
    between = {
        ("", "user"): joints.first,
        ("", "system"): joints.system,
        ("system", "user"): joints.after_system,
        ("user", "assistant"): joints.answer,
        ("assistant", "user"): joints.next,
    }
    pairs = zip(("", *shape), shape, strict=False)
    return [*(between[pair] or "" for pair in pairs), joints.reply]


def _without_bos(tokenizer: "PreTrainedTokenizerBase", text: str) -> str:
    """Ollama puts the beginning of the sequence there itself."""
    return text.removeprefix(tokenizer.bos_token or "")


def _quoted(text: str) -> str:
    """A string of Go; JSON's escapes are Go's too."""
    return json.dumps(text, ensure_ascii=False)


def _sampling(path: Path) -> list[tuple[str, str]]:
    """How replies are drawn, as far as the file says so."""
    if not path.is_file():
        return []
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise WeightsError(
            f"{path.absolute()} is not JSON: {error}",
            fix="export the model again",
        ) from error
    if fields.get("do_sample") is False:
        fields = {k: v for k, v in fields.items() if k not in _SAMPLED}
        fields["temperature"] = 0
    return [
        (name, str(fields[field]))
        for field, name in _PARAMETERS.items()
        if fields.get(field) is not None
    ]


def _refused(tokenizer: "PreTrainedTokenizerBase", what: str) -> WeightsError:
    return WeightsError(
        f"the chat template of {tokenizer.name_or_path!r} {what}; it cannot "
        f"be written for Ollama",
        fix="write the TEMPLATE of the Modelfile by hand",
    )
