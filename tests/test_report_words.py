# -*- coding: utf-8 -*-
"""What is said of a run is what its figures say."""

import math

import pytest
from report_examples import AFTER, BEFORE, REPORT, run_with

from local_llm.report_words import (
    change,
    counted,
    duration,
    ending,
    endings,
    kept,
    outcome,
    perplexity,
)
from local_llm.reports import Demonstration, Reply


def test_the_outcome_names_loss_perplexity_step_replies_and_time() -> None:
    assert outcome(REPORT) == (
        "The loss on held-out rows fell from 6.876 to 2.500 (63.6% lower), "
        "the perplexity from 969 to 12.2. The adapter of step 1 was kept, "
        "where the held-out loss was lowest; training stopped early, after "
        "step 2, since the held-out loss no longer fell. 1 of 1 replies ended "
        "by themselves, 0 of 1 before. Training took 2 steps and 1 min 1 s."
    )


def test_a_loss_that_rose_is_said_to_mean_a_worse_model() -> None:
    text = outcome(run_with(held_out_before=2.0, held_out_after=2.5))
    assert text.startswith(
        "The loss on held-out rows rose from 2.000 to 2.500 (25.0% higher), "
        "the perplexity from 7.39 to 12.2. On rows that it has not seen, the "
        "adapter does worse than the model without it. Training took",
    )


def test_a_loss_that_stayed_is_said_to_have_stayed() -> None:
    text = outcome(run_with(held_out_before=2.0, held_out_after=2.0))
    assert "stayed from 2.000 to 2.000 (unchanged)" in text


def test_without_held_out_rows_it_says_what_is_not_known() -> None:
    assert outcome(run_with(steps=1)) == (
        "No row was held out, so nothing here says how well the adapter does "
        "on what it has not seen. Training took 1 step and 1.0 s."
    )


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (4.0, 3.0, "25.0% lower"),
        (4.0, 5.0, "25.0% higher"),
        (4.0, 4.0, "unchanged"),
        (0.0, 0.0, "unchanged"),
        (0.0, 1.0, "was 0 before"),
        (3.0, 2.9999, "0.0% lower"),
    ],
)
def test_a_change_is_a_share_of_the_loss_before(
    before: float,
    after: float,
    words: str,
) -> None:
    assert change(before, after) == words


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (0.0, "1.00"),
        (2.0, "7.39"),
        (3.4738, "32.3"),
        (4.6, "99.5"),
        (6.8761, "969"),
        (12.0, "162,755"),
        (20.0, "above 1,000,000"),
        (1e9, "above 1,000,000"),
        (math.inf, "above 1,000,000"),
        (math.nan, "above 1,000,000"),
    ],
)
def test_a_perplexity_has_three_figures(loss: float, words: str) -> None:
    assert perplexity(loss) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.04, "0.0 s"),
        (59.94, "59.9 s"),
        (60.0, "1 min 0 s"),
        (187.2, "3 min 7 s"),
        (3599.7, "1 h 0 min"),
        (7500, "2 h 5 min"),
        (180000, "50 h 0 min"),
    ],
)
def test_a_time_is_said_in_the_units_of_its_size(
    seconds: float,
    words: str,
) -> None:
    assert duration(seconds) == words


def test_replies_are_counted_before_and_after() -> None:
    demonstrations = [
        Demonstration("a", BEFORE, AFTER),
        Demonstration("b", AFTER, AFTER),
        Demonstration("c", BEFORE, AFTER),
    ]
    assert endings(run_with(demonstrations=demonstrations)) == (
        "3 of 3 replies ended by themselves, 1 of 3 before"
    )
    assert endings(run_with()) == ""


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("stop", "ended its turn after 7 tokens"),
        ("length", "cut off after 7 tokens"),
        ("timeout", "out of time after 7 tokens"),
        ("cancelled", "cancelled after 7 tokens"),
        ("something", "something after 7 tokens"),
    ],
)
def test_an_ending_says_how_and_when(reason: str, words: str) -> None:
    assert ending(Reply("x", reason, 7, 1.0)) == words


def test_one_is_singular_and_thousands_are_separated() -> None:
    assert counted(1, "step") == "1 step"
    assert counted(0, "row") == "0 rows"
    assert counted(12345, "token") == "12,345 tokens"


def test_nothing_is_said_of_a_choice_that_was_not_made() -> None:
    assert kept(run_with()) == ""
    assert kept(run_with(best_step=5)) == (
        "the adapter of step 5 was kept, where the held-out loss was lowest"
    )
    assert kept(run_with(stopped_early=True)) == (
        "training stopped early, after step 2, since the held-out loss no "
        "longer fell"
    )
