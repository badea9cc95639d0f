# -*- coding: utf-8 -*-
"""Which arm the paper finds above which, and whether that holds here.

Decided from paired differences: an ordering holds, or is reversed, where the
whole 95 % interval lies on one side of 0, and is not decided where it covers
0. Knows nothing of how arms are trained. Raises nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from .arm_names import ArmName
from .intervals import Estimate
from .metrics import Metric
from .results import Part

Relation = Literal["above", "below", "like"]
"""Of an arm to others; `like` is within `SIMILAR`."""

SIMILAR = 0.05
"""Up to what difference arms are alike, as a share. Where the paper's page
has multi-task training call about as well as Single-LLM, the largest of its
differences is 3.1 points."""


class Verdict(StrEnum):
    """What the measured differences say of an ordering."""

    HOLDS = "holds"
    REVERSED = "reversed"
    NOT_DECIDED = "not decided"
    NOT_MEASURED = "not measured"


@dataclass(frozen=True, slots=True)
class Ordering:
    """One arm against others in one metric, as the paper has it.

    Attributes:
        point (`str`):
            What it is part of.
        metric (`Metric`):
            In which they differ.
        arm (`ArmName`):
            The one.
        others (`tuple[ArmName, ...]`):
            Those it is compared with, each.
        relation (`Relation`):
            Where its figure is.
        domains (`tuple[bool, ...]`):
            For which parts, by `Part.is_in_domain`.
    """

    point: str
    metric: Metric
    arm: ArmName
    others: tuple[ArmName, ...]
    relation: Relation
    domains: tuple[bool, ...] = (True, False)


@dataclass(frozen=True, slots=True)
class Finding:
    """An ordering on one part of the test data, and what became of it.

    Attributes:
        ordering (`Ordering`):
            Which.
        part (`str`):
            Where.
        differences (`dict[ArmName, Estimate]`):
            The arm less each other one, as far as they were measured.
        verdict (`Verdict`):
            Of all of them: holds where each holds, reversed where one is.
    """

    ordering: Ordering
    part: str
    differences: dict[ArmName, Estimate]
    verdict: Verdict


_BEST = "1. alpha-UMi with reuse plans and calls best"
_ONE_STAGE = "2. one-stage training plans well and calls worse than Single-LLM"
_MULTI_TASK = "3. multi-task training calls like Single-LLM and answers worse"
_ANSWERS = "4. Rouge-L is the exception: out of domain Single-LLM is above"
_LONG = "5. not in the paper: against Single-LLM trained for as many steps"

_PAPER_OTHERS = (
    ArmName.SINGLE,
    ArmName.MULTI_TASK,
    ArmName.ONE_STAGE,
    ArmName.WITHOUT_REUSE,
)
_IN_DOMAIN, _OUT_OF_DOMAIN = (True,), (False,)


def _best(point: str, others: tuple[ArmName, ...]) -> list[Ordering]:
    directions: dict[Metric, Relation] = {
        Metric.PLAN: "above",
        Metric.ACTION: "above",
        Metric.HALLUCINATION: "below",
        Metric.ARGUMENTS: "above",
    }
    return [
        Ordering(point, metric, ArmName.WITH_REUSE, others, relation)
        for metric, relation in directions.items()
    ]


def _against_single(
    point: str,
    arm: ArmName,
    metric: Metric,
    relation: Relation,
    domains: tuple[bool, ...] = (True, False),
) -> Ordering:
    return Ordering(point, metric, arm, (ArmName.SINGLE,), relation, domains)


ORDERINGS: tuple[Ordering, ...] = (
    *_best(_BEST, _PAPER_OTHERS),
    *(
        _against_single(_ONE_STAGE, ArmName.ONE_STAGE, metric, relation)
        for metric, relation in (
            (Metric.PLAN, "above"),
            (Metric.ACTION, "below"),
            (Metric.HALLUCINATION, "above"),
            (Metric.ARGUMENTS, "below"),
        )
    ),
    *(
        _against_single(
            _MULTI_TASK, ArmName.MULTI_TASK, metric, relation, domains
        )
        for metric, relation, domains in (
            (Metric.PLAN, "above", _IN_DOMAIN),
            (Metric.ACTION, "like", (True, False)),
            (Metric.ARGUMENTS, "like", (True, False)),
            (Metric.ANSWER, "below", (True, False)),
        )
    ),
    _against_single(
        _ANSWERS, ArmName.WITH_REUSE, Metric.ANSWER, "below", _OUT_OF_DOMAIN
    ),
    _against_single(
        _ANSWERS, ArmName.WITH_REUSE, Metric.ANSWER, "above", _IN_DOMAIN
    ),
    *_best(_LONG, (ArmName.SINGLE_LONG,)),
)
"""Of arXiv 2401.07324, Table 1, what both sizes of its models show; and the
same against an arm that the paper lacks."""


def findings(parts: Sequence[Part]) -> list[Finding]:
    """What became of every ordering, on each part that it speaks of.

    Args:
        parts (`Sequence[Part]`):
            What was measured.
    """
    return [
        _finding(ordering, part)
        for ordering in ORDERINGS
        for part in parts
        if part.is_in_domain in ordering.domains
    ]


def verdict(relation: Relation, difference: Estimate) -> Verdict:
    """What one difference says of one relation.

    Args:
        relation (`Relation`):
            Of the arm to the other.
        difference (`Estimate`):
            The arm less the other.
    """
    low, high = difference.low, difference.high
    if relation == "like":
        is_so = -SIMILAR < low and high < SIMILAR
        is_not = low > SIMILAR or high < -SIMILAR
    else:
        sign = difference.sign
        wanted = 1 if relation == "above" else -1
        is_so, is_not = sign == wanted, sign == -wanted
    if is_so:
        return Verdict.HOLDS
    return Verdict.REVERSED if is_not else Verdict.NOT_DECIDED


def _finding(ordering: Ordering, part: Part) -> Finding:
    measured = {
        other: found
        for other in ordering.others
        if (found := part.difference(ordering.arm, other, ordering.metric))
    }
    verdicts = {verdict(ordering.relation, one) for one in measured.values()}
    return Finding(ordering, part.name, measured, _together(verdicts))


def _together(verdicts: set[Verdict]) -> Verdict:
    if not verdicts:
        return Verdict.NOT_MEASURED
    if Verdict.REVERSED in verdicts:
        return Verdict.REVERSED
    return verdicts.pop() if len(verdicts) == 1 else Verdict.NOT_DECIDED
