# -*- coding: utf-8 -*-
"""Serves agents on local models over HTTP, with AgentScope's agent service.

    python serve_agents.py --config-name embedded

Everything that can be found wrong is, before a model is loaded. All models are
loaded when it starts, once. Exits with 2, 3 or after a signal as the other
programs do.
"""

import argparse
import logging
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from command_line import PROJECT, add_config_file, choose_settings
from local_llm.errors import LocalLLMError
from program_frame import hide_bars_of_libraries, run_program
from screen import Screen

if TYPE_CHECKING:
    from agent_service import ServiceSettings
    from huggingface_model import HuggingFaceWrapper
    from local_llm.model_catalog import Offer

STORAGE = PROJECT / "service" / "agents.db"
TOLD = ("huggingface_model", "local_llm.named_adapters")
"""The loggers whose lines tell what is loaded while it serves."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the service; returns the exit code."""
    arguments = parse_arguments(argv)
    return run_program(serve, arguments, lambda: "the same command again")


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description="Serve agents on local models over HTTP.",
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="where to listen (%(default)s)")
    add("--port", type=_port, default=8000, help="the port (%(default)s)")
    add(
        "--config-name",
        action="append",
        metavar="NAME",
        help="an entry of the config file to offer; may be repeated",
    )
    add_config_file(parser)
    add(
        "--storage",
        type=Path,
        default=STORAGE,
        metavar="FILE",
        help="what keeps agents, sessions and messages (service/agents.db)",
    )
    add(
        "--tools",
        action="store_true",
        help="offer the service's tools and workspace to the models",
    )
    add(
        "--web-origin",
        type=_origin,
        action="append",
        default=[],
        metavar="URL",
        help="a web page that may use the service; may be repeated",
    )
    add("--debug", action="store_true", help="show tracebacks and warnings")
    return parser.parse_args(argv)


def serve(arguments: argparse.Namespace, screen: Screen) -> None:
    """Check, load, and serve until a signal comes."""
    # Here, so that a wrong flag is told at once and not after seconds.
    from agent_service import (
        bound_socket,
        check_packages,
        make_app,
        opened_storage,
        run_app,
    )
    from huggingface_model import HuggingFaceWrapper

    check_packages()
    settings = service_settings(arguments)
    names = _names(arguments)
    catalog = HuggingFaceWrapper.offer(arguments.model_configs, names)
    with (
        bound_socket(settings.host, settings.port) as listener,
        opened_storage(settings),
    ):
        hide_bars_of_libraries()
        # Held until the end, so that no message loads weights again.
        models = load_all(catalog.offers(), screen)
        app = make_app(settings)
        port = listener.getsockname()[1]
        run_app(app, listener, lambda: _greet(settings, port, screen))
        del models


def service_settings(arguments: argparse.Namespace) -> "ServiceSettings":
    """Where and how the command line wants to serve."""
    from agent_service import ServiceSettings
    from finetune_dialog_agent import Finetune_DialogAgent
    from service_agents import TalkingAgent

    return ServiceSettings(
        arguments.host,
        arguments.port,
        arguments.storage,
        Finetune_DialogAgent if arguments.tools else TalkingAgent,
        tuple(arguments.web_origin),
    )


def load_all(
    offers: Sequence["Offer"],
    screen: Screen,
) -> "list[HuggingFaceWrapper]":
    """Load what is offered. A run that cannot be used is told and left out;
    one among many does not keep the others from being served.

    Args:
        offers (`Sequence[Offer]`):
            Entries and runs.
        screen (`Screen`):
            Where it is told.

    Raises:
        `LocalLLMError`: An entry cannot be used.
    """
    models = []
    for offer in offers:
        try:
            models.append(load(offer.name, screen))
        except LocalLLMError as error:
            if offer.name == offer.entry:
                raise
            screen.say(f"left out: {error}")
    return models


def load(name: str, screen: Screen) -> "HuggingFaceWrapper":
    """Load an offered model; who shares its weights shares them.

    Args:
        name (`str`):
            Of an entry, or of a run.
        screen (`Screen`):
            Where it is told.
    """
    from huggingface_model import HuggingFaceWrapper

    screen.say(f"model: {name}")
    with screen.working("loading") as listener:
        return HuggingFaceWrapper(model=name, listener=listener)


def _names(arguments: argparse.Namespace) -> list[str]:
    if arguments.config_name:
        return list(dict.fromkeys(arguments.config_name))
    default = argparse.Namespace(
        model_configs=arguments.model_configs,
        config_name=None,
    )
    settings, _ = choose_settings(default)
    return [settings.config_name]


def _greet(settings: "ServiceSettings", port: int, screen: Screen) -> None:
    from agent_service import is_loopback

    for logger in TOLD:
        logging.getLogger(logger).setLevel(logging.INFO)
    if not is_loopback(settings.host):
        screen.say(
            "warning: whoever reaches this address can act as any user; put "
            "something in front of it that knows who is who",
        )
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    screen.say(f"agent service at http://{host}:{port} (Ctrl-C ends it)")


def _origin(text: str) -> str:
    """What a browser calls a page's address: no path, no slash."""
    origin = text.lower().removesuffix("/")
    if not re.fullmatch(r"https?://[^\s/?#@*]+", origin):
        raise argparse.ArgumentTypeError(
            "want the address of a page without a path, such as "
            "http://localhost:5173",
        )
    return origin


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError("want a number from 0 to 65535")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
