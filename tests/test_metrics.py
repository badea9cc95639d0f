# -*- coding: utf-8 -*-
"""Every metric of the paper, and each of its edge cases, by hand."""

import json
import math

import pytest

pytest.importorskip("rouge")

from alpha_umi.decision_steps import (  # noqa: E402
    Prediction,
    Reference,
    references_of,
    team_prediction,
)
from alpha_umi.metrics import (  # noqa: E402
    Case,
    Metric,
    argument_f1,
    cases_of,
    rows_of,
    score,
    score_step,
)
from alpha_umi.protocol import (  # noqa: E402
    Call,
    Decision,
    Trajectory,
    Utterance,
)

CALL, CONCLUDE, GIVE_UP = Decision.CALL, Decision.CONCLUDE, Decision.GIVE_UP
TOOLS = ("rain", "wind")
TO_CALL = Reference(CALL, Call("rain", '{"city": "Bonn"}'), None, TOOLS)
TO_CALL_BARE = Reference(CALL, Call("rain", "{}"), None, TOOLS)
TO_ANSWER = Reference(CONCLUDE, None, "the cat sat down", TOOLS)
TO_GIVE_UP = Reference(GIVE_UP, None, None, TOOLS)

OF_CALLS = {
    Metric.ACTION,
    Metric.ARGUMENTS,
    Metric.EASY_ARGUMENTS,
    Metric.HARD_ARGUMENTS,
}


def calling(name: str, arguments: str = "{}") -> Prediction:
    return Prediction(CALL, Call(name, arguments))


def answering(text: str) -> Prediction:
    return Prediction(CONCLUDE, answer=text)


def counted(reference: Reference, prediction: Prediction) -> set[Metric]:
    values = score_step(reference, prediction)
    return {metric for metric, one in values.items() if not math.isnan(one)}


# -- Plan ACC -------------------------------------------------------------


@pytest.mark.parametrize(
    ("reference", "prediction", "value"),
    [
        (TO_CALL, calling("wind"), 1.0),
        (TO_CALL, answering("x"), 0.0),
        (TO_ANSWER, answering("x"), 1.0),
        (TO_ANSWER, Prediction(GIVE_UP), 0.0),
        (TO_GIVE_UP, Prediction(GIVE_UP), 1.0),
        (TO_GIVE_UP, calling("rain"), 0.0),
        # A planner's text without a decision is a call.
        (TO_CALL, team_prediction("hm", "hm"), 1.0),
        (TO_GIVE_UP, team_prediction("I would give up", "hm"), 0.0),
    ],
)
def test_a_plan_is_right_where_the_decision_is(
    reference: Reference, prediction: Prediction, value: float
) -> None:
    assert score_step(reference, prediction)[Metric.PLAN] == value


# -- Act. EM --------------------------------------------------------------


@pytest.mark.parametrize(
    ("prediction", "value"),
    [
        (calling("rain"), 1.0),
        (calling("wind"), 0.0),
        (calling("Rain"), 0.0),
        (calling("rain "), 0.0),
        (calling("none"), 0.0),
        (answering("rain"), 0.0),
        (Prediction(GIVE_UP), 0.0),
    ],
)
def test_a_tool_is_right_where_its_name_is_the_same_text(
    prediction: Prediction, value: float
) -> None:
    assert score_step(TO_CALL, prediction)[Metric.ACTION] == value


def test_a_reference_without_a_tool_is_met_by_calling_none() -> None:
    nameless = Reference(CALL, Call("none", "{}"), None, TOOLS)
    values = score_step(nameless, answering("x"))
    assert (values[Metric.PLAN], values[Metric.ACTION]) == (0.0, 1.0)


# -- Hallu. ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("reference", "prediction", "value"),
    [
        (TO_CALL, calling("rain"), 0.0),
        (TO_CALL, calling("snow"), 1.0),
        (TO_CALL, calling("RAIN"), 1.0),
        (TO_CALL, calling("none"), 0.0),
        (TO_CALL, calling(""), 1.0),
        # Whatever was to be done.
        (TO_ANSWER, calling("snow"), 1.0),
        (TO_GIVE_UP, calling("snow"), 1.0),
        (TO_ANSWER, answering("snow"), 0.0),
        (TO_CALL, Prediction(GIVE_UP), 0.0),
        (Reference(CALL, Call("rain", "{}")), calling("rain"), 1.0),
    ],
)
def test_a_hallucination_calls_what_is_not_there(
    reference: Reference, prediction: Prediction, value: float
) -> None:
    assert score_step(reference, prediction)[Metric.HALLUCINATION] == value


def test_a_missing_action_line_is_no_hallucination() -> None:
    prediction = team_prediction("Next: caller.", "snow in Bonn")
    assert score_step(TO_CALL, prediction)[Metric.HALLUCINATION] == 0.0


# -- Arg. F1 --------------------------------------------------------------


