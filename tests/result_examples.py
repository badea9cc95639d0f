# -*- coding: utf-8 -*-
"""Results of a comparison that nobody has measured."""

import math
from collections.abc import Mapping

import numpy as np

from alpha_umi.arm_names import ArmName
from alpha_umi.intervals import Estimate
from alpha_umi.metrics import Metric
from alpha_umi.results import Difference, Figures, Part, Results
from alpha_umi.scores import Scores

NAN = math.nan


def scores(values: list[float], **others: list[float]) -> Scores:
    """Scores of one run, two steps a trajectory."""
    arrays = {Metric.PLAN: values} | {
        Metric(name): array for name, array in others.items()
    }
    return Scores(
        np.arange(len(values)) // 2,
        {str(name): np.array(array) for name, array in arrays.items()},
    )


def figures(**values: tuple[float, float, float]) -> Figures:
    """Value, low and high by metric."""
    return {
        name: Estimate(*three, three[:1]) for name, three in values.items()
    }


def part_with(
    differences: Mapping[tuple[str, str], Figures],
    is_in_domain: bool = True,
    name: str = "seen",
) -> Part:
    """A part of which the differences are known."""
    return Part(
        name,
        is_in_domain,
        differences=tuple(
            Difference(arm, other, (0,), one)
            for (arm, other), one in differences.items()
        ),
    )


EVERY_METRIC = {
    "plan_em": (0.8, 0.75, 0.85),
    "action_em": (0.5, 0.4, 0.6),
    "hallu_rate": (0.02, 0.01, 0.04),
    "f1": (0.45, 0.4, 0.5),
    "rouge": (0.3, 0.25, 0.4),
}

SEEN = Part(
    "seen",
    True,
    {
        "trajectories": 20,
        "steps": 1200,
        "caller": 900,
        "conclusion": 200,
        "give up": 100,
    },
    {
        "always call": figures(
            plan_em=(0.75, 0.7, 0.8),
            action_em=(0.0, 0.0, 0.0),
            hallu_rate=(0.0, 0.0, 0.0),
        ),
        "first tool": figures(
            plan_em=(0.75, 0.7, 0.8),
            action_em=(0.25, 0.2, 0.3),
            hallu_rate=(0.0, 0.0, 0.0),
        ),
    },
    {
        ArmName.SINGLE: figures(**EVERY_METRIC),
        ArmName.WITH_REUSE: {
            "plan_em": Estimate(0.9, 0.85, 0.95, (0.88, 0.92)),
            "action_em": Estimate(0.6, NAN, NAN, (0.6, 0.6)),
            "hallu_rate": Estimate(0.0, 0.0, 0.0, (0.0, 0.0)),
            "f1": Estimate(NAN, NAN, NAN, (NAN, NAN)),
        },
    },
    {ArmName.SINGLE: (0,), ArmName.WITH_REUSE: (0, 1)},
    (
        Difference(
            ArmName.SINGLE,
            ArmName.WITH_REUSE,
            (0,),
            figures(plan_em=(-0.1, -0.15, -0.05), f1=(0.0, -0.02, 0.02)),
        ),
    ),
)
UNSEEN = Part(
    "unseen",
    False,
    floors={"always call": figures(plan_em=(0.7, 0.65, 0.75))},
    arms={ArmName.SINGLE: figures(**EVERY_METRIC)},
    seeds={ArmName.SINGLE: (0,)},
)
RESULTS = Results({"command": "compare", "machine": "a|b"}, (SEEN, UNSEEN))
