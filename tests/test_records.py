# -*- coding: utf-8 -*-
"""What each role learns from a trajectory, and that it is what the published
records have, apart from named faults."""

from typing import Any

import pytest
from published_files import objects_of, published

from alpha_umi.protocol import Tool, Trajectory, Utterance
from alpha_umi.records import INVALID_TOOL, records_of
from alpha_umi.roles import Role
from alpha_umi.toolbench import KNOWN_FAULTS, read_toolbench

TOOLS = (Tool("add", "Adds.", {"a": "number"}),)
USER = Utterance("user", "2 + 3?")
PLAN = Utterance("assistant", "I add.\n Next: caller.")
CALL = Utterance("caller", "Action: add\nAction Input: {}")
INVENTED = Utterance("caller", f"Action: {INVALID_TOOL}\nAction Input: {{}}")
OBSERVATION = Utterance("observation", "5")
THOUGHT = Utterance("assistant", "Hm.")
END = Utterance("assistant", "Done.\n Next: conclusion.")
ANSWER = Utterance("conclusion", "It is 5.")
NO_ANSWER = Utterance("conclusion", "none")
GIVE_UP = Utterance("assistant", "No.\n Next: give up.")

SOLVED = (USER, PLAN, CALL, OBSERVATION, THOUGHT, END, ANSWER)
INVENTION = (USER, PLAN, INVENTED, OBSERVATION, PLAN, CALL)
Fields = dict[str, Any]


def learned(role: Role, *said: Utterance) -> list[tuple[int, str]]:
    """Of each record: how much was said before, and the target."""
    trajectory = Trajectory(TOOLS, "2 + 3?", said)
    return [
        (len(one.history), one.target)
        for one in records_of(trajectory, role, "brief")
    ]


# -- who learns what ------------------------------------------------------


def test_the_planner_learns_every_text_with_a_decision() -> None:
    assert learned(Role.PLANNER, *SOLVED) == [(1, PLAN.text), (5, END.text)]
    assert learned(Role.PLANNER, USER, GIVE_UP) == [(1, GIVE_UP.text)]


def test_the_caller_learns_every_call() -> None:
    assert learned(Role.CALLER, *SOLVED) == [(2, CALL.text)]


def test_the_summarizer_learns_every_answer() -> None:
    assert learned(Role.SUMMARIZER, *SOLVED) == [(6, "It is 5.")]


def test_the_backbone_learns_plans_with_what_follows_them() -> None:
    assert learned(Role.BACKBONE, *SOLVED) == [
        (1, "I add.\nAction: add\nAction Input: {}"),
        (5, "Done.\nconclusion: It is 5."),
    ]
    assert learned(Role.BACKBONE, USER, GIVE_UP) == [
        (1, "No.\nconclusion: give up."),
    ]


@pytest.mark.parametrize("role", list(Role))
def test_a_made_up_tool_is_learned_by_no_role(role: Role) -> None:
    assert learned(role, USER, PLAN, INVENTED, OBSERVATION) == []


@pytest.mark.parametrize(
    ("role", "before"),
    [(Role.PLANNER, 4), (Role.CALLER, 4), (Role.BACKBONE, 4)],
)
def test_what_follows_a_made_up_tool_is_learned(
    role: Role,
    before: int,
) -> None:
    assert [one[0] for one in learned(role, *INVENTION)] == [before]


def test_the_caller_does_not_see_calls_of_made_up_tools() -> None:
    trajectory = Trajectory(TOOLS, "2 + 3?", INVENTION)
    (record,) = records_of(trajectory, Role.CALLER)
    assert record.history == (USER, PLAN, OBSERVATION, PLAN)
    assert INVALID_TOOL not in record.input


def test_a_tool_is_made_up_by_its_name_alone() -> None:
    text = f'Action: add\nAction Input: {{"a": "{INVALID_TOOL}"}}'
    call = Utterance("caller", text)
    assert learned(Role.CALLER, USER, PLAN, call) == [(2, text)]


@pytest.mark.parametrize("role", [Role.SUMMARIZER, Role.BACKBONE])
def test_a_missing_answer_is_not_learned(role: Role) -> None:
    assert learned(role, USER, END, NO_ANSWER) == []


@pytest.mark.parametrize("said", [[PLAN], [PLAN, USER], [END, OBSERVATION]])
def test_a_plan_that_nobody_follows_is_not_learned_by_the_backbone(
    said: list[Utterance],
) -> None:
    assert learned(Role.BACKBONE, USER, *said) == []


@pytest.mark.parametrize("role", list(Role))
def test_a_trajectory_may_end_without_a_decision(role: Role) -> None:
    assert learned(role, USER, THOUGHT) == []


def test_a_call_without_a_plan_is_learned_by_the_caller_alone() -> None:
    assert learned(Role.CALLER, CALL) == [(0, CALL.text)]
    assert learned(Role.BACKBONE, CALL) == []


# -- the published records ------------------------------------------------

EQUAL = {
    Role.BACKBONE: (73, 79),
    Role.PLANNER: (79, 79),
    Role.CALLER: (59, 59),
    Role.SUMMARIZER: (14, 14),
}
"""How many records of the 20 example trajectories are the published ones in
every field, and how many there are."""


def pairs_of(role: Role) -> list[tuple[Fields, Fields]]:
    """Our record and the published one of each step."""
    ours = [
        record.as_dict()
        for trajectory in read_toolbench(published("raw_data_stage_1"))
        for record in records_of(trajectory, role, "paper")
    ]
    theirs = objects_of(f"train_{role.value}")
    return list(zip(ours, theirs, strict=True))


def fields_that_differ(ours: Fields, theirs: Fields) -> list[str]:
    return [name for name in theirs if ours.get(name) != theirs[name]]


@pytest.mark.parametrize("role", list(Role))
def test_as_many_records_as_stated_are_the_published_ones(role: Role) -> None:
    pairs = pairs_of(role)
    equal = sum(ours == theirs for ours, theirs in pairs)
    assert (equal, len(pairs)) == EQUAL[role]


@pytest.mark.parametrize("role", list(Role))
def test_every_difference_is_a_named_fault(role: Role) -> None:
    pairs = pairs_of(role)
    found = {
        number: fields_that_differ(ours, theirs)
        for number, (ours, theirs) in enumerate(pairs)
        if ours != theirs
    }
    # Where the plan gives up, the published input is of the record before.
    stale = {
        number: ["input"]
        for number, (_, theirs) in enumerate(pairs)
        if role is Role.BACKBONE
        and theirs["target"].endswith("conclusion: give up.")
        and theirs["input"] == pairs[number - 1][1]["input"]
    }
    assert "stale prompt" in KNOWN_FAULTS
    assert found == stale


def test_our_prompt_in_place_of_a_stale_one_is_the_planners_history() -> None:
    """Tools and turns are those that the published planner's record of the
    same step has."""
    planners = objects_of("train_planner")
    for number, (ours, theirs) in enumerate(pairs_of(Role.BACKBONE)):
        if ours["input"] != theirs["input"]:
            last = planners[number]["history"][-1]
            assert ours["history"] == planners[number]["history"]
            assert f"{last['from']}: {last['value']}" in ours["input"]