@pytest.mark.parametrize(
    ("candidate", "reference", "value"),
    [
        ("{}", "{}", 1.0),
        ('{"a": 1}', "{}", 0.0),
        ("[]", "{}", 0.0),
        ("no JSON", "{}", 0.0),
        ("{}", '{"a": 1}', 0.0),
        ('{"a": 1}', '{"a": 1}', 1.0),
        # Half a credit: precision and recall 0.5.
        ('{"a": 2}', '{"a": 1}', 0.5),
        ('{"a": "1"}', '{"a": 1}', 0.5),
        ('{"a": 1.0}', '{"a": 1}', 1.0),
        ('{"a": true}', '{"a": 1}', 1.0),
        ('{"a": null}', '{"a": ""}', 0.5),
        ('{"a": [1, 2]}', '{"a": [2, 1]}', 0.5),
        ('{"a": {"x": 1, "y": 2}}', '{"a": {"y": 2, "x": 1}}', 1.0),
        # Precision 1/2, recall 1, and the other way round.
        ('{"a": 1, "b": 2}', '{"a": 1}', 2 / 3),
        ('{"a": 1}', '{"a": 1, "b": 2}', 2 / 3),
        # Credit 1.5: precision 1.5/3, recall 1.5/2.
        ('{"a": 1, "b": 9, "c": 3}', '{"a": 1, "b": 2}', 0.6),
        ('{"b": 1}', '{"a": 1}', 0.0),
        ('{"A": 1}', '{"a": 1}', 0.0),
        ("", '{"a": 1}', 0.0),
        ("{a: 1}", '{"a": 1}', 0.0),
        ("{'a': 1}", '{"a": 1}', 0.0),
        ('["a"]', '{"a": 1}', 0.0),
        ('"a"', '{"a": 1}', 0.0),
        ("7", '{"a": 1}', 0.0),
        ("null", '{"a": 1}', 0.0),
        # A reference that is JSON but no object earns nothing, even equal.
        ("[1]", "[1]", 0.0),
        ("5", "5", 0.0),
        ("[]", "[]", 0.0),
        ("[" * 100_000, '{"a": 1}', 0.0),
        ("1" * 5000, '{"a": 1}', 0.0),
    ],
)
def test_arguments_earn_by_key_and_value(
    candidate: str, reference: str, value: float
) -> None:
    assert argument_f1(candidate, reference) == pytest.approx(value)


@pytest.mark.parametrize("reference", ["", "{a: 1}", "{'a': 1}", "[" * 10**5])
def test_a_reference_that_is_no_json_counts_for_nothing(
    reference: str,
) -> None:
    assert math.isnan(argument_f1("{}", reference))


def test_a_step_with_such_a_reference_is_left_out() -> None:
    broken = Reference(CALL, Call("rain", "{city: Bonn}"), None, TOOLS)
    right_name = counted(broken, calling("rain", "{city: Bonn}"))
    assert right_name & OF_CALLS == {Metric.ACTION}
    wrong = score_step(broken, calling("wind"))
    assert [wrong[metric] for metric in sorted(OF_CALLS)] == [0.0] * 4


def test_a_wrong_tool_is_a_zero_for_easy_and_hard_arguments_alike() -> None:
    for reference in (TO_CALL, TO_CALL_BARE):
        values = score_step(reference, calling("wind", "{}"))
        assert values[Metric.ARGUMENTS] == 0.0
        assert values[Metric.EASY_ARGUMENTS] == 0.0
        assert values[Metric.HARD_ARGUMENTS] == 0.0


def test_arguments_are_easy_where_none_are_wanted() -> None:
    easy = score_step(TO_CALL_BARE, calling("rain", "{}"))
    assert easy[Metric.EASY_ARGUMENTS] == easy[Metric.ARGUMENTS] == 1.0
    assert math.isnan(easy[Metric.HARD_ARGUMENTS])


def test_arguments_are_hard_where_some_are_wanted() -> None:
    hard = score_step(TO_CALL, calling("rain", '{"city": "Ulm"}'))
    assert hard[Metric.HARD_ARGUMENTS] == hard[Metric.ARGUMENTS] == 0.5
    assert math.isnan(hard[Metric.EASY_ARGUMENTS])


def test_missing_arguments_are_empty_ones() -> None:
    prediction = team_prediction("Next: caller.", "Action: rain")
    assert score_step(TO_CALL_BARE, prediction)[Metric.ARGUMENTS] == 1.0


# -- Rouge-L --------------------------------------------------------------


@pytest.mark.parametrize(
    ("prediction", "value"),
    [
        # 3 words in order of 3 and of 4.
        (answering("the cat sat"), 6 / 7),
        (answering("none"), 0.0),
        (answering(""), 0.0),
        (answering("..."), 0.0),
        # Another decision answers `none`.
        (calling("rain"), 0.0),
        (Prediction(GIVE_UP), 0.0),
    ],
)
def test_an_answer_is_worth_what_it_has_of_the_wording(
    prediction: Prediction, value: float
) -> None:
    found = score_step(TO_ANSWER, prediction)[Metric.ANSWER]
    assert found == pytest.approx(value, abs=1e-7)


