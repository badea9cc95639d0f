# -*- coding: utf-8 -*-
"""What may be called follows AgentScope's tool choice."""

import pytest
from agentscope.tool import ToolChoice

from huggingface_offers import (
    NO_TOOLS,
    STRUCTURED_TOOL,
    Offer,
    offer_of,
)
from local_llm.errors import GenerationError
from local_llm.reply_parts import ReplyPart
from local_llm.tool_calls import render_tools
from local_llm.turns import Turn
from local_llm.wire_formats import own_format


def tool(name: str, **properties) -> dict:
    """A tool as AgentScope gives it to a model."""
    schema = {"type": "object", "properties": properties}
    function = {"name": name, "description": "", "parameters": schema}
    return {"type": "function", "function": function}


ADD, NOW = tool("add", a={"type": "integer"}), tool("now")
BOTH = [ADD, NOW]
HELLO = Turn("user", "Hello.")


@pytest.mark.parametrize(
    ("choice", "shown", "names", "forbidden", "must_call"),
    [
        (None, BOTH, ["add", "now"], [], False),
        (ToolChoice(mode="auto"), BOTH, ["add", "now"], [], False),
        (ToolChoice(mode="none"), [], [], ["add", "now"], False),
        (ToolChoice(mode="required"), BOTH, ["add", "now"], [], True),
        (ToolChoice(mode="now"), BOTH, ["now"], ["add"], True),
        (
            ToolChoice(mode="auto", tools=["add"]),
            [ADD],
            ["add"],
            ["now"],
            False,
        ),
        (
            ToolChoice(mode="required", tools=["add"]),
            [ADD],
            ["add"],
            ["now"],
            True,
        ),
    ],
    ids=repr,
)
def test_a_choice_says_what_is_shown_and_what_may_be_called(
    choice,
    shown,
    names,
    forbidden,
    must_call,
):
    offer = offer_of(BOTH, choice)
    assert list(offer.shown) == shown
    assert offer.names == names
    assert offer.forbidden == frozenset(forbidden)
    assert offer.must_call == must_call


@pytest.mark.parametrize("tools", [None, []])
def test_without_tools_nothing_is_offered(tools):
    assert offer_of(tools) == NO_TOOLS
    assert NO_TOOLS.put_before([HELLO]) == [HELLO]


def test_a_call_of_nothing_cannot_be_demanded():
    with pytest.raises(GenerationError, match="there is none"):
        offer_of([], ToolChoice(mode="required"))


def test_the_tool_for_structured_output_alone_must_be_called():
    structured = tool(STRUCTURED_TOOL)
    assert offer_of([structured]).must_call
    assert not offer_of([structured, ADD]).must_call
    assert not offer_of([structured], ToolChoice(mode="none")).must_call


def test_a_tool_that_cannot_be_written_is_refused():
    odd = tool("odd")
    odd["function"]["description"] = "half a character: \ud800"
    with pytest.raises(GenerationError, match="tool 2 cannot be offered"):
        offer_of([ADD, odd])


def test_tools_stand_behind_the_system_text():
    offer = offer_of([ADD])
    block = render_tools([ADD])
    assert offer.put_before([Turn("system", "Be brief."), HELLO]) == [
        Turn("system", f"Be brief.\n\n{block}"),
        HELLO,
    ]
    assert offer.put_before([HELLO]) == [Turn("system", block), HELLO]


def test_the_call_of_a_forbidden_tool_is_only_text():
    offer = Offer(forbidden=frozenset(["now"]))
    call = ReplyPart("call", "{}", "now")
    assert offer.allowed(call).kind == "text"
    assert '"name": "now"' in offer.allowed(call).text
    unreadable = ReplyPart("unreadable", "now(", "now")
    assert offer.allowed(unreadable) == ReplyPart("text", "now(")
    other = ReplyPart("call", "{}", "add")
    assert offer.allowed(other) is other


@pytest.mark.parametrize(
    ("part", "problem"),
    [
        (ReplyPart("call", '{"a": 1}', "add"), ""),
        (ReplyPart("call", '{"a": "x"}', "add"), "'x' is not of type"),
        (ReplyPart("call", "{}", "sub"), "there is no sub"),
        (ReplyPart("unreadable", "add(", "add"), "not readable"),
    ],
)
def test_a_demanded_call_is_checked(part, problem):
    found = offer_of(BOTH).problem(part)
    assert problem in found and bool(problem) == bool(found)


def test_a_reply_that_must_be_a_call_has_a_form_for_each_tool():
    forms = offer_of(BOTH).forms(own_format(False))
    assert [one.name for one in forms] == ["add", "now"]
    assert forms[0].before.endswith('"add", "arguments": ')
