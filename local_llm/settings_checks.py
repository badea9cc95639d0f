# -*- coding: utf-8 -*-
"""Checks the keys and values of one section against its fields and rules.

Collects every problem and warning; knows nothing of files or of what the
sections mean together. Raises ConfigError only through `Findings.finish`.
"""

import contextlib
import difflib
import logging
import math
import re
from collections.abc import Collection
from pathlib import PurePath
from typing import Any

from local_llm.errors import ConfigError
from local_llm.library_fields import LIBRARIES, library_fields
from local_llm.settings_file import (
    MAX_DEPTH,
    MAX_DIGITS,
    MAX_LISTED,
    Spot,
    capped,
    join,
    masked,
    quoted,
    shown,
    walk,
)
from local_llm.settings_names import OLD_NAMES, SECRET_KEYS, TOP_LEVEL
from local_llm.settings_rules import Rule
from local_llm.settings_sections import Family, Section
from local_llm.value_kinds import Kind, accepts, described

log = logging.getLogger("local_llm.settings")

_SURROGATE = re.compile("[\ud800-\udfff]")
_ANY = Rule("")
# The original example wrote these as strings.
_OLD_SECTIONS = ("bnb_config", "fine_tune_config")
_OLD_BOOLEANS: dict[str, object] = {"True": True, "False": False}
_DTYPE_KEYS = ("bnb_4bit_compute_dtype", "bnb_4bit_quant_storage")


