# -*- coding: utf-8 -*-
"""An ordering holds where the whole interval says so, and not otherwise."""

import math

import pytest
from result_examples import figures, part_with

from alpha_umi.arm_names import ArmName
from alpha_umi.intervals import Estimate
from alpha_umi.metrics import Metric
from alpha_umi.orderings import (
    ORDERINGS,
    Finding,
    Relation,
    Verdict,
    findings,
    verdict,
)
from alpha_umi.paper_results import PAPER_ROWS
from alpha_umi.results import Part

NAN = math.nan
ABOVE, BELOW, EITHER = (
    (0.05, 0.01, 0.09),
    (-0.05, -0.09, -0.01),
    (0, -0.1, 0.1),
)
OTHERS = (
    ArmName.SINGLE,
    ArmName.MULTI_TASK,
    ArmName.ONE_STAGE,
    ArmName.WITHOUT_REUSE,
)


def found(part: Part, point: str, metric: Metric) -> Finding:
    """What became of a point in one metric."""
    (one,) = (
        one
        for one in findings([part])
        if one.ordering.point.startswith(point)
        and one.ordering.metric is metric
    )
    return one


@pytest.mark.parametrize(
    ("relation", "low", "high", "expected"),
    [
        ("above", 0.01, 0.03, Verdict.HOLDS),
        ("above", -0.03, -0.01, Verdict.REVERSED),
        ("above", -0.01, 0.03, Verdict.NOT_DECIDED),
        ("above", 0.0, 0.03, Verdict.NOT_DECIDED),
        ("above", 0.0, 0.0, Verdict.NOT_DECIDED),
        ("above", NAN, NAN, Verdict.NOT_DECIDED),
        ("below", -0.03, -0.01, Verdict.HOLDS),
        ("below", 0.01, 0.03, Verdict.REVERSED),
        ("below", -0.01, 0.03, Verdict.NOT_DECIDED),
        ("like", -0.03, 0.04, Verdict.HOLDS),
        ("like", 0.06, 0.09, Verdict.REVERSED),
        ("like", -0.09, -0.06, Verdict.REVERSED),
        ("like", 0.02, 0.07, Verdict.NOT_DECIDED),
        ("like", NAN, NAN, Verdict.NOT_DECIDED),
    ],
)
def test_an_interval_decides_a_relation(
    relation: Relation, low: float, high: float, expected: Verdict
) -> None:
    assert verdict(relation, Estimate(0.0, low, high)) is expected


@pytest.mark.parametrize(
    ("differences", "expected"),
    [
        ([ABOVE, ABOVE, ABOVE, ABOVE], Verdict.HOLDS),
        ([ABOVE, EITHER, ABOVE, ABOVE], Verdict.NOT_DECIDED),
        ([EITHER, EITHER, EITHER, EITHER], Verdict.NOT_DECIDED),
        ([ABOVE, EITHER, BELOW, ABOVE], Verdict.REVERSED),
        ([ABOVE], Verdict.HOLDS),
        ([], Verdict.NOT_MEASURED),
    ],
)
def test_the_best_arm_is_above_each_other_one(
    differences: list, expected: Verdict
) -> None:
    part = part_with(
        {
            (ArmName.WITH_REUSE, other): figures(plan_em=three)
            for other, three in zip(OTHERS, differences, strict=False)
        },
    )
    one = found(part, "1.", Metric.PLAN)
    assert one.verdict is expected
    assert list(one.differences) == list(OTHERS[: len(differences)])


def test_differences_are_turned_to_the_arm_that_is_spoken_of() -> None:
    pair = (ArmName.SINGLE, ArmName.WITH_REUSE)
    part = part_with({pair: figures(plan_em=BELOW)})
    one = found(part, "1.", Metric.PLAN)
    assert one.verdict is Verdict.HOLDS
    assert one.differences[ArmName.SINGLE].value == 0.05


def test_fewer_hallucinations_are_better() -> None:
    pair = (ArmName.WITH_REUSE, ArmName.SINGLE)
    part = part_with({pair: figures(hallu_rate=BELOW)})
    assert found(part, "1.", Metric.HALLUCINATION).verdict is Verdict.HOLDS


def test_one_stage_training_plans_above_and_calls_below_single() -> None:
    pair = (ArmName.ONE_STAGE, ArmName.SINGLE)
    values = figures(
        plan_em=ABOVE, action_em=BELOW, hallu_rate=ABOVE, f1=ABOVE
    )
    part = part_with({pair: values})
    verdicts = {
        one.ordering.metric: one.verdict
        for one in findings([part])
        if one.ordering.point.startswith("2.")
    }
    assert verdicts == {
        Metric.PLAN: Verdict.HOLDS,
        Metric.ACTION: Verdict.HOLDS,
        Metric.HALLUCINATION: Verdict.HOLDS,
        Metric.ARGUMENTS: Verdict.REVERSED,
    }


@pytest.mark.parametrize(
    ("is_in_domain", "expected"),
    [(True, Verdict.REVERSED), (False, Verdict.HOLDS)],
)
def test_answers_of_single_are_worse_in_domain_and_better_out_of_it(
    is_in_domain: bool, expected: Verdict
) -> None:
    pair = (ArmName.WITH_REUSE, ArmName.SINGLE)
    part = part_with({pair: figures(rouge=BELOW)}, is_in_domain)
    assert found(part, "4.", Metric.ANSWER).verdict is expected


def test_multi_task_planning_is_compared_in_domain_alone() -> None:
    pair = (ArmName.MULTI_TASK, ArmName.SINGLE)
    inside, outside = (
        part_with({pair: figures(plan_em=ABOVE)}, is_in_domain)
        for is_in_domain in (True, False)
    )
    metrics = [
        [
            one.ordering.metric
            for one in findings([part])
            if one.ordering.point.startswith("3.")
        ]
        for part in (inside, outside)
    ]
    assert Metric.PLAN in metrics[0] and Metric.PLAN not in metrics[1]


def test_every_part_is_judged() -> None:
    pair = (ArmName.WITH_REUSE, ArmName.SINGLE)
    parts = [
        part_with({pair: figures(plan_em=ABOVE)}, name=name)
        for name in ("a", "b")
    ]
    judged = [
        one.part
        for one in findings(parts)
        if one.ordering.point.startswith("1.")
        and one.ordering.metric is Metric.PLAN
    ]
    assert judged == ["a", "b"]


@pytest.mark.parametrize("size", ["7B", "13B"])
def test_the_papers_own_figures_out_of_domain_fit_the_orderings(
    size: str,
) -> None:
    rows = [row for row in PAPER_ROWS if row.name.startswith(f"paper, {size}")]
    paper = [arm for arm in ArmName if arm is not ArmName.SINGLE_LONG]
    values = dict(zip(paper, (row.values for row in rows), strict=True))
    wrong = []
    for ordering in ORDERINGS:
        if False not in ordering.domains or ordering.arm not in values:
            continue
        for other in set(ordering.others) & set(values):
            metric = str(ordering.metric)
            value = values[ordering.arm][metric] - values[other][metric]
            exact = Estimate(value, value, value)
            if verdict(ordering.relation, exact) is not Verdict.HOLDS:
                wrong.append((ordering.point, metric, other))
    assert wrong == []
