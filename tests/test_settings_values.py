# -*- coding: utf-8 -*-
"""The tables of meanings, ranges and names agree with what they describe."""

import dataclasses

import pytest

from local_llm.library_fields import LIBRARIES, library_fields
from local_llm.settings import (
    FineTuneSettings,
    GenerationSettings,
    ModelSettings,
)
from local_llm.settings_values import (
    OLD_NAMES,
    RESERVED,
    RULES,
    SECRET_KEYS,
    Rule,
)


@pytest.mark.parametrize(
    ("section", "values"),
    [
        ("entry", ModelSettings),
        ("generation", GenerationSettings),
        ("fine_tune_config", FineTuneSettings),
    ],
)
def test_every_own_key_has_a_meaning(section: str, values: type) -> None:
    names = [field.name for field in dataclasses.fields(values)]
    assert sorted(RULES[section]) == sorted(names)
    assert all(rule.meaning for rule in RULES[section].values())


@pytest.mark.parametrize("section", LIBRARIES)
def test_every_key_of_a_library_in_the_tables_is_a_field_of_it(
    section: str,
) -> None:
    known = library_fields(section).keys()
    assert RULES[section].keys() - known == set()
    assert RESERVED.get(section, {}).keys() - known == set()


@pytest.mark.parametrize("section", OLD_NAMES)
def test_no_old_name_is_a_name_of_today(section: str) -> None:
    today = set(RULES[section])
    if section in LIBRARIES:
        today |= library_fields(section).keys()
    assert OLD_NAMES[section].keys() & today == set()


def test_no_key_has_a_range_and_is_reserved_or_secret() -> None:
    for section, rules in RULES.items():
        assert rules.keys() & RESERVED.get(section, {}).keys() == set()
        assert rules.keys() & SECRET_KEYS == set()


@pytest.mark.parametrize(
    ("section", "values"),
    [
        ("entry", ModelSettings(config_name="a")),
        ("generation", GenerationSettings()),
        ("fine_tune_config", FineTuneSettings()),
    ],
)
def test_every_default_lies_in_its_range(
    section: str,
    values: ModelSettings,
) -> None:
    for name, rule in RULES[section].items():
        assert rule.allows(getattr(values, name)), name


@pytest.mark.parametrize(
    ("rule", "right", "wrong", "words"),
    [
        (Rule("", minimum=1), 1, 0.9, "at least 1"),
        (Rule("", above=0, maximum=2), 2, 0, "above 0 and at most 2"),
        (Rule("", minimum=0, below=0.5), 0, 0.5, "at least 0 and below 0.5"),
        (Rule("", minimum=1, also=(-1,)), -1, 0, "-1 or at least 1"),
        (Rule("", choices=("a", "b")), "a", "c", "one of 'a', 'b'"),
        (Rule("", choices=("a",)), None, 3, "'a'"),
        (Rule("", pattern="x+", words="some x"), "xx", "xy", "some x"),
        (Rule("", pattern="x", words="x"), "x", "x\n", "x"),
        (Rule("", minimum=0), 0, float("nan"), "at least 0"),
    ],
)
def test_a_range_is_judged_and_told(
    rule: Rule,
    right: object,
    wrong: object,
    words: str,
) -> None:
    assert rule.allows(right)
    assert not rule.allows(wrong)
    assert rule.range() == words


def test_a_range_as_schema_has_the_same_bounds() -> None:
    rule = Rule("", minimum=1, also=(-1,))
    assert rule.schema() == {"anyOf": [{"enum": [-1]}, {"minimum": 1}]}
    assert Rule("", above=0, below=1).schema() == {
        "exclusiveMinimum": 0,
        "exclusiveMaximum": 1,
    }
