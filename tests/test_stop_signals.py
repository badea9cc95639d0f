# -*- coding: utf-8 -*-
"""A signal asks for the end of a run once, and makes it the second time."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_llm import stop_signals
from local_llm.stop_signals import STOP_SIGNALS, StopRequest, stop_on_signals

PROJECT = Path(__file__).resolve().parents[1]
LOOP = """
import sys, time
from local_llm.stop_signals import stop_on_signals
with stop_on_signals() as stop:
    print("ready", flush=True)
    for step in range(600):
        time.sleep(0.05)
        if stop.requested and "obedient" in sys.argv:
            error = stop.interruption(stop.requested, f"step {step}", "resume")
            print(error, flush=True)
            sys.exit(error.exit_code)
"""


@pytest.fixture(autouse=True)
def fixture_handlers() -> Iterator[None]:
    """Handlers of this process as they were."""
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def started(*arguments: str) -> subprocess.Popen:
    """A process in its loop."""
    process = subprocess.Popen(
        [sys.executable, "-c", LOOP, *arguments],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


every_signal = pytest.mark.parametrize("number", STOP_SIGNALS)


@every_signal
def test_a_signal_ends_the_loop_where_it_looks(number: signal.Signals) -> None:
    process = started("obedient")
    process.send_signal(number)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert output.startswith(f"{number.name} stopped the run after step ")
    assert "which is saved\n  fix: resume" in output


@every_signal
def test_the_second_request_ends_the_process_at_once(
    number: signal.Signals,
) -> None:
    process = started()
    process.send_signal(signal.SIGTERM)
    time.sleep(stop_signals.SAME_REQUEST_S + 0.2)
    assert process.poll() is None
    process.send_signal(number)
    process.communicate(timeout=10)
    assert process.returncode == 128 + number


def test_a_wrapper_that_signals_twice_asks_once() -> None:
    process = started("obedient")
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGTERM
    assert "SIGTERM stopped" in output


@every_signal
def test_a_signal_only_sets_the_flag(number: signal.Signals) -> None:
    with stop_on_signals() as stop:
        assert stop.requested is None
        os.kill(os.getpid(), number)
        assert stop.requested == number


def test_the_first_of_two_signals_counts() -> None:
    with stop_on_signals() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
    assert stop.requested == signal.SIGTERM


def test_the_handlers_before_are_put_back_whatever_happens() -> None:
    def own(number: int, frame: object) -> None:
        """A handler of the program."""

    for number in STOP_SIGNALS:
        signal.signal(number, own)
    with pytest.raises(KeyError), stop_on_signals():
        assert own not in map(signal.getsignal, STOP_SIGNALS)
        raise KeyError
    assert {signal.getsignal(number) for number in STOP_SIGNALS} == {own}


def test_an_ignored_signal_stays_ignored() -> None:
    """As nohup wants it of a closed terminal."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with stop_on_signals() as stop:
        os.kill(os.getpid(), signal.SIGHUP)
        assert stop.requested is None
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


def test_off_the_main_thread_nothing_is_installed() -> None:
    before = [signal.getsignal(number) for number in STOP_SIGNALS]
    found: list[object] = []

    def look() -> None:
        with stop_on_signals() as stop:
            found.extend(signal.getsignal(number) for number in STOP_SIGNALS)
            found.append(stop.requested)

    thread = threading.Thread(target=look)
    thread.start()
    thread.join(timeout=30)
    assert found == [*before, None]


@every_signal
def test_an_interruption_carries_number_step_and_what_to_type(
    number: signal.Signals,
) -> None:
    error = StopRequest().interruption(number, "step 4 of 9", "run --resume")
    assert error.signal_number == number
    assert error.exit_code == 128 + number
    assert f"{number.name} stopped the run after step 4 of 9" in error.message
    assert error.fix == "run --resume"