def test_a_reference_that_says_none_is_met_by_not_answering() -> None:
    silent = Reference(CONCLUDE, None, "none", TOOLS)
    found = score_step(silent, calling("rain"))[Metric.ANSWER]
    assert found == pytest.approx(1.0)


@pytest.mark.parametrize("nothing", ["", ".", ".."])
def test_a_reference_without_a_word_is_left_out(nothing: str) -> None:
    empty = Reference(CONCLUDE, None, nothing, TOOLS)
    found = score_step(empty, answering("x"))[Metric.ANSWER]
    assert math.isnan(found)


# -- which steps count for what -------------------------------------------


def test_steps_count_for_the_metrics_of_what_was_to_be_done() -> None:
    every = {Metric.PLAN, Metric.HALLUCINATION}
    assert counted(TO_GIVE_UP, answering("x")) == every
    assert counted(TO_ANSWER, calling("rain")) == every | {Metric.ANSWER}
    assert counted(TO_CALL, Prediction(GIVE_UP)) == every | OF_CALLS


def test_a_call_or_answer_that_the_data_lack_is_not_scored() -> None:
    every = {Metric.PLAN, Metric.HALLUCINATION}
    assert counted(Reference(CALL), calling("rain")) == every
    assert counted(Reference(CONCLUDE), answering("x")) == every


def test_the_figures_of_five_steps() -> None:
    cases = [
        Case(TO_CALL, calling("rain", '{"city": "Ulm"}'), 0),
        Case(TO_CALL_BARE, calling("snow"), 0),
        Case(TO_ANSWER, answering("the cat sat"), 0),
        Case(TO_ANSWER, calling("snow"), 1),
        Case(TO_GIVE_UP, Prediction(GIVE_UP), 1),
    ]
    scores = score(cases)
    assert scores.trajectories.tolist() == [0, 0, 0, 1, 1]
    assert scores.means() == pytest.approx(
        {
            "plan_em": 4 / 5,
            "action_em": 1 / 2,
            "hallu_rate": 2 / 5,
            "f1": (0.5 + 0) / 2,
            "easy_f1": 0.0,
            "hard_f1": (0.5 + 0) / 2,
            "rouge": (6 / 7 + 0) / 2,
        },
        abs=1e-7,
    )


def test_a_metric_that_no_step_counts_for_is_not_known() -> None:
    means = score([Case(TO_GIVE_UP, Prediction(GIVE_UP))]).means()
    unknown = {metric for metric, one in means.items() if math.isnan(one)}
    assert unknown == set(Metric) - {"plan_em", "hallu_rate"}


def test_no_step_has_no_figures() -> None:
    assert all(map(math.isnan, score([]).means().values()))


def test_saying_what_is_right_is_right_throughout() -> None:
    said = (
        Utterance("user", "Rain?"),
        Utterance("assistant", "Next: caller."),
        Utterance("caller", 'Action: rain\nAction Input: {"a": [1]}'),
        Utterance("observation", "3"),
        Utterance("assistant", "Next: conclusion."),
        Utterance("conclusion", "Yes. 3 mm of it."),
    )
    steps = references_of(Trajectory((), "Rain?", said), 7)
    predictions = [
        team_prediction(said[1].text, said[2].text),
        team_prediction(said[4].text, "", said[5].text),
    ]
    scores = score(cases_of(steps, predictions))
    assert scores.trajectories.tolist() == [7, 7]
    assert scores.mean("plan_em") == scores.mean("f1") == 1.0
    assert scores.mean("rouge") == pytest.approx(1.0)


def test_steps_and_predictions_are_as_many() -> None:
    with pytest.raises(ValueError):
        cases_of([], [Prediction(GIVE_UP)])


def test_a_row_says_what_was_wanted_said_and_scored() -> None:
    cases = [Case(TO_CALL, calling("snow", "{}"), 3)]
    (row,) = rows_of(cases, score(cases))
    assert json.loads(json.dumps(row)) == {
        "trajectory": 3,
        "reference": {
            "decision": "caller",
            "call": {"name": "rain", "arguments": '{"city": "Bonn"}'},
            "answer": None,
            "tool_names": ["rain", "wind"],
        },
        "prediction": {
            "decision": "caller",
            "call": {"name": "snow", "arguments": "{}"},
            "answer": None,
        },
        "scores": {
            "plan_em": 1.0,
            "action_em": 0.0,
            "hallu_rate": 1.0,
            "f1": 0.0,
            "easy_f1": 0.0,
            "hard_f1": 0.0,
            "rouge": None,
        },
    }
