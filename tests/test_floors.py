# -*- coding: utf-8 -*-
"""The floors stand on what was to be decided alone."""

import pytest
from stored_steps import needs_stored_steps, stored_trajectories

pytest.importorskip("rouge")

from alpha_umi.decision_steps import (  # noqa: E402
    Prediction,
    Reference,
    Step,
    steps_of,
)
from alpha_umi.floors import (  # noqa: E402
    always_call,
    by_last_speaker,
    first_tool,
    floor_scores,
)
from alpha_umi.protocol import (  # noqa: E402
    Call,
    Decision,
    Trajectory,
    Utterance,
)

NOWHERE = Trajectory((), "", ())


def step(reference: Reference) -> Step:
    return Step(reference, (), NOWHERE, 0)


def test_one_floor_calls_nothing_and_one_the_first_tool() -> None:
    reference = Reference(Decision.GIVE_UP, tool_names=("b", "a"))
    assert always_call(step(reference)) == Prediction(
        Decision.CALL, Call("none", "{}")
    )
    assert first_tool(step(reference)) == Prediction(
        Decision.CALL, Call("b", "{}")
    )


@pytest.mark.parametrize(
    ("last", "prediction"),
    [
        (None, Prediction(Decision.CALL, Call("b", "{}"))),
        ("user", Prediction(Decision.CALL, Call("b", "{}"))),
        ("observation", Prediction(Decision.CONCLUDE, answer="said")),
    ],
)
def test_one_floor_says_what_was_observed_last(last, prediction) -> None:
    reference = Reference(Decision.GIVE_UP, tool_names=("b", "a"))
    history = () if last is None else (Utterance(last, "said"),)
    found = by_last_speaker(Step(reference, history, NOWHERE, 0))
    assert found == prediction


def test_where_there_is_no_tool_none_is_called() -> None:
    call = first_tool(step(Reference(Decision.CALL))).call
    assert call == Call("none", "{}")


def test_the_floors_of_four_steps() -> None:
    names = ("b", "a")
    steps = [
        step(Reference(Decision.CALL, Call("b", "{}"), None, names)),
        step(Reference(Decision.CALL, Call("b", '{"x": 1}'), None, names)),
        step(Reference(Decision.CALL, Call("a", "{}"), None, names)),
        step(Reference(Decision.CONCLUDE, None, "Yes", names)),
    ]
    scores = floor_scores(steps)
    assert list(scores) == ["always call", "first tool", "by last speaker"]
    assert scores["always call"].means() == {
        "plan_em": 3 / 4,
        "action_em": 0.0,
        "hallu_rate": 0.0,
        "f1": 0.0,
        "easy_f1": 0.0,
        "hard_f1": 0.0,
        "rouge": 0.0,
    }
    assert scores["first tool"].means() == {
        "plan_em": 3 / 4,
        "action_em": 2 / 3,
        "hallu_rate": 0.0,
        "f1": 1 / 3,
        "easy_f1": 1 / 2,
        "hard_f1": 0.0,
        "rouge": 0.0,
    }


@needs_stored_steps
def test_the_floors_of_the_stored_test_set() -> None:
    floors = floor_scores(steps_of(stored_trajectories()))
    calling, first = floors["always call"], floors["first tool"]
    assert calling.mean("plan_em") == first.mean("plan_em") == 523 / 706
    assert calling.mean("action_em") == 0.0
    assert first.mean("action_em") == 139 / 523
    assert first.mean("f1") == 53 / 523
    # One of 137 reference answers is "none".
    assert first.mean("rouge") == pytest.approx(1 / 137)
