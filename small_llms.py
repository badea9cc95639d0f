# -*- coding: utf-8 -*-
"""Small language models as tool learners: planner, caller and summarizer.

`chat` with them, `train` them, `evaluate` them, `compare` the ways of
training them. Exit codes: 0, 2 for input that must be corrected, 3 for an
environment that lacks something, 129, 130 and 143 after a signal, 1 for a bug.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from local_llm.settings import hub_token, project_folder
from program_frame import hide_bars_of_libraries, run_program
from screen import Screen
from tool_command_line import (
    choose_settings,
    parse_arguments,
    same_command,
)

if TYPE_CHECKING:
    from alpha_umi.protocol import Trajectory
    from alpha_umi.tool_agent_settings import ToolAgentSettings
    from local_llm.surroundings import Listener, Surroundings


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; the exit code is returned."""
    arguments = parse_arguments(argv)
    return run_program(run, arguments, lambda: same_command(argv))


def run(arguments: argparse.Namespace, screen: Screen) -> None:
    """Do what the command line asks."""
    hide_bars_of_libraries()
    settings = choose_settings(arguments)
    screen.say(f"config: {settings.config_name}")
    VERBS[arguments.verb](settings, arguments, screen)


def train(
    settings: "ToolAgentSettings",
    arguments: argparse.Namespace,
    screen: Screen,
) -> None:
    """Train the stages of an arm; finished ones are used."""
    from alpha_umi.arms import find_arm
    from alpha_umi.tool_training import train_arm

    arm = find_arm(arguments.arm)
    trajectories = _trajectories(settings, arguments)
    screen.say(f"{arm.title}: {len(trajectories)} trajectories")
    with screen.training() as listener:
        train_arm(
            arm,
            trajectories,
            settings,
            _surroundings(arguments, listener),
            _output(settings, arguments),
            arguments.seed,
            screen.title,
        )
