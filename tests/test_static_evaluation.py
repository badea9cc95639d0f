# -*- coding: utf-8 -*-
"""At every step those are asked whose turn it is, after what was truly said."""

import json
from collections.abc import Sequence

import pytest
from tiny_teams import TRAJECTORIES

from alpha_umi.arms import find_arm
from alpha_umi.decision_steps import Prediction, steps_of
from alpha_umi.prompts import PromptStyle
from alpha_umi.protocol import Call, Decision, write_call
from alpha_umi.roles import Role
from alpha_umi.static_evaluation import Answered, answer_steps, step_rows
from alpha_umi.trained_team import TeamRecord

STEPS = steps_of(TRAJECTORIES[:1])  # a call of 1 + 4, then the answer

TOOL = "Tools:\nadd(a: integer, b: integer) adds\n\n"
CALLED = (
    "user: 1+4?\nassistant: Add. Next: caller.\n"
    'caller: Action: add\nAction Input: {"a": 1, "b": 4}\nobservation: 5\n'
)
PLAN = (
    "Plan the next step, then say Next: caller, Next: conclusion or "
    "Next: give up."
)
WRITE = "Write the call: Action and Action Input."
CALL_5 = 'Action: add\nAction Input: {"a": 5}'


class Players:
    """Reply with given texts, and keep what they were asked."""

    def __init__(self, **texts: list[str]) -> None:
        self.texts = texts
        self.asked: list[tuple[Role, list[str]]] = []

    def __call__(self, role: Role, prompts: Sequence[str]) -> list[str]:
        self.asked.append((role, list(prompts)))
        return self.texts.get(role.value, [])

    def prompts_of(self, role: Role) -> list[str]:
        """All that one role was asked."""
        return [
            one
            for asked, prompts in self.asked
            for one in prompts
            if asked is role
        ]


def answered(
    players: Players,
    arm: str = "alpha-umi",
    style: PromptStyle = "brief",
) -> list[Answered]:
    return answer_steps(players, STEPS, TeamRecord(find_arm(arm), style))


def test_the_planner_is_asked_at_every_step_after_what_was_truly_said() -> (
    None
):
    players = Players(planner=["Next: give up.", "Next: give up."])
    answered(players)
    assert players.prompts_of(Role.PLANNER) == [
        f"{TOOL}user: 1+4?\n{PLAN}",
        f"{TOOL}{CALLED}{PLAN}",
    ]


def test_the_caller_is_asked_after_a_plan_to_call_which_it_reads() -> None:
    players = Players(
        planner=["I add. Next: caller. Or not?", "Well, Next: conclusion."],
        caller=["Action: add"],
        summarizer=["It is 5."],
    )
    answered(players)
    assert players.prompts_of(Role.CALLER) == [
        f"{TOOL}user: 1+4?\nassistant: I add. Next: caller.\n{WRITE}"
    ]


def test_the_summarizer_is_asked_after_a_plan_to_conclude_which_it_reads() -> (
    None
):
    players = Players(
        planner=["Again. Next: caller.", "Well, Next: conclusion."],
        caller=["Action: add"],
        summarizer=["It is 5."],
    )
    answered(players)
    assert players.prompts_of(Role.SUMMARIZER) == [
        f"{CALLED}assistant: Well, Next: conclusion.\nAnswer the user."
    ]


def test_after_a_plan_to_give_up_nobody_is_asked() -> None:
    players = Players(planner=["No. Next: give up."] * 2)
    found = answered(players)
    assert players.prompts_of(Role.CALLER) == []
    assert players.prompts_of(Role.SUMMARIZER) == []
    assert found == [Answered({"planner": "No. Next: give up."})] * 2


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("I add", "I add Next: caller."),
        ("I add\n", "I add Next: caller."),
        ("I add Next: callers", "I add Next: caller"),
    ],
)
def test_a_plan_without_a_decision_is_one_to_call(
    said: str,
    read: str,
) -> None:
    players = Players(planner=[said] * 2, caller=["", ""])
    answered(players)
    first, _ = players.prompts_of(Role.CALLER)
    assert first == f"{TOOL}user: 1+4?\nassistant: {read}\n{WRITE}"


