# -*- coding: utf-8 -*-
"""One trained arm on one test set: every step, and whole tasks if wanted.

Trains and loads nothing. Raises DatasetError where there is nothing to ask,
GenerationError for prompts that do not fit, and CheckpointError where results
cannot be written.
"""

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_llm import atomic_files
from local_llm.errors import DatasetError

from .columns import ARGUMENT_COLUMNS, STEP_COLUMNS, TASK_COLUMNS
from .decision_steps import Step, steps_of
from .end_to_end import task_scores
from .floors import floor_scores
from .limits import Limits
from .local_roles import local_team
from .metrics import cases_of, score
from .progress_lines import in_tenths
from .protocol import Trajectory
from .result_files import write_result_files
from .results import Results, counts_of, measure_part
from .rouge_l import check_installed
from .search import SearchMode
from .simulated_tools import SimulatedTask
from .static_evaluation import ask_team, step_rows
from .task_evaluation import SolvedTask, solve_tasks, tasks_of
from .trained_team import TrainedTeam

_ONE_RUN = 0
"""The key of the only training that is measured."""


def steps_to_ask(trajectories: Sequence[Trajectory]) -> list[Step]:
    """The decision steps of trajectories.

    Raises:
        `DatasetError`: There are none.
    """
    steps = steps_of(trajectories)
    if not steps:
        raise DatasetError(
            f"in {len(trajectories)} trajectories nobody plans anything",
            fix="give some with turns of the planner that end in a decision",
        )
    return steps


def tasks_to_solve(
    trajectories: Sequence[Trajectory],
) -> list[SimulatedTask]:
    """The trajectories that are whole tasks; see `tasks_of`.

    Raises:
        `DatasetError`: There are none.
    """
    tasks = tasks_of(trajectories)
    if not tasks:
        raise DatasetError(
            f"of {len(trajectories)} trajectories none is a whole task",
            fix="give some with one question, a call and an answer, or "
            "leave --tasks out",
        )
    return tasks


@dataclass(frozen=True)
class Evaluation:
    """What is measured, and on what.

    Attributes:
        team (`TrainedTeam`):
            Who is asked.
        trajectories (`Sequence[Trajectory]`):
            What.
        about (`Mapping[str, str]`):
            How this is made, for the results.
        folder (`Path`):
            Where results are written.
        on_status (`Callable[[str], None]`):
            Told in a few words what is done.
    """

    team: TrainedTeam
    trajectories: Sequence[Trajectory]
    about: Mapping[str, str]
    folder: Path
    on_status: Callable[[str], None] = lambda text: None

    def measure_steps(self) -> Path:
        """Ask at every decision step; write the table and a row for each.

        Returns:
            `Path`: The page with the table.
        """
        check_installed()
        steps = steps_to_ask(self.trajectories)
        self.on_status(f"asking at {len(steps)} steps")
        answered = ask_team(self.team, steps, self.on_status)
        self._write_rows("steps", step_rows(steps, answered))
        cases = cases_of(steps, [one.prediction for one in answered])
        part = measure_part(
            "steps",
            None,
            {self.team.record.arm.name: {_ONE_RUN: score(cases)}},
            floor_scores(steps),
            counts_of(steps),
        )
        return write_result_files(
            self.folder,
            "steps",
            Results(dict(self.about), (part,)),
            (*STEP_COLUMNS, *ARGUMENT_COLUMNS),
        )

    def measure_tasks(
        self,
        limits: Limits,
        mode: SearchMode,
        constrained_calls: bool,
    ) -> Path:
        """Solve the trajectories as tasks, on tools that replay them.

        Args:
            limits (`Limits`):
                What each task may take.
            mode (`SearchMode`):
                Whether to go back where an attempt ends without an answer.
            constrained_calls (`bool`):
                Whether calls must fit their tools.

        Returns:
            `Path`: The page with the table.
        """
        tasks = tasks_to_solve(self.trajectories)
        self.on_status(f"solving {len(tasks)} tasks")
        team = local_team(self.team, constrained_calls)
        progress = in_tenths(len(tasks), "tasks", self.on_status)
        solved = asyncio.run(solve_tasks(team, tasks, limits, mode, progress))
        self._write_rows("tasks", (one.as_dict() for one in solved))
        return write_result_files(
            self.folder,
            "tasks",
            self._task_results(solved),
            TASK_COLUMNS,
        )

    def _task_results(self, solved: Sequence[SolvedTask]) -> Results:
        scores = task_scores([one.figures for one in solved])
        arm = self.team.record.arm.name
        part = measure_part("tasks", None, {arm: {_ONE_RUN: scores}})
        return Results(dict(self.about), (part,))

    def _write_rows(
        self,
        name: str,
        rows: Iterable[Mapping[str, Any]],
    ) -> None:
        lines = [json.dumps(row, ensure_ascii=False) for row in rows]
        with atomic_files.whole_file(self.folder / f"{name}.jsonl") as partial:
            partial.write_text("".join(f"{one}\n" for one in lines), "utf-8")
