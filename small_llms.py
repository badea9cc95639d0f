# -*- coding: utf-8 -*-
"""Small language models as tool learners: planner, caller and summarizer.

`chat` with them, `train` them, `evaluate` them, `compare` the ways of
training them. Exit codes: 0, 2 for input that must be corrected, 3 for an
environment that lacks something, 129, 130 and 143 after a signal, 1 for a bug.
"""

import argparse
import asyncio
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from local_llm.settings import hub_token, project_folder, resolve_path
from program_frame import hide_bars_of_libraries, run_program
from screen import Screen
from talking import ask
from talking import chat as talk_with
from tool_command_line import (
    choose_settings,
    data_request,
    parse_arguments,
    same_command,
)

if TYPE_CHECKING:
    from alpha_umi.arms import Arm
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
    _VERBS[arguments.verb](settings, arguments, screen)


def chat(
    settings: "ToolAgentSettings",
    arguments: argparse.Namespace,
    screen: Screen,
) -> None:
    """Ask the trained roles the demonstration questions, then talk; train
    them first where they are not trained."""
    from alpha_umi.arms import find_arm
    from alpha_umi.trained_team import team_file
    from tool_agents import make_agent

    arm = find_arm(arguments.arm)
    folder = _output(settings, arguments)
    if not team_file(folder, arm.name).is_file():
        screen.say("the roles are not trained yet, so that comes first")
        _train(arm, settings, arguments, screen)
    project = project_folder(arguments.model_configs)
    with screen.loading() as listener:
        agent = make_agent(settings, folder, arm.name, project, listener)
    for question in arguments.question or settings.demonstration_questions:
        screen.title(question)
        asyncio.run(ask(agent, question))
        agent.state.context.clear()  # each is a conversation of its own
    if not arguments.no_chat:
        talk_with(agent, screen)


def train(
    settings: "ToolAgentSettings",
    arguments: argparse.Namespace,
    screen: Screen,
) -> None:
    """Train the stages of an arm; finished ones are used."""
    from alpha_umi.arms import find_arm

    _train(find_arm(arguments.arm), settings, arguments, screen)


def evaluate(
    settings: "ToolAgentSettings",
    arguments: argparse.Namespace,
    screen: Screen,
) -> None:
    """Ask trained roles at every step of trajectories, and measure; solve
    them as tasks too where that is wanted."""
    from alpha_umi.arms import check_has_roles, find_arm
    from alpha_umi.evaluation import Evaluation
    from alpha_umi.limits import Limits
    from alpha_umi.trained_team import TrainedTeam

    arm = find_arm(arguments.arm)
    if arguments.tasks:
        check_has_roles(arm)
    output = _output(settings, arguments)
    trajectories = _trajectories(settings, arguments)
    with screen.loading() as listener:
        surroundings = _surroundings(arguments, listener)
        team = TrainedTeam.load(output, arm.name, settings.model, surroundings)
    evaluation = Evaluation(
        team,
        trajectories,
        _about(settings, f"{len(trajectories)} trajectories"),
        arguments.report or output / "evaluation" / arm.name,
        screen.say,
    )
    screen.document(evaluation.measure_steps())
    if arguments.tasks:
        page = evaluation.measure_tasks(
            Limits(steps=settings.max_steps),
            settings.search,
            settings.constrained_calls,
        )
        screen.document(page)


