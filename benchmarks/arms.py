# -*- coding: utf-8 -*-
"""Arms of a benchmark that take turns: medians, spreads and ratios."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def in_turn(
    arms: Mapping[str, Callable[[], Any]],
    rounds: int,
    tokens: int | None = None,
) -> dict[str, dict[str, float]]:
    """Median and spread of each arm: seconds, or tokens per second."""
    found: dict[str, list[float]] = {name: [] for name in arms}
    for turn in range(rounds + 1):
        for name, arm in arms.items():
            start = time.perf_counter()
            arm()
            seconds = time.perf_counter() - start
            if turn:
                found[name].append(tokens / seconds if tokens else seconds)
    return {name: spread(values) for name, values in found.items()}


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, least and most."""
    return {
        "median": statistics.median(values),
        "min": min(values),
        "max": max(values),
    }


def ratio(
    arms: Mapping[str, Mapping[str, float]],
    one: str,
    other: str,
) -> float:
    """Of two medians."""
    return arms[one]["median"] / arms[other]["median"]
