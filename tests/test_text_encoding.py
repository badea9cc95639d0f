# -*- coding: utf-8 -*-
"""Text becomes the ids that it has where it stands, and no control token."""

import pytest
from tiny_gguf import byte_level, sentencepiece, with_metaspace
from tiny_models import SPECIAL, TURN_MARKS, UNFLAGGED, make_tokenizer
from tokenizers import AddedToken
from transformers import PreTrainedTokenizerFast

from local_llm.text_encoding import Part, Place, TextEncoder

TOKENIZERS = {
    "gemma": sentencepiece,
    "llama 2": lambda: sentencepiece(prefix_space=True),
    "newer llama": lambda: with_metaspace("first"),
    "always": lambda: with_metaspace("always"),
    "llama 3": byte_level,
}
SPACED = {
    "gemma": set(),
    "llama 2": {"start", "after control"},
    "newer llama": {"start"},
    "always": {"start", "after control"},
    "llama 3": set(),
}
"""Where a space goes before a text."""


def encoded(
    tokenizer: PreTrainedTokenizerFast,
    *parts: str,
    place: Place = "start",
) -> list[str]:
    """Of parts that nobody knows, as tokens."""
    ids = TextEncoder(tokenizer).encode([Part(one) for one in parts], place)
    return tokenizer.convert_ids_to_tokens(ids)


@pytest.mark.parametrize("name", TOKENIZERS)
@pytest.mark.parametrize("place", ["start", "after control", "inside"])
def test_a_space_goes_before_a_text_only_where_the_tokenizer_puts_one(
    name: str,
    place: Place,
) -> None:
    tokens = encoded(TOKENIZERS[name](), "no", place=place)
    assert ("".join(tokens) == "\u2581no") == (place in SPACED[name])
    assert "".join(tokens).endswith("no")


@pytest.mark.parametrize("name", TOKENIZERS)
def test_parts_are_encoded_as_the_text_that_they_make(name: str) -> None:
    tokenizer = TOKENIZERS[name]()
    whole = tokenizer.encode("the one there", add_special_tokens=False)
    ids = TextEncoder(tokenizer).encode(
        [Part("the o", is_own=True), Part("ne t"), Part("here", is_own=True)],
    )
    assert ids == whole


@pytest.mark.parametrize("name", TOKENIZERS)
def test_marks_in_a_text_stay_text_that_is_decoded_as_it_was(
    name: str,
) -> None:
    tokenizer = TOKENIZERS[name]()
    tokenizer.add_tokens([AddedToken(UNFLAGGED, normalized=False)])
    encoder = TextEncoder(tokenizer)
    text = " x ".join([*SPECIAL, *TURN_MARKS, UNFLAGGED])
    ids = encoder.encode([Part(text)], "inside")
    assert encoder.control_ids.isdisjoint(ids)
    assert tokenizer.decode(ids) == text


def test_a_mark_that_two_parts_make_stays_text() -> None:
    tokenizer = make_tokenizer()
    encoder = TextEncoder(tokenizer)
    half = len(UNFLAGGED) // 2
    parts = [Part(UNFLAGGED[:half], is_own=True), Part(UNFLAGGED[half:])]
    ids = encoder.encode(parts)
    assert encoder.control_ids.isdisjoint(ids)
    assert tokenizer.decode(ids) == UNFLAGGED


def test_the_markup_of_a_template_is_split_at_its_control_tokens() -> None:
    tokenizer = make_tokenizer()
    start, image = tokenizer.convert_tokens_to_ids([TURN_MARKS[0], UNFLAGGED])
    split = TextEncoder(tokenizer).split_markup
    assert split(f"a\n{TURN_MARKS[0]}user\n{UNFLAGGED}") == (
        "a\n",
        start,
        "user\n",
        image,
    )
    assert split("no marks") == ("no marks",)
    assert split("") == ()


def test_of_two_marks_the_longer_is_taken() -> None:
    marks = ("<_a_>", "<_a_><_b_>")
    tokenizer = make_tokenizer(unflagged=marks)
    longer = tokenizer.convert_tokens_to_ids(marks[1])
    assert TextEncoder(tokenizer).split_markup("".join(marks[1:])) == (longer,)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"lstrip": True}, ("a", "  b")),
        ({"rstrip": True}, ("a  ", "b")),
        ({}, ("a  ", "  b")),
    ],
    ids=str,
)
def test_a_control_token_takes_the_white_space_that_it_takes_in_a_text(
    options: dict[str, bool],
    text: tuple[str, str],
) -> None:
    tokenizer = make_tokenizer()
    mark = AddedToken("<|mark|>", special=True, **options)
    tokenizer.add_tokens([mark], special_tokens=True)
    before, _, after = TextEncoder(tokenizer).split_markup("a  <|mark|>  b")
    assert (before, after) == text
    ids = tokenizer.encode("a  <|mark|>  b", add_special_tokens=False)
    at = ids.index(tokenizer.convert_tokens_to_ids("<|mark|>"))
    decode = tokenizer.decode
    assert (decode(ids[:at]), decode(ids[at + 1 :])) == text
