# -*- coding: utf-8 -*-
"""What the program reads from its flags, which config it takes, and how an
error and the doctor look; whole runs are shown elsewhere."""

import json
import logging
from pathlib import Path

import pytest
from fake_hub import SetHub, answering
from huggingface_hub.utils import logging as hub_logging
from served_model import free_port
from tiny_program import (
    Run,
    arguments,
    fixture_configs,  # noqa: F401
    fixture_run,  # noqa: F401
)

import conversation_with_agent_with_finetuned_model as program

TOKEN = "hf_SecretSecretSecretSecret"


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


def test_a_run_that_failed_before_its_first_step_can_be_corrected(
    run: Run,
    configs: Path,
) -> None:
    right = json.loads(configs.read_text())
    wrong = json.loads(configs.read_text())
    lora = wrong[0]["fine_tune_config"]["lora_config"]
    lora["trainable_token_indices"] = [99999]
    configs.write_text(json.dumps(wrong))
    call = arguments(configs, "--no-chat")
    code, shown = run(*call)
    assert code == 2
    assert_is_an_error(shown, "trainable_token_indices", "found 99999")
    for flags in ([], ["--resume"]):
        assert run(*call, *flags)[0] == 2  # it is not in its own way
    configs.write_text(json.dumps(right))
    code, _ = run(*call)
    assert code == 0
    assert not list(configs.parent.glob("runs/*.unfinished*"))


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
    code, shown = run(*arguments(configs, "--debug", name="tinny"))
    assert code == 2
    assert "Traceback" in shown
    assert "local_llm.errors.ConfigError: " in shown


def test_the_retries_of_the_hub_library_are_not_shown(
    run: Run,
    configs: Path,
) -> None:
    hub_logging.set_verbosity_warning()
    run(*arguments(configs, name="tinny"))
    assert hub_logging.get_verbosity() == logging.ERROR


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


# -- a served model -------------------------------------------------------


def test_a_served_model_is_only_talked_to(
    tmp_path: Path,
    run: Run,
) -> None:
    address = f"http://127.0.0.1:{free_port()}/v1"
    configs = tmp_path / "configs.json"
    entry = {
        "config_name": "served",
        "model_type": "openai_chat",
        "model_name": "the-model",
        "client_args": {"base_url": address, "max_retries": 0},
    }
    configs.write_text(json.dumps([entry]))
    code, shown = run(*arguments(configs, name="served"), turns="Hello\n")
    assert code == 0
    assert f"the-model is served at {address}; nothing is loaded" in shown
    assert f"no server answers at {address}" in shown
    assert "transformers serve the-model" in shown


def test_the_doctor_shows_choice_machine_and_access_but_no_token(
    run: Run,
    hub: SetHub,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("local_llm.doctor.has_gpu", lambda: False)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
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
