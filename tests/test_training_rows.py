# -*- coding: utf-8 -*-
"""Conversations as rows of ids and labels."""

import pytest
from tiny_models import conversation, make_tokenizer
from trl.chat_template_utils import gemma_chat_template

from local_llm.chat_format import ChatFormat
from local_llm.errors import DatasetError
from local_llm.labelled_loss import IGNORED
from local_llm.training_rows import render_parts, render_rows

SHORT = conversation("Hi", "Hello.", where="row 1")
LONG = conversation("Hi", "Hello. " * 20, where="row 2")
LATE = conversation("Hi " * 60, "Hello.", where="row 3")


@pytest.fixture(scope="module")
def chat_format() -> ChatFormat:
    """The tiny tokenizer with Gemma's template."""
    tokenizer = make_tokenizer()
    tokenizer.chat_template = gemma_chat_template
    return ChatFormat(tokenizer)


def test_labels_are_the_ids_of_the_answer_and_its_end_alone(chat_format):
    (row,) = render_rows(chat_format, [SHORT], 100).rows
    decode = chat_format.tokenizer.decode
    learned = [one for one in row["labels"] if one != IGNORED]
    assert decode(learned) == "Hello.<end_of_turn>"
    assert decode(row["input_ids"]) == (
        "<bos><start_of_turn>user\nHi<end_of_turn>\n"
        "<start_of_turn>model\nHello.<end_of_turn>\n"
    )
    pairs = zip(row["input_ids"], row["labels"], strict=True)
    assert all(label in (IGNORED, token) for token, label in pairs)


def test_every_answer_of_a_conversation_is_learned(chat_format):
    two = conversation("Hi", "Hello.", "And?", "Bye.")
    (row,) = render_rows(chat_format, [two], 100).rows
    learned = [one for one in row["labels"] if one != IGNORED]
    assert chat_format.tokenizer.decode(learned) == (
        "Hello.<end_of_turn>Bye.<end_of_turn>"
    )


def test_a_row_as_long_as_allowed_is_whole_and_a_longer_one_is_cut(
    chat_format,
):
    (whole,) = render_rows(chat_format, [SHORT], 100).rows
    length = len(whole["input_ids"])
    exact = render_rows(chat_format, [SHORT], length)
    assert (exact.rows, exact.shortened) == ([whole], 0)
    cut = render_rows(chat_format, [SHORT], length - 1)
    assert cut.shortened == 1
    assert cut.rows[0]["input_ids"] == whole["input_ids"][:-1]
    assert cut.rows[0]["labels"] == whole["labels"][:-1]


def test_rows_without_anything_to_learn_are_left_out_by_name(chat_format):
    rows = render_rows(chat_format, [LATE, SHORT, LONG], 40)
    assert rows.without_answer == ["row 3"]
    assert (len(rows.rows), rows.shortened) == (2, 1)


def test_a_row_that_is_given_twice_is_counted_once(chat_format):
    rows = render_rows(chat_format, [LONG, LATE, SHORT, LONG, LATE], 40)
    (first, _, again) = rows.rows
    assert first == again
    assert (rows.shortened, rows.without_answer) == (1, ["row 3"])
    assert rows.tokens == 2 * 40 + len(rows.rows[1]["input_ids"])


def test_both_parts_are_rendered_with_the_same_length(chat_format):
    rows, measured = render_parts(
        chat_format, [SHORT, LATE], [LONG], 40, strict=False
    )
    assert rows == render_rows(chat_format, [SHORT, LATE], 40)
    assert measured == render_rows(chat_format, [LONG], 40)


@pytest.mark.parametrize("parts", [([SHORT, LATE], []), ([SHORT], [LATE])])
def test_strict_names_the_first_row_without_an_answer(chat_format, parts):
    with pytest.raises(DatasetError) as caught:
        render_parts(chat_format, *parts, 40, strict=True)
    assert caught.value.message == "row 3: no answer within 40 tokens"
    assert "strict_data" in str(caught.value.fix)
    assert render_parts(chat_format, [SHORT], [LONG], 40, strict=True)


def test_no_row_with_an_answer_is_an_error(chat_format):
    with pytest.raises(DatasetError, match="no row has an answer within 40"):
        render_parts(chat_format, [LATE], [SHORT], 40, strict=False)


def test_tokens_are_counted_after_cutting(chat_format):
    rows = render_rows(chat_format, [SHORT, LONG], 40)
    lengths = [len(row["input_ids"]) for row in rows.rows]
    assert lengths[1] == 40
    assert rows.tokens == sum(lengths)
    learned = [
        sum(label != IGNORED for label in row["labels"]) for row in rows.rows
    ]
    assert rows.trained_tokens == sum(learned) > learned[0] > 0


def test_no_conversations_make_no_rows(chat_format):
    rows = render_rows(chat_format, [], 40)
    assert (rows.rows, rows.tokens, rows.trained_tokens) == ([], 0, 0)
