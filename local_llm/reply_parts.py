# -*- coding: utf-8 -*-
"""Parts a reply, while it comes, into words, thoughts and calls.

Text that may be the beginning of a call is held back until that is known. What
cannot be read as a call becomes a part of its own, never an exception: the text
of a model is no error of the program. Knows no models and no AgentScope.
Raises nothing.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import regex

from .held_replies import Form
from .tool_calls import ParseFailure, ToolCall, call_of, decode
from .wire_formats import (
    CALLS,
    SAID,
    THOUGHTS,
    WireFormat,
    with_raw_calls,
    without_calls,
)

DEEPEST = 32
"""How deep values may be nested in arguments: far deeper ones end in
exceptions of those who check and run calls."""

_BARE_CALL = regex.compile(
    r'\s*(?:```(?:json)?\s*)?(?:\[TOOL_CALLS\]\s*)?\[?\s*\{\s*"name"\s*:',
)
"""How a reply begins that may be a call without marks, or a list of them."""

_FENCE = re.compile(r"```(?:json)?\s*(.*?)\s*(?:```)?\s*", re.DOTALL)
_NAME = re.compile(r'"name"\s*:\s*"([^"\\]{1,64})"|^([\w.-]{1,64})')
_NOT_OF_A_CALL = ("id", "type", "index")

Kind = Literal["text", "thinking", "call", "unreadable"]


@dataclass(frozen=True, slots=True)
class ReplyPart:
    """A part of a reply.

    Attributes:
        kind (`Kind`):
            Words or thoughts, which come in many parts; a call, whole; or
            what was meant as a call and cannot be read as one.
        text (`str`):
            The words; of a call its arguments, a JSON object; of what cannot
            be read all that was written.
        name (`str`):
            The tool that a call names; may be one that is not there.
    """

    kind: Kind
    text: str
    name: str = ""


class ReplyReader:
    """Reads one reply.

    Args:
        wire (`WireFormat`):
            How it is written.
        tools (`Sequence[Mapping[str, Any]]`, optional):
            What may be called, as OpenAI writes schemas; without any, nothing
            is read as a call.
    """

    def __init__(
        self,
        wire: WireFormat,
        tools: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        from transformers.utils.chat_parsing import ResponseParser

        template = with_raw_calls(wire.response_template)
        if not tools:
            template = without_calls(template)
        self._parser = ResponseParser(template, wire.prefix, tools=[*tools])
        self._end = wire.end
        self._words = _Words(
            [one.get("function", one)["name"] for one in tools],
        )
        self._thoughts = _Thoughts()
        self._written = ""  # of the call that is open
        self._is_lost = False

    def feed(self, text: str) -> list[ReplyPart]:
        """Take the next text, and give what is known by then."""
        if self._is_lost:
            return [*self._words.say(text)]
        return self._read(lambda: self._parser.feed(text), text)

    def end(self, stopped: bool) -> list[ReplyPart]:
        """Give what was held back.

        Args:
            stopped (`bool`):
                Whether the reply has ended by itself, not at some limit.
        """
        parts = []
        if not self._is_lost:
            if stopped and self._end:
                parts = self.feed(self._end)
            if not self._is_lost:
                parts += self._read(lambda: self._parser.finalize()[1], "")
        return [*parts, *self._words.end()]

    def _read(
        self,
        read: Callable[[], list[dict[str, Any]]],
        text: str,
    ) -> list[ReplyPart]:
        try:
            events = read()
        except (ValueError, TypeError, LookupError, RecursionError):
            # Only for families whose calls are no JSON: the parser has lost
            # its place, so the rest is text.
            self._is_lost = True
            return [_unreadable(self._written + text)]
        return [part for event in events for part in self._parts(event)]

    def _parts(self, event: Mapping[str, Any]) -> Iterator[ReplyPart]:
        match event:
            case {"type": "region_open", "field": field} if field == CALLS:
                self._words.turn_to_a_call()
                self._written = ""
            case {"type": "region_chunk", "field": field, "text": text}:
                if field == SAID:
                    yield from self._words.say(text)
                elif field in THOUGHTS:
                    yield from self._thoughts.think(text)
                else:
                    self._written += text
            case {"type": "region_close", "field": field, "value": value}:
                if field == CALLS:
                    yield _part_of(_call_from(value), self._written, value)
                elif field in THOUGHTS:
                    self._thoughts.close()


class HeldReader:
    """Reads a reply that was held to be a call.

    Args:
        forms (`Sequence[Form]`):
            What it was held to; without that it is cut.
    """

    def __init__(self, forms: Sequence[Form]) -> None:
        self._forms = forms
        self._text = ""

    def feed(self, text: str) -> list[ReplyPart]:
        """Take the next text; a call is given as a whole."""
        self._text += text
        return []

    def end(self, stopped: bool) -> list[ReplyPart]:
        """Give the call.

        Args:
            stopped (`bool`):
                Whether the reply has ended by itself, not at some limit.
        """
        for form in self._forms if stopped else ():
            rest = self._text.removeprefix(form.before)
            inner = rest.removesuffix(form.after)
            if len(inner + form.before + form.after) == len(self._text):
                return [_call_part(form.name, inner)]
        return []


class _Words:
    """Holds words back that may yet turn out to be none.

    Args:
        names (`Sequence[str]`):
            The tools; without any nothing is held back.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = frozenset(names)
        self._may_be_call = bool(names)
        self._held = ""
        self._has_called = False

    def say(self, text: str) -> Iterator[ReplyPart]:
        self._held += text
        if self._may_be_call:
            if _BARE_CALL.match(self._held, partial=True):
                return
            self._may_be_call = False
        # Space before a call, or behind the last one, is not said.
        kept = len(self._held.rstrip()) if self._names else len(self._held)
        said, self._held = self._held[:kept], self._held[kept:]
        if said:
            yield ReplyPart("text", said)

    def turn_to_a_call(self) -> None:
        """What was held back is only space, or half of a bare call."""
        self._has_called = True
        self._may_be_call = False
        self._held = self._held.strip()

    def end(self) -> list[ReplyPart]:
        held, self._held = self._held, ""
        if self._may_be_call:
            calls = _bare_calls(held, self._names)
            if calls:
                return calls
        if self._has_called:
            held = held.rstrip()
        return [ReplyPart("text", held)] if held else []


