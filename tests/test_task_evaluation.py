# -*- coding: utf-8 -*-
"""Whole tasks are solved by who makes the right calls, and by nobody else."""

import asyncio
import json
from collections.abc import Sequence

import pytest
from scripted_team import CALL, CONCLUDE, GIVE_UP, Said, call_of, team_of
from stored_steps import needs_stored_steps, stored_trajectories
from tiny_teams import TOOLS, TRAJECTORIES

from alpha_umi.end_to_end import TaskFigures, task_scores
from alpha_umi.limits import LIMITS, Limits, Outcome
from alpha_umi.prompts import PromptStyle
from alpha_umi.protocol import Trajectory, Utterance, decides
from alpha_umi.roles import Team
from alpha_umi.search import SearchMode
from alpha_umi.simulated_tools import SimulatedTask
from alpha_umi.task_evaluation import SolvedTask, solve_tasks, tasks_of
from local_llm.errors import GenerationError

TASKS = tasks_of(TRAJECTORIES)
FIRST = TASKS[:1]  # 1 + 4
RIGHT = call_of("add", '{"a": 1, "b": 4}')
DONE = ("conclusion", "It is 5.")


def gold_team(
    trajectories: Sequence[Trajectory],
    style: PromptStyle = "brief",
) -> Team:
    """Says what is said in the trajectories, one after the other."""

    def texts(speaker: str) -> list[str]:
        return [
            one.text
            for trajectory in trajectories
            for one in trajectory.utterances
            if one.speaker == speaker
            and (speaker != "assistant" or decides(one))
        ]

    speakers = ("assistant", "caller", "conclusion")
    return team_of(*map(texts, speakers), style=style)


def solved_by(
    team: Team,
    tasks: Sequence[SimulatedTask] = FIRST,
    limits: Limits = LIMITS,
    mode: SearchMode = "chain",
) -> list[SolvedTask]:
    return asyncio.run(solve_tasks(team, tasks, limits, mode))


def test_a_team_that_does_what_was_done_solves_every_task() -> None:
    solved = solved_by(gold_team(TRAJECTORIES), TASKS)
    assert [one.figures for one in solved] == [
        TaskFigures(Outcome.ANSWERED, 2, 1, (), True, True)
    ] * len(TRAJECTORIES)
    assert [one.solution.answer for one in solved] == [
        "It is 5.",
        "It is 6.",
        "It is 6.",
        "It is 7.",
        "It is 7.",
        "It is 8.",
    ]
    assert task_scores([one.figures for one in solved]).means() == {
        "solved": 1.0,
        "steps": 2.0,
        "calls": 1.0,
        "invalid_calls": 0.0,
    }


@needs_stored_steps
def test_a_team_that_does_what_was_done_solves_the_tasks_of_the_paper() -> (
    None
):
    often = Limits(repeats=12)  # some make the same call again and again
    solved = [
        one
        for trajectory in stored_trajectories()
        for one in solved_by(
            gold_team([trajectory], "paper"),
            tasks_of([trajectory]),
            often,
        )
    ]
    assert len(solved) == 72  # of 182: the others give up, or go on
    assert all(one.figures.solved for one in solved)


@pytest.mark.parametrize("mode", ["chain", "dfsdt"])
def test_a_team_that_gives_up_solves_none(mode: SearchMode) -> None:
    solved = solved_by(team_of([GIVE_UP]), TASKS, mode=mode)
    figures = [one.figures for one in solved]
    given_up = TaskFigures(Outcome.GAVE_UP, 1, 0, (), False, True)
    assert figures == [given_up] * len(TASKS)
    assert task_scores(figures).means() == {
        "solved": 0.0,
        "steps": 1.0,
        "calls": 0.0,
        "invalid_calls": 0.0,
    }


