# -*- coding: utf-8 -*-
"""Trained roles that can be asked: adapters on one base, and who plays what.

A small file beside the stages of an arm says which stage plays which role and
how it is prompted. Trains nothing. Raises CheckpointError for a team that is
not there, and what loading raises.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from local_llm import atomic_files
from local_llm.batched_replies import batched_replies
from local_llm.errors import CheckpointError
from local_llm.loaded_model import LoadedModel
from local_llm.settings import ModelSettings, resolve_path
from local_llm.surroundings import Surroundings
from local_llm.turns import Turn

from .arms import ARMS, Arm, find_arm
from .prompts import PromptStyle
from .roles import Role
from .tool_agent_settings import ToolAgentSettings


@dataclass(frozen=True)
class TeamRecord:
    """What the file of a team says.

    Attributes:
        arm (`Arm`):
            How it was trained, and which stage plays which role.
        style (`PromptStyle`):
            How its roles are asked.
    """

    arm: Arm
    style: PromptStyle


def team_file(folder: Path, arm_name: str) -> Path:
    """Where a folder of stages says who plays what in an arm."""
    return folder / f"{arm_name}.team.json"


def is_trained(folder: Path, arm: Arm) -> bool:
    """Whether an arm is trained in a folder, and its stages are there."""
    stages = [folder / stage for stage in arm.plays.values()]
    whole = all(map(atomic_files.is_sealed, stages))
    return whole and team_file(folder, arm.name).is_file()


def trained_folder(
    settings: ToolAgentSettings,
    project: Path,
    arm: Arm,
) -> Path | None:
    """Where the trained adapters of an entry are: in its output folder, else
    the ready ones; None where neither are there.

    Args:
        settings (`ToolAgentSettings`):
            The entry.
        project (`Path`):
            Where its relative paths begin.
        arm (`Arm`):
            How they were trained.
    """
    named = (settings.output_dir, settings.ready_adapters)
    folders = (resolve_path(one, project).absolute() for one in named if one)
    return next((one for one in folders if is_trained(one, arm)), None)


def write_team(folder: Path, record: TeamRecord) -> Path:
    """Note that an arm is trained; the last step of its training."""
    plays = {role.value: stage for role, stage in record.arm.plays.items()}
    values = {
        "arm": record.arm.name,
        "prompt_style": record.style,
        "plays": plays,
    }
    return atomic_files.write_json(
        team_file(folder, record.arm.name),
        values,
    )


def forget_teams(folder: Path, stage_name: str) -> None:
    """Note that the arms in which a stage plays are not trained any more.

    Args:
        folder (`Path`):
            Of the stages.
        stage_name (`str`):
            Which one will be another.

    Raises:
        `CheckpointError`: The folder cannot be written.
    """
    for arm in ARMS.values():
        if stage_name in arm.plays.values():
            path = team_file(folder, arm.name)
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise CheckpointError(
                    f"cannot delete {path.absolute()}: {error.strerror}",
                    fix="choose another output folder",
                ) from error


def read_team(folder: Path, arm_name: str) -> TeamRecord:
    """The team of an arm in a folder.

    Raises:
        `CheckpointError`: There is none, or its file is damaged.
    """
    path = team_file(folder, arm_name)
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        style = values["prompt_style"]
    except FileNotFoundError as error:
        raise CheckpointError(
            f"{folder.absolute()} has no trained arm '{arm_name}'",
            fix=f"train it: python small_llms.py train --arm {arm_name}, "
            "with the --config-name and --output of this call",
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{path.absolute()} cannot be read: {error}",
            fix="delete it and train again: finished stages are used",
        ) from error
    if style not in get_args(PromptStyle):
        raise CheckpointError(
            f"{path.absolute()}: there is no prompt style {style!r}",
            fix=f"use one of {', '.join(get_args(PromptStyle))}",
        )
    return TeamRecord(find_arm(arm_name), style)


class TrainedTeam:
    """The roles of one arm on one base model.

    Args:
        record (`TeamRecord`):
            Who plays what.
        models (`Mapping[Role, LoadedModel]`):
            One for each role; they share the base's weights.
    """

    def __init__(
        self,
        record: TeamRecord,
        models: Mapping[Role, LoadedModel],
    ) -> None:
        self.record = record
        self.models = models

    @classmethod
    def load(
        cls,
        folder: Path,
        arm_name: str,
        settings: ModelSettings,
        surroundings: Surroundings,
    ) -> "TrainedTeam":
        """Load the adapters of an arm on the base model of the settings.

        Raises:
            `CheckpointError`: The arm is not trained there.
            `WeightsError`, `ModelAccessError`: Something cannot be loaded.
        """
        record = read_team(folder, arm_name)
        by_stage: dict[str, LoadedModel] = {}
        for stage in dict.fromkeys(record.arm.plays.values()):
            model = LoadedModel(settings, surroundings)
            model.load_model()
            model.load_adapter(folder / stage)
            by_stage[stage] = model
        plays = record.arm.plays.items()
        return cls(record, {role: by_stage[stage] for role, stage in plays})

    def reply_to_all(
        self,
        role: Role,
        prompts: Sequence[str],
        on_progress: Callable[[int], None] = lambda done: None,
    ) -> list[str]:
        """What a role answers to each prompt, greedily; see
        `batched_replies`."""
        model = self.models[role]
        prompt_ids = [
            model.base.chat_format.prompt_ids([Turn("user", prompt)])
            for prompt in prompts
        ]
        return batched_replies(
            model.base,
            model.adapter,
            prompt_ids,
            model.settings.max_length,
            on_progress=on_progress,
        )

    def unload(self) -> None:
        """Free the adapters; the base stays with those who share it."""
        for model in set(self.models.values()):
            model.unload_adapter()
