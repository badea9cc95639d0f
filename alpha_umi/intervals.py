# -*- coding: utf-8 -*-
"""How far a figure may be trusted: 95 % intervals by resampling.

Trajectories are drawn with all their units, which are not independent, and so
are the seeds of training, where there are several: the bootstrap of Owen, "The
pigeonhole bootstrap", 2007, with percentiles. The same numbers give the same
intervals. Knows no metrics. Raises ValueError where arrays do not fit.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 2000
"""Draws; the ends of an interval then vary by a few hundredths of its
length."""

_PERCENTILES = (2.5, 97.5)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and its interval.

    Attributes:
        value (`float`):
            The mean over the seeds; NaN where nothing was measured.
        low (`float`):
            The lower end of the 95 % interval; NaN with one trajectory.
        high (`float`):
            The upper end.
        by_seed (`tuple[float, ...]`):
            The figure of each seed.
    """

    value: float
    low: float
    high: float
    by_seed: tuple[float, ...] = ()

    @property
    def lowest(self) -> float:
        """The lowest figure of a seed."""
        return min(self.by_seed, default=self.value)

    @property
    def highest(self) -> float:
        """The highest figure of a seed."""
        return max(self.by_seed, default=self.value)

    @property
    def sign(self) -> int:
        """1 or -1 where the whole interval lies on that side of 0, else 0."""
        return int(self.low > 0) - int(self.high < 0)


@dataclass(frozen=True, slots=True, eq=False)
class Resamples:
    """The draws of one test set, the same for all that is measured on it.

    Attributes:
        places (`np.ndarray`):
            Of each unit's trajectory among those that are drawn, `(units,)`.
        weights (`np.ndarray`):
            How often each trajectory is drawn, `(resamples, trajectories)`.
        seed (`int`):
            What the draws follow from.
    """

    places: np.ndarray
    weights: np.ndarray
    seed: int


def draw(
    trajectories: np.ndarray | Sequence[int],
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Resamples:
    """Draw trajectories with replacement, as many as there are.

    Args:
        trajectories (`np.ndarray | Sequence[int]`):
            The number of each unit's trajectory, `(units,)`.
        seed (`int`, defaults to `0`):
            Of the draws.
        resamples (`int`, defaults to `RESAMPLES`):
            How often to draw.
    """
    known, places = np.unique(np.asarray(trajectories), return_inverse=True)
    count = len(known)
    weights = np.zeros((resamples, count), dtype=np.float64)
    generator = np.random.default_rng(seed)
    for row in weights:
        drawn = generator.integers(0, count, count) if count else []
        row += np.bincount(drawn, minlength=count)[:count]
    return Resamples(places.reshape(-1), weights, seed)


def estimate(
    resamples: Resamples,
    runs: Sequence[np.ndarray],
) -> Estimate:
    """A mean over units and seeds, with its interval.

    Args:
        resamples (`Resamples`):
            The draws of the test set.
        runs (`Sequence[np.ndarray]`):
            For each seed a value for each unit, `(units,)`; NaN where a unit
            does not count.

    Raises:
        `ValueError`: There is no run, or one has other units.
    """
    return _estimated(
        resamples,
        np.array([_mean(run) for run in runs]),
        _replicates(resamples, runs),
    )


def difference(
    resamples: Resamples,
    runs: Sequence[np.ndarray],
    others: Sequence[np.ndarray],
) -> Estimate:
    """One mean less another on the same trajectories and seeds, paired.

    Args:
        resamples (`Resamples`):
            The draws of the test set.
        runs (`Sequence[np.ndarray]`):
            As of `estimate`.
        others (`Sequence[np.ndarray]`):
            The other arm's, of the same seeds in the same order.

    Raises:
        `ValueError`: There is no run, one has other units, or the arms have
            not the same number of them.
    """
    if len(runs) != len(others):
        raise ValueError(f"{len(runs)} runs do not pair with {len(others)}")
    by_seed = [
        _mean(run) - _mean(other)
        for run, other in zip(runs, others, strict=True)
    ]
    drawn = _replicates(resamples, runs) - _replicates(resamples, others)
    return _estimated(resamples, np.array(by_seed), drawn)


def _estimated(
    resamples: Resamples,
    by_seed: np.ndarray,
    replicates: np.ndarray,
) -> Estimate:
    """From the figure of each seed, `(seeds,)`, and those of the draws,
    `(resamples, seeds)`."""
    low, high = float("nan"), float("nan")
    means = _over_drawn_seeds(replicates, resamples.seed)
    means = means[~np.isnan(means)]
    # A single trajectory is always drawn: it would look certain.
    if means.size and resamples.weights.shape[1] > 1:
        low, high = map(float, np.percentile(means, _PERCENTILES))
    value = float(np.mean(by_seed))
    return Estimate(value, low, high, tuple(map(float, by_seed)))


def _over_drawn_seeds(replicates: np.ndarray, seed: int) -> np.ndarray:
    """The mean over as many seeds as there are, drawn with replacement."""
    resamples, seeds = replicates.shape
    generator = np.random.default_rng([seed, seeds])
    drawn = generator.integers(0, seeds, (resamples, seeds))
    return np.take_along_axis(replicates, drawn, axis=1).mean(axis=1)


def _replicates(
    resamples: Resamples,
    runs: Sequence[np.ndarray],
) -> np.ndarray:
    """The mean of each run in each draw, `(resamples, seeds)`; NaN where no
    unit of the draw counts."""
    if not runs:
        raise ValueError("no run to take a mean of")
    values = np.stack([_fitting(resamples, run) for run in runs])
    counts = ~np.isnan(values)
    # In one product, which reads the draws once.
    both = np.concatenate([np.where(counts, values, 0.0), counts])
    drawn = resamples.weights @ _by_trajectory(resamples, both)
    sums, sizes = np.split(drawn, 2, axis=1)
    with np.errstate(invalid="ignore"):
        return sums / np.where(sizes, sizes, np.nan)


def _by_trajectory(resamples: Resamples, values: np.ndarray) -> np.ndarray:
    """Sums over the units of each trajectory, `(trajectories, rows)` of
    `(rows, units)`."""
    count = resamples.weights.shape[1]
    sums = [np.bincount(resamples.places, row, count) for row in values]
    return np.stack(sums, axis=1)


def _fitting(resamples: Resamples, run: np.ndarray) -> np.ndarray:
    if run.shape != resamples.places.shape:
        raise ValueError(
            f"{run.shape} values for {resamples.places.shape} units",
        )
    return run


def _mean(run: np.ndarray) -> float:
    counting = run[~np.isnan(run)]
    return float(counting.mean()) if counting.size else float("nan")
