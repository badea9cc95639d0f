# -*- coding: utf-8 -*-
"""What `small_llms.py` works on: a config entry, and what was typed over it.

Flags go before the entry. Relative paths of the entry begin at the project,
those that were typed where the program was started. Loads no model. Raises
ConfigError, DatasetError, CheckpointError and GenerationError.
"""

import argparse
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from alpha_umi.tool_agent_settings import ToolAgentSettings
from local_llm import processes
from local_llm.disk_room import check_writable
from local_llm.errors import ConfigError
from local_llm.library_defaults import DEFAULT_SEED
from local_llm.settings import hub_token, project_folder, resolve_path
from tool_command_line import PROGRAM

if TYPE_CHECKING:
    from alpha_umi.arms import Arm
    from alpha_umi.protocol import Trajectory
    from local_llm.surroundings import Listener, Surroundings


@dataclass(frozen=True)
class Inputs:
    """An entry, and what was typed.

    Attributes:
        settings (`ToolAgentSettings`):
            The entry.
        arguments (`argparse.Namespace`):
            What `parse_arguments` gives.
    """

    settings: ToolAgentSettings
    arguments: argparse.Namespace

    @property
    def project(self) -> Path:
        """Where relative paths of the entry begin."""
        return project_folder(self.arguments.model_configs)

    @property
    def arm(self) -> "Arm":
        """How the roles are trained.

        Raises:
            `ConfigError`: There is no such arm.
        """
        from alpha_umi.arms import find_arm

        return find_arm(self.arguments.arm)

    @property
    def output(self) -> Path:
        """The folder of the adapters."""
        typed: Path | None = self.arguments.output
        if typed is not None:
            return typed.absolute()
        return self._in_project(self.settings.output_dir)

    def trained_folder(self) -> Path | None:
        """Where trained adapters are: those of the output folder, else, if
        no other one was typed, the ready ones of the entry; None where
        neither are there."""
        from alpha_umi.trained_team import is_trained, trained_folder

        if self.arguments.output is None:
            return trained_folder(self.settings, self.project, self.arm)
        return self.output if is_trained(self.output, self.arm) else None

    @property
    def seed(self) -> int:
        """Of the training."""
        typed: int | None = self.arguments.seed
        if typed is not None:
            return typed
        fine_tuning = self.settings.model.fine_tune_config
        given = fine_tuning.training_args if fine_tuning else {}
        return given.get("seed", DEFAULT_SEED)

    def trajectories(self) -> "list[Trajectory]":
        """The data to learn, or to ask.

        Raises:
            `DatasetError`: They cannot be read.
        """
        from alpha_umi.readers import read_trajectories

        typed: Path | None = self.arguments.data
        path = typed or self._in_project(self.settings.data_path)
        reader = self.arguments.reader or self.settings.data_reader
        return read_trajectories(reader, path)[: self.arguments.limit]

    def described(self, trajectories: "Sequence[Trajectory]") -> str:
        """How many there are, and where they come from."""
        path = self.arguments.data or self.settings.data_path
        return f"{len(trajectories)} trajectories of {path}"

    def report_folder(self, default: Path) -> Path:
        """Where results will be written.

        Args:
            default (`Path`):
                Where, if nothing was typed.

        Raises:
            `CheckpointError`: Nothing can be written there.
        """
        typed: Path | None = self.arguments.report
        folder = (typed or default).absolute()
        check_writable(folder / "results")
        return folder

    def about(self, data: str) -> dict[str, str]:
        """How results are made, to stand beside them.

        Args:
            data (`str`):
                Which data, in words.
        """
        from local_llm.machine import describe_machine

        model = self.settings.model
        typed = shlex.join([PROGRAM, *self.arguments.argv])
        return {
            "command": f"python {typed}",
            "machine": describe_machine(),
            "base": str(
                model.pretrained_model_name_or_path or model.local_model_path
            ),
            "data": data,
            "decoding": f"greedy, up to {model.max_length} tokens",
        }

    def surroundings(self, listener: "Listener") -> "Surroundings":
        """What a model takes from here.

        Args:
            listener (`Listener`):
                Is told how far things are.
        """
        from local_llm.surroundings import Surroundings, cache_folder

        token = hub_token()
        return Surroundings(
            folder=self.project,
            cache=cache_folder(os.environ),
            token=token and token.get_secret_value(),
            listener=listener,
        )

    def check_grammars(self) -> None:
        """See that calls can be held to their tools, if they shall be.

        Raises:
            `GenerationError`: The library is missing.
        """
        from local_llm.grammars import guidance

        if self.settings.constrained_calls:
            guidance()

    def _in_project(self, path: str | Path) -> Path:
        return resolve_path(path, self.project).absolute()


def check_alone() -> None:
    """See that this is the only process.

    Raises:
        `ConfigError`: A launcher has started several.
    """
    if processes.count() > 1:
        raise ConfigError(
            PROGRAM,
            [f"{processes.count()} processes were started, it is for one"],
            fix="start it without accelerate launch",
        )