def test_in_the_style_of_the_paper_the_caller_has_the_plan_twice() -> None:
    players = Players(planner=["I add. Next: caller."] * 2, caller=["", ""])
    answered(players, style="paper")
    for prompt in players.prompts_of(Role.CALLER):
        assert "assistant: I add. Next: caller.</s>\n" in prompt
        assert "The thought of this step is:\nI add. Next: caller.\n" in prompt


def test_each_role_is_asked_once_with_all_its_prompts() -> None:
    players = Players(planner=["Next: caller."] * 2, caller=["", ""])
    answered(players)
    assert [(role, len(asked)) for role, asked in players.asked] == [
        (Role.PLANNER, 2),
        (Role.CALLER, 2),
        (Role.SUMMARIZER, 0),
    ]


@pytest.mark.parametrize("arm", ["single", "single-equal-steps"])
def test_one_model_alone_reads_its_own_texts_as_it_wrote_them(
    arm: str,
) -> None:
    players = Players(backbone=["", ""])
    answered(players, arm)
    ask = (
        "What next? A thought, then Action and Action Input, or conclusion: "
        "and the answer, or conclusion: give up."
    )
    merged = CALLED.replace(" Next: caller.", "").replace("caller: ", "")
    assert players.asked == [
        (
            Role.BACKBONE,
            [f"{TOOL}user: 1+4?\n{ask}", f"{TOOL}{merged}{ask}"],
        )
    ]


# -- what it comes to -----------------------------------------------------


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (
            {"planner": "I add. Next: caller.", "caller": CALL_5},
            Prediction(Decision.CALL, Call("add", '{"a": 5}')),
        ),
        (
            {"planner": "", "caller": "I cannot."},
            Prediction(Decision.CALL, Call("none", "{}")),
        ),
        (
            {"planner": "Next: conclusion.", "summarizer": "It is 5."},
            Prediction(Decision.CONCLUDE, answer="It is 5."),
        ),
        (
            {"planner": "Next: conclusion.", "summarizer": ""},
            Prediction(Decision.CONCLUDE, answer="none"),
        ),
        ({"planner": "Next: give up."}, Prediction(Decision.GIVE_UP)),
        (
            {"backbone": f"I add.\n{CALL_5}"},
            Prediction(Decision.CALL, Call("add", '{"a": 5}')),
        ),
        (
            {"backbone": "Done.\nconclusion: It is 5."},
            Prediction(Decision.CONCLUDE, answer="It is 5."),
        ),
        (
            {"backbone": "conclusion: give up."},
            Prediction(Decision.GIVE_UP),
        ),
    ],
)
def test_texts_of_a_step_come_to_a_prediction(
    texts: dict[str, str],
    expected: Prediction,
) -> None:
    assert Answered(texts).prediction == expected


def test_the_texts_of_a_step_are_those_of_who_was_asked_there() -> None:
    players = Players(
        planner=["Next: conclusion.", "Next: caller."],
        caller=[CALL_5],
        summarizer=["Five."],
    )
    assert answered(players) == [
        Answered({"planner": "Next: conclusion.", "summarizer": "Five."}),
        Answered({"planner": "Next: caller.", "caller": CALL_5}),
    ]


def test_a_row_has_what_was_right_what_was_said_and_how_it_scores() -> None:
    right = write_call("add", {"a": 1, "b": 4})
    texts = {"planner": "I add. Next: caller.", "caller": right.text}
    late = {"planner": "Next: give up."}
    first, second = step_rows(STEPS, [Answered(texts), Answered(late)])
    assert first["name"] == "1 and 4" and first["texts"] == texts
    assert first["reference"]["call"] == first["prediction"]["call"]
    assert {k: v for k, v in first["scores"].items() if v is not None} == {
        "plan_em": 1.0,
        "action_em": 1.0,
        "hallu_rate": 0.0,
        "f1": 1.0,
        "hard_f1": 1.0,
    }
    assert second["reference"]["answer"] == "It is 5."
    assert second["scores"]["plan_em"] == second["scores"]["rouge"] == 0.0
    assert json.loads(json.dumps([first, second]))[1]["texts"] == late
