# -*- coding: utf-8 -*-
"""How good decision steps are: the metrics of the paper.

Plan ACC, Act. EM, Hallu., Arg. F1 and Rouge-L as the published evaluation
(X-PLUG/Multi-LLM-Agent, `evaluate-multi_agent.py`) computes them, value for
value; the tables of the paper have them times 100. Knows no models. Raises
LocalLLMError where package `rouge` is missing.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from .decision_steps import SILENCE, Prediction, Reference, Step
from .protocol import NO_TOOL, Call
from .rouge_l import rouge_l
from .scores import Scores, collected

_NOT_COUNTED = math.nan
_NO_ARGUMENTS = "{}"
_HALF = 0.5
"""What the right key with another value earns."""


class Metric(StrEnum):
    """What is measured of a step, by its name in published result files."""

    PLAN = "plan_em"
    ACTION = "action_em"
    HALLUCINATION = "hallu_rate"
    ARGUMENTS = "f1"
    EASY_ARGUMENTS = "easy_f1"
    HARD_ARGUMENTS = "hard_f1"
    ANSWER = "rouge"


@dataclass(frozen=True, slots=True)
class Case:
    """A step and what came of it.

    Attributes:
        reference (`Reference`):
            What is right.
        prediction (`Prediction`):
            What a model said.
        trajectory (`int`):
            The number of the step's trajectory.
    """

    reference: Reference
    prediction: Prediction
    trajectory: int = 0


def cases_of(
    steps: Sequence[Step],
    predictions: Sequence[Prediction],
) -> list[Case]:
    """Steps with a prediction each, in the same order."""
    return [
        Case(step.reference, prediction, step.number)
        for step, prediction in zip(steps, predictions, strict=True)
    ]


def score(cases: Sequence[Case]) -> Scores:
    """Every metric of every step; `Scores.means` gives the figures of a
    table. A metric that no step counts for is NaN, where the published code
    has 0 or stops.

    Args:
        cases (`Sequence[Case]`):
            The steps of one run on one test set.

    Raises:
        `LocalLLMError`: Package `rouge` is missing.
    """
    return collected(
        [case.trajectory for case in cases],
        [score_step(case.reference, case.prediction) for case in cases],
        list(Metric),
    )


def score_step(
    reference: Reference,
    prediction: Prediction,
) -> dict[Metric, float]:
    """Every metric of one step, NaN where the step does not count for it.

    Args:
        reference (`Reference`):
            What is right.
        prediction (`Prediction`):
            What a model said.

    Raises:
        `LocalLLMError`: Package `rouge` is missing.
    """
    values = dict.fromkeys(Metric, _NOT_COUNTED)
    same = reference.decision is prediction.decision
    values[Metric.PLAN] = float(same)
    invented = _hallucinates(reference, prediction)
    values[Metric.HALLUCINATION] = float(invented)
    if reference.call is not None:
        called = prediction.call or Call(NO_TOOL, _NO_ARGUMENTS)
        right = called.name == reference.call.name
        values[Metric.ACTION] = float(right)
        values |= _score_arguments(reference.call, called)
    if reference.answer is not None:
        answer = prediction.answer or SILENCE
        values[Metric.ANSWER] = _score_answer(answer, reference.answer)
    return values


def rows_of(cases: Sequence[Case], scores: Scores) -> list[dict[str, Any]]:
    """What was wanted, said and scored in each step, as values of JSON.

    Args:
        cases (`Sequence[Case]`):
            The steps.
        scores (`Scores`):
            What `score` made of them.
    """
    return [
        {
            "trajectory": case.trajectory,
            "reference": asdict(case.reference),
            "prediction": asdict(case.prediction),
            "scores": {
                metric: None if math.isnan(values[index]) else values[index]
                for metric, values in scores.values.items()
            },
        }
        for index, case in enumerate(cases)
    ]


def argument_f1(candidate: str, reference: str) -> float:
    """How well the arguments of a right tool agree, 0 to 1.

    A key with its value earns one, with another value a half; the sum over
    the keys of each side gives precision and recall. Values compare as those
    of Python do: 1 is 1.0 and not "1".

    Args:
        candidate (`str`):
            JSON of the arguments as called.
        reference (`str`):
            JSON of the right ones.

    Returns:
        `float`: NaN where the reference is no JSON, which leaves the step
            out; 0 where the candidate is none, or no object.
    """
    try:
        wanted = _parsed(reference)
    except ValueError:
        return _NOT_COUNTED
    try:
        given = _parsed(candidate)
    except ValueError:
        return 0.0
    if wanted == {}:
        return float(given == {})
    if not isinstance(wanted, dict) or not isinstance(given, dict):
        return 0.0
    common = wanted.keys() & given.keys()
    credit = sum(1.0 if given[k] == wanted[k] else _HALF for k in common)
    # The harmonic mean of credit / len(given) and credit / len(wanted).
    return 2 * credit / (len(given) + len(wanted))


def _hallucinates(reference: Reference, prediction: Prediction) -> bool:
    """Whether a tool is called that is not there, whatever was to be done;
    one who names none has made up none."""
    called = prediction.call
    known = (NO_TOOL, *reference.tool_names)
    return called is not None and called.name not in known


def _score_arguments(wanted: Call, called: Call) -> dict[Metric, float]:
    """A wrong tool is a zero in all three; else the arguments count once as
    easy, where none are wanted, or as hard."""
    if called.name != wanted.name:
        return dict.fromkeys(_OF_ARGUMENTS, 0.0)
    value = argument_f1(called.arguments, wanted.arguments)
    if math.isnan(value):
        return {}
    kind = (
        Metric.EASY_ARGUMENTS
        if _parsed(wanted.arguments) == {}
        else Metric.HARD_ARGUMENTS
    )
    return {Metric.ARGUMENTS: value, kind: value}


_OF_ARGUMENTS = (
    Metric.ARGUMENTS,
    Metric.EASY_ARGUMENTS,
    Metric.HARD_ARGUMENTS,
)


def _score_answer(answer: str, wanted: str) -> float:
    """A reference without a word, where the published code stops, leaves the
    step out."""
    return rouge_l(answer, wanted) if wanted.strip(".") else _NOT_COUNTED


def _parsed(text: str) -> Any:
    """The value of a JSON text.

    Raises:
        `ValueError`: It is none, or nested too deeply to be read.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
