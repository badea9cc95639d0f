# -*- coding: utf-8 -*-
"""A tokenizer becomes tokens, types, scores and merges, or is refused."""

import json

import pytest
from gguf import TokenType
from tiny_gguf import ROWS, SPACE, byte_level, like_smollm, sentencepiece
from tiny_models import CHATML, make_tokenizer
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    models,
    normalizers,
    pre_tokenizers,
)
from transformers import PreTrainedTokenizerFast

from local_llm.errors import WeightsError
from local_llm.gguf_vocabulary import Vocabulary, read_vocabulary


def type_of(vocabulary: Vocabulary, token: str) -> TokenType:
    return vocabulary.types[vocabulary.tokens.index(token)]


def with_pre_tokenizer(
    pre_tokenizer: pre_tokenizers.PreTokenizer,
) -> PreTrainedTokenizerFast:
    tokenizer = byte_level()
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizer
    return tokenizer


# -- sentencepiece -----------------------------------------------------------


def test_pieces_bytes_and_control_tokens_have_their_types() -> None:
    vocabulary = read_vocabulary(sentencepiece(), ROWS)
    assert (vocabulary.model, vocabulary.pre) == ("llama", "default")
    assert type_of(vocabulary, "<start_of_turn>") == TokenType.CONTROL
    assert type_of(vocabulary, "<0x0A>") == TokenType.BYTE
    assert type_of(vocabulary, "ing") == TokenType.NORMAL


def test_rows_without_a_token_are_filled() -> None:
    vocabulary = read_vocabulary(sentencepiece(), ROWS)
    assert len(vocabulary.tokens) == len(vocabulary.types) == ROWS
    assert vocabulary.tokens[-1] == f"[PAD{ROWS - 1}]"
    assert vocabulary.types[-1] == TokenType.UNUSED


def test_the_score_of_a_piece_is_its_place_among_the_merges() -> None:
    tokenizer = sentencepiece()
    vocabulary = read_vocabulary(tokenizer, ROWS)
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    merged = list(dict.fromkeys("".join(m) for m in state["model"]["merges"]))
    scores = dict(zip(vocabulary.tokens, vocabulary.scores, strict=True))
    assert [scores[piece] for piece in merged] == [
        -float(rank) for rank in range(len(merged))
    ]
    assert scores["z"] == -float(len(merged))
    assert scores["<bos>"] == -1000.0


def test_a_token_that_users_added_is_looked_for_with_its_spaces() -> None:
    tokenizer = sentencepiece()
    tokenizer.add_tokens([AddedToken(f"{SPACE}cat", normalized=False)])
    vocabulary = read_vocabulary(tokenizer, ROWS)
    assert type_of(vocabulary, " cat") == TokenType.USER_DEFINED


@pytest.mark.parametrize("prefix_space", [True, False])
def test_a_space_goes_before_a_text_where_the_tokenizer_puts_one(
    prefix_space: bool,
) -> None:
    tokenizer = sentencepiece(prefix_space=prefix_space)
    assert read_vocabulary(tokenizer, ROWS).adds_space == prefix_space


def test_merges_that_are_not_those_of_the_pieces_are_refused() -> None:
    tokenizer = sentencepiece()
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    state["model"]["merges"] = state["model"]["merges"][::2]
    backend = Tokenizer.from_str(json.dumps(state))
    other = PreTrainedTokenizerFast(tokenizer_object=backend)
    with pytest.raises(WeightsError, match="lacks .* merges"):
        read_vocabulary(other, ROWS)


# -- byte-level BPE ----------------------------------------------------------


@pytest.mark.parametrize(
    ("like_llama_3", "name"),
    [(True, "llama-bpe"), (False, "gpt-2")],
)
def test_the_way_to_split_text_has_the_runtimes_name(
    like_llama_3: bool,
    name: str,
) -> None:
    tokenizer = byte_level(like_llama_3=like_llama_3)
    vocabulary = read_vocabulary(tokenizer, ROWS)
    assert (vocabulary.model, vocabulary.pre) == ("gpt2", name)
    assert vocabulary.scores == []
    assert not vocabulary.adds_space


def test_digits_that_stand_alone_have_the_runtimes_name() -> None:
    vocabulary = read_vocabulary(like_smollm(), ROWS)
    assert (vocabulary.model, vocabulary.pre) == ("gpt2", "smollm")


def test_merges_are_kept_in_their_order() -> None:
    tokenizer = byte_level()
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    assert read_vocabulary(tokenizer, ROWS).merges == [
        " ".join(pair) for pair in state["model"]["merges"]
    ]


@pytest.mark.parametrize(
    "pre_tokenizer",
    [
        pre_tokenizers.ByteLevel(add_prefix_space=True),
        pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(r"\w+"), "isolated"),
                pre_tokenizers.ByteLevel(
                    add_prefix_space=False,
                    use_regex=False,
                ),
            ],
        ),
        pre_tokenizers.Sequence(
            [
                pre_tokenizers.Digits(),
                pre_tokenizers.ByteLevel(add_prefix_space=False),
            ],
        ),
        pre_tokenizers.Sequence(
            [
                pre_tokenizers.Digits(individual_digits=True),
                pre_tokenizers.ByteLevel(
                    add_prefix_space=False,
                    use_regex=False,
                ),
            ],
        ),
    ],
)
def test_a_way_to_split_text_that_runtimes_do_not_know_is_refused(
    pre_tokenizer: pre_tokenizers.PreTokenizer,
) -> None:
    with pytest.raises(WeightsError, match="splits text in a way"):
        read_vocabulary(with_pre_tokenizer(pre_tokenizer), ROWS)


def test_text_that_is_changed_before_it_is_split_is_refused() -> None:
    tokenizer = byte_level()
    tokenizer.backend_tokenizer.normalizer = normalizers.NFC()
    with pytest.raises(WeightsError, match="splits text in a way"):
        read_vocabulary(tokenizer, ROWS)


# -- control tokens and the template ----------------------------------------


def test_the_end_of_a_reply_is_the_end_of_turn() -> None:
    tokenizer = sentencepiece()
    vocabulary = read_vocabulary(tokenizer, ROWS)
    assert vocabulary.tokens[vocabulary.eos_id or 0] == "<end_of_turn>"
    assert vocabulary.chat_template == tokenizer.chat_template
    assert (vocabulary.bos_id, vocabulary.padding_id) == (2, 0)
    assert vocabulary.unknown_id == 3


def test_without_a_template_a_reply_ends_with_the_text() -> None:
    tokenizer = make_tokenizer()
    vocabulary = read_vocabulary(tokenizer, ROWS)
    assert vocabulary.eos_id == tokenizer.eos_token_id
    assert vocabulary.chat_template is None


def test_a_prompt_begins_as_the_template_does() -> None:
    tokenizer = sentencepiece()
    assert read_vocabulary(tokenizer, ROWS).adds_bos
    tokenizer.chat_template = CHATML
    assert not read_vocabulary(tokenizer, ROWS).adds_bos
    tokenizer.chat_template = None
    assert read_vocabulary(tokenizer, ROWS).adds_bos


def test_more_tokens_than_rows_are_refused() -> None:
    with pytest.raises(WeightsError, match="has the token .* only 10 rows"):
        read_vocabulary(sentencepiece(), 10)


def test_another_kind_of_tokenizer_is_refused() -> None:
    backend = Tokenizer(models.WordLevel({"a": 0, "b": 1}, unk_token="b"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend)
    with pytest.raises(WeightsError, match="is a WordLevel tokenizer"):
        read_vocabulary(tokenizer, ROWS)
