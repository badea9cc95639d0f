# -*- coding: utf-8 -*-
"""The paper's figures are those that it prints."""

import pytest

from alpha_umi.arm_names import ARM_NAMES, ArmName
from alpha_umi.paper_results import PAPER_ROWS

VALUES = {row.name: row.values for row in PAPER_ROWS}


def test_both_sizes_have_the_five_arms_of_the_paper() -> None:
    arms = [ARM_NAMES[a] for a in ArmName if a is not ArmName.SINGLE_LONG]
    assert list(VALUES) == [
        f"paper, {size}: {name}" for size in ("7B", "13B") for name in arms
    ]


def test_the_row_of_alpha_umi_reads_as_printed() -> None:
    assert VALUES["paper, 7B: alpha-UMi w/ reuse"] == pytest.approx(
        {
            "plan_em": 0.8972,
            "action_em": 0.6047,
            "hallu_rate": 0.0045,
            "f1": 0.5360,
            "rouge": 0.4626,
        },
    )


@pytest.mark.parametrize("size", ["7B", "13B"])
@pytest.mark.parametrize("metric", ["plan_em", "action_em", "f1"])
def test_alpha_umi_is_best_where_the_paper_says_so(
    size: str, metric: str
) -> None:
    rows = {k: v for k, v in VALUES.items() if k.startswith(f"paper, {size}:")}
    best = max(rows, key=lambda name: rows[name][metric])
    assert best == f"paper, {size}: {ARM_NAMES[ArmName.WITH_REUSE]}"


@pytest.mark.parametrize("size", ["7B", "13B"])
def test_one_model_answers_best_out_of_domain(size: str) -> None:
    rows = {k: v for k, v in VALUES.items() if k.startswith(f"paper, {size}:")}
    best = max(rows, key=lambda name: rows[name]["rouge"])
    assert best == f"paper, {size}: {ARM_NAMES[ArmName.SINGLE]}"
