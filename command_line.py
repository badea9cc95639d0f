# -*- coding: utf-8 -*-
"""The command line of the example program, and the config entry it means.

Loads no model and imports no torch. Raises ConfigError.
"""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from local_llm import processes
from local_llm.errors import ConfigError
from local_llm.served_settings import ServedModelSettings, load_any_settings
from local_llm.settings import ModelSettings, hub_token, load_all_settings

PROGRAM = "conversation_with_agent_with_finetuned_model.py"
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


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description="Load a model in 4-bit, ask it, fine-tune it on "
        "conversations, ask it again, and talk with it in a message hub.",
    )
    add = parser.add_argument
    add("--config-name", help="an entry of the config file")
    add_config_file(parser)
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
    _add_existing_run(parser)
    add("--no-chat", action="store_true", help="end after the comparison")
    add(
        "--agents",
        type=_number_of_agents,
        default=1,
        metavar="N",
        help=f"how many agents talk with you (1 to {len(PERSONAS) + 1})",
    )
    add(
        "--preview",
        type=_number_of_examples,
        metavar="N",
        help="show N training examples, what is learned marked, and end",
    )
    add(
        "--dry-run",
        action="store_true",
        help="do everything but train: count, estimate, say whether it fits",
    )
    add("--doctor", action="store_true", help="examine this machine and end")
    add("--debug", action="store_true", help="show tracebacks and warnings")
    return parser.parse_args(argv)


def add_config_file(parser: argparse.ArgumentParser) -> None:
    """Let a program be told which config file to read."""
    parser.add_argument(
        "--model-configs",
        type=Path,
        default=MODEL_CONFIGS,
        metavar="FILE",
        help="the config file (default: configs/model_configs.json)",
    )


def choose_settings(
    arguments: argparse.Namespace,
) -> tuple[ModelSettings | ServedModelSettings, str]:
    """The config entry to use, and why it is that one."""
    path = arguments.model_configs
    if arguments.config_name:
        return load_any_settings(path, arguments.config_name), "as named"
    entries = load_all_settings(path)
    name, reason = _default_config()
    if name not in entries:
        raise ConfigError(
            str(path.absolute()),
            [f"there is no entry {name!r}, the default here ({reason})"],
            fix=f"name one with --config-name: {', '.join(entries)}",
        )
    return entries[name], reason


def resume_command(argv: Sequence[str] | None) -> str:
    """What to type, in the same folder, to go on with the run of this call.

    Only the launcher knows how several processes were started.
    """
    if processes.count() > 1:
        return (
            "the same `accelerate launch` command with --resume added and "
            "without --overwrite"
        )
    given = list(sys.argv[1:] if argv is None else argv)
    kept = [one for one in given if not _is_existing_run(one)]
    program = str(PROJECT / PROGRAM)
    return shlex.join([sys.executable, program, *kept, "--resume"])


def _add_existing_run(parser: argparse.ArgumentParser) -> None:
    """What to do with a run that stands where the new one shall."""
    existing = parser.add_mutually_exclusive_group()
    existing.add_argument(
        "--resume",
        dest="existing_run",
        action="store_const",
        const="resume",
        default="refuse",
        help="go on with a run that was interrupted",
    )
    existing.add_argument(
        "--overwrite",
        dest="existing_run",
        action="store_const",
        const="set_aside",
        help="fine-tune anew; a run that is there is kept under another name",
    )
    parser.add_argument(
        "--accept-data-change",
        action="store_true",
        help="with --resume: go on although the data is another",
    )


def _is_existing_run(argument: str) -> bool:
    """Whether an argument is one of those flags, which may be shortened."""
    flags = ("--resume", "--overwrite")
    is_long = len(argument) > len("--")
    return is_long and any(flag.startswith(argument) for flag in flags)


def _default_config() -> tuple[str, str]:
    from local_llm.doctor import has_gpu

    if not has_gpu():
        return CPU_CONFIG, "no GPU here, and none was named"
    if hub_token() is None:
        return CPU_CONFIG, (
            "a GPU is here, but no HF_TOKEN for google/gemma-7b"
        )
    return GPU_CONFIG, "a GPU and a hub token are here"


def _number_of_examples(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("want a number from 1")
    return int(text)


def _number_of_agents(text: str) -> int:
    highest = len(PERSONAS) + 1
    if not text.isdecimal() or not 1 <= int(text) <= highest:
        raise argparse.ArgumentTypeError(f"want a number from 1 to {highest}")
    return int(text)
