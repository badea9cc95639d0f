# -*- coding: utf-8 -*-
"""The columns of tables and the panels of pictures.

Knows how figures are called and shown, not what they are. Raises nothing.
"""

from dataclasses import dataclass

from .end_to_end import TaskMetric
from .metrics import Metric


@dataclass(frozen=True, slots=True)
class Column:
    """How one metric is shown.

    Attributes:
        metric (`str`):
            Its name in results.
        title (`str`):
            Its name for readers.
        scale (`float`):
            By what a figure is multiplied: 100 for shares.
        is_low_good (`bool`):
            Whether less is better.
    """

    metric: str
    title: str
    scale: float = 100.0
    is_low_good: bool = False

    @property
    def heading(self) -> str:
        """The title, and an arrow that points to what is better."""
        return f"{self.title} {'↓' if self.is_low_good else '↑'}"


STEP_COLUMNS = (
    Column(Metric.PLAN, "Plan ACC"),
    Column(Metric.ACTION, "Act. EM"),
    Column(Metric.HALLUCINATION, "Hallu.", is_low_good=True),
    Column(Metric.ARGUMENTS, "Arg. F1"),
    Column(Metric.ANSWER, "Rouge-L"),
)
"""Those of the paper's table, in its order."""

ARGUMENT_COLUMNS = (
    Column(Metric.EASY_ARGUMENTS, "easy Arg. F1"),
    Column(Metric.HARD_ARGUMENTS, "hard Arg. F1"),
)
"""Arg. F1 where no arguments are wanted, and where some are."""

TASK_COLUMNS = (
    Column(TaskMetric.SOLVED, "Solved"),
    Column(TaskMetric.STEPS, "Steps", 1.0, is_low_good=True),
    Column(TaskMetric.CALLS, "Calls", 1.0, is_low_good=True),
    Column(TaskMetric.INVALID, "Invalid calls", 1.0, is_low_good=True),
)
"""Of whole tasks on simulated tools."""

TITLES: dict[str, str] = {
    column.metric: column.title
    for column in (*STEP_COLUMNS, *ARGUMENT_COLUMNS, *TASK_COLUMNS)
}
"""How readers call each metric."""
