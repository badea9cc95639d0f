# -*- coding: utf-8 -*-
"""The program in two processes, as `accelerate launch` starts it on a CPU:
one speaks, none is left behind, and a failure is told once."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from tiny_program import (
    LIMIT_S,
    arguments,
    fixture_configs,  # noqa: F401
    until,
)

import conversation_with_agent_with_finetuned_model as program
from local_llm import atomic_files, checkpoints

SOON_S = 60
LAUNCH = (
    *("--multi_gpu", "--num_processes", "2", "--num_machines", "1"),
    *("--mixed_precision", "no", "--dynamo_backend", "no"),
    *("--main_process_port", "0"),
)

Launch = Callable[..., subprocess.Popen]


@pytest.fixture(name="launch")
def fixture_launch(configs: Path) -> Iterator[Launch]:
    """Starts the program in two processes; none outlives the test."""
    started: list[psutil.Process] = []

    def launch(*more: str, name: str = "tiny") -> subprocess.Popen:
        launcher = [sys.executable, "-m", "accelerate.commands.launch"]
        own = [program.__file__, *arguments(configs, *more, name=name)]
        one = subprocess.Popen(
            [*launcher, *LAUNCH, *own],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            cwd=configs.parent,
            env={
                **os.environ,
                "LOCAL_LLM_CACHE": str(configs.parent / "cache"),
                "TMPDIR": str(configs.parent),
                "PYTHONIOENCODING": "utf-8",
            },
        )
        started.append(psutil.Process(one.pid))
        return one

    yield launch
    for one in started:
        if one.is_running():
            for child in one.children(recursive=True):
                child.kill()
            one.kill()


def test_one_of_two_speaks_and_both_end_well(
    launch: Launch,
    configs: Path,
) -> None:
    shown, _ = launch().communicate("What is number two?\n", timeout=LIMIT_S)
    assert "Traceback" not in shown
    for once in (
        "config: tiny",
        "before fine-tuning",
        "step 3/3, loss",
        "before and after",
        "tokens: ",
    ):
        assert shown.count(once) == 1, shown
    atomic_files.check_manifest(configs.parent / "runs" / "tiny")
    assert not list(configs.parent.glob("runs/*.unfinished"))


def test_a_signal_to_the_launcher_ends_both_with_what_was_learned_saved(
    launch: Launch,
    configs: Path,
) -> None:
    launcher = launch("--no-chat", name="some-steps")
    until(launcher, "step 15/150")
    launcher.send_signal(signal.SIGTERM)
    shown, _ = launcher.communicate(timeout=SOON_S)
    assert launcher.returncode == 1  # whatever ends a launch early
    assert shown.count("error: SIGTERM stopped the run after step") == 1
    assert (
        shown.count("resume: the same `accelerate launch` command with") == 1
    )
    newest = checkpoints.newest_committed(
        configs.parent / "runs" / "tiny.unfinished",
    )
    assert newest is not None
    step = checkpoints.step_of(newest)
    assert step >= 15
    assert f"after step {step} of 150, which is saved" in shown


def test_where_one_is_killed_the_other_ends_soon_and_says_so(
    launch: Launch,
    configs: Path,
) -> None:
    launcher = launch("--no-chat", name="some-steps")
    until(launcher, "step 15/150")
    both = psutil.Process(launcher.pid).children()
    assert len(both) == 2
    both[1].kill()
    shown, _ = launcher.communicate(timeout=SOON_S)
    assert launcher.returncode == 1
    told = "error: another process of this training has ended"
    # The launcher may end the other one before that has noticed, and tells
    # itself who was killed.
    assert told in shown or "(SIGKILL) received by PID" in shown
    assert shown.count("error: ") == shown.count(told) <= 1
    assert not any(one.is_running() for one in both)
