# -*- coding: utf-8 -*-
"""The line about a machine tells what measurements depend on, no more."""

import os
import platform
import shutil
import socket

import pytest

from local_llm.machine import describe_machine


def test_the_line_names_cores_memory_and_versions() -> None:
    line = describe_machine()
    assert f"{os.cpu_count()} cores" in line
    assert " GiB" in line
    assert line.endswith(f"Python {platform.python_version()}")


def test_the_line_names_no_host_and_no_path() -> None:
    line = describe_machine()
    assert socket.gethostname() not in line
    assert os.sep not in line


def test_without_lscpu_the_architecture_stands_for_the_processor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert describe_machine().startswith(platform.machine())
