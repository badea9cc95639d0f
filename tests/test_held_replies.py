# -*- coding: utf-8 -*-
"""Replies are held to schemas, and are given the room that this takes."""

import json

import pytest
from random_values import accepts, random_text

from local_llm import held_replies as under_test
from local_llm.errors import ConfigError, GenerationError
from local_llm.held_replies import (
    LADDER,
    Form,
    forms_grammar,
    held_replies,
    longest_tokens,
    object_schema,
)

CITY = {"type": "object", "properties": {"city": {"type": "string"}}}
FORM = Form("weather", CITY, "call weather: ", " end")
NOW = Form("now", {"type": "object", "properties": {}}, "call now: ")


def test_a_reply_has_the_text_of_its_form_around_the_object() -> None:
    grammar = forms_grammar([FORM, NOW])
    assert accepts(grammar, 'call weather: {"city": "Paris"} end')
    assert accepts(grammar, "call now: {}")
    assert not accepts(grammar, 'call now: {"city": "Paris"} end')
    assert not accepts(grammar, "{}")


@pytest.mark.parametrize("limits", LADDER, ids=lambda one: one.characters)
def test_no_reply_is_longer_than_said(limits) -> None:
    longest = longest_tokens([FORM, NOW], limits)
    grammar = forms_grammar([FORM, NOW], limits)
    for seed in range(5):
        assert len(random_text(grammar, seed).encode()) < longest


def test_the_ladder_goes_down() -> None:
    lengths = [longest_tokens([FORM], limits) for limits in LADDER]
    assert lengths == sorted(lengths, reverse=True)


def test_where_all_fits_one_try_is_enough() -> None:
    (held,) = held_replies([FORM], wanted=100_000, room=100_000)
    assert held.tokens == longest_tokens([FORM], LADDER[0])
    assert held.grammar == forms_grammar([FORM], LADDER[0])


def test_where_the_usual_fits_but_not_the_longest_a_shorter_one_follows() -> (
    None
):
    likely, sure = held_replies([FORM], wanted=1000, room=400)
    assert likely.tokens == 400 < longest_tokens([FORM], LADDER[1])
    assert sure.tokens == longest_tokens([FORM], LADDER[3]) <= 400


def test_no_more_lengths_are_worked_out_than_are_looked_at_and_none_twice(
    monkeypatch,
) -> None:
    form = Form("asked about once", CITY)
    measured = []
    longest_json = under_test.longest_json

    def noted(bounded):
        measured.append(bounded)
        return longest_json(bounded)

    monkeypatch.setattr(under_test, "longest_json", noted)
    for _ in range(2):
        next(held_replies([form], wanted=100_000, room=100_000))
        assert len(measured) == 2  # the shortest, and the first that fits


def test_a_second_try_is_made_when_it_is_asked_for(monkeypatch) -> None:
    checked = []
    monkeypatch.setattr(
        under_test,
        "check_grammar",
        lambda grammar, where: checked.append(where),
    )
    form = Form("cut now and then", CITY)
    tries = held_replies([form], wanted=1000, room=400)
    assert len(checked) == 1
    assert len([*tries]) == 2 == len(checked)


def test_what_is_wanted_short_is_short() -> None:
    (held,) = held_replies([FORM], wanted=5, room=100_000)
    assert held.grammar == forms_grammar([FORM], LADDER[-1])


def test_where_even_the_shortest_may_not_fit_the_numbers_are_told() -> None:
    shortest = longest_tokens([FORM], LADDER[-1])
    with pytest.raises(GenerationError) as caught:
        held_replies([FORM], wanted=100, room=shortest - 1)
    assert f"may need {shortest} tokens" in str(caught.value)
    assert f"room for {shortest - 1}" in str(caught.value)
    assert "'weather'" in str(caught.value)


@pytest.mark.parametrize(
    "schema",
    [{"type": "array"}, {"type": "object", "not": {}}, {"type": "no"}],
)
def test_what_no_grammar_can_be_made_of_is_named(schema) -> None:
    with pytest.raises(ConfigError, match="tool 'odd'"):
        held_replies([Form("odd", schema)], 100, 100)


@pytest.mark.parametrize("schema", [None, {}, {"type": "object"}])
def test_a_schema_that_names_no_arguments_has_none(schema) -> None:
    grammar = forms_grammar([Form("f", object_schema(schema))])
    assert accepts(grammar, "{}")
    assert not accepts(grammar, json.dumps({"a": 1}))
