# -*- coding: utf-8 -*-
"""The tables of the keys of a served model."""

import dataclasses

from local_llm.served_settings import (
    ClientSettings,
    ServedGenerationSettings,
    ServedModelSettings,
)
from local_llm.served_values import SERVED_RULES
from local_llm.settings_values import RULES


def test_every_key_has_a_rule_and_every_rule_a_key() -> None:
    values = {
        "openai_chat": ServedModelSettings,
        "client_args": ClientSettings,
        "generate_args": ServedGenerationSettings,
    }
    for name, rules in SERVED_RULES.items():
        keys = [field.name for field in dataclasses.fields(values[name])]
        assert sorted(rules) == sorted(keys), name


def test_every_rule_says_what_its_key_means() -> None:
    for rules in SERVED_RULES.values():
        assert all(rule.meaning for rule in rules.values())


def test_both_tables_share_no_section() -> None:
    assert RULES.keys().isdisjoint(SERVED_RULES)
