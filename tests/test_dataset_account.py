# -*- coding: utf-8 -*-
"""The account of a dataset adds up, and fits into a line."""

from typing import Any

import pytest

from local_llm.dataset_account import ChatData, Drop, SourceRows


def account(**more: Any) -> ChatData:
    values = {
        "train": (),
        "held_out": (),
        "drops": (),
        "formats": {"lima": 1200, "text": 1},
        "source": "data.json",
        "fingerprint": "d1",
        **more,
    }
    return ChatData(**values)


def test_the_rows_kept_are_those_of_every_format() -> None:
    assert account().rows_kept == 1201


def test_drops_are_counted_the_most_frequent_first() -> None:
    reasons = ("no turns", "empty turn", "empty turn")
    data = account(drops=tuple(Drop("row", reason) for reason in reasons))
    assert list(data.drop_counts().items()) == [
        ("empty turn", 2),
        ("no turns", 1),
    ]


def test_a_summary_has_the_counts_that_there_are() -> None:
    assert account().summary() == (
        "1,201 rows (1,200 lima, 1 text), 0 multi-turn, 0 dropped"
    )
    data = account(adjustments={"turns merged": 2}, multi_turn=3)
    assert data.summary().endswith(
        "3 multi-turn, 0 dropped, adjusted (2 turns merged)"
    )


@pytest.mark.parametrize(("weight", "is_said"), [(1, False), (0.5, True)])
def test_a_summary_says_what_weights_make(
    weight: float,
    is_said: bool,
) -> None:
    rows = SourceRows("a", "/a", weight, 10, 5)
    said = ", in an epoch (a 10 x 0.5 = 5)"
    assert account(sources=(rows,)).summary().endswith(said) is is_said


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (1, "not read: f0"),
        (5, "not read: f0, f1, f2, f3, f4"),
        (7, "not read: f0, f1, f2, f3, f4 and 2 more"),
    ],
)
def test_a_summary_names_some_files_that_were_not_read(
    count: int,
    said: str,
) -> None:
    files = tuple(f"f{number}" for number in range(count))
    assert account(skipped_files=files).summary().endswith(f", {said}")
