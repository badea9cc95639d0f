# -*- coding: utf-8 -*-
"""The tables of the keys of the multi-LLM agent."""

import dataclasses

from alpha_umi.tool_agent_settings import StageSettings, ToolAgentSettings
from alpha_umi.tool_agent_values import (
    FAMILY,
    NOT_IN_MODEL,
    STAGES,
    TOOL_AGENT_RULES,
)
from local_llm.library_fields import library_fields
from local_llm.settings_names import RESERVED, SECRET_KEYS
from local_llm.settings_values import RULES


def test_every_key_has_a_rule_and_every_rule_a_key() -> None:
    values = {"alpha_umi": ToolAgentSettings, "stage": StageSettings}
    assert TOOL_AGENT_RULES.keys() == values.keys()
    for name, rules in TOOL_AGENT_RULES.items():
        keys = [field.name for field in dataclasses.fields(values[name])]
        assert sorted(rules) == sorted(keys), name
        assert rules.keys().isdisjoint(SECRET_KEYS)


def test_every_rule_says_what_its_key_means() -> None:
    for rules in TOOL_AGENT_RULES.values():
        assert all(rule.meaning for rule in rules.values())


def test_the_stages_are_keys_of_an_entry() -> None:
    assert set(STAGES) <= TOOL_AGENT_RULES["alpha_umi"].keys()


def test_what_is_not_in_the_model_is_a_key_elsewhere() -> None:
    known = {**RULES, "training_args": library_fields("training_args")}
    for name, reasons in NOT_IN_MODEL.items():
        assert reasons.keys() - {"warmup_ratio"} <= known[name].keys()


def test_what_no_config_sets_is_not_set_here_either() -> None:
    for name, reasons in RESERVED.items():
        assert reasons.keys() <= FAMILY.reserved[name].keys()
