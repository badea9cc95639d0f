# -*- coding: utf-8 -*-
"""Texts of models are read by the published rules, and trajectories are cut
into the steps that the paper evaluates."""

from collections import Counter

import pytest
from stored_steps import needs_stored_steps, stored_trajectories

from alpha_umi.decision_steps import (
    Prediction,
    Reference,
    references_of,
    single_prediction,
    steps_of,
    team_prediction,
)
from alpha_umi.protocol import (
    Call,
    Decision,
    Tool,
    Trajectory,
    Utterance,
    read_plan,
)

CALL, CONCLUDE, GIVE_UP = Decision.CALL, Decision.CONCLUDE, Decision.GIVE_UP
TOOLS = (Tool("rain"), Tool("wind"))
CALLER = 'Action: rain\nAction Input: {"city": "Bonn"}'
RAIN = Call("rain", '{"city": "Bonn"}')


def trajectory(*said: tuple[str, str]) -> Trajectory:
    turns = tuple(Utterance(who, text) for who, text in said)  # type: ignore
    return Trajectory(TOOLS, "Rain in Bonn?", turns)


WHOLE = trajectory(
    ("user", "Rain in Bonn?"),
    ("assistant", "Let me think."),
    ("assistant", "I look it up. Next: caller."),
    ("caller", CALLER),
    ("observation", '{"mm": 3}'),
    ("assistant", "I know. Next: conclusion."),
    ("conclusion", "Yes, 3 mm."),
    ("user", "And tomorrow?"),
    ("assistant", "No tool for that. Next: give up."),
)

# -- the three roles ------------------------------------------------------


def test_a_call_is_the_callers_text() -> None:
    found = team_prediction("Look it up. Next: caller.", CALLER, "ignored")
    assert found == Prediction(CALL, RAIN)


def test_an_answer_is_the_summarizers_text() -> None:
    found = team_prediction("Enough. Next: conclusion.", CALLER, "Yes, 3 mm.")
    assert found == Prediction(CONCLUDE, answer="Yes, 3 mm.")


def test_giving_up_needs_nobody_else() -> None:
    found = team_prediction("Enough. Next: give up.", CALLER, "Yes.")
    assert found == Prediction(GIVE_UP)


@pytest.mark.parametrize(
    ("planner", "decision"),
    [
        ("Next: caller. Or Next: conclusion.", CONCLUDE),
        ("Next: conclusion. Or Next: give up.", GIVE_UP),
        ("Next: caller. Or Next: give up.", GIVE_UP),
        ("Next: give up", GIVE_UP),
        ("Next: conclusion", CONCLUDE),
        ("next: conclusion.", CALL),
        ("Next: summarizer.", CALL),
        ("I wonder", CALL),
        ("", CALL),
        (".", CALL),
    ],
)
def test_giving_up_counts_before_concluding_and_anything_else_is_a_call(
    planner: str, decision: Decision
) -> None:
    assert team_prediction(planner, CALLER, "Yes.").decision is decision


def test_a_decision_counts_in_the_text_of_the_next_role_too() -> None:
    plan = "Look it up. Next: caller."
    given_up = team_prediction(plan, "Action: rain Next: give up")
    assert given_up == Prediction(GIVE_UP)
    assert team_prediction(plan, "Next: conclusion").decision is CONCLUDE


def test_an_answer_begins_after_the_last_mark_of_one() -> None:
    plan = "Next: conclusion."
    found = team_prediction(plan, "", "My conclusion: it rains.")
    assert found.answer == "it rains."


def test_a_concluding_text_without_the_mark_is_the_answer_whole() -> None:
    found = team_prediction("Next: caller.", "So: Next: conclusion")
    assert (
        found.answer == "assistant: Next: caller.caller: So: Next: conclusion"
    )


def test_marks_of_an_end_are_no_part_of_an_answer() -> None:
    found = team_prediction("Next: conclusion.", "", "It</s> rains.</s>")
    assert found.answer == "It rains."


@pytest.mark.parametrize(
    ("caller", "name", "arguments"),
    [
        (CALLER, "rain", '{"city": "Bonn"}'),
        ("Action: rain", "rain", "{}"),
        ('Action Input: {"a": 1}', "none", '{"a": 1}'),
        ("rain in Bonn", "none", "{}"),
        ("", "none", "{}"),
        (",", "none", "{}"),
        ("Action: \nAction Input: {}", "", "{}"),
        ("Action: rain\nAction Input:", "rain", ""),
        ("Action: wind\nAction: rain\nAction Input: {}", "rain", "{}"),
        ("Action: rain\nAction Input: 1\nAction Input: 2", "rain", "2"),
        ("Action: rain</s>Action: wind", "rain", "{}"),
        (": Action: rain", "rain", "{}"),
    ],
)
def test_a_call_stands_after_the_last_marks_of_name_and_arguments(
    caller: str, name: str, arguments: str
) -> None:
    found = team_prediction("Next: caller.", caller)
    assert found == Prediction(CALL, Call(name, arguments))


