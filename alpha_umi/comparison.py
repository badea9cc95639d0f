# -*- coding: utf-8 -*-
"""Compares the arms: trains each with several seeds, asks, and measures.

Everything that is finished is kept in files and used again, so that a
comparison that was interrupted goes on where it stood. Raises what training
and loading raise, and CheckpointError.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from local_llm import atomic_files
from local_llm.errors import CheckpointError
from local_llm.reports import RunReport, run_key
from local_llm.surroundings import Surroundings

from .arms import Arm
from .decision_steps import (
    Step,
    single_prediction,
    steps_of,
    team_prediction,
)
from .floors import floor_scores
from .glpft import GLPFT
from .metrics import cases_of, score
from .protocol import Trajectory
from .results import Part, Results, counts_of, measure_part
from .scores import Scores
from .static_evaluation import Answered, answer_steps, step_rows
from .tool_agent_settings import ToolAgentSettings
from .trained_team import TeamRecord, TrainedTeam, write_team

Reports = dict[str, RunReport]
"""Of the stages of one seed, by name."""


@dataclass(frozen=True)
class TestPart:
    """One part of the test data.

    Attributes:
        name (`str`):
            Such as `seen`.
        is_in_domain (`bool`):
            Whether training has seen its tools.
        steps (`Sequence[Step]`):
            What is asked.
    """

    __test__ = False  # for pytest, which collects by name

    name: str
    is_in_domain: bool
    steps: Sequence[Step]

    @classmethod
    def of(
        cls,
        name: str,
        is_in_domain: bool,
        trajectories: Sequence[Trajectory],
    ) -> "TestPart":
        """All decision steps of some trajectories."""
        return cls(name, is_in_domain, steps_of(trajectories))


@dataclass(frozen=True)
class Comparison:
    """What is compared, and where it is kept.

    Attributes:
        settings (`ToolAgentSettings`):
            The base model, and how arms are trained.
        surroundings (`Surroundings`):
            Folders, token and listener.
        arms (`Sequence[Arm]`):
            What is compared.
        train (`Sequence[Trajectory]`):
            What all arms learn.
        parts (`Sequence[TestPart]`):
            What all arms are asked.
        output (`Path`):
            Where adapters and answers are kept.
        on_status (`Callable[[str], None]`):
            Told in a few words what is done.
    """

    settings: ToolAgentSettings
    surroundings: Surroundings
    arms: Sequence[Arm]
    train: Sequence[Trajectory]
    parts: Sequence[TestPart]
    output: Path
    on_status: Callable[[str], None] = lambda text: None

    def run(self, seeds: Sequence[int], about: Mapping[str, str]) -> Results:
        """Train, ask and measure; what is there already is used.

        Args:
            seeds (`Sequence[int]`):
                Each arm is trained once for each.
            about (`Mapping[str, str]`):
                How this is made, for the results.
        """
        scores: dict[str, dict[str, dict[int, Scores]]] = {}
        reports: Reports = {}
        for seed in seeds:
            reports = self.train_seed(seed)
            for arm in self.arms:
                for part in self.parts:
                    answered = self.answers(arm, part, seed, reports)
                    by_arm = scores.setdefault(part.name, {})
                    by_seed = by_arm.setdefault(arm.name, {})
                    by_seed[seed] = _scored(part, answered)
        measured = [self._measure(part, scores) for part in self.parts]
        training = {
            f"training of {arm.title}": _cost(arm, reports)
            for arm in self.arms
        }
        return Results({**about, **training}, tuple(measured))

    def train_seed(self, seed: int) -> Reports:
        """Train all stages of all arms with one seed."""
        job = GLPFT(
            self.settings,
            self.surroundings,
            self.train,
            self.folder(seed),
            seed,
            lambda stage: self.on_status(
                f"seed {seed}: training {stage.name}"
            ),
        )
        reports = job.train(self.arms)
        for arm in self.arms:
            record = TeamRecord(arm, self.settings.prompt_style)
            write_team(job.output, record)
        return reports

    def answers(
        self,
        arm: Arm,
        part: TestPart,
        seed: int,
        reports: Reports,
    ) -> list[Answered]:
        """What an arm says at every step of a part, from its file where it
        has said it.

        Args:
            arm (`Arm`):
                Who is asked.
            part (`TestPart`):
                What.
            seed (`int`):
                Which of its trainings.
            reports (`Reports`):
                What `train_seed` gave.
        """
        path = self.folder(seed) / "answers" / f"{arm.name}, {part.name}.json"
        key = self._answer_key(arm, part, reports)
        answered = _read_answers(path, key, arm)
        if answered is None:
            self.on_status(f"seed {seed}: asking {arm.title}, {part.name}")
            answered = self._ask(arm, part, seed)
            _write_answers(path, key, part, answered)
        return answered

    def folder(self, seed: int) -> Path:
        """Where what one seed gives is kept."""
        return self.output / f"seed-{seed}"

    def _ask(self, arm: Arm, part: TestPart, seed: int) -> list[Answered]:
        team = TrainedTeam.load(
            self.folder(seed),
            arm.name,
            self.settings.model,
            self.surroundings,
        )
        try:
            return answer_steps(team.reply_to_all, part.steps, team.record)
        finally:
            team.unload()

    def _answer_key(self, arm: Arm, part: TestPart, reports: Reports) -> str:
        """Equal for the same adapters at the same steps."""
        played = {
            role.value: reports[stage].key for role, stage in arm.plays.items()
        }
        return run_key(
            played=played,
            style=self.settings.prompt_style,
            longest=self.settings.model.max_length,
            steps=[asdict(step) for step in part.steps],
        )

    def _measure(
        self,
        part: TestPart,
        scores: Mapping[str, Mapping[str, Mapping[int, Scores]]],
    ) -> Part:
        return measure_part(
            part.name,
            part.is_in_domain,
            scores[part.name],
            floor_scores(part.steps),
            counts_of(part.steps),
        )


def _cost(arm: Arm, reports: Reports) -> str:
    run = [reports[stage.name] for stage in arm.stages]
    steps = sum(report.steps for report in run)
    tokens = sum(report.tokens for report in run)
    return f"{steps} optimizer steps, {tokens} tokens"


def _scored(part: TestPart, answered: Sequence[Answered]) -> Scores:
    predictions = [one.prediction for one in answered]
    return score(cases_of(part.steps, predictions))


def _write_answers(
    path: Path,
    key: str,
    part: TestPart,
    answered: Sequence[Answered],
) -> None:
    values = {"key": key, "steps": step_rows(part.steps, answered)}
    with atomic_files.whole_file(path) as partial:
        text = json.dumps(values, ensure_ascii=False, indent=1)
        partial.write_text(text, encoding="utf-8")


def _read_answers(path: Path, key: str, arm: Arm) -> list[Answered] | None:
    """The answers of a file, None where it is absent or of another team."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values["key"] != key:
            return None
        texts = [row["texts"] for row in values["steps"]]
        if arm.is_single:
            return [
                Answered(one, single_prediction(one["backbone"]))
                for one in texts
            ]
        return [Answered(one, team_prediction(**one)) for one in texts]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{path.absolute()} cannot be read: {error}",
            fix="delete it: the answers are asked for again",
        ) from error
