# -*- coding: utf-8 -*-
"""Calls are held to their tools where that can be, and have room to end."""

from tiny_agents import messages_of

from alpha_umi.call_grammar import call_grammar, longest_call_tokens
from alpha_umi.held_calls import HeldCalls
from alpha_umi.protocol import Tool
from local_llm.held_replies import HeldReply

ADD = Tool("add", arguments={"a": "integer", "b": "integer"})
NOW = Tool("now")
ODD = Tool("odd", schema={"properties": {"x": {"not": {}}}})


def test_a_call_has_the_grammar_of_its_tools_and_room_for_the_longest() -> (
    None
):
    held = HeldCalls().of([ADD, NOW])
    assert held == HeldReply(
        call_grammar([ADD, NOW]),
        longest_call_tokens([ADD, NOW]),
    )


def test_the_grammar_of_the_same_tools_is_made_once() -> None:
    held_calls = HeldCalls()
    first = held_calls.of([ADD])
    assert held_calls.of((ADD,)) is first
    assert held_calls.of([NOW]) != first


def test_without_tools_nothing_is_held() -> None:
    held_calls = HeldCalls()
    assert held_calls.of([ADD]) is not None
    assert held_calls.of([]) is None


def test_tools_that_no_grammar_fits_are_named_once() -> None:
    held_calls = HeldCalls()
    with messages_of("alpha_umi.held_calls") as logged:
        found = [held_calls.of(tools) for tools in ([ODD], [ODD], [ADD])]
    assert [one is None for one in found] == [True, True, False]
    (message,) = logged
    assert "odd" in message and "'not' is not supported" in message
