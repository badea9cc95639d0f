# -*- coding: utf-8 -*-
"""A task is solved where the right calls and the right facts are there."""

import json

import pytest

from alpha_umi.end_to_end import (
    ANSWERED,
    Expected,
    TaskFigures,
    call_fault,
    task_figures,
    task_scores,
)
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
    outcome: str = ANSWERED,
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


@pytest.mark.parametrize(
    ("name", "arguments", "fault"),
    [
        ("rain", '{"city": "Bonn"}', None),
        ("rain", '{"city": "Bonn", "days": 2}', None),
        ("loose", '{"anything": [1]}', None),
        ("snow", "{}", "there is no tool 'snow'"),
        ("none", "{}", "there is no tool 'none'"),
        ("rain", "{}", "rain: 'city' is a required property"),
        (
            "rain",
            '{"city": 5}',
            "rain: city: 5 is not of type 'string'",
        ),
        (
            "rain",
            '{"city": "Bonn", "days": 0}',
            "rain: days: 0 is less than the minimum of 1",
        ),
        ("rain", '{"city": "Bo', "rain: the arguments are no JSON object"),
        ("rain", '["Bonn"]', "rain: the arguments are no JSON object"),
        ("loose", "", "loose: the arguments are no JSON object"),
        ("loose", "[" * 100_000, "loose: the arguments are no JSON object"),
    ],
)
def test_a_call_is_valid_where_its_tool_takes_it(
    name: str, arguments: str, fault: str | None
) -> None:
    assert call_fault(TOOLS, Call(name, arguments)) == fault


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "objekt"},
        {"$ref": "https://example.com/schema.json"},
        {"$ref": "#"},
        {"properties": {"city": {"pattern": "("}}},
    ],
)
def test_a_schema_that_cannot_be_followed_faults_no_call(
    schema: dict,
) -> None:
    assert call_fault([Tool("rain", schema=schema)], BONN) is None


def test_the_faults_of_a_task_are_kept() -> None:
    found = figures(BONN, Call("snow", "{}"), Call("rain", "{}"))
    assert found.calls == 3
    assert found.faults == (
        "there is no tool 'snow'",
        "rain: 'city' is a required property",
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


@pytest.mark.parametrize("outcome", ["gave_up", "step_limit", "model_error"])
def test_a_task_without_an_answer_is_not_solved(outcome: str) -> None:
    found = figures(BONN, outcome=outcome)
    assert found.has_calls and found.has_facts and not found.solved


def test_the_scores_of_a_run_have_each_task_as_a_unit() -> None:
    run = [
        figures(BONN),
        figures(BONN, Call("snow", "{}"), outcome="gave_up", answer=""),
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
