# -*- coding: utf-8 -*-
"""A signal ends a run after its step, which is saved, and nothing is lost.

The signals are real ones, sent from outside to a process that waits for them
at a spot.
"""

import os
import signal
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from child_runs import STEPS, Attempt, run
from comparison import Unhurt, assert_equal_runs, leftovers
from kill_points import PROGRESS, TRAINER
from spots import REACHED, Spot, wait_until

from local_llm.checkpoints import newest_committed, step_of
from local_llm.stop_signals import SAME_REQUEST_S

INT, TERM, HUP = signal.SIGINT, signal.SIGTERM, signal.SIGHUP
MOMENTS = {
    "in the middle of a step": (Spot(f"{TRAINER}.training_step", call=7), 4),
    "at the end of a step": (Spot(f"{PROGRESS}.on_step_end", call=5), 5),
    "in an evaluation": (Spot(f"{TRAINER}.mean_loss", call=3), 9),
    "while a checkpoint is written": (
        Spot(f"{TRAINER}._write_checkpoint", call=2),
        7,
    ),
}
"""Where a process waits for a signal, and the step after which it ends."""


def sender(place: Path, *signals: int) -> Callable[[BaseProcess], None]:
    """What sends one signal at each spot that a process has come to."""

    def send(process: BaseProcess) -> None:
        assert process.pid is not None
        for number in signals:
            wait_until((place / REACHED).exists)
            os.kill(process.pid, number)
            # Two of them are only two requests if some time is between them.
            time.sleep(2 * SAME_REQUEST_S)
            (place / REACHED).unlink()

    return send


@pytest.mark.parametrize(
    ("number", "moment"),
    [
        (INT, "in the middle of a step"),
        (TERM, "at the end of a step"),
        (HUP, "in an evaluation"),
        (INT, "while a checkpoint is written"),
        (TERM, "in an evaluation"),
        (HUP, "in the middle of a step"),
    ],
)
def test_a_signal_ends_a_run_after_its_step_and_it_goes_on_as_if_nothing_was(
    unhurt: Callable[[str], Unhurt],
    place: Path,
    number: signal.Signals,
    moment: str,
) -> None:
    spot, step = MOMENTS[moment]
    attempt = Attempt(place, pauses_at=(spot,))
    stopped = run(attempt, sender(place, number))
    assert stopped.code == 128 + number
    assert stopped.error.startswith(
        f"TrainingInterrupted: {number.name} stopped the run after step "
        f"{step} of {STEPS}, which is saved",
    )
    assert newest_step(place) == step
    outcome = run(Attempt(place))
    assert outcome.resumed_at == [step]
    assert_equal_runs(place, outcome, unhurt("padding-free"))
    assert leftovers(place) == []


@pytest.mark.parametrize(("first", "second"), [(INT, INT), (TERM, HUP)])
def test_a_second_signal_ends_a_run_at_once_and_what_was_saved_stays(
    unhurt: Callable[[str], Unhurt],
    place: Path,
    first: signal.Signals,
    second: signal.Signals,
) -> None:
    spots = (
        Spot(f"{TRAINER}.training_step", call=8),  # of step 4
        Spot(f"{TRAINER}._write_checkpoint", "after", 2),  # of step 4
    )
    attempt = Attempt(place, pauses_at=spots)
    stopped = run(attempt, sender(place, first, second))
    assert stopped.code == 128 + second
    assert stopped.error == ""
    assert newest_step(place) == 3
    outcome = run(Attempt(place))
    assert outcome.resumed_at == [3]
    assert_equal_runs(place, outcome, unhurt("padding-free"))
    assert leftovers(place) == []


def test_a_signal_in_the_last_step_lets_a_run_finish(
    unhurt: Callable[[str], Unhurt],
    place: Path,
) -> None:
    spot = Spot(f"{TRAINER}.training_step", call=24)
    outcome = run(Attempt(place, pauses_at=(spot,)), sender(place, TERM))
    assert outcome.resumed_at == []
    assert_equal_runs(place, outcome, unhurt("padding-free"))


def newest_step(place: Path) -> int:
    """The step of the newest committed checkpoint."""
    newest = newest_committed(place / "run.unfinished")
    assert newest is not None
    return step_of(newest)
