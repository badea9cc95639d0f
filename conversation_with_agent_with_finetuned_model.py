# -*- coding: utf-8 -*-
"""Load a model in 4-bit, ask it, fine-tune it, ask it again, talk with it.

Exit codes: 0, 2 for input that must be corrected, 3 for an environment that
lacks something, 130 and 143 after a signal, 1 for a bug.
"""

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import sys
import warnings
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from local_llm.errors import EXIT_BUG, ConfigError, LocalLLMError
from local_llm.settings import (
    ModelSettings,
    hub_token,
    load_all_settings,
    load_settings,
    project_folder,
)
from screen import Screen, printable

if TYPE_CHECKING:
    from agentscope.event import AgentEvent

    from huggingface_model import HuggingFaceWrapper
    from local_llm.reports import Reply
    from msghub import Inputs, MsgHub

PROJECT = Path(__file__).resolve().parent
MODEL_CONFIGS = PROJECT / "configs" / "model_configs.json"

CPU_CONFIG = "embedded"
GPU_CONFIG = "gemma-7b-lima"

PERSONAS = {
    "optimist": "You see the good side of everything.",
    "sceptic": "You point out what could go wrong.",
    "planner": "You turn every idea into steps.",
    "poet": "You answer in short, vivid images.",
}
"""The system prompts of the second agent and those after it."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; the exit code is returned."""
    arguments = parse_arguments(argv)
    screen = Screen()
    signal.signal(signal.SIGTERM, _terminated)
    _configure_output(arguments.debug)
    try:
        run(arguments, screen)
        return 0
    except LocalLLMError as error:
        if arguments.debug:
            raise
        screen.error(error)
        return error.exit_code
    except KeyboardInterrupt:
        screen.say("\ninterrupted; what was finished before is kept")
        return 128 + signal.SIGINT
    # Whatever is left is a fault of the program; a traceback helps nobody
    # who has not asked for one.
    except Exception as error:  # noqa: BLE001
        if arguments.debug:
            raise
        screen.bug(error)
        return EXIT_BUG


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description="Load a model in 4-bit, ask it, fine-tune it on "
        "conversations, ask it again, and talk with it in a message hub.",
    )
    add = parser.add_argument
    add("--config-name", help="an entry of the config file")
    add(
        "--model-configs",
        type=Path,
        default=MODEL_CONFIGS,
        metavar="FILE",
        help="the config file (default: configs/model_configs.json)",
    )
    add(
        "--prompt",
        action="append",
        metavar="TEXT",
        help="ask this before and after; may be repeated",
    )
    add(
        "--fine-tune",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="fine-tune, or use the finished run of the same settings",
    )
    add("--retrain", action="store_true", help="fine-tune in any case")
    add("--no-chat", action="store_true", help="end after the comparison")
    add(
        "--agents",
        type=_number_of_agents,
        default=1,
        metavar="N",
        help=f"how many agents talk with you (1 to {len(PERSONAS) + 1})",
    )
    add("--doctor", action="store_true", help="examine this machine and end")
    add("--debug", action="store_true", help="show tracebacks and warnings")
    return parser.parse_args(argv)


def run(arguments: argparse.Namespace, screen: Screen) -> None:
    """Load, ask, fine-tune, ask again, talk."""
    settings, reason = choose_settings(arguments)
    screen.say(f"config: {settings.config_name} ({reason})")
    if arguments.doctor:
        examine_machine(arguments, screen)
        return
    model = load(settings, arguments, screen)
    prompts = arguments.prompt or settings.demonstration_prompts
    before = ask(model, prompts, "before fine-tuning", screen)
    if arguments.fine_tune and settings.data_path:
        fine_tune(model, before, arguments.retrain, screen)
    if not arguments.no_chat:
        chat(make_hub(model, arguments.agents), screen)


def choose_settings(
    arguments: argparse.Namespace,
) -> tuple[ModelSettings, str]:
    """The config entry to use, and why it is that one."""
    path = arguments.model_configs
    if arguments.config_name:
        return load_settings(path, arguments.config_name), "as named"
    entries = load_all_settings(path)
    name, reason = _default_config()
    if name not in entries:
        raise ConfigError(
            str(path.absolute()),
            [f"there is no entry {name!r}, the default here ({reason})"],
            fix=f"name one with --config-name: {', '.join(entries)}",
        )
    return entries[name], reason


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


