# -*- coding: utf-8 -*-
"""The dialog agent talks in real terminals, on AgentScope's console and on
its full-screen interface."""

import contextlib
import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tiny_program import environment

TESTS = Path(__file__).resolve().parent

PROGRAM = """
import asyncio, sys
from pathlib import Path
from tiny_agents import dialog_agent, wrapper
from huggingface_model import HuggingFaceWrapper

model = wrapper(
    Path(sys.argv[1]),
    parameters=HuggingFaceWrapper.Parameters(
        grammar='start: "Five, I think."',
        max_tokens=40,
    ),
)
agent = dialog_agent(model, "Bob")
"""
CONSOLE = """
from agentscope.console import launch_console
asyncio.run(launch_console(agent))
"""
TUI = """
from agentscope.tui import launch_tui
asyncio.run(launch_tui(agent))
"""
_ESCAPES = re.compile(r"\x1b(\[[0-9;?<>=]*[a-zA-Z]|[()].|.)")


@dataclass
class Terminal:
    """What a program shows, and what is typed.

    Attributes:
        descriptor (`int`):
            Of the side where a person sits.
        shown (`str`):
            All that it has shown, without what it has commanded.
    """

    descriptor: int
    shown: str = field(default="")

    def read_until(self, mark: str) -> None:
        raw = ""
        while mark not in _ESCAPES.sub("", raw):
            raw += os.read(self.descriptor, 4096).decode("utf-8", "replace")
        self.shown += _ESCAPES.sub("", raw)

    def type(self, text: str) -> None:
        os.write(self.descriptor, text.encode())


@contextlib.contextmanager
def program_in_a_terminal(
    code: str,
    project: Path,
) -> Iterator[tuple[Terminal, subprocess.Popen]]:
    """A program in a terminal of 100 columns."""
    descriptor, other = pty.openpty()
    size = struct.pack("HHHH", 30, 100, 0, 0)
    fcntl.ioctl(other, termios.TIOCSWINSZ, size)
    folders = os.pathsep.join([str(TESTS), str(TESTS.parent)])
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM + code, str(project)],
        stdin=other,
        stdout=other,
        stderr=other,
        cwd=project,
        env={
            **environment(project),
            "PYTHONPATH": folders,
            "TERM": "xterm-256color",
        },
        start_new_session=True,
    ) as process:
        os.close(other)
        try:
            yield Terminal(descriptor), process
        finally:
            process.kill()
            os.close(descriptor)


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("code", "ready", "enter", "leave"),
    [
        (CONSOLE, "user> ", "\n", "exit\n"),
        (TUI, "Message the agent", "\r", "/exit\r"),
    ],
    ids=["console", "tui"],
)
def test_the_agent_talks_and_the_user_leaves(
    project: Path,
    code: str,
    ready: str,
    enter: str,
    leave: str,
) -> None:
    with program_in_a_terminal(code, project) as (terminal, process):
        terminal.read_until(ready)
        for question in ("What is two and three?", "Are you sure?"):
            terminal.type(question + enter)
            terminal.read_until("Five, I think.")
        terminal.type(leave)
        with contextlib.suppress(OSError):  # the terminal is closed
            terminal.read_until("never shown")
        assert process.wait(timeout=60) == 0
    assert "Traceback" not in terminal.shown
