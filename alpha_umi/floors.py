# -*- coding: utf-8 -*-
"""What is scored without reading anything: the floors of every table.

Knows no models. Raises LocalLLMError where package `rouge` is missing.
"""

from collections.abc import Callable, Sequence

from .decision_steps import Prediction, Reference, Step
from .metrics import cases_of, score
from .protocol import NO_TOOL, Call, Decision
from .scores import Scores


def always_call(_: Reference) -> Prediction:
    """Always call, and name no tool."""
    return Prediction(Decision.CALL, Call(NO_TOOL, "{}"))


def first_tool(reference: Reference) -> Prediction:
    """Always call the first tool that is listed, without arguments."""
    name = (*reference.tool_names, NO_TOOL)[0]
    return Prediction(Decision.CALL, Call(name, "{}"))


FLOORS: dict[str, Callable[[Reference], Prediction]] = {
    "always call": always_call,
    "first tool": first_tool,
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
        name: score(cases_of(steps, [decide(one.reference) for one in steps]))
        for name, decide in FLOORS.items()
    }
