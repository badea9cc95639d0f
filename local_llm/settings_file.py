# -*- coding: utf-8 -*-
"""Reads a config file: a JSON list of named entries, and nothing else.

Knows nothing of what an entry may hold; stricter than `json` about what is
ambiguous: duplicate keys, NaN, numbers and nesting without a limit.
Raises ConfigError with every fault of the file; never prints a token.
"""

import json
import math
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from local_llm.errors import ConfigError

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 64
MAX_DIGITS = 19  # every integer of 64 bits; more is a slip, and slow to read
MAX_SHOWN = 60
MAX_LISTED = 50

# A string is one match even when it is never closed, so that the search
# stays linear on broken files.
_BRACKETS = re.compile(
    r'"(?:\\.|[^"\\])*(?:"|\\?\Z)|[\[\]{}]',
    re.DOTALL,
)
# A token has 34 of these; fewer is a name such as "hf_conversations".
_TOKEN = re.compile(r"(?:hf|api_org)_[A-Za-z0-9]{20,}")
_TOKEN_VALUE = re.compile(
    r"""((?:token|api_key|password|secret)["']?\s*[:=]\s*)"""
    r"""("[^"]*"?|'[^']*'?|[^\s,}\]]+)""",
    re.IGNORECASE,
)
_URL_PASSWORD = re.compile(r"(://[^/@\s:]*:)[^/@\s]+@")
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,40}")


# By the object's id; the object itself is kept so that the id stays its own.
Duplicates = dict[int, tuple[dict[str, Any], list[str]]]


class Spot(NamedTuple):
    """A value and where it stands: its key path, its key, how deep."""

    value: Any
    path: str
    key: object
    depth: int


def masked(text: str) -> str:
    """The text with everything that looks like a credential replaced.

    Args:
        text (`str`): What is about to be shown to someone.
    """
    return _URL_PASSWORD.sub(r"\1***@", _TOKEN.sub("***", text))


def shown(value: object) -> str:
    """A value as an error message may show it: JSON's words, short, masked.

    Args:
        value (`object`): Anything, however large.
    """
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, int) and value.bit_length() > 64:
        return f"an integer of {value.bit_length()} bits"
    if isinstance(value, str):
        return "the string " + _shortened(value)
    if isinstance(value, dict):
        return f"an object with {len(value)} keys"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, int | float):
        return repr(value)
    return f"a Python {type(value).__name__}"


def quoted(key: object) -> str:
    """A key between quotes: printable on any terminal, short, masked.

    Args:
        key (`object`): A key of an object.
    """
    return _shortened(key) if isinstance(key, str) else shown(key)


def _shortened(text: str) -> str:
    # Masked before it is cut: half a token would no longer be recognised.
    text = masked(text)
    if len(text) > MAX_SHOWN:
        return f"{text[:MAX_SHOWN]!r}... ({len(text)} characters)"
    return repr(text)


def _printable(text: str) -> str:
    # Lone surrogates make `print` fail; escape codes move the cursor.
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def read_entries(path: Path) -> list[dict[str, Any]]:
    """The entries of a config file, each with a `config_name` of its own.

    Args:
        path (`Path`): The file.
    """
    where = absolute(path)
    text = _read_text(path, where)
    _check_depth(text, where)
    entries, duplicates = _decoded(text, where)
    problems = []
    for spot in walk(entries):
        problems += [
            f"{join(spot.path, key)}: the key is given twice"
            for key in duplicates.get(id(spot.value), ({}, []))[1]
        ]
        if isinstance(spot.value, float) and not math.isfinite(spot.value):
            problems.append(
                f"{spot.path}: wanted a finite number of at most "
                f"{MAX_DIGITS} digits, found NaN, Infinity or more digits",
            )
    problems += _list_problems(entries)
    if problems:
        raise ConfigError(where, capped(problems))
    return list(entries)


def capped(problems: list[str]) -> list[str]:
    """The problems that a person would read, and how many more there are.

    Args:
        problems (`list[str]`): One line each.
    """
    more = len(problems) - MAX_LISTED
    return problems[:MAX_LISTED] + ([f"and {more} more"] if more > 0 else [])


def absolute(path: Path) -> str:
    """The path as messages name it: absolute, printable, masked.

    Args:
        path (`Path`): A path, relative to the working directory or not.
    """
    text = os.path.abspath(os.path.expanduser(path))
    return masked(_printable(text))


def walk(value: Any, path: str = "") -> Iterator[Spot]:
    """Every value inside a JSON value, outermost first; no recursion.

    Args:
        value (`Any`): What `json` returned, or the like from a caller.
        path (`str`, optional): The key path of `value` itself.
    """
    waiting = [Spot(value, path, None, 0)]
    while waiting:
        spot = waiting.pop()
        yield spot
        if isinstance(spot.value, dict):
            children = [
                Spot(item, join(spot.path, key), key, spot.depth + 1)
                for key, item in spot.value.items()
            ]
        elif isinstance(spot.value, list):
            children = [
                Spot(item, f"{spot.path}[{number}]", None, spot.depth + 1)
                for number, item in enumerate(spot.value)
            ]
        else:
            continue
        waiting += reversed(children)


