# -*- coding: utf-8 -*-
"""A rule judges values, and says its range in words and as a schema."""

import pytest

from local_llm.settings_rules import Rule


@pytest.mark.parametrize(
    ("rule", "right", "wrong", "words"),
    [
        (Rule("", minimum=1), 1, 0.9, "at least 1"),
        (Rule("", above=0, maximum=2), 2, 0, "above 0 and at most 2"),
        (Rule("", minimum=0, below=0.5), 0, 0.5, "at least 0 and below 0.5"),
        (Rule("", minimum=1, also=(-1,)), -1, 0, "-1 or at least 1"),
        (Rule("", choices=("a", "b")), "a", "c", "one of 'a', 'b'"),
        (Rule("", choices=("a",)), None, 3, "'a'"),
        (Rule("", pattern="x+", words="some x"), "xx", "xy", "some x"),
        (Rule("", pattern="x", words="x"), "x", "x\n", "x"),
        (Rule("", minimum=0), 0, float("nan"), "at least 0"),
    ],
)
def test_a_range_is_judged_and_told(
    rule: Rule,
    right: object,
    wrong: object,
    words: str,
) -> None:
    assert rule.allows(right)
    assert not rule.allows(wrong)
    assert rule.range() == words


def test_a_range_as_schema_has_the_same_bounds() -> None:
    rule = Rule("", minimum=1, also=(-1,))
    assert rule.schema() == {"anyOf": [{"enum": [-1]}, {"minimum": 1}]}
    assert Rule("", above=0, below=1).schema() == {
        "exclusiveMinimum": 0,
        "exclusiveMaximum": 1,
    }
