# -*- coding: utf-8 -*-
"""What the programs have in common: exit codes, signals, quiet libraries.

Runs what it is given and turns its errors into lines for people; a traceback
is shown with --debug alone. Knows no models and no AgentScope. Nothing that
`run_program` is given to run reaches its caller, but SystemExit.
"""

import argparse
import contextlib
import logging
import signal
import warnings
from collections.abc import Callable, Iterator
from typing import NoReturn

from local_llm import processes
from local_llm.errors import EXIT_BUG, LocalLLMError, TrainingInterrupted
from screen import MaskedFormatter, Screen, silent_screen

_SIGNALLED = 128
"""What `terminated` adds to the number of a signal, as shells do."""

_AGENTSCOPE = "as"
"""The logger of AgentScope. What it tells of a context that is compressed, or
of an agent that stops, the user sees on the screen."""


def run_program(
    run: Callable[[argparse.Namespace, Screen], None],
    arguments: argparse.Namespace,
    resume_command: Callable[[], str],
) -> int:
    """Run a program to its end.

    Args:
        run (`Callable[[argparse.Namespace, Screen], None]`):
            What it does.
        arguments (`argparse.Namespace`):
            Its command line, with `debug`.
        resume_command (`Callable[[], str]`):
            What to type to go on after an interruption.

    Returns:
        `int`: The exit code: 0, 2 for input that must be corrected, 3 for an
            environment that lacks something, 129, 130 and 143 after a
            signal, 1 for a bug.
    """
    if processes.is_main():
        signal.signal(signal.SIGTERM, terminated)
    configure_output(arguments.debug)
    try:
        run(arguments, Screen() if processes.is_main() else silent_screen())
        return 0
    except LocalLLMError as error:
        screen = _screen_of_failure()
        interrupted = isinstance(error, TrainingInterrupted)
        if interrupted:
            error.fix = None  # the whole command follows
        (screen.traceback if arguments.debug else screen.error)(error)
        if interrupted:
            screen.say(f"resume: {resume_command()}")
        return error.exit_code
    except KeyboardInterrupt:
        _screen_of_failure().say(
            "\ninterrupted; what was finished before is kept",
        )
        return _SIGNALLED + signal.SIGINT
    # Whatever is left is a fault of the program; a traceback helps nobody
    # who has not asked for one.
    except Exception as error:  # noqa: BLE001
        screen = _screen_of_failure()
        (screen.traceback if arguments.debug else screen.bug)(error)
        return EXIT_BUG


@contextlib.contextmanager
def resumable(progress: str) -> Iterator[None]:
    """Let a signal that comes before or between trainings end like one that
    comes within.

    Args:
        progress (`str`):
            What becomes of what was done, for people.

    Raises:
        `TrainingInterrupted`: A signal came.
    """
    try:
        yield
    except KeyboardInterrupt as error:
        raise _interrupted(signal.SIGINT, progress) from error
    except SystemExit as error:
        if not isinstance(error.code, int) or error.code <= _SIGNALLED:
            raise
        number = signal.Signals(error.code - _SIGNALLED)
        raise _interrupted(number, progress) from error


def configure_output(debug: bool) -> None:
    """Let the libraries' own bars and notices through only for debugging.

    Args:
        debug (`bool`):
            Whether they are let through.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(MaskedFormatter(logging.BASIC_FORMAT))
    level = logging.DEBUG if debug else logging.WARNING
    logging.basicConfig(level=level, handlers=[handler])
    if not processes.is_main():
        logging.getLogger("local_llm").setLevel(logging.ERROR)
    agents = logging.getLogger(_AGENTSCOPE)
    if debug:
        agents.removeFilter(is_error)
        return
    # Not its level, which it sets when it is imported.
    agents.addFilter(is_error)
    warnings.simplefilter("ignore")
    for name in ("bitsandbytes", "transformers", "trl", "peft", "accelerate"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # This one sets its own level when it is imported: after that.
    from huggingface_hub.utils import logging as hub_logging

    hub_logging.set_verbosity_error()


def is_error(record: logging.LogRecord) -> bool:
    """Whether a log line tells of an error."""
    return record.levelno >= logging.ERROR


def hide_bars_of_libraries() -> None:
    """The program shows its own; downloads keep theirs, which have sizes."""
    import datasets
    import transformers

    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()


def terminated(number: int, frame: object) -> NoReturn:
    """The handler of a signal that ends a program."""
    raise SystemExit(_SIGNALLED + number)


def _interrupted(
    number: signal.Signals,
    progress: str,
) -> TrainingInterrupted:
    return TrainingInterrupted(
        f"{number.name} stopped the program; {progress}",
        signal_number=number,
    )


def _screen_of_failure() -> Screen:
    """Where a failure is told, by the first process that has one."""
    return Screen() if processes.is_first_to_fail() else silent_screen()
