# -*- coding: utf-8 -*-
"""Compares the arms: trains each with several seeds, asks, and measures.

Everything that is finished is kept in files and used again, so that a
comparison that was interrupted goes on where it stood. Raises what training
and loading raise, and CheckpointError.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from local_llm.adapter_files import ADAPTER_FILE
from local_llm.atomic_files import sha256_of
from local_llm.loaded_model import LoadedModel
from local_llm.reports import RunReport, run_key
from local_llm.surroundings import Surroundings

from .answer_files import AnswerFile
from .arms import Arm
from .decision_steps import Step, steps_of
from .floors import floor_scores
from .glpft import GLPFT
from .metrics import cases_of, score
from .protocol import Trajectory
from .results import Part, Results, counts_of, measure_part
from .scores import Scores
from .static_evaluation import Answered, ask_team
from .tool_agent_settings import ToolAgentSettings
from .trained_team import TeamRecord, TrainedTeam, write_team

Reports = dict[str, RunReport]
"""Of the stages of one seed, by name."""


@dataclass(frozen=True)
class AskedPart:
    """One part of the test data.

    Attributes:
        name (`str`):
            Such as `seen`.
        is_in_domain (`bool`):
            Whether training has seen its tools.
        steps (`Sequence[Step]`):
            What is asked.
    """

    name: str
    is_in_domain: bool
    steps: Sequence[Step]

    @classmethod
    def of(
        cls,
        name: str,
        is_in_domain: bool,
        trajectories: Sequence[Trajectory],
    ) -> "AskedPart":
        """All decision steps of some trajectories."""
        return cls(name, is_in_domain, steps_of(trajectories))

    @cached_property
    def key(self) -> str:
        """Equal for the same steps."""
        return run_key(steps=[asdict(step) for step in self.steps])


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
        parts (`Sequence[AskedPart]`):
            What all arms are asked.
        output (`Path`):
            Where adapters and answers are kept.
        on_status (`Callable[[str], None]`):
            Told in a few words what is done.
        overwrite (`bool`):
            Whether all is trained anew; see `GLPFT`.
    """

    settings: ToolAgentSettings
    surroundings: Surroundings
    arms: Sequence[Arm]
    train: Sequence[Trajectory]
    parts: Sequence[AskedPart]
    output: Path
    on_status: Callable[[str], None] = lambda text: None
    overwrite: bool = False

    def run(self, seeds: Sequence[int], about: Mapping[str, str]) -> Results:
        """Train, ask and measure; what is there already is used.

        Args:
            seeds (`Sequence[int]`):
                Each arm is trained once for each; at least one.
            about (`Mapping[str, str]`):
                How this is made, for the results.
        """
        scores: dict[str, dict[str, dict[int, Scores]]] = {
            part.name: {arm.name: {} for arm in self.arms}
            for part in self.parts
        }
        keeper = LoadedModel(self.settings.model, self.surroundings)
        keeper.load_model()  # else everybody would read the weights anew
        reports: Reports = {}
        for seed in seeds:
            reports = self.train_seed(seed)
            for arm, part in itertools.product(self.arms, self.parts):
                answered = self.answers(arm, part, seed)
                scores[part.name][arm.name][seed] = _scored(part, answered)
        measured = [_measured(one, scores[one.name]) for one in self.parts]
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
            lambda run: self.on_status(f"seed {seed}: {run.summary}"),
            self.overwrite,
        )
        reports = job.train(self.arms)
        for arm in self.arms:
            record = TeamRecord(arm, self.settings.prompt_style)
            write_team(job.output, record)
        return reports

    def answers(
        self,
        arm: Arm,
        part: AskedPart,
        seed: int,
    ) -> list[Answered]:
        """What an arm says at every step of a part, from its file where it
        has said it.

        Args:
            arm (`Arm`):
                Who is asked.
            part (`AskedPart`):
                What.
            seed (`int`):
                Which of its trainings.
        """
        folder = self.folder(seed) / "answers"
        kept = AnswerFile(
            folder / f"{arm.name}, {part.name}.json",
            self._answer_key(arm, part, seed),
            arm,
            part.steps,
        )
        answered = kept.read()
        if answered is None:
            self.on_status(f"seed {seed}: asking {arm.title}, {part.name}")
            answered = self._ask(arm, part, seed)
            kept.write(answered)
        return answered

    def folder(self, seed: int) -> Path:
        """Where what one seed gives is kept."""
        return self.output / f"seed-{seed}"

    def _ask(self, arm: Arm, part: AskedPart, seed: int) -> list[Answered]:
        team = TrainedTeam.load(
            self.folder(seed),
            arm.name,
            self.settings.model,
            self.surroundings,
        )
        try:
            return ask_team(team, part.steps, self.on_status)
        finally:
            team.unload()

    def _answer_key(
        self,
        arm: Arm,
        part: AskedPart,
        seed: int,
    ) -> str:
        """Equal for the same adapters at the same steps."""
        adapters = {
            role.value: sha256_of(self.folder(seed) / stage / ADAPTER_FILE)
            for role, stage in arm.plays.items()
        }
        return run_key(
            adapters=adapters,
            style=self.settings.prompt_style,
            longest=self.settings.model.max_length,
            steps=part.key,
        )


def _cost(arm: Arm, reports: Reports) -> str:
    run = [reports[stage.name] for stage in arm.stages]
    steps = sum(report.steps for report in run)
    tokens = sum(report.tokens for report in run)
    return f"{steps} optimizer steps, {tokens} tokens"


def _scored(part: AskedPart, answered: Sequence[Answered]) -> Scores:
    predictions = [one.prediction for one in answered]
    return score(cases_of(part.steps, predictions))


def _measured(
    part: AskedPart,
    scores: Mapping[str, Mapping[int, Scores]],
) -> Part:
    return measure_part(
        part.name,
        part.is_in_domain,
        scores,
        floor_scores(part.steps),
        counts_of(part.steps),
    )
