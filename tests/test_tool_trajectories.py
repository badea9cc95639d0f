# -*- coding: utf-8 -*-
"""The project's own trajectories: every step is readable, every call was
really made, and none of the questions asked afterwards is among them."""

import json
from collections import Counter
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import jsonschema
import pytest
from test_assistant_conversations import likeness, trigrams

from alpha_umi.local_tools import local_tools
from alpha_umi.protocol import (
    Call,
    Decision,
    Plan,
    Tool,
    Trajectory,
    decides,
    read_call,
    read_plan,
    read_trajectory,
    trajectory_as_dict,
    without_decision,
    write_call,
)
from alpha_umi.python_tools import runner_of, tools_of
from alpha_umi.records import records_of
from alpha_umi.roles import Role

DATA = Path(__file__).resolve().parents[1] / "data"
ROWS: list[dict] = json.loads((DATA / "tool_trajectories.json").read_bytes())
QUESTIONS: list[dict] = json.loads((DATA / "tool_questions.json").read_bytes())
TRAJECTORIES = [
    read_trajectory(row, f"tool_trajectories.json, {number}")
    for number, row in enumerate(ROWS, 1)
]
TOOLS: dict[str, Tool] = {one.name: one for one in tools_of(local_tools())}

FOLLOWED_BY = {
    Decision.CALL: "caller",
    Decision.CONCLUDE: "conclusion",
    Decision.GIVE_UP: None,
}
ALIKE = 0.85
"""From which likeness on two tasks ask for the same, value for value."""


def calls_of(trajectory: Trajectory) -> list[Call]:
    said = trajectory.utterances
    return [read_call(one.text) for one in said if one.speaker == "caller"]


def plans_of(trajectory: Trajectory) -> list[Plan]:
    return [
        read_plan(one.text) for one in trajectory.utterances if decides(one)
    ]


def answers(trajectory: Trajectory) -> Iterator[tuple[str, str, str]]:
    """Tool, last observation and answer, where a tool was called."""
    tool = observation = ""
    for one in trajectory.utterances:
        if one.speaker == "caller":
            tool = read_call(one.text).name
        elif one.speaker == "observation":
            observation = one.text
        elif one.speaker == "conclusion" and tool:
            yield tool, observation, one.text
            tool = ""


def test_there_are_300_steps_and_12_tools_at_least() -> None:
    called = Counter(c.name for t in TRAJECTORIES for c in calls_of(t))
    assert sum(len(plans_of(one)) for one in TRAJECTORIES) >= 400
    assert called.keys() == TOOLS.keys() and len(called) >= 12
    assert min(called.values()) >= 4


def test_every_length_and_every_ending_is_there() -> None:
    lengths = Counter(len(calls_of(one)) for one in TRAJECTORIES)
    assert lengths[1] >= 50 and lengths[2] >= 60 and lengths[3] >= 8
    assert lengths[0] >= 12
    endings = Counter(
        plan.decision for one in TRAJECTORIES for plan in plans_of(one)
    )
    assert endings[Decision.GIVE_UP] >= 12
    assert endings[Decision.CONCLUDE] >= 120


def test_a_row_is_read_and_written_back() -> None:
    assert [trajectory_as_dict(one) for one in TRAJECTORIES] == ROWS


@pytest.mark.parametrize("trajectory", TRAJECTORIES, ids=lambda t: t.name)
def test_a_trajectory_lists_a_few_tools_or_all_as_they_are(
    trajectory: Trajectory,
) -> None:
    names = [one.name for one in trajectory.tools]
    assert len(names) in {4, 5, 6, len(TOOLS)}
    assert len(set(names)) == len(names)
    assert {call.name for call in calls_of(trajectory)} <= set(names)
    for one in trajectory.tools:
        assert one.as_document() == TOOLS[one.name].as_document()


def test_every_third_trajectory_lists_all_tools_as_a_conversation_does() -> (
    None
):
    lengths = Counter(len(one.tools) for one in TRAJECTORIES)
    assert lengths[len(TOOLS)] == 60


def test_the_order_of_the_tools_says_nothing() -> None:
    places = Counter(
        [one.name for one in trajectory.tools].index(call.name)
        for trajectory in TRAJECTORIES
        for call in calls_of(trajectory)
    )
    assert all(places[place] >= 40 for place in range(4))


