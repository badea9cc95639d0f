# -*- coding: utf-8 -*-
"""What a row of data says, found without the readers of the formats: its
texts, and the names and argument values of its calls and tools."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from local_llm.conversation_formats import FORMATS, detect_format
from local_llm.turns import Turn

SPOKEN = ("content", "value")
CALLS = ("tool_calls", "function_call")
CALL_SPEAKERS = ("function_call",)
_SPACING = re.compile(r"\s|</?tool_response>")


def lost(row: dict[str, Any], turns: Sequence[Turn]) -> list[str]:
    """What of a row stands in none of the turns that were made of it."""
    said = _plain("\n".join(turn.text for turn in turns))
    name = detect_format({key: _decoded(row[key]) for key in row})
    assert name is not None
    return [
        one
        for column in (*FORMATS[name].columns, *FORMATS[name].optional)
        for text in _contents(column, row.get(column))
        for one in _missing(text, said)
    ]


def _missing(text: str, said: str) -> Iterator[str]:
    """A text must be said as it is, or what it holds as JSON must be."""
    if _plain(text) in said:
        return
    value = _decoded(text)
    if isinstance(value, str):
        yield text
    else:
        for one in _turns(value):
            yield from _missing(one, said)


def _contents(column: str, value: Any) -> Iterator[str]:
    return _tools(_decoded(value)) if column == "tools" else _turns(value)


def _turns(value: Any) -> Iterator[str]:
    """The texts of a text, of a list of them, or of a list of messages."""
    if isinstance(value, list):
        for one in value:
            yield from _turns(one)
    elif isinstance(value, dict):
        yield from _message(value)
    else:
        yield from _spoken(value)


def _message(message: dict[str, Any]) -> Iterator[str]:
    if message.get("from") in CALL_SPEAKERS:
        yield from _calls(message.get("value"))
        return
    for key in SPOKEN:
        if key == _spoken_key(message):
            yield from _spoken(message.get(key))
    for key in CALLS:
        yield from _calls(message.get(key))


def _spoken_key(message: dict[str, Any]) -> str:
    return "content" if "role" in message else "value"


def _spoken(value: Any) -> Iterator[str]:
    if isinstance(value, str) and value.strip():
        yield value


def _calls(value: Any) -> Iterator[str]:
    """The name and every argument value of each call."""
    value = _decoded(value)
    for call in value if isinstance(value, list) else [value]:
        call = _decoded(call)
        if isinstance(call, dict):
            function = call.get("function", call)
            yield from _leaves(function.get("name"))
            yield from _leaves(_decoded(function.get("arguments")))


def _tools(tools: Any) -> Iterator[str]:
    for tool in tools if isinstance(tools, list) else []:
        tool = _decoded(tool)
        if isinstance(tool, dict):
            yield from _leaves(tool.get("function", tool))


def _leaves(value: Any) -> Iterator[str]:
    """Every value, as JSON writes it; of an object the keys too."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield from _leaves(key)
            yield from _leaves(one)
    elif isinstance(value, list):
        for one in value:
            yield from _leaves(one)
    elif value is not None:
        yield json.dumps(value, ensure_ascii=False)


def _decoded(value: Any) -> Any:
    """A list or object that a table holds as text."""
    if not isinstance(value, str) or not value.lstrip().startswith(("[", "{")):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _plain(text: str) -> str:
    """A text without white space, the marks around results, and what keeps
    other marks of tools from being marks."""
    text = text.replace("\\u003c", "<").replace("<\\/", "</")
    return _SPACING.sub("", text)
