# -*- coding: utf-8 -*-
"""Results hold what tables and pictures need, and come back from a file."""

import json
import math
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from result_examples import RESULTS, SEEN, scores

from alpha_umi.decision_steps import Reference, Step
from alpha_umi.intervals import Estimate
from alpha_umi.protocol import Decision, Trajectory
from alpha_umi.results import (
    counts_of,
    measure_part,
    read_results,
    write_results,
)
from local_llm.errors import CheckpointError

NAN = math.nan
GOOD = scores([1.0, 1.0, 0.5, 1.0])
BAD = scores([0.5, 0.5, 0.0, 0.5])


# -- measuring ------------------------------------------------------------


def test_an_arm_has_the_mean_of_its_seeds() -> None:
    part = measure_part("seen", True, {"a": {3: GOOD, 5: BAD}})
    found = part.arms["a"]["plan_em"]
    assert found.value == pytest.approx((0.875 + 0.375) / 2)
    assert found.by_seed == pytest.approx((0.875, 0.375))
    assert part.seeds == {"a": (3, 5)}


def test_a_floor_is_one_run() -> None:
    part = measure_part("seen", True, {}, {"first tool": BAD}, {"steps": 4})
    assert part.floors["first tool"]["plan_em"].by_seed == (0.375,)
    assert part.counts == {"steps": 4}


def test_every_two_arms_are_compared_step_by_step() -> None:
    part = measure_part("seen", True, {"a": {0: GOOD}, "b": {0: BAD}})
    (found,) = part.differences
    assert (found.arm, found.other, found.seeds) == ("a", "b", (0,))
    # Each step differs by a half, so does each draw.
    assert found.figures["plan_em"] == Estimate(0.5, 0.5, 0.5, (0.5,))


def test_a_difference_can_be_asked_for_from_both_sides() -> None:
    part = measure_part("seen", True, {"a": {0: GOOD}, "b": {0: BAD}})
    turned = part.difference("b", "a", "plan_em")
    assert turned == Estimate(-0.5, -0.5, -0.5, (-0.5,))
    assert part.difference("a", "c", "plan_em") is None
    assert part.difference("a", "b", "rouge") is None


def test_arms_are_compared_on_the_seeds_that_both_have() -> None:
    arms = {
        "a": {0: GOOD, 1: BAD, 2: GOOD},
        "b": {2: BAD, 0: GOOD},
        "c": {7: BAD},
    }
    (found,) = measure_part("seen", True, arms).differences
    assert (found.arm, found.other, found.seeds) == ("a", "b", (0, 2))
    assert found.figures["plan_em"].by_seed == (0.0, 0.5)


def test_scores_of_other_steps_are_no_scores_of_the_same_part() -> None:
    other = scores([1.0, 1.0])
    with pytest.raises(ValueError, match="different units"):
        measure_part("seen", True, {"a": {0: GOOD}, "b": {0: other}})


def test_a_part_without_scores_cannot_be_measured() -> None:
    with pytest.raises(ValueError, match="no scores"):
        measure_part("seen", True, {})


def test_steps_are_counted_by_what_was_to_be_done() -> None:
    nowhere = Trajectory((), "", ())
    steps = [
        Step(Reference(decision), (), nowhere, number)
        for number, decision in ((0, Decision.CALL), (0, Decision.CONCLUDE))
    ] + [Step(Reference(Decision.CALL), (), nowhere, 4)]
    assert counts_of(steps) == {
        "trajectories": 2,
        "steps": 3,
        "caller": 2,
        "conclusion": 1,
        "give up": 0,
    }


# -- the file -------------------------------------------------------------


def test_results_come_back_from_their_file(tmp_path: Path) -> None:
    path = write_results(tmp_path / "results.json", RESULTS)
    found = read_results(path)
    # As texts, since NaN equals nothing, not even itself.
    assert json.dumps(asdict(found)) == json.dumps(asdict(RESULTS))
    assert found.parts[0].arms["single"] == SEEN.arms["single"]


def test_what_is_not_known_is_null_in_the_file(tmp_path: Path) -> None:
    path = write_results(tmp_path / "results.json", RESULTS)
    text = path.read_text(encoding="utf-8")
    assert "NaN" not in text
    arm = json.loads(text)["parts"][0]["arms"]["alpha-umi"]
    assert arm["f1"] == {
        "value": None,
        "low": None,
        "high": None,
        "by_seed": [None, None],
    }


def test_measured_results_come_back_to_six_digits(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    runs = {seed: scores(list(generator.random(40))) for seed in (0, 1)}
    part = measure_part("seen", True, {"a": runs})
    results = type(RESULTS)({}, (part,))
    path = write_results(tmp_path / "results.json", results)
    found = read_results(path).parts[0].arms["a"]["plan_em"]
    wanted = part.arms["a"]["plan_em"]
    assert found.by_seed == pytest.approx(wanted.by_seed, abs=1e-6)
    assert (found.low, found.high) == pytest.approx(
        (wanted.low, wanted.high), abs=1e-6
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "JSONDecodeError"),
        ("[]", "dict"),
        ('{"about": {}}', "parts"),
        (
            '{"about": {}, "parts": [{"name": "a", "is_in_domain": "x"}]}',
            "parts.0.is_in_domain",
        ),
        ("[" * 100_000, "RecursionError"),
    ],
)
def test_another_file_is_refused_with_what_is_wrong(
    tmp_path: Path, text: str, reason: str
) -> None:
    path = tmp_path / "results.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CheckpointError, match=reason) as found:
        read_results(path)
    assert str(path) in found.value.message


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="FileNotFoundError"):
        read_results(tmp_path / "results.json")


def test_a_file_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError):
        write_results(tmp_path / "missing" / "results.json", RESULTS)
