# -*- coding: utf-8 -*-
"""The tables of meanings, ranges and names agree with what they describe."""

import dataclasses

import pytest

from local_llm.library_fields import LIBRARIES, library_fields
from local_llm.settings import (
    DataSourceSettings,
    FineTuneSettings,
    GenerationSettings,
    ModelSettings,
)
from local_llm.settings_values import RULES


@pytest.mark.parametrize(
    ("section", "values"),
    [
        ("entry", ModelSettings),
        ("generation", GenerationSettings),
        ("fine_tune_config", FineTuneSettings),
        ("data_source", DataSourceSettings),
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


@pytest.mark.parametrize(
    ("section", "values"),
    [
        ("entry", ModelSettings(config_name="a")),
        ("generation", GenerationSettings()),
        ("fine_tune_config", FineTuneSettings()),
        ("data_source", DataSourceSettings("a")),
    ],
)
def test_every_default_lies_in_its_range(
    section: str,
    values: ModelSettings,
) -> None:
    for name, rule in RULES[section].items():
        assert rule.allows(getattr(values, name)), name
