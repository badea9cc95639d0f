# -*- coding: utf-8 -*-
"""The command line of `small_llms.py`, and the config entry it means.

Loads no model and imports no torch. Raises ConfigError.
"""

import argparse
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from alpha_umi.arm_names import ArmName
from alpha_umi.comparison_requests import DataRequest, Source
from alpha_umi.prompts import PromptStyle
from alpha_umi.tool_agent_settings import (
    ToolAgentSettings,
    load_tool_agent_settings,
)
from alpha_umi.tool_agent_values import READERS
from command_line import PROJECT, add_config_file

PROGRAM = "small_llms.py"
CPU_CONFIG = "tools-embedded"
ARM = ArmName.WITH_REUSE.value
SEEDS = (1, 2, 3)

_HIGHEST_SEED = 2**32 - 1
_OVERWRITE = "--overwrite"


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line; `verb` says what is to be done, and `argv` is
    what was typed."""
    typed = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        description="A planner, a caller and a summarizer that use tools "
        "together: three adapters on one small model.",
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name, (words, add_options) in _VERBS.items():
        verb = verbs.add_parser(
            name,
            help=words,
            description=words,
            allow_abbrev=False,
        )
        _add_common(verb)
        add_options(verb)
    return parser.parse_args(typed, argparse.Namespace(argv=typed))


def choose_settings(arguments: argparse.Namespace) -> ToolAgentSettings:
    """The config entry to use."""
    return load_tool_agent_settings(
        arguments.model_configs,
        arguments.config_name,
    )


def data_request(
    arguments: argparse.Namespace,
    style: PromptStyle,
) -> DataRequest:
    """What `compare` is to learn and to ask.

    Args:
        arguments (`argparse.Namespace`):
            The command line.
        style (`PromptStyle`):
            In which prompts are written.
    """
    return DataRequest(
        arguments.schema_guided,
        arguments.toolbench,
        tuple(arguments.learn_also),
        arguments.train,
        arguments.test,
        arguments.longest,
        style,
    )


def resume_command(arguments: argparse.Namespace) -> str:
    """What to type, in the same folder, to go on: finished stages are used,
    the one that was interrupted is resumed."""
    kept = [one for one in arguments.argv if one != _OVERWRITE]
    return shlex.join([sys.executable, str(PROJECT / PROGRAM), *kept])


def _add_common(verb: argparse.ArgumentParser) -> None:
    add = verb.add_argument
    add(
        "--config-name",
        default=CPU_CONFIG,
        metavar="NAME",
        help=f"an entry of the config file (default: {CPU_CONFIG})",
    )
    add_config_file(verb)
    add("--debug", action="store_true", help="show tracebacks and warnings")


def _add_chat(verb: argparse.ArgumentParser) -> None:
    _add_arm(verb)
    _add_output(verb, "where the adapters stand")
    _add_overwrite(verb)
    # It trains on what the config says.
    verb.set_defaults(data=None, reader=None, limit=None, seed=None)
    verb.add_argument(
        "--question",
        action="append",
        metavar="TEXT",
        help="ask this in place of the config's questions; may be repeated",
    )
    verb.add_argument(
        "--no-chat",
        action="store_true",
        help="end after the questions",
    )


def _add_data(verb: argparse.ArgumentParser, what: str) -> None:
    verb.add_argument(
        "--data",
        type=Path,
        metavar="PATH",
        help=f"what is {what} (default: the config's data_path)",
    )
    verb.add_argument(
        "--reader",
        choices=READERS,
        help="how it is read (default: the config's data_reader)",
    )
    verb.add_argument(
        "--limit",
        type=_count,
        metavar="N",
        help="take the first N trajectories alone",
    )


def _add_arm(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--arm",
        default=ARM,
        metavar="NAME",
        help=f"how the roles are trained (default: {ARM})",
    )


def _add_train(verb: argparse.ArgumentParser) -> None:
    _add_arm(verb)
    _add_data(verb, "learned")
    _add_output(verb, "where the adapters stand afterwards")
    _add_overwrite(verb)
    verb.add_argument(
        "--seed",
        type=_seed,
        metavar="N",
        help="of the training (default: the config's)",
    )


def _add_pack(verb: argparse.ArgumentParser) -> None:
    _add_arm(verb)
    _add_output(verb, "where the adapters stand")
    verb.add_argument(
        "--to",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="where the packed adapters go",
    )


def _add_evaluate(verb: argparse.ArgumentParser) -> None:
    _add_arm(verb)
    _add_data(verb, "asked")
    _add_output(verb, "where the adapters stand")
    verb.add_argument(
        "--tasks",
        action="store_true",
        help="also let the roles solve the trajectories as whole tasks, on "
        "tools that replay them",
    )
    verb.add_argument(
        "--report",
        type=Path,
        metavar="FOLDER",
        help="where the table and a row for each step are written",
    )


def _add_compare(verb: argparse.ArgumentParser) -> None:
    add = verb.add_argument
    add(
        "--schema-guided",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="Schema-Guided Dialogue: what is learned, and asked",
    )
    add(
        "--toolbench",
        type=Path,
        metavar="FILE",
        help="trajectories in the paper's format to ask as well",
    )
    add(
        "--learn-also",
        type=_source,
        nargs="+",
        default=[],
        metavar="READER:PATH",
        help="other data to learn as well, and how they are read: "
        + ", ".join(READERS),
    )
    add(
        "--longest",
        type=_count,
        default=4000,
        metavar="N",
        help="leave out trajectories whose prompts have more characters, but "
        "for those of Schema-Guided Dialogue (default: 4000)",
    )
    add("--arms", nargs="+", metavar="NAME", help="which arms (default: all)")
    add(
        "--seeds",
        nargs="+",
        type=_seed,
        default=list(SEEDS),
        metavar="N",
        help="each arm is trained once for each (default: 1 2 3)",
    )
    add(
        "--train",
        type=_count,
        metavar="N",
        help="trajectories to learn of each dataset",
    )
    add("--test", type=_count, metavar="N", help="trajectories of each part")
    _add_output(verb, "where adapters and answers are kept")
    _add_overwrite(verb)
    add(
        "--report",
        type=Path,
        metavar="FOLDER",
        help="where table, picture and figures are written (default: the "
        "output folder)",
    )


def _add_output(verb: argparse.ArgumentParser, words: str) -> None:
    verb.add_argument(
        "--output",
        type=Path,
        metavar="FOLDER",
        help=f"{words} (default: the config's output_dir)",
    )


def _add_overwrite(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        _OVERWRITE,
        action="store_true",
        help="train anew; what is there is kept under another name",
    )


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) > _HIGHEST_SEED:
        raise argparse.ArgumentTypeError(
            f"want a number from 0 to {_HIGHEST_SEED}",
        )
    return int(text)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("want a number from 1")
    return int(text)


def _source(text: str) -> Source:
    reader, _, path = text.partition(":")
    if reader not in READERS or not path:
        raise argparse.ArgumentTypeError(
            f"want a reader, a colon and a path, not {text!r}; the readers "
            f"are {', '.join(READERS)}",
        )
    return Source(reader, Path(path))


_VERBS: dict[str, tuple[str, Callable[[argparse.ArgumentParser], None]]] = {
    "chat": (
        "ask the trained roles, which see a dozen local tools; they are "
        "trained first where they are not",
        _add_chat,
    ),
    "train": ("train the roles on trajectories", _add_train),
    "evaluate": ("ask trained roles and measure what they say", _add_evaluate),
    "pack": ("write trained adapters alone, to hand them on", _add_pack),
    "compare": ("train and measure every arm of the paper", _add_compare),
}
