# -*- coding: utf-8 -*-
"""Config files with one to three changes in them, drawn by hypothesis: in the
values, in the keys, in the shape, in the text and in its bytes."""

import copy
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

from local_llm.settings import ENTRY, FINE_TUNE, GENERATION, LIBRARY_SECTIONS
from local_llm.settings_file import walk
from local_llm.settings_names import RESERVED, SECRET_KEYS
from local_llm.settings_sections import Section, library_section
from local_llm.settings_values import RULES, Rule
from local_llm.value_kinds import accepts

MODEL = {
    "config_name": "drawn",
    "model_type": "huggingface",
    "pretrained_model_name_or_path": "google/gemma-7b",
    "local_model_path": None,
    "revision": None,
}
"""What fits together only in few ways."""
CANARY = "hf_CANARY0123456789abcdefghijklmnop"
CONFIGS = Path(__file__).parents[2] / "configs" / "model_configs.json"
SHIPPED: list[dict[str, Any]] = [
    entry
    for entry in json.loads(CONFIGS.read_text(encoding="utf-8"))
    if entry["model_type"] != "alpha_umi"  # these another program reads
]

ORDINARY: tuple[Any, ...] = (
    *(None, True, False, 0, 1, 2, 3, 8, 16, 64, 500, -1, 0.05, 0.5, 1.5, 2e-4),
    *("x", "a/b", "cpu", "no", "steps", "epoch", "all", "none", "auto", "("),
    *("q_proj", "all-linear", "cosine", "bfloat16", "nf4", "a=b", "info"),
    *([], ["x"], ["q_proj", "v_proj"], [0, 1], {}, {"a": 1}, {"q_proj": 8}),
)
STRANGE: tuple[Any, ...] = (
    *(math.nan, math.inf, -math.inf, 1e300, 1e-300, -0.0, 1.0000001, 0.1),
    *(10**18, 10**19, 2**63, 2**64, -(2**63), 10**400, -2, 2**32, 32769),
    *("", " ", "\n", "1", "0.5", "2e-4", "1e999", "NaN", "true", "True"),
    *("False", "null", "torch.bfloat16", "torch.torch.float16", "0x10"),
    *("\ud800", "\x00", "\ufeff", "é", "e\u0301", "\u202e", "x" * 5000),
    *("../x", "/", "~", ".", "..", "a\nb", "C:\\x", "http://me:pw@h/x"),
    *(CANARY, "[", "(?P<a>x)(?P<a>y)", "*", "a" * 65, "embedded:x", "cuda:0"),
    *([None], [[]], [[[1]]], [True], [1.5], [CANARY], {"": 0}, {"a": None}),
    *({"r": {"r": {"r": 1}}}, {"(": 4}, {"q": 0}, {"q": "4"}, {"q": 1.5}),
)
MISSPELT = ("{}s", "{}_", "_{}", " {}", "{} ", "{}\u200b", "x{}", "{0}{0}")
OTHER_KEYS = ("", "a", "token", "hub_token", "é", "\ud800", CANARY, "x" * 999)


def sections() -> Iterator[Section]:
    """Every object of an entry."""
    yield from (ENTRY, GENERATION, FINE_TUNE)
    yield from map(library_section, LIBRARY_SECTIONS)


def _ordinary_values(section: Section, key: str) -> list[Any]:
    rule = RULES[section.name].get(key, Rule(""))
    kinds = section.kinds[key]
    return [
        value
        for value in (*ORDINARY, *rule.choices, *_choices(section, key))
        if accepts(kinds, value) and rule.allows(value)
    ]


def _choices(section: Section, key: str) -> Iterator[Any]:
    for kind in section.kinds[key]:
        yield from kind.choices


VALUES = {
    section.name: {
        key: values
        for key in section.kinds
        if key not in RESERVED.get(section.name, {})
        and key not in (*SECRET_KEYS, *MODEL)
        and (values := _ordinary_values(section, key))
    }
    for section in sections()
}
"""Ordinary values of every key, right by themselves."""


def _one_of(values: Sequence[Any]) -> st.SearchStrategy[Any]:
    """One of the values, as a copy that the next fault may change."""
    return st.sampled_from(values).map(copy.deepcopy)


@st.composite
def filled(draw: st.DrawFn, section: str, most: int) -> dict[str, Any]:
    """Some keys of a section with values that are right by themselves."""
    keys = sorted(VALUES[section])
    chosen = draw(st.lists(st.sampled_from(keys), max_size=most, unique=True))
    return {key: draw(_one_of(VALUES[section][key])) for key in chosen}


@st.composite
def entries(draw: st.DrawFn) -> dict[str, Any]:
    """An entry: one of the shipped, or one with keys of every kind."""
    if draw(st.integers(0, 3)) == 0:
        return draw(_one_of(SHIPPED))
    fine_tune = draw(filled("fine_tune_config", 4))
    for name in LIBRARY_SECTIONS:
        fine_tune[name] = draw(filled(name, 6))
    return {
        **draw(filled("entry", 5)),
        **MODEL,
        "generation": draw(filled("generation", 4)),
        "fine_tune_config": fine_tune,
    }


