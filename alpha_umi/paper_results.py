# -*- coding: utf-8 -*-
"""What the paper reports of its arms: their figures out of domain.

arXiv 2401.07324, Table 1: static evaluation on ToolBench, tools that training
has not seen, LLaMA-2-chat. Data; knows no results of ours. Raises nothing.
"""

from dataclasses import dataclass

from .arm_names import ARM_NAMES, ArmName
from .metrics import Metric

SOURCE = "arXiv 2401.07324, Table 1, out of domain"


@dataclass(frozen=True, slots=True)
class PaperRow:
    """One row of the paper's table.

    Attributes:
        name (`str`):
            Size and arm.
        values (`dict[str, float]`):
            By metric, 0 to 1.
    """

    name: str
    values: dict[str, float]


_COLUMNS = (
    Metric.PLAN,
    Metric.ACTION,
    Metric.HALLUCINATION,
    Metric.ARGUMENTS,
    Metric.ANSWER,
)

_PERCENT: dict[str, dict[ArmName, tuple[float, ...]]] = {
    "7B": {
        ArmName.SINGLE: (84.61, 56.54, 2.26, 50.09, 47.99),
        ArmName.ONE_STAGE: (88.42, 53.40, 2.52, 45.79, 46.39),
        ArmName.MULTI_TASK: (86.55, 56.89, 2.77, 49.50, 32.58),
        ArmName.WITHOUT_REUSE: (87.91, 58.02, 2.32, 50.55, 42.59),
        ArmName.WITH_REUSE: (89.72, 60.47, 0.45, 53.60, 46.26),
    },
    "13B": {
        ArmName.SINGLE: (86.74, 60.04, 2.03, 52.94, 48.46),
        ArmName.ONE_STAGE: (87.45, 56.71, 3.23, 47.49, 41.62),
        ArmName.MULTI_TASK: (86.64, 62.78, 3.42, 53.29, 35.46),
        ArmName.WITHOUT_REUSE: (87.75, 61.63, 2.95, 52.54, 37.70),
        ArmName.WITH_REUSE: (88.73, 64.21, 0.24, 57.38, 42.50),
    },
}

PAPER_ROWS = tuple(
    PaperRow(
        f"paper, {size}: {ARM_NAMES[arm]}",
        {
            metric: percent / 100
            for metric, percent in zip(_COLUMNS, percents, strict=True)
        },
    )
    for size, arms in _PERCENT.items()
    for arm, percents in arms.items()
)
"""The paper's own models of both sizes, out of domain."""
