# -*- coding: utf-8 -*-
"""What the program reads from its flags, and which config it takes."""

import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr
from tiny_program import (
    fixture_configs,  # noqa: F401
    fixture_run,  # noqa: F401
)

import command_line
import conversation_with_agent_with_finetuned_model as program
from command_line import MODEL_CONFIGS, choose_settings, parse_arguments
from local_llm.errors import ConfigError

TOKEN = "hf_SecretSecretSecretSecret"


# -- the command line -----------------------------------------------------


def test_without_flags_everything_is_done() -> None:
    assert vars(parse_arguments([])) == {
        "config_name": None,
        "model_configs": MODEL_CONFIGS,
        "prompt": None,
        "fine_tune": True,
        "existing_run": "refuse",
        "accept_data_change": False,
        "no_chat": False,
        "agents": 1,
        "preview": None,
        "dry_run": False,
        "doctor": False,
        "debug": False,
    }


@pytest.mark.parametrize(
    ("argv", "name", "value"),
    [
        ("--config-name x", "config_name", "x"),
        ("--model-configs a/b.json", "model_configs", Path("a/b.json")),
        ("--prompt a --prompt b", "prompt", ["a", "b"]),
        ("--fine-tune", "fine_tune", True),
        ("--no-fine-tune", "fine_tune", False),
        ("--resume", "existing_run", "resume"),
        ("--overwrite", "existing_run", "set_aside"),
        ("--accept-data-change", "accept_data_change", True),
        ("--no-chat", "no_chat", True),
        ("--agents 5", "agents", 5),
        ("--doctor", "doctor", True),
        ("--debug", "debug", True),
    ],
)
def test_every_flag_is_read(argv: str, name: str, value: object) -> None:
    assert getattr(parse_arguments(argv.split()), name) == value


@pytest.mark.parametrize(
    "argv",
    [
        "--resume --overwrite",
        "--agents 0",
        "--agents 6",
        "--agents two",
        "--agents -1",
        "--nothing",
    ],
)
def test_a_wrong_flag_is_refused_with_the_usage(
    argv: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as caught:
        program.main(argv.split())
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith("usage:")


def test_the_number_of_agents_is_limited_in_words(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        parse_arguments(["--agents", "6"])
    assert "want a number from 1 to 5" in capsys.readouterr().err


# -- the choice of the config ---------------------------------------------


@pytest.fixture(name="machine")
def fixture_machine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Says what the machine has."""

    def set_machine(gpu: bool, token: str | None) -> None:
        secret = SecretStr(token) if token else None
        monkeypatch.setattr("local_llm.doctor.has_gpu", lambda: gpu)
        monkeypatch.setattr(command_line, "hub_token", lambda: secret)

    return set_machine


def chosen(*argv: str) -> tuple[str, str]:
    settings, reason = choose_settings(parse_arguments(argv))
    return settings.config_name, reason


@pytest.mark.parametrize("name", ["embedded", "gemma-7b-lima"])
def test_a_named_config_is_used(name: str, machine: Callable) -> None:
    machine(gpu=name == "embedded", token=TOKEN)
    assert chosen("--config-name", name) == (name, "as named")


@pytest.mark.parametrize("token", [None, TOKEN])
def test_without_a_gpu_the_embedded_model_is_used(
    token: str | None,
    machine: Callable,
) -> None:
    machine(gpu=False, token=token)
    name, reason = chosen()
    assert (name, reason) == ("embedded", "no GPU here, and none was named")


def test_a_gpu_without_a_token_gets_the_embedded_model(
    machine: Callable,
) -> None:
    machine(gpu=True, token=None)
    name, reason = chosen()
    assert name == "embedded"
    assert "no HF_TOKEN for google/gemma-7b" in reason


def test_a_gpu_with_a_token_gets_gemma_7b(machine: Callable) -> None:
    machine(gpu=True, token=TOKEN)
    name, reason = chosen()
    assert (name, reason) == (
        "gemma-7b-lima",
        "a GPU and a hub token are here",
    )


def test_a_file_without_the_default_says_which_names_it_has(
    machine: Callable,
    configs: Path,
) -> None:
    machine(gpu=False, token=None)
    with pytest.raises(ConfigError) as caught:
        chosen("--model-configs", str(configs))
    assert "no entry 'embedded', the default here (no GPU" in str(caught.value)
    assert "--config-name: tiny, without-data" in str(caught.value)


def test_the_command_to_resume_is_the_call_with_resume() -> None:
    given = ["--config-name", "a b", "--overwrite", "--no-chat"]
    typed = shlex.split(command_line.resume_command(given))
    assert typed == [
        sys.executable,
        program.__file__,
        *("--config-name", "a b", "--no-chat", "--resume"),
    ]


@pytest.mark.parametrize("flag", ["--resume", "--res", "--overwrite", "--o"])
def test_the_command_to_resume_says_so_once(flag: str) -> None:
    typed = shlex.split(command_line.resume_command([flag, "--prompt", "--"]))
    assert typed[2:] == ["--prompt", "--", "--resume"]


def test_several_processes_are_resumed_by_their_launcher(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(command_line.processes, "count", lambda: 2)
    assert command_line.resume_command(["--overwrite"]) == (
        "the same `accelerate launch` command with --resume added and "
        "without --overwrite"
    )
