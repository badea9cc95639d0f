# -*- coding: utf-8 -*-
"""Whether two runs have done the same, step by step and byte by byte."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from child_runs import Outcome

TOLERANCE = 1e-6


@dataclass(frozen=True)
class Unhurt:
    """A run to which nothing has happened, and where it stands."""

    place: Path
    outcome: Outcome


def assert_equal_runs(place: Path, outcome: Outcome, unhurt: Unhurt) -> None:
    """See that a run ends as the one to which nothing has happened."""
    expected = unhurt.outcome
    assert outcome.code == 0
    if outcome.losses:
        assert outcome.best_step == expected.best_step
        assert outcome.tokens_seen == expected.tokens_seen
    assert outcome.reply == expected.reply
    assert difference(place, outcome, unhurt) <= TOLERANCE
    assert adapter_of(place) == adapter_of(unhurt.place)


def difference(place: Path, outcome: Outcome, unhurt: Unhurt) -> float:
    """The largest difference of two losses of one step."""
    pairs = [(report_of(place)["losses"], report_of(unhurt.place)["losses"])]
    if outcome.losses:
        pairs += [
            (outcome.losses, unhurt.outcome.losses),
            (outcome.held_out_losses, unhurt.outcome.held_out_losses),
        ]
    return max(_difference(*pair) for pair in pairs)


def _difference(found: list, expected: list) -> float:
    assert [step for step, _ in found] == [step for step, _ in expected]
    return max(
        abs(one - other)
        for (_, one), (_, other) in zip(found, expected, strict=True)
    )


def report_of(place: Path, run: str = "run") -> dict[str, Any]:
    """The report of a finished run."""
    path = place / run / "report.json"
    values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return values


def adapter_of(place: Path) -> bytes:
    """The finished adapter."""
    return (place / "run" / "adapter_model.safetensors").read_bytes()


def leftovers(place: Path) -> list[str]:
    """What is there besides the finished run and what belongs to tests."""
    expected = {"model", "data.json", "run", "log", "outcome.json", "cache"}
    found = {path.name for path in place.iterdir()}
    return sorted(found - expected)
