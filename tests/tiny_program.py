# -*- coding: utf-8 -*-
"""The program on a tiny model: its config, and two ways to run it.

`run` runs it in this process, `start` in one of its own; `runs_here` and
`start_program` do so with any program.
"""

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

import conversation_with_agent_with_finetuned_model as program
from program_frame import is_error

Run = Callable[..., tuple[int, str]]

PROMPT = "What is number three?"
STEPS = 3
LIMIT_S = 120
NUMBERS = "one two three four five six seven eight nine ten eleven twelve"


def entry(name: str, model: Path, **changes: Any) -> dict[str, Any]:
    """A config of a few steps on a few conversations."""
    steps = changes.pop("steps", STEPS)
    return {
        "config_name": name,
        "model_type": "huggingface",
        "local_model_path": str(model),
        "device": "cpu",
        "data_path": "data.json",
        "output_dir": "runs/tiny",
        "max_length": 8,
        "demonstration_prompts": [PROMPT],
        "fine_tune_config": {
            "max_seq_length": 128,
            "held_out_rows": 2,
            "lora_config": {},
            "training_args": {
                "max_steps": steps,
                "per_device_train_batch_size": 2,
            },
        },
        **changes,
    }


def set_up(place: Path, model: Path) -> Path:
    """Write conversations and a config file; the path of the latter."""
    rows = [
        {
            "conversations": [
                f"What is number {number}?",
                f"Number {number} is one of the twelve that we have here.",
            ],
        }
        for number in NUMBERS.split()
    ]
    (place / "data.json").write_text(json.dumps(rows))
    (place / "a file").write_text("in the way")
    entries = [
        entry("tiny", model),
        entry("without-data", model, data_path="not/there.json"),
        entry("without-model", place / "no model"),
        entry("no-room", model, output_dir="a file/runs"),
        entry("some-steps", model, steps=150),
        entry("many-steps", model, steps=400),
        entry("long-replies", model, max_length=400, data_path=None),
    ]
    path = place / "configs.json"
    path.write_text(json.dumps(entries))
    return path


def arguments(configs: Path, *more: str, name: str = "tiny") -> list[str]:
    return ["--model-configs", str(configs), "--config-name", name, *more]


def environment(place: Path) -> dict[str, str]:
    """That of a program whose files all lie in one place."""
    hidden = ("HF_TOKEN", "HUGGINGFACE_TOKEN", "COLUMNS")
    kept = {k: v for k, v in os.environ.items() if k not in hidden}
    return {
        **kept,
        "LOCAL_LLM_CACHE": str(place / "cache"),
        "TMPDIR": str(place),
        "PYTHONIOENCODING": "utf-8",
    }


def start(configs: Path, *more: str, name: str = "tiny") -> subprocess.Popen:
    """The program in a process of its own, away from its folder."""
    typed = arguments(configs, *more, name=name)
    return start_program(program.__file__, typed, configs.parent)


def start_program(
    file: str,
    typed: Sequence[str],
    place: Path,
    **variables: str,
) -> subprocess.Popen:
    """A program in a process of its own.

    Args:
        file (`str`):
            Of the program.
        typed (`Sequence[str]`):
            What follows it on the command line.
        place (`Path`):
            Where it is started.
        **variables (`str`):
            More of its environment.
    """
    return subprocess.Popen(
        [sys.executable, file, *typed],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        cwd=place,
        env={**environment(place), **variables},
    )


def until(process: subprocess.Popen, what: str) -> str:
    """Read its output as far as a text."""
    assert process.stdout is not None
    found = ""
    while not found.endswith(what):
        one = process.stdout.read(1)
        assert one, f"ended before {what!r}:\n{found}"
        found += one
    return found


@pytest.fixture(name="configs")
def fixture_configs(tmp_path: Path, tiny_folder: Path) -> Path:
    return set_up(tmp_path, tiny_folder)


@contextlib.contextmanager
def runs_here(
    main: Callable[[Sequence[str]], int],
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Iterator[Run]:
    """Gives what runs a program in this process, which is as it was after."""
    monkeypatch.setenv("LOCAL_LLM_CACHE", str(place / "cache"))
    monkeypatch.setenv("COLUMNS", "200")
    handler = signal.getsignal(signal.SIGTERM)
    levels = {
        one: logging.getLogger(one).level
        for one in ("bitsandbytes", "transformers", "trl", "peft")
    }

    def run(*argv: str, turns: str = "") -> tuple[int, str]:
        monkeypatch.setattr(sys, "stdin", StringIO(turns))
        with warnings.catch_warnings():
            code = main(argv)
        shown = capfd.readouterr()
        return code, shown.out + shown.err

    yield run
    signal.signal(signal.SIGTERM, handler)
    logging.getLogger("as").removeFilter(is_error)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def run_fixture(main: Callable[[Sequence[str]], int]) -> Any:
    """A fixture `run`, which runs a program in this process: exit code, and
    all it has shown."""

    @pytest.fixture(name="run")
    def fixture(
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
        capfd: pytest.CaptureFixture[str],
    ) -> Iterator[Run]:
        with runs_here(main, tmp_path, monkeypatch, capfd) as run:
            yield run

    return fixture


fixture_run = run_fixture(program.main)
