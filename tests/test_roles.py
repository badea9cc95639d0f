# -*- coding: utf-8 -*-
"""What each role reads at one point of a trajectory."""

import pytest

from alpha_umi.protocol import Tool, Utterance
from alpha_umi.roles import TEAM, Role, merge_for_backbone, role_prompt

TOOLS = (Tool("add"), Tool("now"))
USER = Utterance("user", "2 + 3?")
PLAN = Utterance("assistant", " I add.\n Next: caller.")
CALL = Utterance("caller", "Action: add\nAction Input: {}")
OBSERVATION = Utterance("observation", "5")
END = Utterance("assistant", "Done. Next: conclusion.")
ANSWER = Utterance("conclusion", "It is 5.")
GIVE_UP = Utterance("assistant", "No.\n Next: give up.")
THOUGHT = Utterance("assistant", " Let me think.\n")


def merged(*said: Utterance) -> list[tuple[str, str]]:
    return [(one.speaker, one.text) for one in merge_for_backbone(said)]


# -- prompts --------------------------------------------------------------


def test_the_caller_of_the_paper_reads_the_plan_twice() -> None:
    prompt = role_prompt(Role.CALLER, "paper", TOOLS, [USER, PLAN])
    assert "user: 2 + 3?</s>assistant:  I add.\n Next: caller.</s>" in prompt
    assert "thought of this step is:\n I add.\n Next: caller.\n" in prompt
    assert "be exactly in [add, now]" in prompt


@pytest.mark.parametrize("role", [Role.PLANNER, Role.SUMMARIZER])
def test_planner_and_summarizer_read_the_turns_as_they_are(role) -> None:
    said = [USER, PLAN, CALL, OBSERVATION]
    prompt = role_prompt(role, "paper", TOOLS, said)
    assert f"caller: {CALL.text}</s>observation: 5" in prompt


def test_the_backbone_reads_plan_and_call_as_one_turn() -> None:
    said = [USER, PLAN, CALL, OBSERVATION]
    prompt = role_prompt(Role.BACKBONE, "paper", TOOLS, said)
    assert f"assistant: I add.\n{CALL.text}</s>observation: 5" in prompt
    assert "Next: caller" not in prompt


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("style", ["paper", "brief"])
def test_a_role_can_be_asked_before_anything_was_said(role, style) -> None:
    assert role_prompt(role, style, TOOLS, [])


@pytest.mark.parametrize(
    ("role", "cue"),
    [
        (Role.BACKBONE, "\n assistant: "),
        (Role.PLANNER, " assistant: "),
        (Role.CALLER, " caller: "),
        (Role.SUMMARIZER, " conclusion: "),
    ],
)
def test_a_prompt_of_the_paper_ends_with_who_is_to_speak(role, cue) -> None:
    assert role_prompt(role, "paper", TOOLS, [USER, PLAN]).endswith(cue)


def test_the_team_is_all_roles_but_the_backbone() -> None:
    assert {*TEAM, Role.BACKBONE} == set(Role)


# -- one model that plays all roles ---------------------------------------


def test_plan_and_call_become_one_text() -> None:
    assert merged(USER, PLAN, CALL, OBSERVATION) == [
        ("user", "2 + 3?"),
        ("assistant", "I add.\nAction: add\nAction Input: {}"),
        ("observation", "5"),
    ]


def test_plan_and_answer_become_one_text() -> None:
    assert merged(END, ANSWER) == [
        ("assistant", "Done.\nconclusion: It is 5."),
    ]


def test_giving_up_is_a_conclusion() -> None:
    assert merged(GIVE_UP) == [("assistant", "No.\nconclusion: give up.")]


def test_a_text_without_a_decision_stays_as_it_is() -> None:
    assert merged(THOUGHT, PLAN, CALL) == [
        ("assistant", " Let me think.\n"),
        ("assistant", "I add.\nAction: add\nAction Input: {}"),
    ]


@pytest.mark.parametrize("before", [[], [USER], [OBSERVATION], [PLAN, CALL]])
def test_a_call_without_a_plan_stands_alone(before) -> None:
    *kept, last = merged(*before, CALL)
    assert kept == merged(*before)
    assert last == ("assistant", "\nAction: add\nAction Input: {}")
