# -*- coding: utf-8 -*-
"""Whatever a program meets with, it ends with the right code and words."""

import argparse
import logging
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tiny_program import runs_here

from local_llm.errors import (
    ConfigError,
    DatasetError,
    LocalLLMError,
    TrainingInterrupted,
    WeightsError,
)
from program_frame import resumable, run_program, terminated
from screen import Screen

Outcome = tuple[int, str]
RunThis = Callable[..., Outcome]
INTERRUPTED = TrainingInterrupted(
    "SIGTERM stopped the run after step 3 of 9, which is saved",
    signal_number=signal.SIGTERM,
    fix="run it with --resume",
)


@pytest.fixture(name="run_this")
def fixture_run_this(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Iterator[RunThis]:
    """Runs what is given as a program: exit code, and all it has shown."""

    def run_this(what: Callable[[], None], debug: bool = False) -> Outcome:
        def body(arguments: argparse.Namespace, screen: Screen) -> None:
            screen.say("begun")
            what()

        def main(argv: object) -> int:
            arguments = argparse.Namespace(debug=debug)
            return run_program(body, arguments, lambda: "type this")

        with runs_here(main, tmp_path, monkeypatch, capfd) as run:
            return run()

    yield run_this


def raising(error: BaseException) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


def test_what_ends_well_ends_with_0(run_this: RunThis) -> None:
    assert run_this(lambda: None) == (0, "begun\n")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("here", ["is wrong"]), 2),
        (DatasetError("is wrong"), 2),
        (WeightsError("is wrong"), 3),
        (LocalLLMError("is wrong"), 3),
    ],
)
def test_an_error_of_a_user_is_a_line_and_its_code(
    run_this: RunThis,
    error: LocalLLMError,
    code: int,
) -> None:
    assert run_this(raising(error)) == (code, f"begun\nerror: {error}\n")


def test_an_interrupted_training_says_what_to_type_and_nothing_else(
    run_this: RunThis,
) -> None:
    code, shown = run_this(raising(INTERRUPTED))
    assert code == 143
    assert shown == f"begun\nerror: {INTERRUPTED.message}\nresume: type this\n"


def test_an_interruption_elsewhere_ends_with_130(run_this: RunThis) -> None:
    code, shown = run_this(raising(KeyboardInterrupt()))
    assert code == 130
    assert "interrupted" in shown and "resume" not in shown


def test_a_fault_of_the_program_is_a_bug_without_a_traceback(
    run_this: RunThis,
) -> None:
    code, shown = run_this(raising(ZeroDivisionError("by zero")))
    assert code == 1
    assert shown.splitlines()[1:] == [
        "bug: ZeroDivisionError: by zero",
        "  fix: run it with --debug and report it",
    ]


@pytest.mark.parametrize(
    ("error", "code"),
    [(WeightsError("is wrong"), 3), (ZeroDivisionError("by zero"), 1)],
)
def test_debugging_shows_where_it_comes_from(
    run_this: RunThis,
    error: Exception,
    code: int,
) -> None:
    found, shown = run_this(raising(error), debug=True)
    assert found == code
    assert "Traceback" in shown and "in fail" in shown


@pytest.mark.parametrize("debug", [False, True])
def test_what_agentscope_notes_is_for_debugging(
    run_this: RunThis,
    debug: bool,
) -> None:
    passed: list[bool] = []

    def note() -> None:
        import agentscope  # noqa: F401  it sets the level of its logger

        logger = logging.getLogger("as")
        for level in (logging.WARNING, logging.ERROR):
            record = logger.makeRecord("as", level, "", 1, "", (), None)
            passed.append(bool(logger.filter(record)))

    run_this(note, debug)
    assert passed == [debug, True]


# -- signals between two steps ---------------------------------------------


@pytest.mark.parametrize(
    ("ends", "number"),
    [
        (raising(KeyboardInterrupt()), signal.SIGINT),
        (lambda: terminated(signal.SIGTERM, None), signal.SIGTERM),
    ],
)
def test_a_signal_between_two_trainings_is_one_of_a_training(
    ends: Callable[[], None],
    number: signal.Signals,
) -> None:
    with pytest.raises(TrainingInterrupted) as raised:
        with resumable("one of two is kept"):
            ends()
    assert raised.value.exit_code == 128 + number
    assert raised.value.message == (
        f"{number.name} stopped the program; one of two is kept"
    )


@pytest.mark.parametrize("error", [WeightsError("is wrong"), SystemExit(2)])
def test_other_errors_pass(error: BaseException) -> None:
    with pytest.raises(type(error)) as raised:
        with resumable("nothing"):
            raise error
    assert raised.value is error
