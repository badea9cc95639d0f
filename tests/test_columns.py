# -*- coding: utf-8 -*-
"""The columns are the paper's, in its order."""

from alpha_umi.columns import (
    ARGUMENT_COLUMNS,
    STEP_COLUMNS,
    TASK_COLUMNS,
    TITLES,
)
from alpha_umi.end_to_end import TaskMetric
from alpha_umi.metrics import Metric


def test_the_columns_are_those_of_the_papers_table() -> None:
    assert [column.heading for column in STEP_COLUMNS] == [
        "Plan ACC ↑",
        "Act. EM ↑",
        "Hallu. ↓",
        "Arg. F1 ↑",
        "Rouge-L ↑",
    ]


def test_every_metric_has_one_column() -> None:
    columns = (*STEP_COLUMNS, *ARGUMENT_COLUMNS, *TASK_COLUMNS)
    named = [column.metric for column in columns]
    assert sorted(named) == sorted([*Metric, *TaskMetric])
    assert set(TITLES) == set(named)


def test_shares_are_shown_times_100_and_counts_as_they_are() -> None:
    scales = {column.metric: column.scale for column in TASK_COLUMNS}
    assert scales[TaskMetric.SOLVED] == 100
    assert scales[TaskMetric.STEPS] == 1
