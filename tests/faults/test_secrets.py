# -*- coding: utf-8 -*-
"""A token is in nothing that a run writes or prints, and a run on files of
this machine asks nobody else."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fake_hub import SetHub, answering, gated, hub_with_files
from tiny_program import (
    LIMIT_S,
    Run,
    arguments,
    entry,
    fixture_configs,  # noqa: F401
    fixture_run,  # noqa: F401
)

import conversation_with_agent_with_finetuned_model as program
from local_llm.reports import REPORT_NAME

TOKEN = "hf_canaryCANARYcanaryCANARYcanary0123"
TURNS = "What is number three?\nAnd four?\n"


def with_the_token(place: Path) -> list[str]:
    """The files below a folder whose bytes or names hold the token."""
    return [
        str(path)
        for path in place.rglob("*")
        if TOKEN in str(path)
        or (path.is_file() and TOKEN.encode() in path.read_bytes())
    ]


def start_with_token(
    configs: Path,
    *flags: str,
    name: str,
) -> subprocess.CompletedProcess[str]:
    """The program in a process of its own, whose whole home is the test's."""
    place = configs.parent
    argv = arguments(configs, *flags, name=name)
    return subprocess.run(
        [sys.executable, program.__file__, *argv],
        input=TURNS,
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=place,
        env={
            **os.environ,
            "HF_TOKEN": TOKEN,
            "HUGGINGFACE_TOKEN": TOKEN,
            "HOME": str(place),
            "XDG_CACHE_HOME": str(place / "caches"),
            "HF_HOME": str(place / "hugging face"),
            "LOCAL_LLM_CACHE": str(place / "cache"),
            "TMPDIR": str(place),
            "PYTHONIOENCODING": "utf-8",
        },
        timeout=LIMIT_S,
    )


@pytest.mark.parametrize(
    ("name", "flags", "codes"),
    [
        pytest.param("tiny", (), {0}, id="a whole run"),
        pytest.param("tiny", ("--doctor",), {0, 3}, id="the doctor"),
        pytest.param("without-model", ("--debug",), {3}, id="a traceback"),
    ],
)
def test_the_token_is_in_nothing_that_the_program_writes_or_prints(
    configs: Path,
    name: str,
    flags: tuple[str, ...],
    codes: set[int],
) -> None:
    run = start_with_token(configs, *flags, name=name)
    assert run.returncode in codes, run.stderr
    assert TOKEN not in run.stdout + run.stderr
    assert with_the_token(configs.parent) == []
    finished = configs.parent / "runs" / "tiny" / REPORT_NAME
    assert finished.is_file() == (not flags)


def test_the_search_finds_a_token(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\x00" + TOKEN.encode())
    (tmp_path / f"b{TOKEN}").touch()
    assert len(with_the_token(tmp_path)) == 2


def with_a_model_of_the_hub(configs: Path, repo: str) -> None:
    """Add an entry whose model is fetched with the token."""
    changed: dict[str, Any] = entry("from-hub", configs)
    del changed["local_model_path"]
    changed["pretrained_model_name_or_path"] = repo
    entries = json.loads(configs.read_text())
    configs.write_text(json.dumps([*entries, changed]))


@pytest.mark.parametrize("flags", [(), ("--debug",)])
@pytest.mark.parametrize("status", [200, 401, 403, 500])
def test_a_token_that_was_sent_to_the_hub_is_nowhere_else(
    configs: Path,
    tiny_folder: Path,
    hub: SetHub,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    flags: tuple[str, ...],
) -> None:
    repo = f"someone/with-{status}-{len(flags)}"
    with_a_model_of_the_hub(configs, repo)
    files = {file.name: file.read_bytes() for file in tiny_folder.iterdir()}
    requests = hub(
        (
            gated(hub_with_files(repo, files))
            if status == 200
            else answering(status, message=f"Invalid token {TOKEN}")
        ),
    )
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    argv = arguments(configs, "--no-chat", *flags, name="from-hub")
    code, shown = run(*argv)
    assert code == (0 if status == 200 else 3), shown
    assert f"Bearer {TOKEN}" in {
        one.headers.get("authorization") for one in requests
    }
    assert TOKEN not in shown
    assert with_the_token(configs.parent) == []


def test_a_run_on_local_files_asks_nobody(
    configs: Path,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[object] = []

    def refuse(*address: object, **options: object) -> None:
        asked.append(address)
        raise OSError("no network in this test")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    code, shown = run(*arguments(configs), turns=TURNS)
    assert (code, asked) == (0, []), shown
