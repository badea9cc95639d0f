# -*- coding: utf-8 -*-
"""What was measured, as arrays: a value for each unit and metric.

A unit is a decision step, or a whole task. Knows no metric by name and draws
no conclusions. Raises nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """The values of one run on one test set.

    Attributes:
        trajectories (`np.ndarray`):
            The number of each unit's trajectory, `(units,)`; units of one
            trajectory are not independent.
        values (`Mapping[str, np.ndarray]`):
            By metric, `(units,)`; NaN where a unit does not count for it.
    """

    trajectories: np.ndarray
    values: Mapping[str, np.ndarray]

    def mean(self, metric: str) -> float:
        """The mean over the units that count; NaN where none does."""
        counting = self.values[metric][~np.isnan(self.values[metric])]
        return float(counting.mean()) if counting.size else float("nan")

    def means(self) -> dict[str, float]:
        """The mean of every metric."""
        return {metric: self.mean(metric) for metric in self.values}


def collected(
    trajectories: Sequence[int],
    rows: Sequence[Mapping[str, float]],
    metrics: Sequence[str],
) -> Scores:
    """The values of units that were scored one by one.

    Args:
        trajectories (`Sequence[int]`):
            The number of each unit's trajectory.
        rows (`Sequence[Mapping[str, float]]`):
            A unit's values by metric, NaN where it does not count.
        metrics (`Sequence[str]`):
            Which of them to take.
    """
    return Scores(
        np.array(trajectories, dtype=np.int64),
        {
            str(metric): np.array([row[metric] for row in rows], dtype=float)
            for metric in metrics
        },
    )