class _Thoughts:
    """Leaves out the space around thoughts, and so thoughts that are none."""

    def __init__(self) -> None:
        self._held = ""
        self._begins = True

    def think(self, text: str) -> Iterator[ReplyPart]:
        if self._begins:
            text = text.lstrip()
            self._begins = not text
        self._held += text
        kept = "" if self._begins else self._held.rstrip()
        if kept:
            self._held = self._held[len(kept) :]
            yield ReplyPart("thinking", kept)

    def close(self) -> None:
        """The next ones are thoughts of their own."""
        if not self._begins:
            self._held, self._begins = "\n\n", True


def _call_part(name: str, written: str) -> ReplyPart:
    """The part that a call is, of its arguments as text."""
    value = {"name": name, "arguments": decode(written)}
    return _part_of(_call_from(value), written, value)


def _bare_calls(text: str, names: frozenset[str]) -> list[ReplyPart]:
    """The calls that a text is as a whole; none if it is anything else."""
    text = text.strip()
    fenced = _FENCE.fullmatch(text)
    text = fenced[1] if fenced else text
    value = decode(text.removeprefix("[TOOL_CALLS]"))
    found = [
        _call_from(one)
        for one in (value if isinstance(value, list) else [value])
    ]
    calls = [one for one in found if isinstance(one, ToolCall)]
    if len(calls) < len(found) or not {one.name for one in calls} <= names:
        return []
    return [_part_of(one, "", None) for one in calls]


def _call_from(value: object) -> ToolCall | ParseFailure:
    """A call in one of the forms that models and parsers give it."""
    if isinstance(value, dict) and "function" in value:
        value = value["function"]
    if isinstance(value, str):
        value = decode(value)
    if isinstance(value, ParseFailure):
        return value
    if not isinstance(value, dict):
        return ParseFailure("a call is not an object")
    call = {k: v for k, v in value.items() if k not in _NOT_OF_A_CALL}
    if "parameters" in call and "arguments" not in call:
        call["arguments"] = call.pop("parameters")
    given = call.get("arguments", {})
    if isinstance(given, str):
        given = decode(given) if given.strip() else {}
    if isinstance(given, ParseFailure):
        return given
    call["arguments"] = {} if given is None else given
    if not _is_shallow(call["arguments"], DEEPEST):
        return ParseFailure("nested too deeply")
    return call_of(call)


def _part_of(
    call: ToolCall | ParseFailure,
    written: str,
    value: object,
) -> ReplyPart:
    if isinstance(call, ToolCall):
        arguments = json.dumps(call.arguments, ensure_ascii=False)
        return ReplyPart("call", arguments, call.name)
    return _unreadable(written, value)


def _unreadable(written: str, value: object = None) -> ReplyPart:
    """What was meant as a call, with the tool's name as far as it is there."""
    name = ""
    match value:
        case {"function": {"name": str(named)}} | {"name": str(named)}:
            name = named
        case _:
            found = _NAME.search(written)
            name = (found[1] or found[2]) if found else ""
    return ReplyPart("unreadable", written.strip(), name)


def _is_shallow(value: object, depth: int) -> bool:
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list):
        return True
    return depth > 0 and all(_is_shallow(one, depth - 1) for one in value)