# -- faults in an entry --------------------------------------------------


def _objects(entry: dict[str, Any]) -> list[dict[str, Any]]:
    """Every object in an entry, empty ones left out."""
    found = (spot.value for spot in walk(entry))
    return [one for one in found if isinstance(one, dict) and one]


def _deep(value: Any, depth: int, in_list: bool) -> Any:
    for _ in range(depth):
        value = [value] if in_list else {"a": value}
    return value


def _retyped(value: Any) -> Sequence[Any]:
    """The same in other types: a number as text, a boolean for a number."""
    text = value if isinstance(value, str) else json.dumps(value)
    number = value if isinstance(value, int | float) else len(text)
    near = number if abs(number) < 10**300 else 0  # as a float at all
    return (
        *(text, repr(value), f" {text} ", f'"{text}"', [value], {"": value}),
        *(bool(value), -number, near + 0.5, number * 10**6, [value, value]),
    )


def _sections_of(entry: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The objects of an entry whose keys are known, by their names."""
    fine_tune = entry.get("fine_tune_config")
    inner = fine_tune if isinstance(fine_tune, dict) else {}
    found = {name: {**entry, **inner}.get(name) for name in VALUES}
    found["entry"] = entry
    return {k: v for k, v in found.items() if isinstance(v, dict)}


@st.composite
def changed(draw: st.DrawFn, entry: dict[str, Any]) -> None:
    """Other values in an entry, in place, right by themselves."""
    found = _sections_of(entry)
    name = draw(st.sampled_from(sorted(found)))
    found[name].update(draw(filled(name, 3)))


@st.composite
def broken(draw: st.DrawFn, entry: dict[str, Any]) -> None:
    """One fault in an entry, in place."""
    place = draw(st.sampled_from(_objects(entry) or [{}]))
    key = draw(st.sampled_from(sorted(place, key=repr) or [""]))
    value = place.get(key)
    action = draw(st.integers(0, 6))
    if action <= 1:
        place[key] = draw(_one_of((*ORDINARY, *STRANGE)))
    elif action == 2:
        place[key] = draw(_one_of(_retyped(value)))
    elif action == 3:
        name = draw(st.sampled_from((*MISSPELT, *OTHER_KEYS)))
        place[name.format(key)] = place.pop(key, None)
    elif action == 4:
        section = draw(st.sampled_from(sorted(VALUES)))
        place.update(draw(filled(section, 2)))
    elif action == 5:
        depth = draw(st.sampled_from((1, 2, 60, 70, 120)))
        place[key] = _deep(value, depth, draw(st.booleans()))
    else:
        place.pop(key, None)


@st.composite
def broken_entries(draw: st.DrawFn) -> dict[str, Any]:
    """An entry with one to three changes, some of them faults."""
    entry = draw(entries())
    before = _written(entry)
    for _ in range(draw(st.integers(1, 3))):
        change = draw(st.sampled_from((changed, broken, changed)))
        draw(change(entry))
    assume(_written(entry) != before)
    return entry


def _written(wanted: Any, escaped: bool = True) -> str:
    return json.dumps(wanted, indent=1, ensure_ascii=escaped)


# -- faults in a file ----------------------------------------------------


@st.composite
def _broken_text(draw: st.DrawFn, text: str) -> bytes:
    lines = text.split("\n")
    line = draw(st.integers(0, len(lines) - 1))
    if draw(st.booleans()):
        lines.insert(line, lines[line])  # a key given twice, a bracket more
    else:
        lines[line] = draw(st.sampled_from(("", "// x", "NaN,", ",", '"a":')))
    encoding = draw(st.sampled_from(("utf-8", "utf-8-sig", "utf-16")))
    return "\n".join(lines).encode(encoding, "surrogatepass")


@st.composite
def _broken_bytes(draw: st.DrawFn, text: str) -> bytes:
    data = text.encode("utf-8", "surrogatepass")
    place = draw(st.integers(0, max(0, len(data) - 1)))
    action = draw(st.integers(0, 3))
    if action == 0:
        return data[:place]
    if action == 1:
        flipped = data[place] ^ (1 << draw(st.integers(0, 7)))
        return data[:place] + bytes([flipped]) + data[place + 1 :]
    if action == 2:
        patch = draw(st.binary(min_size=1, max_size=8))
        return data[:place] + patch + data[place:]
    return draw(st.sampled_from((b"", b"[]", b"\xef\xbb\xbf", b"[" * 9999)))


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """The bytes of a config file that was changed, often for the worse."""
    wanted: Any = [draw(broken_entries())]
    if draw(st.integers(0, 19)) == 0:
        wanted = draw(st.sampled_from((wanted * 2, wanted[0], [wanted], 3)))
    text = _written(wanted, draw(st.booleans()))
    action = draw(st.integers(0, 9))
    if action == 0:
        return draw(_broken_text(text))
    if action == 1:
        return draw(_broken_bytes(text))
    return text.encode("utf-8", "surrogatepass")