def compare(
    settings: "ToolAgentSettings",
    arguments: argparse.Namespace,
    screen: Screen,
) -> None:
    """Train every arm with every seed, ask, and measure."""
    from alpha_umi.arms import ARMS, find_arm
    from alpha_umi.comparison import Comparison
    from alpha_umi.comparison_data import TOOLBENCH, read_comparison_data
    from alpha_umi.paper_results import PAPER_ROWS
    from alpha_umi.result_files import write_result_files
    from alpha_umi.rouge_l import check_installed

    check_installed()
    request = data_request(arguments, settings.prompt_style)
    data = read_comparison_data(request, screen.say)
    output = _output(settings, arguments)
    with screen.training() as listener:
        comparison = Comparison(
            settings,
            _surroundings(arguments, listener),
            [find_arm(name) for name in arguments.arms or ARMS],
            data.train,
            data.parts,
            output,
            screen.say,
        )
        about = _about(settings, data.description)
        results = comparison.run(arguments.seeds, about)
    page = write_result_files(
        arguments.report or output,
        "comparison",
        results,
        references={TOOLBENCH: PAPER_ROWS},
    )
    screen.document(page)


def _about(settings: "ToolAgentSettings", data: str) -> dict[str, str]:
    """How results are made, to stand beside them."""
    from local_llm.machine import describe_machine

    model = settings.model
    return {
        "command": f"python {shlex.join(['small_llms.py', *sys.argv[1:]])}",
        "machine": describe_machine(),
        "base": str(
            model.pretrained_model_name_or_path or model.local_model_path
        ),
        "data": data,
        "decoding": f"greedy, up to {model.max_length} tokens",
    }


def _train(
    arm: "Arm",
    settings: "ToolAgentSettings",
    arguments: argparse.Namespace,
    screen: Screen,
) -> None:
    from alpha_umi.glpft import GLPFT
    from alpha_umi.trained_team import TeamRecord, write_team

    trajectories = _trajectories(settings, arguments)
    screen.title(f"{arm.title}: {len(trajectories)} trajectories")
    with screen.training() as listener:
        job = GLPFT(
            settings,
            _surroundings(arguments, listener),
            trajectories,
            _output(settings, arguments),
            _seed(settings, arguments),
            lambda stage: screen.say(f"training {stage.name}"),
        )
        reports = job.train([arm])
    write_team(job.output, TeamRecord(arm, settings.prompt_style))
    for name, report in reports.items():
        screen.say(f"{name}: {report.steps} steps, {report.seconds:.0f} s")
    screen.say(f"adapters: {job.output}")


def _trajectories(
    settings: "ToolAgentSettings",
    arguments: argparse.Namespace,
) -> "list[Trajectory]":
    from alpha_umi.readers import read_trajectories

    named = getattr(arguments, "data", None)
    path = named or _in_project(arguments, settings.data_path)
    reader = getattr(arguments, "reader", None) or settings.data_reader
    trajectories = read_trajectories(reader, path)
    return trajectories[: getattr(arguments, "limit", None)]


def _seed(
    settings: "ToolAgentSettings",
    arguments: argparse.Namespace,
) -> int:
    from local_llm.library_defaults import DEFAULT_SEED

    named = getattr(arguments, "seed", None)
    if named is not None:
        return named
    fine_tuning = settings.model.fine_tune_config
    given = fine_tuning.training_args if fine_tuning else {}
    return given.get("seed", DEFAULT_SEED)


def _output(
    settings: "ToolAgentSettings",
    arguments: argparse.Namespace,
) -> Path:
    if arguments.output is not None:
        return arguments.output.absolute()
    return _in_project(arguments, settings.output_dir)


def _in_project(arguments: argparse.Namespace, path: str | Path) -> Path:
    folder = project_folder(arguments.model_configs)
    return resolve_path(path, folder).absolute()


def _surroundings(
    arguments: argparse.Namespace,
    listener: "Listener",
) -> "Surroundings":
    from local_llm.surroundings import Surroundings, cache_folder

    token = hub_token()
    return Surroundings(
        folder=project_folder(arguments.model_configs),
        cache=cache_folder(os.environ),
        token=token and token.get_secret_value(),
        listener=listener,
    )


_VERBS: dict[
    str,
    Callable[["ToolAgentSettings", argparse.Namespace, Screen], None],
] = {
    "chat": chat,
    "train": train,
    "evaluate": evaluate,
    "compare": compare,
}


if __name__ == "__main__":
    sys.exit(main())