@pytest.mark.parametrize("trajectory", TRAJECTORIES, ids=lambda t: t.name)
def test_every_observation_is_what_the_tools_give(
    trajectory: Trajectory,
) -> None:
    run = runner_of(local_tools())
    said = trajectory.utterances
    for index, one in enumerate(said):
        if one.speaker == "caller":
            call = read_call(one.text)
            assert call.text == one.text
            schema = TOOLS[call.name].schema
            jsonschema.validate(json.loads(call.arguments), schema)
            assert said[index + 1].speaker == "observation"
            assert said[index + 1].text == run(call)


@pytest.mark.parametrize("trajectory", TRAJECTORIES, ids=lambda t: t.name)
def test_every_decision_is_stated_once_and_followed(
    trajectory: Trajectory,
) -> None:
    said = trajectory.utterances
    for index, one in enumerate(said):
        if one.speaker != "assistant":
            continue
        plan = read_plan(one.text)
        assert plan.is_stated and plan.text == one.text
        assert one.text.count("Next: ") == 1 and one.text.endswith(".")
        assert 8 <= len(without_decision(one.text).split()) <= 20
        following = [later.speaker for later in said[index + 1 : index + 2]]
        wanted = FOLLOWED_BY[plan.decision]
        assert following == ([wanted] if wanted else [])


def test_a_call_is_announced_by_the_name_of_its_tool() -> None:
    for trajectory in TRAJECTORIES:
        said = trajectory.utterances
        for before, one in zip(said, said[1:], strict=False):
            if one.speaker == "caller":
                assert f"use {read_call(one.text).name} with" in before.text


def test_an_answer_has_the_last_result() -> None:
    for trajectory in TRAJECTORIES:
        for tool, observation, text in answers(trajectory):
            if tool in {"add_to_do", "finish_to_do"}:
                continue
            # The second of two compared values may come first.
            assert observation in text or observation.split()[0] in text


def test_after_an_error_a_call_is_repaired_or_the_task_given_up() -> None:
    ends = Counter()
    for trajectory in TRAJECTORIES:
        said = trajectory.utterances
        for one, following in zip(said, said[1:], strict=False):
            if one.text.startswith("Error: "):
                ends[read_plan(following.text).decision] += 1
    assert ends[Decision.CALL] >= 8 and ends[Decision.GIVE_UP] >= 4
    assert ends.keys() == {Decision.CALL, Decision.GIVE_UP}


def test_no_two_tasks_are_alike() -> None:
    texts = [one.instruction for one in TRAJECTORIES]
    texts += [one["instruction"] for one in QUESTIONS]
    grams = [trigrams(one) for one in texts]
    alike = [
        (texts[one], texts[other])
        for one, other in combinations(range(len(texts)), 2)
        if likeness(grams[one], grams[other]) >= ALIKE
    ]
    assert alike == []


def test_no_two_trajectories_make_the_same_calls() -> None:
    made = Counter(tuple(calls_of(one)) for one in TRAJECTORIES)
    made.pop(())
    assert [calls for calls, count in made.items() if count > 1] == []


def test_no_call_of_the_questions_is_learned() -> None:
    made = {call for one in TRAJECTORIES for call in calls_of(one)}
    asked = {
        write_call(**call)
        for question in QUESTIONS
        for call in question["calls"]
    }
    assert asked & made <= {write_call("list_to_do", {})}


def test_there_are_30_questions_half_of_them_with_two_calls() -> None:
    counts = Counter(len(one["calls"]) for one in QUESTIONS)
    assert counts == {1: 15, 2: 15}


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda q: q["instruction"])
def test_a_question_is_answered_by_its_calls(question: dict) -> None:
    run = runner_of(local_tools())
    found = [run(write_call(**call)) for call in question["calls"]]
    assert not any(one.startswith("Error: ") for one in found)
    assert question["answer_has"] in found[-1]


def test_the_backbones_records_are_short() -> None:
    records = [
        record
        for trajectory in TRAJECTORIES
        for record in records_of(trajectory, Role.BACKBONE, "brief")
    ]
    lengths = [len(one.input) + len(one.target) for one in records]
    assert sum(lengths) <= 500_000 and max(lengths) <= 2_400
