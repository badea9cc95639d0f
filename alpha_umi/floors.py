# -*- coding: utf-8 -*-
"""What is scored without reading anything: the floors of every table.

Knows no models. Raises LocalLLMError where package `rouge` is missing.
"""

from collections.abc import Callable, Sequence

from .decision_steps import Prediction, Step
from .metrics import cases_of, score
from .protocol import NO_TOOL, Call, Decision
from .scores import Scores


def always_call(step: Step) -> Prediction:
    """Always call, and name no tool."""
    return Prediction(Decision.CALL, Call(NO_TOOL, "{}"))


def first_tool(step: Step) -> Prediction:
    """Always call the first tool that is listed, without arguments."""
    name = (*step.reference.tool_names, NO_TOOL)[0]
    return Prediction(Decision.CALL, Call(name, "{}"))


def by_last_speaker(step: Step) -> Prediction:
    """Say the observation where one came last, else call the first tool."""
    last = step.history[-1] if step.history else None
    if last is None or last.speaker != "observation":
        return first_tool(step)
    return Prediction(Decision.CONCLUDE, answer=last.text)


FLOORS: dict[str, Callable[[Step], Prediction]] = {
    "always call": always_call,
    "first tool": first_tool,
    "by last speaker": by_last_speaker,
}
"""By their names in tables."""


def floor_scores(steps: Sequence[Step]) -> dict[str, Scores]:
    """The scores of every floor on some steps, by its name.

    Args:
        steps (`Sequence[Step]`):
            The steps of a test set.

    Raises:
        `LocalLLMError`: Package `rouge` is missing.
    """
    return {
        name: score(cases_of(steps, [decide(one) for one in steps]))
        for name, decide in FLOORS.items()
    }
