# -*- coding: utf-8 -*-
"""What the program reads from its flags, which config it takes, and how an
error and the doctor look; whole runs are shown elsewhere."""

from collections.abc import Callable
from pathlib import Path

import pytest
from fake_hub import SetHub, answering
from pydantic import SecretStr
from tiny_program import (
    Run,
    arguments,
    fixture_configs,  # noqa: F401
    fixture_run,  # noqa: F401
)

import conversation_with_agent_with_finetuned_model as program
from conversation_with_agent_with_finetuned_model import (
    MODEL_CONFIGS,
    choose_settings,
    main,
    parse_arguments,
)
from local_llm.errors import ConfigError

TOKEN = "hf_SecretSecretSecretSecret"


# -- the command line -----------------------------------------------------


def test_without_flags_everything_is_done() -> None:
    assert vars(parse_arguments([])) == {
        "config_name": None,
        "model_configs": MODEL_CONFIGS,
        "prompt": None,
        "fine_tune": True,
        "retrain": False,
        "no_chat": False,
        "agents": 1,
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
        ("--retrain", "retrain", True),
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
    ["--agents 0", "--agents 6", "--agents two", "--agents -1", "--nothing"],
)
def test_a_wrong_flag_is_refused_with_the_usage(
    argv: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(argv.split())
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
        monkeypatch.setattr(program, "hub_token", lambda: secret)

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


# -- errors ---------------------------------------------------------------


def assert_is_an_error(shown: str, *parts: str) -> None:
    """One sentence and what to do, without a traceback."""
    error = shown[shown.index("error: ") :]
    assert "Traceback" not in shown
    assert [part for part in parts if part not in error] == []


def test_an_unknown_config_is_bad_input_and_the_nearest_is_named(
    run: Run,
    configs: Path,
) -> None:
    code, shown = run(*arguments(configs, name="tinny"))
    assert code == 2
    assert_is_an_error(shown, str(configs), "'tinny'", "did you mean 'tiny'?")


def test_a_broken_config_file_is_bad_input_with_line_and_column(
    run: Run,
    configs: Path,
) -> None:
    configs.write_text('[\n  {"config_name": "tiny",}\n]')
    code, shown = run(*arguments(configs))
    assert code == 2
    assert_is_an_error(shown, f"{configs}:2:")


def test_a_config_file_that_is_not_there_is_bad_input(
    run: Run,
    tmp_path: Path,
) -> None:
    code, shown = run("--model-configs", str(tmp_path / "none.json"))
    assert code == 2
    assert_is_an_error(shown, str(tmp_path / "none.json"))


def test_missing_data_is_bad_input_before_any_weights_are_loaded(
    run: Run,
    configs: Path,
) -> None:
    code, shown = run(*arguments(configs, name="without-data"))
    assert code == 2
    assert_is_an_error(shown, "not/there.json")
    assert "loading the weights" not in shown


def test_a_missing_model_folder_is_a_fault_of_the_environment(
    run: Run,
    configs: Path,
) -> None:
    code, shown = run(*arguments(configs, name="without-model"))
    assert code == 3
    assert_is_an_error(shown, str(configs.parent / "no model"))


def test_an_output_folder_below_a_file_is_told_before_any_step(
    run: Run,
    configs: Path,
) -> None:
    code, shown = run(*arguments(configs, "--no-chat", name="no-room"))
    assert code == 3
    assert_is_an_error(shown, str(configs.parent / "a file"), "fix: ")
    assert "step " not in shown


def test_debugging_shows_where_an_error_comes_from(
    run: Run,
    configs: Path,
) -> None:
    with pytest.raises(ConfigError):
        run(*arguments(configs, "--debug", name="tinny"))


def test_an_interruption_ends_with_130(
    run: Run,
    configs: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(program, "load", interrupted)
    code, shown = run(*arguments(configs))
    assert code == 130
    assert "interrupted" in shown
    assert "Traceback" not in shown


def test_a_fault_of_the_program_ends_with_1_and_no_traceback(
    run: Run,
    configs: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def faulty(*_: object) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(program, "load", faulty)
    code, shown = run(*arguments(configs))
    assert code == 1
    assert "bug: ZeroDivisionError: by zero" in shown
    assert "--debug" in shown
    assert "Traceback" not in shown


# -- the doctor -----------------------------------------------------------


def test_the_doctor_shows_choice_machine_and_access_but_no_token(
    run: Run,
    hub: SetHub,
    machine: Callable,
) -> None:
    machine(gpu=False, token=TOKEN)
    requests = hub(answering(403, "GatedRepo"))
    code, shown = run("--doctor")
    lines = [line.split(maxsplit=1) for line in shown.splitlines()]
    assert code == 0
    assert shown.splitlines()[0] == (
        "config: embedded (no GPU here, and none was named)"
    )
    first_words = {line[0] for line in lines if line}
    assert {"device", "python", "torch", "bitsandbytes"} <= first_words
    assert {"google/gemma-7b", "GAIR/lima"} <= first_words
    assert "licence not accepted" in " ".join(shown.split())
    assert {one.url.host for one in requests} == {"huggingface.co"}
    assert TOKEN not in shown
    assert "loading the weights" not in shown