def join(path: str, key: object) -> str:
    """The path of a key below another path.

    Args:
        path (`str`): The path of the object; empty for the outermost.
        key (`object`): The key in it.
    """
    name = quoted(key)
    if isinstance(key, str) and _PLAIN_KEY.fullmatch(key):
        name = name[1:-1]
    return f"{path}.{name}" if path else name


def _read_text(path: Path, where: str) -> str:
    try:
        path = Path(os.path.expanduser(path))
        if path.is_dir():
            raise ConfigError(where, ["is a folder, wanted a JSON file"])
        if path.exists() and not path.is_file():
            raise ConfigError(where, ["is not a regular file"])
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise ConfigError(
            where,
            ["the file does not exist"],
            fix="give the path of your model_configs.json",
        ) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(where, [f"cannot be read: {reason}"]) from error
    if len(data) > MAX_BYTES:
        raise ConfigError(where, [f"is larger than {MAX_BYTES} bytes"])
    return _decode(data, where)


def _decode(data: bytes, where: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        raise ConfigError(
            where,
            [f"{where}:{line}:{column}: is not UTF-8 text"],
            fix="save the file as UTF-8",
        ) from error


def _check_depth(text: str, where: str) -> None:
    depth = 0
    for match in _BRACKETS.finditer(text):
        bracket = match[0]
        depth += (bracket in "[{") - (bracket in "]}")
        if depth > MAX_DEPTH:
            raise ConfigError(
                where,
                [f"objects and lists are nested more than {MAX_DEPTH} deep"],
            )


def _decoded(text: str, where: str) -> tuple[Any, Duplicates]:
    duplicates: Duplicates = {}

    def build_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        built = dict(pairs)
        if len(built) < len(pairs):
            counts = Counter(key for key, _ in pairs)
            twice = [key for key, count in counts.items() if count > 1]
            duplicates[id(built)] = (built, twice)
        return built

    try:
        entries = json.loads(
            text,
            object_pairs_hook=build_object,
            parse_int=_integer,
        )
    except json.JSONDecodeError as error:
        raise ConfigError(where, [_syntax_problem(error, where)]) from error
    return entries, duplicates


def _integer(digits: str) -> int | float:
    # Infinity is refused with its key path, once the file is read.
    return int(digits) if len(digits.lstrip("-")) <= MAX_DIGITS else math.inf


def _syntax_problem(error: json.JSONDecodeError, where: str) -> str:
    # The whole text is masked before it is cut: a token's key may stand on
    # the line before.
    line = _TOKEN_VALUE.sub(_without_value, masked(error.doc)).split("\n")[
        error.lineno - 1
    ]
    start = max(0, error.colno - MAX_SHOWN)
    excerpt = line[start : start + 2 * MAX_SHOWN].strip()
    return (
        f"{where}:{error.lineno}:{error.colno}: is not JSON: "
        f"{_syntax_hint(error) or error.msg}; the line is {_printable(excerpt)}"
    )


def _without_value(match: re.Match[str]) -> str:
    # Line breaks stay, so that line numbers do.
    return match[1] + '"***"' + "\n" * match[2].count("\n")


def _syntax_hint(error: json.JSONDecodeError) -> str:
    before = error.doc[: error.pos].rstrip()
    here = error.doc[error.pos : error.pos + 2]
    if not error.doc.strip():
        return "the file is empty"
    if here[:1] in ("}", "]") and before.endswith(","):
        return "a comma before the closing bracket"
    if here[:1] == "#" or here in ("//", "/*"):
        return "JSON has no comments"
    if here[:1] == "'":
        return "JSON strings stand between double quotes"
    return ""


def _list_problems(entries: Any) -> list[str]:
    if not isinstance(entries, list):
        return [f"wanted a list of entries, found {shown(entries)}"]
    if not entries:
        return ["wanted at least one entry, found an empty list"]
    problems = []
    seen: set[str] = set()
    for number, entry in enumerate(entries):
        name = entry.get("config_name") if isinstance(entry, dict) else None
        if not isinstance(entry, dict):
            problems.append(
                f"[{number}]: wanted an object, found {shown(entry)}",
            )
        elif not isinstance(name, str) or not name:
            problems.append(
                f"[{number}].config_name: wanted a name, found {shown(name)}",
            )
        elif name in seen:
            problems.append(
                f"[{number}].config_name: {quoted(name)} names an entry "
                "before it too",
            )
        else:
            seen.add(name)
    if problems:
        problems.append("the names found are " + (names_of(entries) or "none"))
    return problems


def names_of(entries: list[Any]) -> str:
    """The config names of a list of entries, for a message.

    Args:
        entries (`list[Any]`): Entries; whatever has no name is left out.
    """
    names = [
        entry["config_name"]
        for entry in entries
        if isinstance(entry, dict)
        and isinstance(entry.get("config_name"), str)
    ]
    listed = ", ".join(quoted(name) for name in names[:20])
    return listed + (f" and {len(names) - 20} more" if names[20:] else "")
