# -*- coding: utf-8 -*-
"""A task is solved where the right calls and the right facts are there."""

import json

import pytest

from alpha_umi.end_to_end import (
    Expected,
    TaskFigures,
    task_figures,
    task_scores,
)
from alpha_umi.limits import Outcome
from alpha_umi.protocol import Call, Tool, Utterance, write_call

RAIN = Tool(
    "rain",
    schema={
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "days": {"type": "integer", "minimum": 1},
        },
        "required": ["city"],
        "additionalProperties": False,
    },
)
LOOSE = Tool("loose", arguments={"city": "string, the city"})
TOOLS = (RAIN, LOOSE)


def said(*calls: Call) -> list[Utterance]:
    turns = [Utterance("user", "Rain in Bonn?")]
    for call in calls:
        turns += [
            Utterance("assistant", "Next: caller."),
            Utterance("caller", call.text),
            Utterance("observation", "3"),
        ]
    return [*turns, Utterance("assistant", "Next: conclusion.")]


def figures(
    *calls: Call,
    outcome: Outcome = Outcome.ANSWERED,
    answer: str = "3 mm",
    expected: Expected | None = None,
) -> TaskFigures:
    wanted = expected or Expected()
    return task_figures(TOOLS, said(*calls), outcome, answer, wanted)


BONN, ULM = (
    write_call("rain", {"city": "Bonn"}),
    Call("rain", '{"city":"Ulm"}'),
)


def test_steps_and_calls_are_counted() -> None:
    found = figures(BONN, ULM)
    assert (found.steps, found.calls, found.faults) == (3, 2, ())


def test_the_faults_of_a_task_are_kept() -> None:
    found = figures(BONN, Call("snow", "{}"), Call("rain", "{}"))
    assert found.calls == 3
    assert found.faults == (
        "There is no tool snow. Tools: rain, loose.",
        "The arguments of rain do not fit: 'city' is a required property. "
        "It takes: city, days.",
    )


@pytest.mark.parametrize(
    ("made", "expected", "has_calls"),
    [
        ([BONN], [BONN], True),
        ([], [], True),
        ([ULM], [], True),
        ([], [BONN], False),
        ([ULM], [BONN], False),
        ([ULM, BONN], [BONN], True),
        ([BONN, ULM], [BONN, ULM], True),
        ([ULM, BONN], [BONN, ULM], False),
        ([BONN], [BONN, BONN], False),
        # More arguments than expected, fewer, and other forms of JSON.
        ([Call("rain", '{"days": 1, "city":"Bonn"}')], [BONN], True),
        ([Call("rain", "{}")], [BONN], False),
        ([BONN], [Call("rain", "{}")], True),
        ([Call("rain", "Bonn")], [Call("rain", "{}")], False),
        ([Call("loose", BONN.arguments)], [BONN], False),
    ],
)
def test_expected_calls_are_made_in_their_order(
    made: list[Call], expected: list[Call], has_calls: bool
) -> None:
    found = figures(*made, expected=Expected(calls=tuple(expected)))
    assert found.has_calls == found.solved == has_calls


@pytest.mark.parametrize(
    ("fact", "answer", "is_told"),
    [
        ("3 mm", "It rains 3 mm.", True),
        ("3 MM", "It rains 3\nmm.", True),
        ("3", "It rains 3.", True),
        ("3", "It rains 13 mm", False),
        ("3", "It rains 3.5 mm", False),
        ("5", "It rains 3.5 mm", False),
        ("3", "It is -3 °C", False),
        ("-3", "It is -3 °C", True),
        ("1,200", "1200 people", True),
        ("1200.5", "1,200.5 people", True),
        ("1,2", "1,2 people", True),
        ("rain", "rainy", False),
        ("C++", "I like C++", True),
        ("3", "", False),
    ],
)
def test_a_fact_is_told_as_words_of_its_own(
    fact: str, answer: str, is_told: bool
) -> None:
    expected = Expected(facts=((fact,),))
    found = figures(answer=answer, expected=expected)
    assert found.has_facts == found.solved == is_told


def test_every_fact_is_wanted_in_one_of_its_wordings() -> None:
    expected = Expected(facts=(("3 mm", "three"), ("Bonn",)))
    assert figures(answer="Three, in Bonn", expected=expected).solved
    assert not figures(answer="Three", expected=expected).solved


@pytest.mark.parametrize("outcome", sorted(set(Outcome) - {Outcome.ANSWERED}))
def test_a_task_without_an_answer_is_not_solved(outcome: Outcome) -> None:
    found = figures(BONN, outcome=outcome)
    assert found.has_calls and found.has_facts and not found.solved


def test_the_scores_of_a_run_have_each_task_as_a_unit() -> None:
    run = [
        figures(BONN),
        figures(BONN, Call("snow", "{}"), outcome=Outcome.GAVE_UP, answer=""),
    ]
    scores = task_scores(run)
    assert scores.trajectories.tolist() == [0, 1]
    assert scores.means() == {
        "solved": 0.5,
        "steps": 2.5,
        "calls": 1.5,
        "invalid_calls": 0.5,
    }


def test_figures_are_values_of_json() -> None:
    values = json.loads(json.dumps(figures(BONN).as_dict()))
    assert values == {
        "outcome": "answered",
        "steps": 2,
        "calls": 1,
        "faults": [],
        "has_calls": True,
        "has_facts": True,
        "solved": True,
    }
