# -*- coding: utf-8 -*-
"""The program from its first line to its end, on a tiny model: runs, talks,
and the signals that end them."""

import json
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from tiny_program import (
    LIMIT_S,
    PROMPT,
    Run,
    arguments,
    environment,
    fixture_configs,  # noqa: F401
    fixture_run,  # noqa: F401
    set_up,
    start,
    until,
)

from local_llm import checkpoints
from local_llm.atomic_files import check_manifest

# -- signals --------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGINT, 130),
        (signal.SIGTERM, 143),
        (signal.SIGHUP, 129),
    ],
)
def test_a_signal_in_training_saves_and_says_how_to_go_on(
    configs: Path,
    number: signal.Signals,
    code: int,
) -> None:
    process = start(configs, "--no-chat", name="many-steps")
    until(process, "step 40/400")
    process.send_signal(number)
    shown, errors = process.communicate(timeout=LIMIT_S)
    assert process.returncode == code
    assert "Traceback" not in errors
    assert f"{number.name} stopped the run after step" in shown + errors
    (command,) = re.findall("resume: (.*)", shown)
    assert "fix:" not in shown + errors  # the command says all of it
    assert command.split()[2:] == [
        *arguments(configs, "--no-chat", name="many-steps"),
        "--resume",
    ]
    (unfinished,) = (configs.parent / "runs").iterdir()
    assert unfinished.name == "tiny.unfinished"
    assert checkpoints.newest_committed(unfinished) is not None


def test_the_line_that_is_printed_goes_on_where_it_was_printed(
    configs: Path,
) -> None:
    place = configs.parent
    process = start(configs, "--no-chat", "--overwrite", name="some-steps")
    until(process, "step 30/150")
    process.send_signal(signal.SIGTERM)
    shown, _ = process.communicate(timeout=LIMIT_S)
    (command,) = re.findall("resume: (.*)", shown)
    done = subprocess.run(
        command,
        shell=True,
        cwd=place,
        env=environment(place),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads((place / "runs" / "tiny" / "report.json").read_text())
    assert report["steps"] == 150 and report["resumed_at"][0] >= 30


def test_a_resumed_run_finishes_and_a_finished_one_is_left_alone(
    run: Run,
    configs: Path,
) -> None:
    process = start(configs, "--no-chat", name="many-steps")
    until(process, "step 40/400")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=LIMIT_S)
    call = arguments(configs, "--no-chat", name="many-steps")
    code, shown = run(*call)
    assert code == 3
    assert "holds a run that did not finish" in shown
    assert "--resume" in shown and "loaded in" not in shown
    code, shown = run(*call, "--resume")
    assert code == 0
    assert "step 400/400" in shown and "step 40/400" not in shown
    folder = configs.parent / "runs" / "tiny"
    report = (folder / "report.json").read_bytes()
    assert json.loads(report)["steps"] == 400
    code, shown = run(*call, "--resume")
    assert code == 0
    assert "is used" in shown and "step 400/400" not in shown
    assert (folder / "report.json").read_bytes() == report
    assert [one.name for one in folder.parent.iterdir()] == ["tiny"]


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
    assert "interrupted" in until(process, "user> ").lower()
    process.send_signal(signal.SIGINT)
    # Its input is still open: nobody presses Enter for it to end.
    process.wait(timeout=LIMIT_S)
    _, errors = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 130
    assert "Traceback" not in errors


def test_a_termination_at_the_prompt_ends_the_program(configs: Path) -> None:
    process = start(configs, name="long-replies")
    until(process, "user> ")
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=LIMIT_S)
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
        "data.json: 12 rows (12 lima), 0 multi-turn, 0 dropped, 2 held out",
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


def test_overwriting_trains_again_and_keeps_the_run_before(
    run: Run,
    again: Path,
) -> None:
    code, shown = run(*arguments(again, "--overwrite", "--no-chat"))
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
