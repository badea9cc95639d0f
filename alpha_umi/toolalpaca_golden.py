# -*- coding: utf-8 -*-
"""The golden calls of ToolAlpaca, and whether calls match them.

Where a golden call takes what an earlier one returned it has a placeholder,
`${id from search}`; such a value matches any. Knows no files. Raises
ValueError and KeyError for what is no golden call.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .protocol import Call

ASK_USER = "getDetails"
"""What asks the user for what is missing; how it asks is free."""

_OPTIONAL = "[Optional]"

_BARE_PLACEHOLDER = re.compile(r'"?\$\{([^{}",]*)\}?"?')
"""As the file has it: in quotes, without them, or with half of them."""

_PLACEHOLDER = re.compile(r"\$?\{[^{}]*\}")


@dataclass(frozen=True, slots=True)
class GoldenCall:
    """A call that a solution makes.

    Attributes:
        name (`str`):
            The tool.
        arguments (`Mapping[str, Any]`):
            By name; those that are empty are left out.
        is_optional (`bool`):
            Whether a solution may lack it.
    """

    name: str
    arguments: Mapping[str, Any]
    is_optional: bool = False

    @property
    def is_concrete(self) -> bool:
        """Whether all values are known beforehand."""
        return not _has_placeholder(dict(self.arguments))


def read_golden(raw: Mapping[str, Any]) -> GoldenCall:
    """A golden call from its object in the file.

    Args:
        raw (`Mapping[str, Any]`):
            With `Action`, and `Action_Input` as JSON text.

    Raises:
        `KeyError`: It lacks one of them.
        `ValueError`: The arguments are no object.
    """
    name = str(raw["Action"])
    text = _BARE_PLACEHOLDER.sub(r'"${\1}"', raw["Action_Input"])
    return GoldenCall(
        name.removeprefix(_OPTIONAL),
        _given(json.loads(text)),
        name.startswith(_OPTIONAL),
    )


def exact_match(
    calls: Sequence[Call],
    golden: Sequence[GoldenCall],
) -> bool:
    """Whether these are the golden calls, in their order and no others.

    Names and arguments have to be equal as JSON. An empty string counts as
    not given, a placeholder matches any value, and so does every question to
    the user.

    Args:
        calls (`Sequence[Call]`):
            What a model has called.
        golden (`Sequence[GoldenCall]`):
            What it should have called.
    """
    if not golden:
        return not calls
    first, rest = golden[0], golden[1:]
    if calls and _fits(calls[0], first) and exact_match(calls[1:], rest):
        return True
    return first.is_optional and exact_match(calls, rest)


def _fits(call: Call, golden: GoldenCall) -> bool:
    if call.name != golden.name:
        return False
    if call.name == ASK_USER:
        return True
    try:
        arguments = _given(json.loads(call.arguments))
    except (ValueError, RecursionError):
        return False
    return _equals(arguments, dict(golden.arguments))


def _given(arguments: object) -> dict[str, Any]:
    if not isinstance(arguments, dict):
        raise ValueError(f"arguments are {type(arguments).__name__}")
    return {name: one for name, one in arguments.items() if one != ""}


def _equals(value: object, golden: object) -> bool:
    if _is_placeholder(golden):
        return True
    if isinstance(value, dict) and isinstance(golden, dict):
        return value.keys() == golden.keys() and all(
            _equals(value[name], golden[name]) for name in golden
        )
    if isinstance(value, list) and isinstance(golden, list):
        if len(golden) == 1 and _is_placeholder(golden[0]):
            return True
        return len(value) == len(golden) and all(map(_equals, value, golden))
    is_same_kind = isinstance(value, bool) == isinstance(golden, bool)
    return is_same_kind and value == golden


def _is_placeholder(value: object) -> bool:
    return isinstance(value, str) and bool(_PLACEHOLDER.fullmatch(value))


def _has_placeholder(value: object) -> bool:
    if isinstance(value, dict):
        return any(map(_has_placeholder, value.values()))
    if isinstance(value, list):
        return any(map(_has_placeholder, value))
    return _is_placeholder(value)