@pytest.mark.parametrize("silence", ["", " ", ".", ",", "\n. "])
def test_a_summarizer_that_says_nothing_answers_none(silence: str) -> None:
    assert team_prediction("Next: conclusion.", "", silence).answer == "none"


def test_the_mark_that_a_prompt_ends_with_is_not_said_again() -> None:
    found = team_prediction("Next: conclusion.", "", ": It rains.")
    assert found.answer == "It rains."


# -- one model ------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"I look it up.\n{CALLER}", Prediction(CALL, RAIN)),
        ("Done.\nconclusion: 3 mm.", Prediction(CONCLUDE, answer="3 mm.")),
        ("conclusion: a conclusion: b", Prediction(CONCLUDE, answer="b")),
        ("Sorry.\nconclusion: give up.", Prediction(GIVE_UP)),
        ("conclusion: x conclusion: give up", Prediction(GIVE_UP)),
        ("conclusion: I give up", Prediction(CONCLUDE, answer="I give up")),
        ("conclusion:", Prediction(CALL, Call("none", "{}"))),
        ("Next: conclusion.", Prediction(CALL, Call("none", "{}"))),
        ("", Prediction(CALL, Call("none", "{}"))),
        ("conclusion: a</s>", Prediction(CONCLUDE, answer="a</s>")),
    ],
)
def test_one_text_gives_up_or_answers_or_else_calls(
    text: str, expected: Prediction
) -> None:
    assert single_prediction(text) == expected


# -- references -----------------------------------------------------------


def test_each_decision_is_a_step_and_other_turns_are_not() -> None:
    names = ("rain", "wind")
    assert [step.reference for step in references_of(WHOLE)] == [
        Reference(CALL, RAIN, None, names),
        Reference(CONCLUDE, None, "Yes, 3 mm.", names),
        Reference(GIVE_UP, None, None, names),
    ]


def test_the_history_is_all_that_was_truly_said_before() -> None:
    lengths = [len(step.history) for step in references_of(WHOLE)]
    assert lengths == [2, 5, 8]
    first = references_of(WHOLE)[0]
    assert first.history[1] == Utterance("assistant", "Let me think.")
    assert first.trajectory is WHOLE


def test_the_steps_of_a_test_set_know_their_trajectory() -> None:
    numbers = [step.number for step in steps_of([WHOLE, WHOLE])]
    assert numbers == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize("plan", ["a Next: caller.", "a Next: conclusion."])
def test_what_the_data_lack_is_not_known(plan: str) -> None:
    alone = references_of(trajectory(("assistant", plan)))
    other = references_of(trajectory(("assistant", plan), ("user", "Well?")))
    for (step,) in (alone, other):
        decision = read_plan(plan).decision
        expected = Reference(decision, None, None, ("rain", "wind"))
        assert step.reference == expected


def test_a_trajectory_without_a_decision_has_no_steps() -> None:
    assert references_of(trajectory(("user", "Hi"), ("assistant", "Hi"))) == []


def test_the_texts_of_a_trajectory_are_read_as_what_they_are() -> None:
    said = [one.text for one in WHOLE.utterances]
    first, second, third = (one.reference for one in references_of(WHOLE))
    call = team_prediction(said[2], said[3])
    assert (call.decision, call.call) == (first.decision, first.call)
    answer = team_prediction(said[5], "", said[6])
    assert (answer.decision, answer.answer) == (CONCLUDE, second.answer)
    assert team_prediction(said[8]).decision is third.decision


@needs_stored_steps
def test_the_stored_test_set_has_as_many_steps_as_it_states() -> None:
    trajectories = stored_trajectories()
    steps = steps_of(trajectories)
    # The phrases with their full stop, as the published code counts them.
    stated = sum(
        one.speaker == "assistant"
        and any(f"Next: {decision}." in one.text for decision in Decision)
        for trajectory in trajectories
        for one in trajectory.utterances
    )
    assert len(steps) == stated == 706
    counts = Counter(step.reference.decision for step in steps)
    assert counts == {CALL: 523, CONCLUDE: 137, GIVE_UP: 46}
    assert all(
        step.reference.call or step.reference.answer
        for step in steps
        if step.reference.decision is not GIVE_UP
    )
