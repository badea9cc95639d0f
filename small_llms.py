# -*- coding: utf-8 -*-
"""Small language models as tool learners: planner, caller and summarizer.

`chat` with them, `train`, `pack` and `evaluate` them, `compare` the ways of
training them. Exit codes: 0, 2 for input that must be corrected, 3 for an
environment that lacks something, 129, 130 and 143 after a signal, 1 for a bug.
"""

import argparse
import asyncio
import contextlib
import dataclasses
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from local_llm.resume_rules import DataChanged
from program_frame import hide_bars_of_libraries, resumable, run_program
from screen import Screen
from talking import ask
from talking import chat as talk_with
from tool_command_line import (
    choose_settings,
    data_request,
    parse_arguments,
    resume_command,
)
from tool_inputs import Inputs, check_alone

if TYPE_CHECKING:
    from alpha_umi.agent import AlphaUMiAgent
    from alpha_umi.evaluation import Evaluation
    from alpha_umi.protocol import Trajectory
    from local_llm.surroundings import Surroundings


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; the exit code is returned."""
    arguments = parse_arguments(argv)
    return run_program(run, arguments, lambda: resume_command(arguments))


def run(arguments: argparse.Namespace, screen: Screen) -> None:
    """Do what the command line asks."""
    check_alone()
    settings = choose_settings(arguments)
    screen.say(f"config: {settings.config_name}")
    hide_bars_of_libraries()
    _VERBS[arguments.verb](Inputs(settings, arguments), screen)


# -- chat -----------------------------------------------------------------


def chat(inputs: Inputs, screen: Screen) -> None:
    """Ask the trained roles the demonstration questions, then talk; train
    them first where they are not trained."""
    from alpha_umi.arms import check_has_roles
    from tool_agents import make_agent

    settings, arguments = inputs.settings, inputs.arguments
    check_has_roles(inputs.arm)
    inputs.check_grammars()
    folder = None if arguments.overwrite else inputs.trained_folder()
    if folder is None:
        screen.say("the roles are trained first")
        train(inputs, screen)
        folder = inputs.output
    screen.say(f"adapters: {folder}")
    with screen.loading() as listener:
        agent = make_agent(
            settings,
            folder,
            inputs.arm.name,
            inputs.project,
            listener,
        )
    questions = arguments.question or settings.demonstration_questions
    answered = _ask_all(agent, questions, screen)
    if not arguments.no_chat:
        talk_with(agent, screen)
    elif not answered:
        raise KeyboardInterrupt


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


# -- train ----------------------------------------------------------------


def train(inputs: Inputs, screen: Screen) -> None:
    """Train the stages of an arm; finished ones are used."""
    from alpha_umi.glpft import GLPFT
    from alpha_umi.trained_team import TeamRecord, write_team

    arm = inputs.arm
    trajectories = inputs.trajectories()
    screen.title(f"{arm.title}: {inputs.described(trajectories)}")
    with _training(inputs, screen) as surroundings:
        job = GLPFT(
            inputs.settings,
            surroundings,
            trajectories,
            inputs.output,
            inputs.seed,
            lambda run: screen.say(run.summary),
            inputs.arguments.overwrite,
        )
        job.train([arm])
        write_team(job.output, TeamRecord(arm, inputs.settings.prompt_style))
    screen.say(f"adapters: {job.output}")


@contextlib.contextmanager
def _training(inputs: Inputs, screen: Screen) -> Iterator["Surroundings"]:
    """Where trainings, one after the other, show how far they are, and end
    at a signal so that the same command goes on."""
    kept = "what was finished before is kept"
    with resumable(kept), screen.training() as listener:
        try:
            yield inputs.surroundings(listener)
        except DataChanged as error:
            # The fix of a single training names a flag that is not here.
            error.fix = "bring the data back, or start anew with --overwrite"
            raise


def pack(inputs: Inputs, screen: Screen) -> None:
    """Write the adapters of an arm alone, in half of their bits."""
    from alpha_umi.packing import pack_team

    target = inputs.arguments.to.absolute()
    size = pack_team(inputs.output, inputs.arm.name, target)
    screen.say(f"packed: {target}, {size / 1e6:.1f} MB")


# -- evaluate -------------------------------------------------------------


def evaluate(inputs: Inputs, screen: Screen) -> None:
    """Ask trained roles at every step of trajectories, and measure; solve
    them as tasks too where that is wanted."""
    from alpha_umi.evaluation import Evaluation
    from alpha_umi.limits import Limits
    from alpha_umi.trained_team import TrainedTeam

    settings, arguments = inputs.settings, inputs.arguments
    trajectories = _checked_trajectories(inputs)
    default = inputs.output / "evaluation" / inputs.arm.name
    folder = inputs.report_folder(default)
    if arguments.data is None:
        screen.say(
            "asking what the config's data_path has, which is what the roles "
            "learn; --data names something else",
        )
    with screen.loading() as listener:
        team = TrainedTeam.load(
            inputs.trained_folder() or inputs.output,
            inputs.arm.name,
            settings.model,
            inputs.surroundings(listener),
        )
    evaluation = Evaluation(
        team,
        trajectories,
        inputs.about(inputs.described(trajectories)),
        folder,
    )
    _show(Evaluation.measure_steps, evaluation, screen)
    if arguments.tasks:
        limits = Limits(steps=settings.max_steps)
        held = settings.constrained_calls
        _show(
            lambda one: one.measure_tasks(limits, settings.search, held),
            evaluation,
            screen,
        )


def _checked_trajectories(inputs: Inputs) -> "list[Trajectory]":
    """What is asked; all that may be missing is found before it is loaded."""
    from alpha_umi.arms import check_has_roles
    from alpha_umi.evaluation import steps_to_ask, tasks_to_solve
    from alpha_umi.rouge_l import check_installed
    from alpha_umi.trained_team import read_team

    check_installed()
    folder = inputs.trained_folder() or inputs.output
    record = read_team(folder, inputs.arm.name)
    solves = inputs.arguments.tasks
    if solves:
        check_has_roles(record.arm)
        inputs.check_grammars()
    trajectories = inputs.trajectories()
    steps_to_ask(trajectories)
    if solves:
        tasks_to_solve(trajectories)
    return trajectories


def _show(
    measure: "Callable[[Evaluation], Path]",
    evaluation: "Evaluation",
    screen: Screen,
) -> None:
    with screen.working("asking") as listener:
        told = dataclasses.replace(
            evaluation,
            on_status=listener.on_status,
        )
        page = measure(told)
    screen.document(page)


# -- compare --------------------------------------------------------------


def compare(inputs: Inputs, screen: Screen) -> None:
    """Train every arm with every seed, ask, and measure."""
    from alpha_umi.arms import ARMS, find_arm
    from alpha_umi.comparison import Comparison
    from alpha_umi.comparison_data import TOOLBENCH, read_comparison_data
    from alpha_umi.paper_results import PAPER_ROWS
    from alpha_umi.result_files import write_result_files
    from alpha_umi.rouge_l import check_installed

    settings, arguments = inputs.settings, inputs.arguments
    check_installed()
    folder = inputs.report_folder(inputs.output)
    arms = [find_arm(name) for name in arguments.arms or ARMS]
    request = data_request(arguments, settings.prompt_style)
    data = read_comparison_data(request, screen.say)
    with _training(inputs, screen) as surroundings:
        comparison = Comparison(
            settings,
            surroundings,
            arms,
            data.train,
            data.parts,
            inputs.output,
            screen.say,
            arguments.overwrite,
        )
        about = inputs.about(data.description)
        results = comparison.run(arguments.seeds, about)
    parts = {part.name for part in data.parts}
    page = write_result_files(
        folder,
        "comparison",
        results,
        references={TOOLBENCH: PAPER_ROWS} if TOOLBENCH in parts else {},
    )
    screen.document(page)


_VERBS: dict[str, Callable[[Inputs, Screen], None]] = {
    "chat": chat,
    "train": train,
    "pack": pack,
    "evaluate": evaluate,
    "compare": compare,
}


if __name__ == "__main__":
    sys.exit(main())
