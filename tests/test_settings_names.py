# -*- coding: utf-8 -*-
"""Names that are no key: each is one of a library, or of none any more."""

import pytest

from local_llm.library_fields import LIBRARIES, library_fields
from local_llm.settings_names import OLD_NAMES, RESERVED, SECRET_KEYS
from local_llm.settings_values import RULES


@pytest.mark.parametrize("section", RESERVED)
def test_every_reserved_name_is_a_field_of_its_library(section: str) -> None:
    assert RESERVED[section].keys() - library_fields(section).keys() == set()


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
