# -*- coding: utf-8 -*-
"""How a model's replies are written: what is said, thought and called.

A format is a value: the response template that transformers reads replies
with, and the text around a call. Knows no tokenizer and no turns. Raises
nothing.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .tool_calls import CALL_END, CALL_START

THINK_START, THINK_END = "<think>", "</think>"

CALLS = "tool_calls"
THOUGHTS = ("reasoning_content", "thinking")
SAID = "content"
"""The fields of a response template, as transformers and trl name them."""

_NEVER = "\ue001"  # a private-use character: no prompt has it


@dataclass(frozen=True, slots=True)
class WireFormat:
    """How replies are written.

    Attributes:
        response_template (`Mapping[str, Any]`):
            What transformers' `ResponseParser` reads replies with.
        prefix (`str`):
            What a prompt has written of the reply already.
        end (`str`):
            What the engine leaves out where a reply has ended by itself, and
            the parser waits for.
        before (`str`):
            What a call has before the tool's name.
        between (`str`):
            What it has between the name and the arguments.
        after (`str`):
            What it has behind the arguments.
        is_native (`bool`):
            Whether the chat template shows tools, calls and results itself;
            else they are text of the turns.
    """

    response_template: Mapping[str, Any]
    prefix: str = ""
    end: str = ""
    before: str = f'{CALL_START}\n{{"name": "'
    between: str = '", "arguments": '
    after: str = f"}}\n{CALL_END}"
    is_native: bool = False

    @property
    def thinks(self) -> bool:
        """Whether a reply may hold thoughts."""
        return not self.response_template["fields"].keys().isdisjoint(THOUGHTS)

    @property
    def before_words(self) -> str:
        """What comes before words where a prompt has opened the thoughts."""
        is_open = self.prefix.rstrip().endswith(THINK_START)
        return f"{THINK_END}\n\n" if is_open else ""

    def before_arguments(self, name: str) -> str:
        """How a call of a tool begins."""
        written = json.dumps(name, ensure_ascii=False)[1:-1]
        return f"{self.before}{written}{self.between}"


def own_format(thinks: bool, asks: str = "") -> WireFormat:
    """The format of fine-tuning data: calls as JSON between marks.

    Args:
        thinks (`bool`):
            Whether thoughts between marks may come before.
        asks (`str`, optional):
            The end of a prompt; it may open the thoughts.
    """
    fields: dict[str, Any] = {
        CALLS: _between(CALL_START, CALL_END) | {"repeats": True},
        SAID: {"content": "text"},
    }
    prefix = ""
    if thinks:
        fields[THOUGHTS[0]] = _between(THINK_START, THINK_END)
        if asks.rstrip().endswith(THINK_START):
            prefix = THINK_START
    return WireFormat({"start_anchor": _NEVER, "fields": fields}, prefix)


def without_calls(template: Mapping[str, Any]) -> dict[str, Any]:
    """A response template for replies in which nothing can be called."""
    fields = {k: v for k, v in template["fields"].items() if k != CALLS}
    return {**template, "fields": fields}


def with_raw_calls(template: Mapping[str, Any]) -> dict[str, Any]:
    """A response template that leaves the JSON of calls as it is written.

    What is no JSON would be an exception in the middle of a stream.
    """
    calls = template["fields"].get(CALLS, {})
    if calls.get("content") != "json" or calls.get("content_args"):
        return dict(template)
    raw = {**calls, "content": "text"}
    return {**template, "fields": {**template["fields"], CALLS: raw}}


def _between(start: str, end: str) -> dict[str, Any]:
    return {
        "open": start,
        "close_pattern": rf"{end}\s*",
        "content": "text",
    }
