# -*- coding: utf-8 -*-
"""A history knows its best step, and is the same when read again."""

import copy
from pathlib import Path

import pytest

from local_llm.errors import CheckpointError
from local_llm.training_history import HISTORY_FILE, TrainingHistory

HISTORY = TrainingHistory(
    losses=[(1, 3.0), (2, 2.5)],
    held_out_losses=[(0, 1.0), (1, 3.5), (2, 3.0), (3, 3.0), (4, 3.25)],
    tokens_seen=1234,
    seconds=5.5,
    resumed_at=[1],
    rows="r1",
)


def test_the_best_is_the_first_of_the_lowest_after_training_began() -> None:
    assert HISTORY.best == (2, 3.0)
    assert TrainingHistory().best is None
    assert TrainingHistory(held_out_losses=[(0, 1.0)]).best is None


@pytest.mark.parametrize(
    ("losses", "number"),
    [
        ([], 0),
        ([(0, 1.0)], 0),
        ([(0, 1.0), (2, 5.0)], 0),
        ([(0, 1.0), (2, 5.0), (4, 5.0)], 1),
        ([(0, 1.0), (2, 5.0), (4, 6.0), (6, 5.5)], 2),
        ([(0, 1.0), (2, 5.0), (4, 6.0), (6, 4.5)], 0),
    ],
)
def test_evaluations_are_counted_since_the_best(
    losses: list[tuple[int, float]],
    number: int,
) -> None:
    history = TrainingHistory(held_out_losses=losses)
    assert history.evaluations_since_best() == number


def test_a_loss_is_found_by_its_step() -> None:
    assert HISTORY.held_out_at(0) == 1.0
    assert HISTORY.held_out_at(4) == 3.25
    assert HISTORY.held_out_at(5) is None


def test_a_resume_with_the_same_rows_keeps_what_was_measured() -> None:
    history = copy.deepcopy(HISTORY)
    history.resume(4, "r1")
    assert history.resumed_at == [1, 4]
    assert history.held_out_losses == HISTORY.held_out_losses
    assert (history.best, history.measured_from) == ((2, 3.0), 0)


def test_a_resume_with_other_rows_forgets_what_was_measured_on_others() -> (
    None
):
    history = copy.deepcopy(HISTORY)
    history.resume(4, "r2")
    assert (history.held_out_losses, history.measured_from) == ([], 4)
    assert history.losses == HISTORY.losses
    history.held_out_losses += [(4, 1.0), (5, 2.5), (6, 2.75)]
    assert history.best == (5, 2.5)  # that of step 4 has seen none of them
    assert history.evaluations_since_best() == 1
    history.resume(6, "r2")
    assert (history.best, history.measured_from) == ((5, 2.5), 4)


def test_what_is_written_is_read_exactly(tmp_path: Path) -> None:
    HISTORY.write(tmp_path)
    assert TrainingHistory.read(tmp_path) == HISTORY


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "[]",
        "{}",
        '{"losses": 3, "held_out_losses": []}',
        '{"losses": [], "held_out_losses": [], "more": 1}',
        '{"losses": [[1]], "held_out_losses": []}',
    ],
)
def test_a_damaged_history_says_where_it_is(
    tmp_path: Path,
    text: str | None,
) -> None:
    if text is not None:
        (tmp_path / HISTORY_FILE).write_text(text)
    with pytest.raises(CheckpointError) as caught:
        TrainingHistory.read(tmp_path)
    assert str(tmp_path / HISTORY_FILE) in caught.value.message