class Findings:
    """The problems and warnings of a config, in the order they were found."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.warnings: list[str] = []
        self.bad_paths: set[str] = set()

    def add(self, path: str, problem: str) -> None:
        """Note that the value at a path is wrong.

        Args:
            path (`str`): Its key path; empty for the whole entry.
            problem (`str`): What was found and what is wanted.
        """
        self.problems.append(f"{path}: {problem}" if path else problem)
        self.bad_paths.add(path)

    def inside(self, path: str) -> "Findings":
        """What is known of an object that is checked on its own.

        Args:
            path (`str`): Its key path; paths found in it start there.
        """
        inner = Findings()
        inner.bad_paths = {
            one.removeprefix(f"{path}.")
            for one in self.bad_paths
            if one.startswith(f"{path}.")
        }
        return inner

    def take(self, path: str, inner: "Findings") -> None:
        """Note what was found in an object that was checked on its own.

        Args:
            path (`str`): Its key path.
            inner (`Findings`): What `inside` gave, filled.
        """
        self.problems += [f"{path}.{line}" for line in inner.problems]
        self.warnings += [f"{path}.{line}" for line in inner.warnings]

    def finish(self, where: str) -> None:
        """Raise every problem at once, or log every warning.

        Args:
            where (`str`): The file and the entry, for the message.
        """
        if self.problems:
            raise ConfigError(masked(where), capped(self.problems))
        for warning in self.warnings:
            log.warning("%s: %s", masked(where), warning)


def check_values(
    raw: object,
    path: str,
    findings: Findings,
    secrets: str = "set HF_TOKEN",
) -> bool:
    """Check what holds for every value, however deep; false where too deep.

    Args:
        raw (`object`): An entry, or a part of one.
        path (`str`): The key path of that part; empty for an entry.
        findings (`Findings`): Where problems go.
        secrets (`str`, optional): What to do with a token instead.
    """
    for spot in walk(raw, path):
        if spot.depth > MAX_DEPTH:
            findings.add(path, f"is nested more than {MAX_DEPTH} deep")
            return False
        secret = _secret_problem(spot)
        problem = f"{secret}; {secrets}" if secret else ""
        problem = problem or _unreadable(spot.value)
        if problem:
            findings.add(spot.path, problem)
    return True


def check_section(
    raw: object,
    section: Section,
    findings: Findings,
) -> dict[str, Any]:
    """The values of a section that are right; the rest becomes problems.

    Args:
        raw (`object`): The section as it was found.
        section (`Section`): What it should be.
        findings (`Findings`): Where problems and warnings go; paths that are
            in it already are not judged again.
    """
    if not isinstance(raw, dict):
        findings.add(section.path, f"wanted an object, found {shown(raw)}")
        return {}
    right = {}
    for key, value in raw.items():
        path = join(section.path, key)
        if path in findings.bad_paths:
            continue
        problem = _key_problem(key, section, findings)
        if not problem:
            value = _modernised(key, value, section, findings)
            problem = _value_problem(key, value, section)
        if problem:
            findings.add(path, problem)
        else:
            right[key] = value
    return right


def _secret_problem(spot: Spot) -> str:
    if isinstance(spot.key, str) and spot.key.lower() in SECRET_KEYS:
        return "a token does not belong in a config"
    if isinstance(spot.value, str) and masked(spot.value) != spot.value:
        return "looks like a token or password"
    return ""


def _unreadable(value: object) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return f"wanted a finite number, found {value}"
    if isinstance(value, int) and abs(value) >= 10**MAX_DIGITS:
        return f"wanted at most {MAX_DIGITS} digits, found {shown(value)}"
    if isinstance(value, str) and not _is_text(value):
        return f"wanted readable text, found {shown(value)}"
    return ""


def _is_text(text: str) -> bool:
    return "\0" not in text and _SURROGATE.search(text) is None


def _key_problem(key: object, section: Section, findings: Findings) -> str:
    if not isinstance(key, str):
        return f"wanted a string as key, found {shown(key)}"
    top = section.family.level("entry")
    reason = section.reserved.get(key)
    if reason:
        return f"is not set here: {reason.replace(TOP_LEVEL, top)}"
    if key in section.kinds:
        return ""
    today = OLD_NAMES.get(section.name, {}).get(key)
    if today:
        return f"is an old name; today it is {today.replace(TOP_LEVEL, top)}"
    if len(findings.problems) >= MAX_LISTED:
        return f"unknown key {quoted(key)}"  # no time for what is not shown
    return f"unknown key {quoted(key)}{_hint(key, section)}"


def _hint(key: str, section: Section) -> str:
    home = _home_of(key, section)
    if home:
        return f", it belongs in {home}"
    family = section.family
    others = [one for one in family.rules if one != section.name]
    for name in (section.name, *others):
        keys = sorted(_keys_of(name, family))
        near = difflib.get_close_matches(key[:64], keys, n=1)
        if near:
            place = "" if name == section.name else f" in {family.level(name)}"
            return f", did you mean {near[0]!r}{place}?"
    if section.name in LIBRARIES:
        return f", it is no field of {section.title}"
    keys = [one for one in section.kinds if one not in section.reserved]
    return ", the keys are " + ", ".join(keys)


def _home_of(key: str, section: Section) -> str:
    homes = [
        section.family.level(name)
        for name in section.family.rules
        if name != section.name and key in _keys_of(name, section.family)
    ]
    return " or ".join(homes)


def _keys_of(name: str, family: Family) -> Collection[str]:
    keys: Collection[str] = family.rules[name].keys()
    if name in LIBRARIES:
        with contextlib.suppress(ConfigError):
            keys = library_fields(name).keys()
    return set(keys) - family.reserved.get(name, {}).keys()


def _modernised(
    key: str,
    value: object,
    section: Section,
    findings: Findings,
) -> object:
    """The value as it is written today; Python values as JSON has them."""
    if isinstance(value, PurePath):
        return str(value)
    if type(value).__name__ == "dtype":  # torch's own, from a caller
        return str(value).removeprefix("torch.")
    if section.name == "bnb_config" and type(value) is int:
        # BitsAndBytesConfig takes no integer for a number.
        whole = Kind("number") in section.kinds[key]
        return float(value) if whole else value
    today = _written_today(key, value, section)
    if today is not value:
        findings.warnings.append(
            f"{join(section.path, key)}: write {shown(today)}, not "
            f"{shown(value)}",
        )
    return today


def _written_today(key: str, value: object, section: Section) -> object:
    if not isinstance(value, str):
        return value
    names = [kind.name for kind in section.kinds[key]]
    if section.name in _OLD_SECTIONS and "boolean" in names:
        return _OLD_BOOLEANS.get(value, value)
    if key in _DTYPE_KEYS and value.startswith("torch."):
        return value.removeprefix("torch.")
    return value


def _value_problem(key: str, value: object, section: Section) -> str:
    kinds = section.kinds[key]
    rule = section.rules.get(key, _ANY)
    if accepts(kinds, value) and rule.allows(value):
        return ""
    hint = _quotes_hint(kinds, value)
    return f"wanted {wanted(kinds, rule)}, found {shown(value)}{hint}"


def wanted(kinds: tuple[Kind, ...], rule: Rule) -> str:
    """The type and range of a key in words.

    Args:
        kinds (`tuple[Kind, ...]`): What it accepts.
        rule (`Rule`): Its range.
    """
    filled = tuple(kind for kind in kinds if kind.name != "null")
    text = rule.range()
    if not (rule.choices or rule.pattern):
        text = f"{described(filled)} {text}".strip()
    return text if filled == kinds else f"{text} or null"


def _quotes_hint(kinds: tuple[Kind, ...], value: object) -> str:
    if not isinstance(value, str) or accepts(kinds, value):
        return ""
    if value.lower() in ("true", "false"):
        return f"; write {value.lower()} without quotes"
    try:
        number = float(value)
    except ValueError:
        return ""
    return "; write the number without quotes" if math.isfinite(number) else ""
