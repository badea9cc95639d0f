# -*- coding: utf-8 -*-
"""Trains the adapters of arms, stage by stage, on one shared base model.

Each stage is a fine-tuning run of `local_llm` with all that one has: a folder
with a report, checkpoints, resume, and reuse of a run of the very same base,
data and settings. Generates nothing. Raises what fine-tuning raises.
"""

import dataclasses
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_llm import atomic_files, disk_room, processes
from local_llm.chat_datasets import ChatData
from local_llm.errors import CheckpointError, DatasetError
from local_llm.loaded_model import LoadedModel
from local_llm.local_model import LocalModel
from local_llm.planning import preview_run
from local_llm.reports import RunReport
from local_llm.schedules import make_schedule
from local_llm.settings import (
    DEFAULT_FINE_TUNING,
    FineTuneSettings,
    ModelSettings,
)
from local_llm.surroundings import Surroundings
from local_llm.training_arguments import chosen_training

from .arms import Arm, Part, Stage, epochs_of, hyperparameters_of, stages_of
from .protocol import Trajectory
from .records import Record, records_of
from .tool_agent_settings import ToolAgentSettings
from .trained_team import forget_teams

_ROWS = "rows"
"""The folder of what the stages learn from."""

_HALVES: dict[Part, slice] = {
    "all": slice(None),
    "first half": slice(0, None, 2),
    "second half": slice(1, None, 2),
}


@dataclass(frozen=True, slots=True)
class StageRun:
    """A stage whose training is finished.

    Attributes:
        stage (`Stage`):
            Which.
        report (`RunReport`):
            What came out.
        is_new (`bool`):
            Whether it was trained just now, and not found as it is.
    """

    stage: Stage
    report: RunReport
    is_new: bool

    @property
    def summary(self) -> str:
        """How it went, in a line."""
        report = self.report
        parts = [f"{report.steps} steps, {report.seconds:.0f} s"]
        before, after = report.held_out_before, report.held_out_after
        if before is not None and after is not None:
            parts.append(
                f"held-out loss {before:.2f} before, {after:.2f} after"
            )
        if not self.is_new:
            parts.append("was there already")
        return f"{self.stage.name}: {', '.join(parts)}"