def load(
    settings: ModelSettings,
    arguments: argparse.Namespace,
    screen: Screen,
) -> "HuggingFaceWrapper":
    """Load the model; the data is read first, since that is quick."""
    with screen.loading() as listener:
        from huggingface_model import HuggingFaceWrapper

        _hide_bars_of_libraries()
        model = HuggingFaceWrapper(
            config=settings,
            base_folder=project_folder(arguments.model_configs),
            initial_fine_tuning="manual",
            listener=listener,
        )
        if arguments.fine_tune and settings.data_path:
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
    retrain: bool,
    screen: Screen,
) -> None:
    """Fine-tune, or use the run that is there; show what it changed."""
    local = model.local
    data = local.read_data()
    screen.title("fine-tuning")
    screen.say(f"{data.source}: {data.summary()}")
    report = None if retrain else local.use_finished_run(data)
    if report is None:
        with screen.training() as listener:
            local.listen(listener)
            report = local.fine_tune(data, before=before)
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


def make_hub(model: "HuggingFaceWrapper", agents: int) -> "MsgHub":
    """Agents on one model, in a hub; the first has the config's prompt."""
    from finetune_dialog_agent import Finetune_DialogAgent
    from msghub import MsgHub

    own_prompt = model.local.settings.system_prompt or ""
    characters = {"assistant": own_prompt, **PERSONAS}
    return MsgHub(
        [
            Finetune_DialogAgent(name, system_prompt, model)
            for name, system_prompt in list(characters.items())[:agents]
        ],
    )


def chat(hub: "MsgHub", screen: Screen) -> None:
    """Talk, and end at once at a signal that comes between two replies."""
    with asyncio.Runner() as runner:
        try:
            runner.run(talk(hub, screen))
        except (KeyboardInterrupt, SystemExit) as end:
            # A thread reads the terminal. Nothing can wake it, and Python
            # would wait for its next line before it ends.
            screen.say("")
            os._exit(_exit_code(end))


async def talk(hub: "MsgHub", screen: Screen) -> None:
    """Talk until the user leaves or the input ends."""
    from agentscope.console import launch_console

    screen.title("conversation")
    async with hub:
        while True:
            try:
                await launch_console(_Shown(hub))
                return
            except LocalLLMError as error:
                # The conversation is still there, so it goes on.
                screen.error(error)


class _Shown:
    """A hub whose words hold nothing that a terminal would obey."""

    def __init__(self, hub: "MsgHub") -> None:
        self._hub = hub

    async def reply_stream(
        self,
        inputs: "Inputs" = None,
    ) -> AsyncGenerator["AgentEvent", None]:
        """The events of the hub, their text fit to be shown."""
        from agentscope.event import TextBlockDeltaEvent

        async with contextlib.aclosing(
            self._hub.reply_stream(inputs)
        ) as events:
            async for event in events:
                if isinstance(event, TextBlockDeltaEvent):
                    text = {"delta": printable(event.delta)}
                    event = event.model_copy(update=text)
                yield event


def _default_config() -> tuple[str, str]:
    from local_llm.doctor import has_gpu

    if not has_gpu():
        return CPU_CONFIG, "no GPU here, and none was named"
    if hub_token() is None:
        return CPU_CONFIG, (
            "a GPU is here, but no HF_TOKEN for google/gemma-7b"
        )
    return GPU_CONFIG, "a GPU and a hub token are here"


def _number_of_agents(text: str) -> int:
    highest = len(PERSONAS) + 1
    if not text.isdecimal() or not 1 <= int(text) <= highest:
        raise argparse.ArgumentTypeError(f"want a number from 1 to {highest}")
    return int(text)


def _configure_output(debug: bool) -> None:
    """Let the libraries' own bars and notices through only for debugging."""
    logging.basicConfig(level=logging.DEBUG if debug else logging.WARNING)
    if debug:
        return
    warnings.simplefilter("ignore")
    for name in ("bitsandbytes", "transformers", "trl", "peft", "accelerate"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _hide_bars_of_libraries() -> None:
    """The program shows its own; downloads keep theirs, which have sizes."""
    import datasets
    import transformers

    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()


def _exit_code(signalled: KeyboardInterrupt | SystemExit) -> int:
    if isinstance(signalled, KeyboardInterrupt):
        return 128 + signal.SIGINT
    return int(signalled.code or 0)


def _terminated(number: int, frame: object) -> NoReturn:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
