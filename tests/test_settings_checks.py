# -*- coding: utf-8 -*-
"""One section checked against its fields, apart from files and entries."""

import logging

import pytest

from local_llm.errors import ConfigError
from local_llm.settings_checks import (
    Findings,
    check_section,
    check_values,
)
from local_llm.settings_sections import Section
from local_llm.value_kinds import parse_annotation

SECTION = Section(
    "generation",
    "generation",
    {
        "seed": parse_annotation("int | None"),
        "top_p": parse_annotation("float"),
    },
    "this section",
)


def test_right_values_are_kept_and_wrong_ones_left_out() -> None:
    findings = Findings()
    raw = {"seed": None, "top_p": 3, "top_q": 1}
    assert check_section(raw, SECTION, findings) == {"seed": None}
    assert findings.problems == [
        "generation.top_p: wanted a number above 0 and at most 1, found 3",
        "generation.top_q: unknown key 'top_q', did you mean 'top_p'?",
    ]


def test_a_value_is_never_told_to_be_wrong_twice() -> None:
    findings = Findings()
    raw = {"top_p": float("nan")}
    assert check_values(raw, "generation", findings)
    assert check_section(raw, SECTION, findings) == {}
    assert findings.problems == [
        "generation.top_p: wanted a finite number, found nan",
    ]


def test_a_key_with_many_dots_is_not_deep() -> None:
    findings = Findings()
    assert check_values({"rank_pattern": {"." * 200: 8}}, "", findings)
    assert findings.problems == []


def test_warnings_are_logged_only_when_nothing_is_wrong(
    caplog: pytest.LogCaptureFixture,
) -> None:
    findings = Findings()
    findings.warnings.append("old")
    findings.add("a", "wrong")
    with caplog.at_level(logging.WARNING), pytest.raises(ConfigError):
        findings.finish("here")
    assert caplog.messages == []
    findings.problems.clear()
    with caplog.at_level(logging.WARNING):
        findings.finish("here")
    assert caplog.messages == ["here: old"]


def test_a_part_is_checked_with_paths_of_its_own() -> None:
    findings = Findings()
    findings.add("model.generation.top_p", "wrong")
    inner = findings.inside("model")
    raw = {"seed": 0.5, "top_p": 3}
    assert check_section(raw, SECTION, inner) == {}
    inner.warnings.append("generation: old")
    findings.take("model", inner)
    assert findings.problems == [
        "model.generation.top_p: wrong",
        "model.generation.seed: wanted an integer at least 0 and at most "
        "4294967295 or null, found 0.5",
    ]
    assert findings.warnings == ["model.generation: old"]
