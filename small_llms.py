# -*- coding: utf-8 -*-
"""Small language models as tool learners: planner, caller and summarizer.

`chat` with them, `train` them, `evaluate` them, `compare` the ways of
training them. Exit codes: 0, 2 for input that must be corrected, 3 for an
environment that lacks something, 129, 130 and 143 after a signal, 1 for a bug.
"""

import argparse
import asyncio
import contextlib
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from local_llm import processes
from local_llm.errors import ConfigError
from local_llm.resume_rules import DataChanged
from local_llm.settings import hub_token, project_folder, resolve_path
from program_frame import hide_bars_of_libraries, resumable, run_program
from screen import Screen
from talking import ask
from talking import chat as talk_with
from tool_command_line import (
    PROGRAM,
    choose_settings,
    data_request,
    parse_arguments,
    resume_command,
)

if TYPE_CHECKING:
    from alpha_umi.agent import AlphaUMiAgent
    from alpha_umi.arms import Arm
    from alpha_umi.protocol import Trajectory
    from alpha_umi.tool_agent_settings import ToolAgentSettings
    from local_llm.surroundings import Listener, Surroundings


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; the exit code is returned."""
    arguments = parse_arguments(argv)
    return run_program(run, arguments, lambda: resume_command(arguments))


def run(arguments: argparse.Namespace, screen: Screen) -> None:
    """Do what the command line asks."""
    _check_alone()
    settings = choose_settings(arguments)
    screen.say(f"config: {settings.config_name}")
    hide_bars_of_libraries()
    _VERBS[arguments.verb](settings, arguments, screen)


def chat(
    settings: "ToolAgentSettings",
    arguments: argparse.Namespace,
    screen: Screen,
) -> None:
    """Ask the trained roles the demonstration questions, then talk; train
    them first where they are not trained."""
    from alpha_umi.arms import check_has_roles, find_arm
    from alpha_umi.trained_team import team_file
    from tool_agents import make_agent

    arm = find_arm(arguments.arm)
    check_has_roles(arm)
    _check_grammars(settings)
    folder = _output(settings, arguments)
    is_trained = team_file(folder, arm.name).is_file()
    if not is_trained:
        screen.say("the roles are not trained yet, so that comes first")
    if arguments.overwrite or not is_trained:
        _train(arm, settings, arguments, screen)
    project = project_folder(arguments.model_configs)
    with screen.loading() as listener:
        agent = make_agent(settings, folder, arm.name, project, listener)
    questions = arguments.question or settings.demonstration_questions
    answered = _ask_all(agent, questions, screen)
    if not arguments.no_chat:
        talk_with(agent, screen)
    elif not answered:
        raise KeyboardInterrupt


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
    from alpha_umi.rouge_l import check_installed
    from alpha_umi.trained_team import TrainedTeam, read_team

    arm = find_arm(arguments.arm)
    check_installed()
    if arguments.tasks:
        check_has_roles(arm)
        _check_grammars(settings)
    output = _output(settings, arguments)
    read_team(output, arm.name)  # before anything is loaded
    trajectories = _trajectories(settings, arguments)
    if arguments.data is None:
        screen.say(
            "asking what the config's data_path has, which is what the roles "
            "learn; --data names something else",
        )
    with screen.loading() as listener:
        surroundings = _surroundings(arguments, listener)
        team = TrainedTeam.load(output, arm.name, settings.model, surroundings)
    data = _described(trajectories, settings, arguments)
    with screen.working("asking") as listener:
        evaluation = Evaluation(
            team,
            trajectories,
            _about(settings, arguments, data),
            arguments.report or output / "evaluation" / arm.name,
            listener.on_status,
        )
        pages = [evaluation.measure_steps()]
        if arguments.tasks:
            pages.append(
                evaluation.measure_tasks(
                    Limits(steps=settings.max_steps),
                    settings.search,
                    settings.constrained_calls,
                ),
            )
    for page in pages:
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
    arms = [find_arm(name) for name in arguments.arms or ARMS]
    request = data_request(arguments, settings.prompt_style)
    data = read_comparison_data(request, screen.say)
    output = _output(settings, arguments)
    with _training(screen, arguments) as surroundings:
        comparison = Comparison(
            settings,
            surroundings,
            arms,
            data.train,
            data.parts,
            output,
            screen.say,
            arguments.overwrite,
        )
        about = _about(settings, arguments, data.description)
        results = comparison.run(arguments.seeds, about)
    page = write_result_files(
        arguments.report or output,
        "comparison",
        results,
        references={
            part.name: PAPER_ROWS
            for part in data.parts
            if part.name == TOOLBENCH
        },
    )
    screen.document(page)


def _ask_all(
    agent: "AlphaUMiAgent",
    questions: Sequence[str],
    screen: Screen,
) -> bool:
    """Ask one after the other; False if a signal has interrupted a reply, and
    the others are not asked then."""
    for question in questions:
        screen.title(question)
        is_whole = asyncio.run(ask(agent, question))
        agent.state.context.clear()  # each is a conversation of its own
        if not is_whole:
            return False
    return True


def _check_alone() -> None:
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


def _check_grammars(settings: "ToolAgentSettings") -> None:
    """See that calls can be held to their tools, before models are trained.

    Raises:
        `GenerationError`: They shall be, and the library is missing.
    """
    from local_llm.grammars import guidance

    if settings.constrained_calls:
        guidance()


def _about(
    settings: "ToolAgentSettings",
    arguments: argparse.Namespace,
    data: str,
) -> dict[str, str]:
    """How results are made, to stand beside them."""
    from local_llm.machine import describe_machine

    model = settings.model
    return {
        "command": f"python {shlex.join([PROGRAM, *arguments.argv])}",
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
    data = _described(trajectories, settings, arguments)
    screen.title(f"{arm.title}: {data}")
    with _training(screen, arguments) as surroundings:
        job = GLPFT(
            settings,
            surroundings,
            trajectories,
            _output(settings, arguments),
            _seed(settings, arguments),
            lambda run: screen.say(run.summary),
            arguments.overwrite,
        )
        job.train([arm])
        write_team(job.output, TeamRecord(arm, settings.prompt_style))
    screen.say(f"adapters: {job.output}")


@contextlib.contextmanager
def _training(
    screen: Screen,
    arguments: argparse.Namespace,
) -> Iterator["Surroundings"]:
    """Where trainings, one after the other, show how far they are, and end
    at a signal so that the same command goes on."""
    with (
        resumable("what was finished before is kept"),
        screen.training() as listener,
    ):
        try:
            yield _surroundings(arguments, listener)
        except DataChanged as error:
            # The fix of a single training names a flag that is not here.
            error.fix = "bring the data back, or start anew with --overwrite"
            raise


def _trajectories(
    settings: "ToolAgentSettings",
    arguments: argparse.Namespace,
) -> "list[Trajectory]":
    from alpha_umi.readers import read_trajectories

    path = arguments.data or _in_project(arguments, settings.data_path)
    reader = arguments.reader or settings.data_reader
    return read_trajectories(reader, path)[: arguments.limit]


def _described(
    trajectories: "Sequence[Trajectory]",
    settings: "ToolAgentSettings",
    arguments: argparse.Namespace,
) -> str:
    path = arguments.data or settings.data_path
    return f"{len(trajectories)} trajectories of {path}"


def _seed(
    settings: "ToolAgentSettings",
    arguments: argparse.Namespace,
) -> int:
    from local_llm.library_defaults import DEFAULT_SEED

    if arguments.seed is not None:
        return arguments.seed
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
