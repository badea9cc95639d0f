# -*- coding: utf-8 -*-
"""Asks trained roles at every decision step of gold trajectories.

Each step has its true history, so that errors do not pile up. Loads nothing.
Raises what the roles raise.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .decision_steps import (
    Prediction,
    Step,
    single_prediction,
    team_prediction,
)
from .metrics import cases_of, rows_of, score
from .progress_lines import in_tenths
from .prompts import PromptStyle
from .protocol import Decision, Plan, Utterance, read_plan
from .roles import Role, role_prompt
from .trained_team import TeamRecord, TrainedTeam

ReplyToAll = Callable[[Role, Sequence[str]], list[str]]
"""A role's answers to prompts, such as `TrainedTeam.reply_to_all`."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What was said at one step.

    Attributes:
        texts (`dict[str, str]`):
            By role, those that were asked.
    """

    texts: dict[str, str]

    @property
    def prediction(self) -> Prediction:
        """What it comes to."""
        if Role.BACKBONE in self.texts:
            return single_prediction(self.texts[Role.BACKBONE])
        return team_prediction(**self.texts)


def ask_team(
    team: TrainedTeam,
    steps: Sequence[Step],
    on_status: Callable[[str], None] = lambda text: None,
) -> list[Answered]:
    """Ask a trained team at every step.

    Args:
        team (`TrainedTeam`):
            Who is asked.
        steps (`Sequence[Step]`):
            Where.
        on_status (`Callable[[str], None]`, optional):
            Told how far that is.
    """

    def reply(role: Role, prompts: Sequence[str]) -> list[str]:
        what = f"replies of the {role}"
        progress = in_tenths(len(prompts), what, on_status)
        return team.reply_to_all(role, prompts, progress)

    return answer_steps(reply, steps, team.record)


def answer_steps(
    reply: ReplyToAll,
    steps: Sequence[Step],
    record: TeamRecord,
) -> list[Answered]:
    """Ask who plays in an arm, at every step.

    Args:
        reply (`ReplyToAll`):
            Who answers.
        steps (`Sequence[Step]`):
            Where.
        record (`TeamRecord`):
            Whether one says all, and how the roles are prompted.
    """
    ask = answer_alone if record.arm.is_single else answer_as_team
    return ask(reply, steps, record.style)


def answer_as_team(
    reply: ReplyToAll,
    steps: Sequence[Step],
    style: PromptStyle,
) -> list[Answered]:
    """Ask the planner at every step, then whoever it passes the turn to.

    Args:
        reply (`ReplyToAll`):
            Who answers.
        steps (`Sequence[Step]`):
            Where.
        style (`PromptStyle`):
            How the roles are prompted.
    """
    planned = reply(
        Role.PLANNER,
        [_prompt(Role.PLANNER, style, step) for step in steps],
    )
    texts = [{Role.PLANNER.value: text} for text in planned]
    plans = [read_plan(text) for text in planned]
    for decision, role in (
        (Decision.CALL, Role.CALLER),
        (Decision.CONCLUDE, Role.SUMMARIZER),
    ):
        asked = [n for n, one in enumerate(plans) if one.decision is decision]
        replies = reply(
            role,
            [_prompt(role, style, steps[n], plans[n]) for n in asked],
        )
        for number, text in zip(asked, replies, strict=True):
            texts[number][role.value] = text
    return [Answered(one) for one in texts]


def answer_alone(
    reply: ReplyToAll,
    steps: Sequence[Step],
    style: PromptStyle,
) -> list[Answered]:
    """Ask the one model that says all in one text; see `answer_as_team`."""
    prompts = [_prompt(Role.BACKBONE, style, step) for step in steps]
    return [
        Answered({Role.BACKBONE.value: text})
        for text in reply(Role.BACKBONE, prompts)
    ]


def step_rows(
    steps: Sequence[Step],
    answered: Sequence[Answered],
) -> list[dict[str, Any]]:
    """What was right, what was said and how it scores, a row for each step."""
    cases = cases_of(steps, [one.prediction for one in answered])
    rows = rows_of(cases, score(cases))
    return [
        {"name": step.trajectory.name, **row, "texts": one.texts}
        for step, row, one in zip(steps, rows, answered, strict=True)
    ]


def _prompt(
    role: Role,
    style: PromptStyle,
    step: Step,
    plan: Plan | None = None,
) -> str:
    """What a role is asked at a step, after the plan if there is one."""
    said = [] if plan is None else [Utterance("assistant", plan.text)]
    history = [*step.history, *said]
    return role_prompt(role, style, step.trajectory.tools, history)
