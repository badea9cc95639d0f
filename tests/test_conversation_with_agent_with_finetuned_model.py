# -*- coding: utf-8 -*-
"""The program: what it chooses, shows and ends with, on a tiny model."""

import asyncio
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import warnings
from collections.abc import AsyncGenerator, Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any, cast

import pytest
from agentscope.event import TextBlockDeltaEvent
from fake_hub import SetHub, answering
from pydantic import SecretStr

import conversation_with_agent_with_finetuned_model as program
from conversation_with_agent_with_finetuned_model import (
    MODEL_CONFIGS,
    choose_settings,
    main,
    parse_arguments,
)
from local_llm.atomic_files import check_manifest
from local_llm.errors import ConfigError, GenerationError
from msghub import MsgHub
from screen import Screen

Run = Callable[..., tuple[int, str]]

TOKEN = "hf_SecretSecretSecretSecret"
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
        entry("many-steps", model, steps=400),
        entry("long-replies", model, max_length=400, data_path=None),
    ]
    path = place / "configs.json"
    path.write_text(json.dumps(entries))
    return path


def arguments(configs: Path, *more: str, name: str = "tiny") -> list[str]:
    return ["--model-configs", str(configs), "--config-name", name, *more]


def start(configs: Path, *more: str, name: str = "tiny") -> subprocess.Popen:
    """The program in a process of its own, away from its folder."""
    place = configs.parent
    hidden = ("HF_TOKEN", "HUGGINGFACE_TOKEN", "COLUMNS")
    kept = {k: v for k, v in os.environ.items() if k not in hidden}
    return subprocess.Popen(
        [sys.executable, program.__file__]
        + arguments(configs, *more, name=name),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        cwd=place,
        env={
            **kept,
            "LOCAL_LLM_CACHE": str(place / "cache"),
            "TMPDIR": str(place),
            "PYTHONIOENCODING": "utf-8",
        },
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


@pytest.fixture(name="run")
def fixture_run(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> Iterator[Run]:
    """Runs the program in this process: exit code, and all it has shown."""
    monkeypatch.setenv("LOCAL_LLM_CACHE", str(tmp_path / "cache"))
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
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


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
    """One sentence and what to do, without a traceback and weights."""
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


# -- signals --------------------------------------------------------------


def test_a_terminated_training_leaves_nothing_behind(configs: Path) -> None:
    before = set(configs.parent.iterdir())
    process = start(configs, "--no-chat", name="many-steps")
    until(process, "step 40/400")
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 143
    assert "Traceback" not in errors
    runs = configs.parent / "runs"
    assert set(configs.parent.iterdir()) - before <= {runs}
    assert list(runs.iterdir()) == []


def test_ctrl_c_ends_a_reply_and_at_the_prompt_the_program(
    configs: Path,
) -> None:
    process = start(configs, name="long-replies")
    assert process.stdin is not None
    until(process, "user> ")
    process.stdin.write("Tell me everything.\n")
    process.stdin.flush()
    until(process, " assistant ")
    process.send_signal(signal.SIGINT)
    until(process, "user> ")
    process.send_signal(signal.SIGINT)
    # Its input is still open: nobody presses Enter for it to end.
    process.wait(timeout=10)
    _, errors = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 130
    assert "Traceback" not in errors


def test_a_termination_at_the_prompt_ends_the_program(configs: Path) -> None:
    process = start(configs, name="long-replies")
    until(process, "user> ")
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=10)
    _, errors = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 143
    assert "Traceback" not in errors


# -- whole runs -----------------------------------------------------------


@pytest.fixture(name="first", scope="module")
def fixture_first(
    tmp_path_factory: pytest.TempPathFactory,
    tiny_folder: Path,
) -> tuple[Path, int, str, str]:
    """The first run of a newcomer: config file, exit code, output, errors."""
    place = tmp_path_factory.mktemp("first")
    configs = set_up(place, tiny_folder)
    process = start(configs, "--agents", "2")
    shown, errors = process.communicate("Hello.\nAnd you?\n", LIMIT_S)
    return configs, process.returncode, shown, errors


def test_a_whole_run_without_a_terminal_ends_well(first: tuple) -> None:
    _, code, shown, errors = first
    assert code == 0
    assert shown.splitlines()[0] == "config: tiny (as named)"
    assert errors == ""
    assert "\x1b" not in shown


def test_a_whole_run_has_its_parts_in_order(first: tuple) -> None:
    _, _, shown, _ = first
    parts = [
        "loading the weights",
        "loaded in",
        "before fine-tuning ──",
        PROMPT,
        "\nfine-tuning ──",
        "data.json: 12 rows, 0 multi-turn, 0 dropped, 2 held out",
        "step 1/3",
        "step 3/3, loss ",
        "held-out loss ",
        "report: ",
        "before and after ──",
        "conversation ──",
        "user>",
    ]
    places = [shown.find(part) for part in parts]
    assert -1 not in places
    assert places == sorted(places)


def test_both_agents_answer_every_turn(first: tuple) -> None:
    _, _, shown, _ = first
    talk = shown[shown.index("conversation ──") :]
    assert talk.count("─ assistant ─") == talk.count("─ optimist ─") == 2
    assert talk.index("─ assistant ─") < talk.index("─ optimist ─")


def test_a_whole_run_leaves_a_finished_run(first: tuple) -> None:
    configs, _, shown, _ = first
    folder = configs.parent / "runs" / "tiny"
    check_manifest(folder)
    assert f"report: {folder / 'report.md'}\n" in shown
    report = json.loads((folder / "report.json").read_text())
    assert [one["prompt"] for one in report["demonstrations"]] == [PROMPT]


@pytest.fixture(name="again")
def fixture_again(first: tuple, tmp_path: Path) -> Path:
    """The config file of a copy of the first run's place."""
    place = shutil.copytree(first[0].parent, tmp_path / "copy")
    return place / "configs.json"


def test_a_second_run_uses_the_finished_one_and_trains_nothing(
    run: Run,
    again: Path,
) -> None:
    folder = again.parent / "runs"
    manifest = (folder / "tiny" / "manifest.json").read_bytes()
    code, shown = run(*arguments(again))
    assert code == 0
    assert "the finished run of these settings and data is used" in shown
    assert "step " not in shown
    assert "held-out loss " in shown and "before and after ──" in shown
    assert [one.name for one in folder.iterdir()] == ["tiny"]
    assert (folder / "tiny" / "manifest.json").read_bytes() == manifest


def test_retraining_trains_again_and_keeps_the_run_before(
    run: Run,
    again: Path,
) -> None:
    code, shown = run(*arguments(again, "--retrain", "--no-chat"))
    assert code == 0
    assert "step 3/3" in shown
    assert "is used" not in shown
    names = {one.name for one in (again.parent / "runs").iterdir()}
    assert names == {"tiny", "tiny.previous-1"}


def test_without_fine_tuning_the_bare_model_talks(
    run: Run,
    configs: Path,
) -> None:
    code, shown = run(*arguments(configs, "--no-fine-tune"), turns="Hi.\n")
    assert code == 0
    assert "before fine-tuning ──" in shown
    assert "\nfine-tuning ──" not in shown
    assert "before and after ──" not in shown
    assert shown.count("─ assistant ─") == 1
    assert not (configs.parent / "runs").exists()


def test_given_prompts_are_asked_before_and_after_in_place_of_the_configs(
    run: Run,
    again: Path,
) -> None:
    prompts = ("--prompt", "Who is it?", "--prompt", "Is it [bold]me?")
    code, shown = run(*arguments(again, "--no-chat", *prompts))
    assert code == 0
    assert shown.count("Who is it?") == 2
    assert shown.count("[bold]me?") == 2
    assert PROMPT not in shown
    assert "conversation ──" not in shown


def test_the_talk_goes_on_after_a_turn_that_does_not_fit(
    run: Run,
    configs: Path,
) -> None:
    turns = f"{'Zz9 ' * 400}\nStill there?\n"
    code, shown = run(*arguments(configs, "--no-fine-tune"), turns=turns)
    assert code == 0
    assert shown.count("─ assistant ─") == 2


class Interrupted:
    """A hub whose first reply fails."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    async def __aenter__(self) -> "Interrupted":
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def reply_stream(self, inputs: Any) -> AsyncGenerator[Any, None]:
        self.heard.append(inputs.get_text_content())
        if len(self.heard) == 1:
            raise GenerationError("the model failed", fix="ask again")
        yield TextBlockDeltaEvent(
            reply_id="r",
            block_id="b",
            delta="a\x1b[2Jb\x07c",
        )


def test_the_talk_goes_on_after_a_reply_that_failed(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    hub = Interrupted()
    monkeypatch.setattr(sys, "stdin", StringIO("one\ntwo\n"))
    asyncio.run(program.talk(cast(MsgHub, hub), Screen()))
    shown = capsys.readouterr().out
    assert hub.heard == ["one", "two"]
    assert "error: the model failed\n  fix: ask again" in shown


def test_words_of_a_model_cannot_command_the_terminal(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "stdin", StringIO("one\ntwo\n"))
    asyncio.run(program.talk(cast(MsgHub, Interrupted()), Screen()))
    shown = capsys.readouterr().out
    assert "a[2Jbc" in shown
    assert "\x1b" not in shown and "\x07" not in shown


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
