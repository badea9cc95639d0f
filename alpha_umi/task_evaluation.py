# -*- coding: utf-8 -*-
"""Lets a team solve whole tasks on simulated tools, and scores how it went.

The tools are the gold trajectories replayed. Trains and loads nothing. Raises
nothing: a task that fails is one that is not solved.
"""

from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from .end_to_end import Expected, TaskFigures, task_figures
from .limits import LIMITS, Limits
from .loop import Solution, solve
from .protocol import Trajectory, Utterance
from .roles import Team
from .search import SearchMode
from .simulated_tools import SimulatedTask, SimulatedTools, task_of
from .transcripts import as_text


@dataclass(frozen=True, slots=True)
class SolvedTask:
    """A task that a team has worked on.

    Attributes:
        task (`SimulatedTask`):
            What was to be done.
        solution (`Solution`):
            How it ended.
        figures (`TaskFigures`):
            How good that is: solved where the right calls were made and an
            answer was given.
    """

    task: SimulatedTask
    solution: Solution
    figures: TaskFigures

    def as_dict(self) -> dict[str, Any]:
        """As values of JSON, with all that was said and what went wrong."""
        return {
            "task": self.task.name,
            "instruction": self.task.instruction,
            **self.figures.as_dict(),
            "answer": self.solution.answer,
            "transcript": as_text(self.solution),
        }


def tasks_of(trajectories: Sequence[Trajectory]) -> list[SimulatedTask]:
    """The trajectories that are whole tasks: the user speaks first and once,
    and an answer is given after at least one call."""
    tasks = [
        task_of(one) for one in trajectories if _users(one.utterances) == 1
    ]
    return [one for one in tasks if one.expected and one.answer is not None]


async def solve_tasks(
    team: Team,
    tasks: Sequence[SimulatedTask],
    limits: Limits = LIMITS,
    mode: SearchMode = "chain",
    on_progress: Callable[[int], None] = lambda done: None,
) -> list[SolvedTask]:
    """Work on tasks one after the other.

    Args:
        team (`Team`):
            Who works.
        tasks (`Sequence[SimulatedTask]`):
            On what.
        limits (`Limits`, optional):
            What each task may take.
        mode (`SearchMode`, optional):
            Whether to go back where an attempt ends without an answer.
        on_progress (`Callable[[int], None]`, optional):
            Told after each task how many are done.
    """
    solved = []
    for task in tasks:
        solved.append(await _solve(team, task, limits, mode))
        on_progress(len(solved))
    return solved


async def _solve(
    team: Team,
    task: SimulatedTask,
    limits: Limits,
    mode: SearchMode,
) -> SolvedTask:
    tools = SimulatedTools(task.expected)
    events = solve(team, task.tools, task.instruction, tools.run, limits, mode)
    async with aclosing(events):
        # The last event is the solution.
        solution = [one async for one in events if isinstance(one, Solution)]
    figures = task_figures(
        task.tools,
        solution[-1].log,
        solution[-1].outcome,
        solution[-1].answer or "",
        Expected(calls=tuple(one.call for one in task.expected)),
    )
    return SolvedTask(task, solution[-1], figures)


def _users(utterances: Sequence[Utterance]) -> int:
    first = bool(utterances) and utterances[0].speaker == "user"
    return sum(one.speaker == "user" for one in utterances) if first else 0
