# -*- coding: utf-8 -*-
"""Replies are parted while they come, whatever a model writes."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_replies import replies

from local_llm.held_replies import Form
from local_llm.reply_parts import (
    DEEPEST,
    HeldReader,
    ReplyPart,
    ReplyReader,
)
from local_llm.wire_formats import own_format

TOOLS = [
    {"type": "function", "function": {"name": name, "parameters": {}}}
    for name in ("weather", "now")
]
PARIS = ReplyPart("call", '{"city": "Paris"}', "weather")
NOW = ReplyPart("call", "{}", "now")
MARKED = (
    '<tool_call>\n{"name": "weather", "arguments": {"city": "Paris"}}\n'
    "</tool_call>"
)


def parts_of(
    text: str,
    tools=TOOLS,
    size: int = 1,
    stopped: bool = True,
    thinks: bool = True,
) -> list[ReplyPart]:
    """The parts of a reply that comes in pieces of some size; words that
    follow each other are joined."""
    reader = ReplyReader(own_format(thinks), tools)
    found = []
    for start in range(0, len(text), size):
        found += reader.feed(text[start : start + size])
    return joined([*found, *reader.end(stopped)])


def joined(parts: list[ReplyPart]) -> list[ReplyPart]:
    """The parts, those of one kind of words as one."""
    whole: list[ReplyPart] = []
    for part in parts:
        last = whole[-1] if whole else None
        if (
            last
            and last.kind == part.kind
            and part.kind in ("text", "thinking")
        ):
            whole[-1] = ReplyPart(part.kind, last.text + part.text)
        else:
            whole.append(part)
    return whole


def text(words: str) -> ReplyPart:
    return ReplyPart("text", words)


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("", []),
        ("It is sunny.\n", [text("It is sunny.\n")]),
        (MARKED, [PARIS]),
        (f"Let me look.\n{MARKED}", [text("Let me look."), PARIS]),
        (
            f'{MARKED}\n<tool_call>{{"name": "now"}}</tool_call>',
            [PARIS, NOW],
        ),
        (
            f"<think>\nhm\n</think>\n\nLook: {MARKED}\n",
            [ReplyPart("thinking", "hm"), text("Look:"), PARIS],
        ),
        ("<think>\n\n</think>\n\nIt is.", [text("It is.")]),
        (
            "<think>a \n</think>So.<think>\n\n b</think>ok",
            [
                ReplyPart("thinking", "a"),
                text("So."),
                ReplyPart("thinking", "\n\nb"),
                text("ok"),
            ],
        ),
        # without marks
        ('{"name": "weather", "arguments": {"city": "Paris"}}', [PARIS]),
        ('{"name": "weather", "parameters": {"city": "Paris"}}', [PARIS]),
        ('```json\n{"name": "now", "arguments": {}}\n```', [NOW]),
        (
            '[TOOL_CALLS][{"name": "now", "arguments": {}, "id": "1"},'
            ' {"name": "weather", "arguments": {"city": "Paris"}}]',
            [NOW, PARIS],
        ),
        # no calls
        ('{"name": "Paris", "country": "France"}',) * 2,
        ('{"name": "other", "arguments": {}}',) * 2,
        ('{"city": "Paris"}',) * 2,
        ("a < b and <tool> and <tool_cal",) * 2,
    ],
)
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_reply_is_words_thoughts_and_calls(reply, expected, size) -> None:
    if isinstance(expected, str):
        expected = [text(expected)]
    assert parts_of(reply, size=size) == expected


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ('{"name": "weather", "arguments": {"city": Paris}}', "weather"),
        ('{"name": "weather", "arguments": [1]}', "weather"),
        ('{"name": "weather", "extra": 1}', "weather"),
        ('{"arguments": {}}', ""),
        ("weather(Paris)", "weather"),
        ("[]", ""),
        ('{"name": "now", "arguments": {"a": NaN}}', "now"),
        ('{"name": "now", "arguments": {"a": 1e999}}', "now"),
        ('{"name": "now", "arguments": {"a": "\\ud800"}}', "now"),
        (f'{{"name": "now", "arguments": {"[" * 40}{"]" * 40}}}', "now"),
        ('{"name": "now", "arguments": ' + "[" * 100_000, "now"),
    ],
)
def test_what_is_no_call_is_a_part_that_names_the_tool(body, name) -> None:
    (part,) = parts_of(f"<tool_call>{body}</tool_call>", size=500)
    assert part == ReplyPart("unreadable", body, name)


def test_a_call_that_is_cut_is_none() -> None:
    (part,) = parts_of(MARKED[:60], stopped=False)
    assert (part.kind, part.name) == ("unreadable", "weather")


def test_arguments_may_be_nested_but_not_endlessly() -> None:
    def call(depth: int) -> str:
        value = "[" * depth + "]" * depth
        return f'<tool_call>{{"name": "now", "arguments": {{"a": {value}}}}}'

    assert parts_of(call(DEEPEST - 1))[0].kind == "call"
    assert parts_of(call(DEEPEST + 1))[0].kind == "unreadable"


def test_where_nothing_can_be_called_marks_are_words() -> None:
    assert parts_of(MARKED, tools=()) == [text(MARKED)]


def test_words_are_given_at_once_and_the_beginning_of_a_mark_is_not() -> None:
    reader = ReplyReader(own_format(False), TOOLS)
    assert reader.feed("Hello") == [text("Hello")]
    assert reader.feed(" <tool_") == []
    assert joined(reader.feed("tip>")) == [text(" <tool_tip>")]


def test_thoughts_come_as_they_are_thought_also_if_the_prompt_began_them() -> (
    None
):
    reader = ReplyReader(own_format(True, "<think>\n"), TOOLS)
    assert reader.feed("so ") == [ReplyPart("thinking", "so")]
    assert joined(reader.feed("it is</think>\nYes.")) == [
        ReplyPart("thinking", " it is"),
        text("Yes."),
    ]


def test_a_held_reply_is_its_call_and_nothing_where_it_was_cut() -> None:
    forms = [Form("now", {}, "now: ", "."), Form("weather", {}, "w: ", ".")]
    reader = HeldReader(forms)
    assert reader.feed('w: {"city": ') == []
    reader.feed('"Paris"}.')
    assert reader.end(stopped=True) == [PARIS]
    assert reader.end(stopped=False) == []


@settings(max_examples=500, derandomize=True, deadline=None)
@given(replies, st.integers(1, 9))
def test_how_a_reply_is_cut_into_pieces_makes_no_difference(
    reply: str,
    size: int,
) -> None:
    parts = parts_of(reply, size=size)
    assert parts == parts_of(reply, size=10_000)
    for part in parts:
        if part.kind == "call":
            assert isinstance(json.loads(part.text), dict)


@settings(max_examples=300, derandomize=True, deadline=None)
@given(replies)
def test_where_no_tool_is_and_none_is_thought_all_is_said(reply: str) -> None:
    parts = parts_of(reply, tools=(), size=3, thinks=False)
    assert "".join(part.text for part in parts) == reply