@pytest.mark.parametrize(
    ("plans", "calls", "figures"),
    [
        (  # an answer without the call
            [CONCLUDE],
            [],
            TaskFigures(Outcome.ANSWERED, 1, 0, (), False, True),
        ),
        (  # other arguments
            [CALL, CONCLUDE],
            [call_of("add", '{"a": 4, "b": 1}')],
            TaskFigures(Outcome.ANSWERED, 2, 1, (), False, True),
        ),
        (  # a detour
            [CALL, CALL, CONCLUDE],
            [call_of("add", '{"a": 4, "b": 1}'), RIGHT],
            TaskFigures(Outcome.ANSWERED, 3, 2, (), True, True),
        ),
        (  # a tool that is not there
            [CALL, CONCLUDE],
            ["Action: sum"],
            TaskFigures(
                Outcome.ANSWERED,
                2,
                1,
                ("There is no tool sum. Tools: add.",),
                False,
                True,
            ),
        ),
        (  # the right call, and no end
            [CALL],
            [RIGHT],
            TaskFigures(Outcome.REPEATED_STATE, 3, 3, (), True, True),
        ),
    ],
)
def test_figures_say_what_a_team_did(
    plans: list[Said],
    calls: list[Said],
    figures: TaskFigures,
) -> None:
    (solved,) = solved_by(team_of(plans, calls or [""]))
    assert solved.figures == figures


def test_limits_and_search_are_those_that_are_wanted() -> None:
    wrong = call_of("add", '{"a": 0, "b": 0}')
    plans = [CALL, CALL, CONCLUDE]
    short = Limits(steps=1)
    (chain,) = solved_by(team_of(plans, [wrong, RIGHT]), limits=short)
    assert chain.figures.outcome is Outcome.STEP_LIMIT
    team = team_of([CALL, GIVE_UP, *plans[1:]], [wrong, RIGHT])
    (search,) = solved_by(team, mode="dfsdt")
    assert search.figures.solved


def test_a_team_that_fails_solves_nothing_and_the_row_says_why() -> None:
    team = team_of([GenerationError("out of memory")])
    (solved,) = solved_by(team)
    assert solved.figures.outcome is Outcome.MODEL_ERROR
    assert "planner: out of memory" in solved.as_dict()["transcript"]


def test_a_row_has_the_task_the_figures_and_all_that_was_said() -> None:
    (solved,) = solved_by(gold_team(TRAJECTORIES))
    row = json.loads(json.dumps(solved.as_dict()))
    transcript = row.pop("transcript").splitlines()
    assert row == {
        "task": "1 and 4",
        "instruction": "1+4?",
        "outcome": "answered",
        "steps": 2,
        "calls": 1,
        "faults": [],
        "has_calls": True,
        "has_facts": True,
        "solved": True,
        "answer": "It is 5.",
    }
    assert transcript[0] == "user: 1+4?"
    assert transcript[-2] == "summarizer: It is 5."


def test_it_is_told_after_each_task_how_many_are_done() -> None:
    done: list[int] = []
    team = team_of([GIVE_UP])
    asyncio.run(solve_tasks(team, TASKS, on_progress=done.append))
    assert done == [1, 2, 3, 4, 5, 6]


# -- which trajectories are tasks ------------------------------------------------


def trajectory_of(*said: tuple[str, str]) -> Trajectory:
    turns = tuple(Utterance(speaker, text) for speaker, text in said)
    return Trajectory(TOOLS, "1+4?", turns, "one")


ASKED = ("user", "1+4?")
CALLED = (
    ("assistant", CALL),
    ("caller", RIGHT),
    ("observation", "5"),
)
ANSWERED = (("assistant", CONCLUDE), DONE)


@pytest.mark.parametrize(
    ("said", "is_task"),
    [
        ((ASKED, *CALLED, *ANSWERED), True),
        ((ASKED, *CALLED, *CALLED, *ANSWERED), True),
        ((), False),
        ((ASKED, *ANSWERED), False),  # no call
        ((ASKED, *CALLED), False),  # no answer
        ((ASKED, *CALLED, ("assistant", GIVE_UP)), False),
        ((ASKED, *CALLED, ("conclusion", "none")), False),
        ((ASKED, *CALLED, ASKED, *ANSWERED), False),  # the user goes on
        ((*CALLED, ASKED, *ANSWERED), False),  # something was said before
    ],
)
def test_a_task_is_asked_once_and_answered_after_a_call(
    said: tuple[tuple[str, str], ...],
    is_task: bool,
) -> None:
    assert bool(tasks_of([trajectory_of(*said)])) == is_task
