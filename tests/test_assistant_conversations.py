# -*- coding: utf-8 -*-
"""The project's own conversations are many, different, right in form, and
hold none of the questions that the example is judged by."""

import json
import re
from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest

from local_llm.chat_datasets import load_chat_data
from local_llm.settings import load_all_settings

PROJECT = Path(__file__).resolve().parents[1]
DATA = PROJECT / "data" / "assistant_conversations.json"
CONFIGS = PROJECT / "configs" / "model_configs.json"
UNSEEN = PROJECT / "benchmarks" / "embedded_prompts.json"

CATEGORIES = {
    "advice",
    "arithmetic",
    "code",
    "compare",
    "explain",
    "facts",
    "identity",
    "language",
    "list",
    "plan",
    "refusal",
    "rewrite",
    "small_talk",
    "summarize",
    "write",
}
ALIKE = 0.6
"""The shared part of the trigrams of two texts from which on one is a
paraphrase of the other."""

ROWS: list[dict] = json.loads(DATA.read_text(encoding="utf-8"))
TALKS: list[list[str]] = [row["conversations"] for row in ROWS]
QUESTIONS = [text for talk in TALKS for text in talk[0::2]]
ANSWERS = [text for talk in TALKS for text in talk[1::2]]
FIRST = [talk[0] for talk in TALKS]


def plain(text: str) -> str:
    """A text without case, punctuation and spacing."""
    return " ".join(re.findall(r"\w+", text.casefold()))


def trigrams(text: str) -> frozenset[str]:
    padded = f"  {plain(text)} "
    return frozenset(padded[at : at + 3] for at in range(len(padded) - 2))


def likeness(one: frozenset[str], other: frozenset[str]) -> float:
    """The share of their trigrams that two texts have in common."""
    return len(one & other) / len(one | other)


def judged_by() -> list[str]:
    """The prompts that show what a model has learned."""
    settings = load_all_settings(CONFIGS).values()
    shown = {one for entry in settings for one in entry.demonstration_prompts}
    return sorted(shown | set(json.loads(UNSEEN.read_text("utf-8"))))


def test_there_are_enough_of_them() -> None:
    assert len(ROWS) >= 240
    assert sum(len(talk) > 2 for talk in TALKS) >= 40


def test_they_have_the_schema_of_lima() -> None:
    for row in ROWS:
        assert row.keys() == {"conversations", "source"}
        talk = row["conversations"]
        assert len(talk) % 2 == 0 and len(talk) >= 2
        assert all(isinstance(one, str) and one.strip() for one in talk)


def test_answers_are_neither_grunts_nor_essays() -> None:
    lengths = [len(one.split()) for one in ANSWERS]
    assert 10 <= min(lengths) and max(lengths) <= 90


def test_every_kind_of_question_is_there_more_than_a_few_times() -> None:
    counts = Counter(row["source"] for row in ROWS)
    assert counts.keys() == CATEGORIES
    assert min(counts.values()) >= 10


def test_no_two_conversations_begin_alike() -> None:
    grams = [trigrams(one) for one in FIRST]
    alike = [
        (FIRST[one], FIRST[other])
        for one, other in combinations(range(len(FIRST)), 2)
        if likeness(grams[one], grams[other]) >= ALIKE
    ]
    assert alike == []


def test_no_answer_is_given_twice() -> None:
    counts = Counter(map(plain, ANSWERS))
    assert [one for one, count in counts.items() if count > 1] == []


def test_a_paraphrase_is_recognised() -> None:
    """What the comparison with the judged prompts is worth."""
    asked = trigrams("Give me three tips for sleeping better.")
    assert likeness(asked, trigrams("give me 3 tips for sleeping better")) > (
        ALIKE
    )


def test_no_prompt_that_a_model_is_judged_by_is_learned() -> None:
    prompts = {one: trigrams(one) for one in judged_by()}
    assert len(prompts) >= 24
    learned = [
        (prompt, question)
        for question in QUESTIONS
        for prompt, grams in prompts.items()
        if likeness(grams, trigrams(question)) >= ALIKE
    ]
    assert learned == []


def code_blocks() -> list[str]:
    fence = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
    return [block for one in ANSWERS for block in fence.findall(one)]


@pytest.mark.parametrize("code", code_blocks())
def test_python_in_an_answer_compiles(code: str) -> None:
    compile(code, "<answer>", "exec")


def test_every_fence_is_closed_and_the_python_ones_are_tried() -> None:
    assert all(one.count("```") % 2 == 0 for one in ANSWERS)
    python = sum(one.count("```python") for one in ANSWERS)
    assert len(code_blocks()) == python >= 10


def test_all_of_them_are_used_and_24_are_held_out() -> None:
    settings = load_all_settings(CONFIGS)["embedded"]
    assert settings.data_path and settings.fine_tune_config
    assert settings.fine_tune_config.held_out_rows is None
    data = load_chat_data(
        settings.data_path,
        base=PROJECT,
        held_out_share=settings.fine_tune_config.held_out_share,
        strict=True,
    )
    assert data.drops == () and data.adjustments == {}
    assert len(data.held_out) == 24
    assert len(data.train) == len(ROWS) - 24


def test_a_share_and_a_number_of_rows_hold_out_the_same_24() -> None:
    by_share, by_number = (
        load_chat_data(str(DATA), strict=True, **part)
        for part in ({"held_out_share": 0.08333}, {"held_out_rows": 24})
    )
    assert by_share.fingerprint == by_number.fingerprint
    assert len(by_number.held_out) == 24


def test_every_shipped_split_stays_when_rows_are_added() -> None:
    for entry in load_all_settings(CONFIGS).values():
        assert entry.fine_tune_config is None or (
            entry.fine_tune_config.held_out_rows is None
        )
