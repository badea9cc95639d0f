# -*- coding: utf-8 -*-
"""Scores are arrays in which some units do not count."""

import math

import numpy as np

from alpha_umi.scores import Scores, collected

NAN = math.nan


def test_a_mean_is_over_the_units_that_count() -> None:
    scores = Scores(np.arange(3), {"a": np.array([1.0, NAN, 0.0])})
    assert scores.mean("a") == 0.5


def test_a_mean_over_no_unit_is_not_known() -> None:
    scores = Scores(np.arange(2), {"a": np.array([NAN, NAN])})
    assert math.isnan(scores.mean("a"))


def test_rows_become_an_array_for_each_metric_that_is_asked_for() -> None:
    rows = [{"a": 1.0, "b": 2.0, "c": 0.0}, {"a": NAN, "b": 4.0, "c": 0.0}]
    scores = collected([3, 3], rows, ["a", "b"])
    assert scores.trajectories.tolist() == [3, 3]
    assert scores.means() == {"a": 1.0, "b": 3.0}


def test_no_unit_is_no_error() -> None:
    scores = collected([], [], ["a"])
    assert math.isnan(scores.mean("a"))
