# -*- coding: utf-8 -*-
"""Rouge-L has the values of the package that the paper's figures are from."""

import sys
import time

import pytest
from fresh_process import loaded_after

pytest.importorskip("rouge")

from alpha_umi import rouge_l as module  # noqa: E402
from alpha_umi.rouge_l import check_installed, rouge_l  # noqa: E402
from local_llm.errors import LocalLLMError  # noqa: E402


@pytest.mark.parametrize(
    ("candidate", "reference", "value"),
    [
        # 3 words in order; precision 3/3, recall 3/4.
        ("the cat sat", "the cat sat down", 6 / 7),
        ("none", "the cat sat down", 0.0),
        # "a b" in order, of 3 and of 3 words.
        ("a b c", "a c b", 2 / 3),
        # Words count once: 2 of 2 different ones in both.
        ("go go go home", "go home", 1.0),
        # Case counts.
        ("The cat", "the cat", 1 / 2),
        # Sentences end at full stops, their order is free: all 4 words.
        ("c d. a b", "a b. c d", 1.0),
    ],
)
def test_texts_overlap_in_the_longest_common_sequence(
    candidate: str, reference: str, value: float
) -> None:
    # The package adds 1e-8 to a denominator.
    assert rouge_l(candidate, reference) == pytest.approx(value, abs=1e-7)


def test_equal_texts_are_almost_one() -> None:
    assert rouge_l("a b", "a b") == pytest.approx(0.999999995, abs=1e-12)


@pytest.mark.parametrize("nothing", ["", ".", "..."])
def test_a_text_without_a_word_counts_as_none(nothing: str) -> None:
    assert rouge_l(nothing, "none") == pytest.approx(1.0)
    assert rouge_l("none", nothing) == pytest.approx(1.0)
    assert rouge_l(nothing, "It is 5.") == 0.0


def test_a_text_of_blanks_is_scored() -> None:
    assert rouge_l("  ", "It is 5.") == 0.0


def test_sentences_of_thousands_of_words_are_scored_soon() -> None:
    endless = " ".join(f"w{number}" for number in range(3000))
    begun = time.monotonic()
    assert rouge_l(endless, endless) == pytest.approx(1.0)
    assert time.monotonic() - begun < 10


def test_only_long_sentences_that_meet_are_shortened() -> None:
    long = " ".join(f"w{number}" for number in range(500))
    # 500 words and 1: read whole. Precision 1/500, recall 1.
    assert rouge_l(long, "w499") == pytest.approx(2 / 501, abs=1e-7)
    # 500 and 401 words: up to the 400th of each, all equal.
    other = " ".join(f"w{number}" for number in range(401))
    assert rouge_l(long, other) == pytest.approx(1.0)


def test_a_missing_package_is_named_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "rouge", None)
    module._package.cache_clear()
    try:
        with pytest.raises(LocalLLMError) as found:
            check_installed()
    finally:
        module._package.cache_clear()
    assert found.value.fix == "pip install rouge==1.0.1"


def test_the_package_is_not_imported_with_the_module() -> None:
    assert loaded_after("import alpha_umi.metrics", "rouge") == []
