# -*- coding: utf-8 -*-
"""How much of an answer's wording another one has: Rouge-L.

The figure of package `rouge` 1.0.1, which the published evaluation took; that
package is optional and imported at the first use. Knows no steps. Raises
LocalLLMError where the package is missing.
"""

import functools
import re
from typing import Any

from local_llm.errors import LocalLLMError

_PACKAGE = "rouge==1.0.1"

_LONGEST_PAIR = 800
"""Words of two sentences together up to which the package, which descends one
call for each word, stays well inside Python's limit of 1,000 calls."""

_LONGEST_SENTENCE = _LONGEST_PAIR // 2


def check_installed() -> None:
    """See that Rouge-L can be computed, before models are asked.

    Raises:
        `LocalLLMError`: The package is missing; says what to install.
    """
    _package()


def rouge_l(candidate: str, reference: str) -> float:
    """Rouge-L F of two texts, 0 to 1; sentences end at full stops.

    Two cases in which the published code stops have a value here: a text of
    full stops alone counts as `none`, and where a sentence of over 400 words
    meets another long one, both are read up to their 400th word.

    Args:
        candidate (`str`):
            What was answered.
        reference (`str`):
            What is right.

    Raises:
        `LocalLLMError`: The package is missing.
    """
    texts = [_readable(text) for text in (candidate, reference)]
    if sum(map(_longest, texts)) > _LONGEST_PAIR:
        texts = [_shortened(text) for text in texts]
    (scores,) = _package().get_scores(*texts)
    return float(scores["rouge-l"]["f"])


@functools.cache
def _package() -> Any:
    try:
        from rouge import Rouge
    except ImportError as error:
        raise LocalLLMError(
            "Rouge-L needs the package rouge, which is not installed",
            fix=f"pip install {_PACKAGE}",
        ) from error
    return Rouge(metrics=["rouge-l"])


def _readable(text: str) -> str:
    return text if text.strip(".") else "none"


def _longest(text: str) -> int:
    """The words of the longest sentence."""
    return max(len(sentence.split()) for sentence in text.split("."))


def _shortened(text: str) -> str:
    sentences = (re.split(r"\s+", one.strip()) for one in text.split("."))
    return ".".join(" ".join(one[:_LONGEST_SENTENCE]) for one in sentences)
