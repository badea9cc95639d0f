# -*- coding: utf-8 -*-
"""Load a model in 4-bit, ask it, fine-tune it, ask it again, talk with it.

Exit codes: 0, 2 for input that must be corrected, 3 for an environment that
lacks something, 129, 130 and 143 after a signal, 1 for a bug.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from command_line import (
    PERSONAS,
    choose_settings,
    parse_arguments,
    resume_command,
)
from local_llm import processes
from local_llm.served_settings import ServedModelSettings
from local_llm.settings import ModelSettings, hub_token, project_folder
from program_frame import hide_bars_of_libraries, run_program
from screen import Screen
from talking import chat

if TYPE_CHECKING:
    from chat_models import ServedChatModel
    from huggingface_model import HuggingFaceWrapper
    from local_llm.reports import Reply
    from local_llm.surroundings import Listener
    from msghub import MsgHub


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; the exit code is returned."""
    arguments = parse_arguments(argv)
    return run_program(run, arguments, lambda: resume_command(argv))


def run(arguments: argparse.Namespace, screen: Screen) -> None:
    """Load, ask, fine-tune, ask again, talk.

    Of several processes the main one does all of it, the others train alone.
    """
    processes.check_launch()
    settings, reason = choose_settings(arguments)
    screen.say(f"config: {settings.config_name} ({reason})")
    served = isinstance(settings, ServedModelSettings)
    trains = not served and arguments.fine_tune and bool(settings.data_path)
    looks = arguments.doctor or arguments.preview or arguments.dry_run
    if not processes.is_main() and (looks or not trains):
        return
    if arguments.doctor:
        examine_machine(arguments, screen)
        return
    if isinstance(settings, ServedModelSettings):
        talk_to_served(settings, arguments, screen)
        return
    if looks:
        look(settings, arguments, screen)
        return
    model = load(settings, arguments, screen)
    prompts = arguments.prompt or settings.demonstration_prompts
    if not processes.is_main():
        prompts = []
    before = ask(model, prompts, "before fine-tuning", screen)
    if trains:
        fine_tune(model, before, arguments, screen)
    if processes.is_main() and not arguments.no_chat:
        chat(make_hub(model, arguments.agents), screen)


def look(
    settings: ModelSettings,
    arguments: argparse.Namespace,
    screen: Screen,
) -> None:
    """Show what training would see and need; nothing is loaded."""
    from plan_screen import look_ahead

    model = make_model(settings, arguments, screen.listener())
    wanted = processes.count() if arguments.dry_run else None
    look_ahead(
        model.local,
        screen.console,
        arguments.preview,
        wanted,
        arguments.existing_run,
    )


def examine_machine(arguments: argparse.Namespace, screen: Screen) -> None:
    """Show what this machine has, and what the hub lets it read."""
    from local_llm.doctor import examine
    from local_llm.hub_access import HubRepository

    secret = hub_token()
    token = secret and secret.get_secret_value()
    repositories = [
        HubRepository("model", "google/gemma-7b", token=token),
        HubRepository("dataset", "GAIR/lima", token=token),
    ]
    folder = project_folder(arguments.model_configs)
    screen.findings(examine(folder, token, repositories))


def make_model(
    settings: ModelSettings,
    arguments: argparse.Namespace,
    listener: "Listener",
) -> "HuggingFaceWrapper":
    """The chat model of the settings, nothing loaded yet."""
    from huggingface_model import HuggingFaceWrapper

    hide_bars_of_libraries()
    return HuggingFaceWrapper(
        config=settings,
        base_folder=project_folder(arguments.model_configs),
        initial_fine_tuning="manual",
        listener=listener,
    )


def load(
    settings: ModelSettings,
    arguments: argparse.Namespace,
    screen: Screen,
) -> "HuggingFaceWrapper":
    """Load the model; the data is read first, since that is quick."""
    with screen.loading() as listener:
        model = make_model(settings, arguments, listener)
        if arguments.fine_tune and settings.data_path:
            model.local.check_output(arguments.existing_run)
            model.local.read_data()
        model.load_model()
    return model


def ask(
    model: "HuggingFaceWrapper",
    prompts: Sequence[str],
    when: str,
    screen: Screen,
) -> dict[str, "Reply"]:
    """Ask the model each prompt on its own."""
    replies: dict[str, Reply] = {}
    if prompts:
        screen.title(when)
    for prompt in prompts:
        replies[prompt] = model.local.reply(prompt)
        screen.replies({prompt: replies[prompt]})
    return replies


def fine_tune(
    model: "HuggingFaceWrapper",
    before: Mapping[str, "Reply"],
    arguments: argparse.Namespace,
    screen: Screen,
) -> None:
    """Fine-tune, or use the run that is there; show what it changed."""
    local = model.local
    data = local.read_data()
    screen.title("fine-tuning")
    screen.say(f"{data.source}: {data.summary()}")
    anew = arguments.existing_run == "set_aside"
    report = None if anew else local.use_finished_run(data)
    if report is None:
        with screen.training() as listener:
            local.listen(listener)
            report = local.fine_tune(
                data,
                before=before,
                existing_run=arguments.existing_run,
                accept_data_change=arguments.accept_data_change,
            )
        screen.report(report)
        after = {one.prompt: one.after for one in report.demonstrations}
    else:
        screen.say("the finished run of these settings and data is used:")
        screen.report(report)
        after = {prompt: local.reply(prompt) for prompt in before}
    screen.say(f"report: {local.output_folder() / 'report.md'}")
    if before:
        screen.title("before and after")
        screen.compare(before, after)


def talk_to_served(
    settings: ServedModelSettings,
    arguments: argparse.Namespace,
    screen: Screen,
) -> None:
    """Talk with a model that a server answers for."""
    from chat_models import ServedChatModel

    screen.say(
        f"{settings.model_name} is served at {settings.client_args.base_url}; "
        "nothing is loaded, compared or fine-tuned here",
    )
    model = ServedChatModel(settings)
    if not arguments.no_chat:
        chat(make_hub(model, arguments.agents), screen)


def make_hub(
    model: "HuggingFaceWrapper | ServedChatModel",
    agents: int,
) -> "MsgHub":
    """Agents on one model, in a hub; the first has the config's prompt."""
    from chat_models import system_prompt_of
    from finetune_dialog_agent import Finetune_DialogAgent
    from msghub import MsgHub

    characters = {"assistant": system_prompt_of(model), **PERSONAS}
    return MsgHub(
        [
            Finetune_DialogAgent(name, system_prompt, model)
            for name, system_prompt in list(characters.items())[:agents]
        ],
    )


if __name__ == "__main__":
    sys.exit(main())
