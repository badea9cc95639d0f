# -*- coding: utf-8 -*-
"""A run that is killed, wherever, ends as one that is not.

Every kill is a SIGKILL that a process sends to itself in the middle of its
work, and every test asserts that it has happened.
"""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from child_runs import (
    PUBLISHED,
    STEPS,
    VARIANTS,
    Attempt,
    Start,
    make_place,
    run,
)
from comparison import Unhurt, assert_equal_runs, leftovers, report_of
from kill_points import FILES, FINISHED, POINTS, PROGRESS, VARIANT_OF, draw
from spots import Spot

KILLED = -signal.SIGKILL
SEED = 20
DRAWN_POINTS = 6
END_OF_A_STEP = f"{PROGRESS}.on_step_end"


def kill(attempt: Attempt, start: Start = "forkserver") -> None:
    """Run into the kill."""
    assert run(attempt, start=start).code == KILLED, "it was not killed"


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_unhurt_run_has_all_steps_and_publishes_what_its_variant_says(
    unhurt: Callable[[str], Unhurt],
    variant: str,
) -> None:
    outcome = unhurt(variant).outcome
    assert [step for step, _ in outcome.losses] == [*range(1, STEPS + 1)]
    assert [step for step, _ in outcome.held_out_losses] == [0, 4, 8, 12, 13]
    published = {"last": [None], "best": [4, 8]}[PUBLISHED[variant]]
    assert outcome.best_step in published
    assert outcome.resumed_at == []


@pytest.mark.parametrize("name", POINTS)
def test_a_killed_run_ends_as_one_that_was_not(
    unhurt: Callable[[str], Unhurt],
    place: Path,
    name: str,
) -> None:
    point, variant = POINTS[name], VARIANT_OF[name]
    kill(Attempt(place, variant, dies_at=point.spot))
    outcome = run(Attempt(place, variant))
    if point.goes_on == FINISHED:
        assert outcome.losses == []
    else:
        expected = [point.goes_on] if point.goes_on else []
        assert outcome.resumed_at == expected
    assert_equal_runs(place, outcome, unhurt(variant))
    assert leftovers(place) == []


@pytest.mark.parametrize("number", range(DRAWN_POINTS))
def test_a_run_that_is_killed_by_chance_ends_as_one_that_was_not(
    unhurt: Callable[[str], Unhurt],
    place: Path,
    number: int,
) -> None:
    variant = [*VARIANTS][number % len(VARIANTS)]
    calls = unhurt(variant).outcome.calls
    spot = draw(calls, DRAWN_POINTS, SEED)[number]
    kill(Attempt(place, variant, dies_at=spot))
    outcome = run(Attempt(place, variant))
    assert_equal_runs(place, outcome, unhurt(variant))
    assert leftovers(place) == []


def test_a_run_that_is_killed_again_and_again_ends_as_one_that_was_not(
    unhurt: Callable[[str], Unhurt],
    place: Path,
) -> None:
    kills = 0
    attempt = Attempt(place, dies_at=Spot(END_OF_A_STEP, "after", 4))
    while (outcome := run(attempt)).code == KILLED:
        kills += 1
        assert kills < STEPS, "it does not get on"
    # The last one ends with the run: it makes steps 13 alone.
    assert kills == 4
    assert outcome.resumed_at == [3, 6, 9, 12]
    assert_equal_runs(place, outcome, unhurt("padding-free"))


def test_interpreters_that_share_nothing_go_on_with_a_run_alike(
    unhurt: Callable[[str], Unhurt],
    place: Path,
) -> None:
    """Forks of one process have the same hash seed and the same imports."""
    spot = Spot(END_OF_A_STEP, "before", 8)
    kill(Attempt(place, "length-grouped", dies_at=spot), start="spawn")
    outcome = run(Attempt(place, "length-grouped"), start="spawn")
    assert outcome.resumed_at == [6]
    assert_equal_runs(place, outcome, unhurt("length-grouped"))


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_while_a_run_takes_the_place_of_another_loses_neither(
    unhurt: Callable[[str], Unhurt],
    place: Path,
    when: str,
) -> None:
    other = Attempt(place, training={"max_steps": 1})
    assert run(other).code == 0
    before = report_of(place)
    spot = Spot(f"{FILES}:_place", when, about=".run.partial")
    kill(Attempt(place, dies_at=spot, existing_run="set_aside"))
    outcome = run(Attempt(place))
    assert_equal_runs(place, outcome, unhurt("padding-free"))
    assert leftovers(place) == ["run.previous-1"]
    assert report_of(place, "run.previous-1") == before


def test_a_run_that_has_stopped_early_makes_no_step_more_after_a_kill(
    tiny_folder: Path,
    tmp_path: Path,
) -> None:
    impatient = {
        "options": {"early_stopping_patience": 1},
        "training": {"save_steps": 4},
    }
    places = [make_place(tmp_path / name, tiny_folder) for name in "ab"]
    expected = Unhurt(places[0], run(Attempt(places[0], **impatient)))
    spot = Spot("local_llm.runs:publish")
    kill(Attempt(places[1], dies_at=spot, **impatient))
    outcome = run(Attempt(places[1], **impatient))
    assert outcome.resumed_at == [8]
    assert [step for step, _ in outcome.losses] == [*range(1, 9)]
    assert_equal_runs(places[1], outcome, expected)
