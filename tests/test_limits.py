# -*- coding: utf-8 -*-
"""Limits are the paper's, and none lets nothing happen."""

import pytest

from alpha_umi.limits import Limits
from local_llm.errors import ConfigError


def test_the_limits_are_those_of_the_paper() -> None:
    limits = Limits()
    assert (limits.steps, limits.width, limits.queries) == (12, 2, 200)
    assert limits.observation_characters == 1024


def test_every_limit_that_is_not_above_0_is_named() -> None:
    with pytest.raises(ConfigError) as caught:
        Limits(steps=0, queries=-1, tool_seconds=float("nan"))
    assert caught.value.problems == [
        "steps: found 0, want a number above 0",
        "queries: found -1, want a number above 0",
        "tool_seconds: found nan, want a number above 0",
    ]
