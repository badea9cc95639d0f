# -*- coding: utf-8 -*-
"""Tools are put into words, long or short."""

import pytest

from alpha_umi.protocol import Decision
from alpha_umi.tool_texts import (
    argument_text,
    call_rationale,
    description_text,
    rationale,
)


@pytest.mark.parametrize(
    ("values", "is_optional", "text"),
    [
        ((), False, "string, The day"),
        (("1", "2"), True, "string, optional, 1|2, The day"),
        (("x" * 50, "y"), False, "string, The day"),
    ],
)
def test_a_described_argument_has_type_values_and_description(
    values: tuple[str, ...],
    is_optional: bool,
    text: str,
) -> None:
    described = argument_text(
        "described",
        "string",
        values,
        "The day",
        is_optional,
    )
    assert described == text


@pytest.mark.parametrize(
    ("values", "is_optional", "text"),
    [
        ((), False, ""),
        ((), True, "?"),
        (("1", "2"), True, "1|2?"),
        (("x" * 15, "y"), False, ""),
    ],
)
def test_a_named_argument_has_a_few_values_at_most(
    values: tuple[str, ...],
    is_optional: bool,
    text: str,
) -> None:
    named = argument_text("named", "string", values, "The day", is_optional)
    assert named == text


def test_a_short_description_ends_with_a_whole_word() -> None:
    words = "Find a restaurant of a particular cuisine"
    assert description_text("described", words) == words
    assert description_text("named", words) == "Find a restaurant of a"
    assert description_text("named", "Find it. Gives all.") == "Find it"


def test_a_call_is_explained_by_what_is_wanted_and_known() -> None:
    assert call_rationale("FindTaxi", {"street": "Elm", "riders": 2}) == (
        "The user wants FindTaxi; known: street Elm, riders 2. Next: caller."
    )
    assert call_rationale("FindTaxi", {}) == (
        "The user wants FindTaxi. Next: caller."
    )


def test_a_rationale_ends_with_its_decision() -> None:
    words = rationale("Nothing was found", Decision.GIVE_UP)
    assert words == "Nothing was found. Next: give up."
