# -*- coding: utf-8 -*-
"""Something long is told of in ten lines at most, the last one at its end."""

import pytest

from alpha_umi.progress_lines import in_tenths


@pytest.mark.parametrize(
    ("total", "lines"),
    [
        (1, ["1 of 1 replies"]),
        (3, ["1 of 3 replies", "2 of 3 replies", "3 of 3 replies"]),
        (40, [f"{done} of 40 replies" for done in range(4, 41, 4)]),
    ],
)
def test_each_new_tenth_is_told(total: int, lines: list[str]) -> None:
    said: list[str] = []
    tell = in_tenths(total, "replies", said.append)
    for done in range(1, total + 1):
        tell(done)
    assert said == lines


def test_what_comes_in_large_parts_is_told_once_for_each() -> None:
    said: list[str] = []
    tell = in_tenths(100, "replies", said.append)
    for done in (1, 55, 56, 100):
        tell(done)
    assert said == ["55 of 100 replies", "100 of 100 replies"]