@dataclass(frozen=True)
class GLPFT:
    """Where and how arms are trained.

    Attributes:
        settings (`ToolAgentSettings`):
            The base model and the hyperparameters of the stages.
        surroundings (`Surroundings`):
            Folders, token and listener.
        trajectories (`Sequence[Trajectory]`):
            What is learned.
        output (`Path`):
            A folder in which each stage gets one.
        seed (`int`):
            For the adapters' first weights and the order of the rows.
        on_stage (`Callable[[StageRun], None]`):
            Told when a stage is finished.
        overwrite (`bool`):
            Whether all is trained anew; what is there is kept under another
            name.
    """

    settings: ToolAgentSettings
    surroundings: Surroundings
    trajectories: Sequence[Trajectory]
    output: Path
    seed: int
    on_stage: Callable[[StageRun], None] = lambda run: None
    overwrite: bool = False

    def train(self, arms: Sequence[Arm]) -> dict[str, RunReport]:
        """Train every stage that the arms need, each once.

        A run that was interrupted goes on, a finished one is used. The base
        model is loaded once.

        Returns:
            `dict[str, RunReport]`: By the name of the stage.

        Raises:
            `DatasetError`: A stage has nothing to learn; found before the
                first one is trained.
        """
        stages = stages_of(arms)
        disk_room.check_writable(self.output / _ROWS)
        for stage in stages:
            self.records(stage)
        base = LoadedModel(self.settings.model, self.surroundings)
        reports = {}
        for stage in stages:
            run = self._trained(stage, base)
            self.on_stage(run)
            reports[stage.name] = run.report
        return reports

    def _trained(self, stage: Stage, base: LoadedModel) -> StageRun:
        """Train one stage, or use the run that is there.

        Args:
            stage (`Stage`):
                Which.
            base (`LoadedModel`):
                Keeps the weights that the stages share, else each would read
                them anew.
        """
        model = LocalModel(self.stage_settings(stage), self.surroundings)
        data = model.read_data()
        folder = model.output_folder()
        if self.overwrite or not atomic_files.is_sealed(folder):
            model.check_output("set_aside")  # before anything is loaded
        base.load_model()
        model.load_model()
        if stage.starts_from is not None:
            model.load_adapter(self.output / stage.starts_from)
        try:
            found = None if self.overwrite else _finished(model, data)
            return StageRun(
                stage,
                found or self._train(stage, model, data),
                is_new=found is None,
            )
        finally:
            model.unload_adapter()

    def _train(
        self,
        stage: Stage,
        model: LocalModel,
        data: ChatData,
    ) -> RunReport:
        told = self.surroundings.listener.on_status
        told(f"training {stage.name}, seed {self.seed}")
        # Until all stages are finished, a team would mix old and new ones.
        forget_teams(self.output, stage.name)
        if self.overwrite:
            return model.fine_tune(data, existing_run="set_aside")
        return model.ensure_fine_tuned(data)

    def stage_settings(self, stage: Stage) -> ModelSettings:
        """The settings of a stage's run; writes the rows it learns from."""
        return dataclasses.replace(
            self.settings.model,
            config_name=f"{self.settings.config_name}, {stage.name}",
            data_path=str(self.write_rows(stage)),
            output_dir=self.output / stage.name,
            fine_tune_config=dataclasses.replace(
                self._fine_tuning,
                training_args=self._training_args(stage),
                continue_lora_finetuning=stage.starts_from is not None,
                data_format="prompt_completion",
            ),
        )

    def write_rows(self, stage: Stage) -> Path:
        """Write what a stage learns from, a JSON object in each line."""
        rows = [
            {"prompt": one.input, "completion": one.target}
            for one in self.records(stage)
        ]
        text = "".join(
            f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows
        )
        path = self.output / _ROWS / f"{stage.name}.jsonl"
        with atomic_files.whole_file(path) as partial:
            partial.write_text(text, encoding="utf-8")
        return path

    def records(self, stage: Stage) -> list[Record]:
        """What a stage learns from.

        Raises:
            `DatasetError`: There is nothing.
        """
        style = self.settings.prompt_style
        found = [
            record
            for trajectory in self.trajectories[_HALVES[stage.part]]
            for role in stage.roles
            for record in records_of(trajectory, role, style)
        ]
        if not found:
            raise DatasetError(
                f"in {len(self.trajectories)} trajectories stage {stage.name} "
                "finds nothing to learn",
                fix="give more of them, with plans, calls and answers",
            )
        return found

    def optimizer_steps(self, stage: Stage) -> int:
        """How many steps a stage takes, as its training counts them: without
        rows that are held out, come twice or are too long."""
        if stage.steps_of:
            return sum(map(self.optimizer_steps, stage.steps_of))
        settings = self.stage_settings(stage)
        chosen = settings.fine_tune_config or DEFAULT_FINE_TUNING
        schedule = make_schedule(
            preview_run(settings, self.surroundings, 0).rows,
            chosen_training(chosen),
            chosen.max_seq_length,
            processes.count(),
            padded_to=1,
        )
        return schedule.steps

    @property
    def _fine_tuning(self) -> FineTuneSettings:
        return self.settings.model.fine_tune_config or DEFAULT_FINE_TUNING

    def _training_args(self, stage: Stage) -> dict[str, Any]:
        chosen = hyperparameters_of(stage, self.settings)
        length = (
            {"max_steps": self.optimizer_steps(stage)}
            if stage.steps_of
            else {"num_train_epochs": epochs_of(stage, self.settings)}
        )
        return {
            **self._fine_tuning.training_args,
            **length,
            "learning_rate": chosen.learning_rate,
            # Below 1 it is the share of all steps.
            "warmup_steps": chosen.warmup_ratio,
            "weight_decay": chosen.weight_decay,
            "seed": self.seed,
        }


def _finished(model: LocalModel, data: ChatData) -> RunReport | None:
    try:
        return model.use_finished_run(data)
    except CheckpointError as error:
        folder = model.output_folder()
        raise CheckpointError(
            error.message,
            fix=f"delete {folder} and train again: other stages are used",
        ) from error
