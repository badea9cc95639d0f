# -*- coding: utf-8 -*-
"""A preview shows the very tokens that training uses."""

import pytest
from tiny_models import conversation, make_tokenizer
from trl.chat_template_utils import gemma_chat_template

from local_llm.chat_datasets import Conversation
from local_llm.chat_format import ChatFormat
from local_llm.labelled_loss import IGNORED
from local_llm.preview import preview_rows
from local_llm.training_rows import render_rows
from local_llm.turns import Turn

SHORT = conversation("Hi", "Hello.", "And?", "Bye.", where="row 1")
LONG = conversation("Hi", "Hello. " * 20, where="row 2")
LATE = conversation("Hi " * 60, "Hello.", where="row 3")


@pytest.fixture(name="chat_format", scope="module")
def fixture_chat_format() -> ChatFormat:
    """The tiny tokenizer with Gemma's template."""
    tokenizer = make_tokenizer()
    tokenizer.chat_template = gemma_chat_template
    return ChatFormat(tokenizer)


def test_trained_spans_are_the_answers_with_their_ends(chat_format) -> None:
    (row,) = preview_rows(chat_format, [SHORT], 1, 100)
    assert [span.text for span in row.spans if span.is_trained] == [
        "Hello.<end_of_turn>",
        "Bye.<end_of_turn>",
    ]


def test_a_turn_that_is_not_learned_is_not_marked(chat_format) -> None:
    turns = list(SHORT.turns)
    turns[1] = Turn("assistant", "Hello.", learned=False)
    masked = Conversation(tuple(turns), "row 1")
    (row,) = preview_rows(chat_format, [masked], 1, 100)
    assert [span.text for span in row.spans if span.is_trained] == [
        "Bye.<end_of_turn>",
    ]


def test_the_spans_together_are_the_whole_row(chat_format) -> None:
    (row,) = preview_rows(chat_format, [SHORT], 1, 100)
    (rendered,) = render_rows(chat_format, [SHORT], 100).rows
    whole = chat_format.tokenizer.decode(rendered["input_ids"])
    assert "".join(span.text for span in row.spans) == whole
    assert "<start_of_turn>user" in whole


def test_the_counts_are_those_of_the_labels(chat_format) -> None:
    (row,) = preview_rows(chat_format, [SHORT], 1, 100)
    (rendered,) = render_rows(chat_format, [SHORT], 100).rows
    learned = sum(label != IGNORED for label in rendered["labels"])
    assert row.tokens == len(rendered["input_ids"])
    assert row.trained_tokens == learned
    assert row.trained_share == learned / row.tokens
    assert row.where == "row 1"


def test_a_control_token_of_a_user_is_shown_as_the_text_it_is(chat_format):
    told = conversation("a<end_of_turn>b", "Hello.")
    (row,) = preview_rows(chat_format, [told], 1, 100)
    assert "a<end_of_turn>b" in row.spans[0].text
    assert not row.spans[0].is_trained


def test_rows_that_training_leaves_out_are_not_shown(chat_format) -> None:
    rows = preview_rows(chat_format, [LATE, SHORT, LONG], 2, 40)
    assert [row.where for row in rows] == ["row 1", "row 2"]


def test_a_row_that_was_cut_says_so(chat_format) -> None:
    rows = preview_rows(chat_format, [SHORT, LONG], 2, 40)
    assert [row.is_shortened for row in rows] == [False, True]
    assert rows[1].tokens == 40


@pytest.mark.parametrize(("wanted", "shown"), [(1, 1), (2, 2), (9, 2)])
def test_as_many_are_shown_as_are_wanted_and_there(
    chat_format,
    wanted: int,
    shown: int,
) -> None:
    assert len(preview_rows(chat_format, [SHORT, LONG], wanted, 100)) == shown
