# -*- coding: utf-8 -*-
"""Text comes whole, in order, and up to a stop string."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from reply_listeners import bytes_of
from tiny_models import make_tokenizer

from local_llm.reply_text import ReplyText


def delivered(ids: list[int], *stop_strings: str) -> list[str]:
    """The pieces of text that tokens become."""
    text = ReplyText(make_tokenizer(), stop_strings)
    pieces = []
    for token_id in ids:
        pieces.append(text.add(token_id))
        if text.is_stopped:
            break
    return [*pieces, text.rest()]


# -- characters -----------------------------------------------------------


TEXT = "h\u00e9llo \U0001f600 \u4e16\u754c, \u0627\u0644 e\u0301!\n"


def test_characters_of_several_tokens_come_whole() -> None:
    ids = bytes_of(TEXT)
    assert len(ids) == len(TEXT.encode())
    pieces = delivered(ids)
    assert "".join(pieces) == TEXT
    assert all("\ufffd" not in piece for piece in pieces)
    assert len([one for one in pieces if one]) == len(TEXT)


def test_an_unfinished_character_at_the_end_is_not_lost() -> None:
    assert "".join(delivered(bytes_of("a\u4e16")[:-1])) == "a\ufffd"


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.lists(st.integers(6, 320), max_size=24))
def test_the_pieces_together_are_the_decoded_reply(ids: list[int]) -> None:
    whole = make_tokenizer().decode(ids, skip_special_tokens=True)
    assert "".join(delivered(ids)) == whole


def test_text_after_a_broken_character_goes_on() -> None:
    broken = [*bytes_of("\u4e16")[:2], *bytes_of("ab")]
    assert "".join(delivered(broken)) == "\ufffdab"


# -- stop strings ---------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "stop_strings", "expected"),
    [
        ("one two three", ["two"], "one "),
        ("one two three", ["three", "two"], "one "),
        ("one two three", ["two three", "one t"], ""),
        ("one two three", ["four"], "one two three"),
        ("aab", ["ab"], "a"),
        ("ababac", ["abac"], "ab"),
        ("the end", ["the end"], ""),
        ("h\u00e9llo \u4e16\u754c!", ["\u4e16\u754c"], "h\u00e9llo "),
        ("a\nUser: b", ["\nUser:", "\nAssistant:"], "a"),
        ("text", [""], "text"),
    ],
)
def test_a_reply_goes_up_to_the_first_stop_string(
    text: str,
    stop_strings: list[str],
    expected: str,
) -> None:
    assert "".join(delivered(bytes_of(text), *stop_strings)) == expected


def test_a_stop_string_that_begins_and_does_not_end_is_text() -> None:
    pieces = delivered(bytes_of("x <en> y <en"), "<end>")
    assert "".join(pieces) == "x <en> y <en"
    assert pieces[-1] == "<en"


def test_only_what_may_be_a_stop_string_is_held_back() -> None:
    pieces = delivered(bytes_of("ab<e>cd"), "<end>")
    assert pieces == ["a", "b", "", "", "<e>", "c", "d", ""]


@settings(max_examples=200, derandomize=True, deadline=None)
@given(
    st.lists(st.integers(6, 320), max_size=24),
    st.lists(st.text("abe \ufffd", min_size=1, max_size=3), max_size=3),
)
@example(bytes_of("a\u4e16")[:-1], ["\ufffd"])
def test_the_text_is_the_decoded_reply_cut_at_its_first_stop_string(
    ids: list[int],
    stop_strings: list[str],
) -> None:
    whole = make_tokenizer().decode(ids, skip_special_tokens=True)
    found = [whole.find(one) for one in stop_strings if one in whole]
    pieces = delivered(ids, *stop_strings)
    assert "".join(pieces) == whole[: min(found, default=len(whole))]
