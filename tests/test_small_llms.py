# -*- coding: utf-8 -*-
"""The program of the tool agent on a tiny model: what a user sees and gets."""

import asyncio
import json
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from tiny_program import (
    LIMIT_S,
    Run,
    run_fixture,
    start_program,
    until,
)
from tiny_teams import TRAJECTORIES
from tiny_tools import (
    QUESTIONS,
    copy_place,
    set_up_tools,
    typed,
    write_guided,
    write_trajectories,
)

import small_llms as program
from alpha_umi.rouge_l import _package
from alpha_umi.trained_team import team_file
from local_llm.library_defaults import DEFAULT_SEED

STAGES = ("backbone", "planner", "caller", "summarizer")


@pytest.fixture(name="place", scope="module")
def fixture_place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The config of a place in which nothing is trained; not to be changed."""
    return set_up_tools(tmp_path_factory.mktemp("tools"))


@pytest.fixture(name="first", scope="module")
def fixture_first(
    place: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, str]:
    """A place with trained roles, and what their training has shown."""
    configs = copy_place(place, tmp_path_factory.mktemp("first") / "place")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOCAL_LLM_CACHE", str(configs.parent / "cache"))
        with redirect_stdout(StringIO()) as shown:
            code = program.main(typed(configs, "train"))
    assert code == 0, shown.getvalue()
    return configs, shown.getvalue()


@pytest.fixture(name="configs")
def fixture_configs(first: tuple[Path, str], tmp_path: Path) -> Path:
    """The config of a copy of that place."""
    return copy_place(first[0], tmp_path / "place")


fixture_run = run_fixture(program.main)


def assert_in_order(shown: str, parts: Sequence[str]) -> None:
    places = [shown.find(part) for part in parts]
    assert -1 not in places, parts[places.index(-1)]
    assert places == sorted(places)


# -- errors ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "more", "code", "words"),
    [
        ("train", ["--arm", "alpha-uni"], 2, "did you mean 'alpha-umi'?"),
        ("chat", ["--arm", "single"], 2, "one model says all in it"),
        ("train", ["--data", "none.json"], 2, "none.json cannot be read"),
        ("train", ["--data", "broken.json"], 2, "broken.json:1:"),
        ("train", ["--data", "silent.json"], 2, "finds nothing to learn"),
        ("train", ["--output", "broken.json"], 3, "broken.json"),
        ("evaluate", ["--output", "none"], 3, "none has no trained arm"),
        ("evaluate", ["--report", "broken.json"], 3, "cannot write in"),
        ("evaluate", ["--data", "silent.json"], 2, "nobody plans anything"),
        ("evaluate", ["--data", "calls.json", "--tasks"], 2, "whole task"),
        ("compare", ["--schema-guided", "none"], 2, "none has no train_"),
        (
            "compare",
            ["--schema-guided", "none", "--arms", "all"],
            2,
            "there is no arm 'all'",
        ),
    ],
)
def test_what_cannot_work_is_one_sentence_and_what_to_do(
    verb: str,
    more: list[str],
    code: int,
    words: str,
    run: Run,
    configs: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = configs.parent
    monkeypatch.chdir(place)
    (place / "broken.json").write_text('[{"tools": []')
    for name, length in (("silent", 1), ("calls", 3)):
        cut = [
            replace(one, utterances=one.utterances[:length])
            for one in TRAJECTORIES
        ]
        write_trajectories(place / f"{name}.json", cut)
    found, shown = run(*typed(configs, verb, *more))
    assert found == code
    assert words in shown[shown.index("error: ") :]
    assert "\n  fix: " in shown
    assert "Traceback" not in shown and "loading" not in shown


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("tiny-taem", "no entry is named 'tiny-taem'"),
        ("of-another-program", "conversation_with_agent_with_finetuned"),
    ],
)
def test_a_config_of_no_such_agent_is_bad_input(
    name: str,
    words: str,
    run: Run,
    configs: Path,
) -> None:
    code, shown = run(*typed(configs, "chat", name=name))
    assert code == 2
    assert words in shown and "Traceback" not in shown


@pytest.mark.parametrize(
    ("verb", "more", "package"),
    [
        ("evaluate", [], "rouge"),
        ("compare", ["--schema-guided", "none"], "rouge"),
        ("evaluate", ["--tasks"], "llguidance"),
        ("chat", ["--no-chat"], "llguidance"),
    ],
)
def test_a_missing_package_is_told_before_anything_is_loaded(
    verb: str,
    more: list[str],
    package: str,
    run: Run,
    configs: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _package.cache_clear()
    monkeypatch.setitem(sys.modules, package, None)
    code, shown = run(*typed(configs, verb, *more))
    assert code == 3
    assert f"fix: pip install {package}" in shown
    assert "loading" not in shown


def test_a_full_disk_is_told_before_anything_is_loaded(
    run: Run,
    place: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    configs = copy_place(place, tmp_path / "place")
    monkeypatch.setattr("local_llm.disk_room.free_bytes", lambda folder: 1000)
    code, shown = run(*typed(configs, "train"))
    assert code == 3
    assert f"{configs.parent / 'team' / 'backbone'} needs " in shown
    assert "1.0 kB are free on its disk\n  fix: " in shown
    assert "loading" not in shown and "Traceback" not in shown


def test_a_damaged_adapter_is_named_and_made_again_where_it_is_deleted(
    run: Run,
    configs: Path,
) -> None:
    folder = configs.parent / "team" / "caller"
    weights = folder / "adapter_model.safetensors"
    damaged = weights.read_bytes()[:-1] + b"?"
    weights.unlink()  # it is a link to that of other tests
    weights.write_bytes(damaged)
    code, shown = run(*typed(configs, "chat", "--no-chat"))
    assert code == 3 and str(weights) in shown
    code, shown = run(*typed(configs, "train"))
    assert code == 3 and f"fix: delete {folder} and train again" in shown
    for one in folder.iterdir():
        one.unlink()
    folder.rmdir()
    code, shown = run(*typed(configs, "train"))
    assert code == 0
    assert shown.count("was there already") == 3
    assert "training caller, seed" in shown


def test_a_config_is_read_without_torch(tmp_path: Path) -> None:
    configs = tmp_path / "configs.json"
    configs.write_text("[")
    call = typed(configs, "train")
    code = (
        f"import sys, small_llms; code = small_llms.main({call!r}); "
        "assert 'torch' not in sys.modules; sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(program.__file__).parent,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    assert (done.returncode, done.stderr) == (2, "")
    assert f"error: {configs}" in done.stdout


# -- training --------------------------------------------------------------


def test_training_shows_each_stage_and_where_the_adapters_are(
    first: tuple[Path, str],
) -> None:
    configs, shown = first
    assert shown.startswith("config: tiny-team\n")
    assert_in_order(
        shown,
        [
            "alpha-UMi w/ reuse: 6 trajectories of trajectories.json ─",
            f"training backbone, seed {DEFAULT_SEED}",
            "step 30/30, loss ",
            "backbone: 30 steps, ",
            f"training planner, seed {DEFAULT_SEED}",
            "step 3/3, loss ",
            "planner: 3 steps, ",
            "caller: 2 steps, ",
            "summarizer: 4 steps, ",
            f"adapters: {configs.parent / 'team'}",
        ],
    )
    assert shown.count("loading the weights") == 1
    assert "\x1b" not in shown


def test_a_second_training_uses_what_is_there(run: Run, configs: Path) -> None:
    code, shown = run(*typed(configs, "train"))
    assert code == 0
    assert shown.count("was there already") == 4
    assert "step " not in shown and "training " not in shown


def test_another_arm_uses_the_stage_that_both_have(
    run: Run,
    configs: Path,
) -> None:
    code, shown = run(*typed(configs, "train", "--arm", "single"))
    assert code == 0
    assert "Single-LLM: 6 trajectories" in shown
    assert "backbone: 30 steps" in shown and "was there already" in shown
    assert team_file(configs.parent / "team", "single").is_file()


def test_overwriting_keeps_what_was_there(run: Run, configs: Path) -> None:
    flags = ["--arm", "single", "--overwrite"]
    code, shown = run(*typed(configs, "train", *flags))
    assert code == 0 and "step 30/30" in shown
    names = {one.name for one in (configs.parent / "team").iterdir()}
    assert {"backbone", "backbone.previous-1"} <= names


def test_packed_adapters_are_those_of_the_roles_and_can_be_asked(
    run: Run,
    configs: Path,
    tmp_path: Path,
) -> None:
    place = tmp_path / "packed"
    code, shown = run(*typed(configs, "pack", "--to", str(place)))
    assert code == 0
    assert f"packed: {place}, 0." in shown
    assert sorted(one.name for one in place.iterdir()) == [
        *("alpha-umi.team.json", "caller", "planner", "summarizer"),
    ]
    flags = ["--output", str(place), "--question", "Who?", "--no-chat"]
    code, shown = run(*typed(configs, "chat", *flags))
    assert code == 0
    assert f"adapters: {place}" in shown and "trained first" not in shown


# -- interruptions ---------------------------------------------------------


@pytest.fixture(name="interrupted", scope="module")
def fixture_interrupted(
    place: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, list[tuple[int, str, str]]]:
    """A training that is interrupted in a stage, of which `unfinished` is a
    copy, then between two, and goes on to its end: its config, and code,
    output and errors of each part."""
    folder = tmp_path_factory.mktemp("interrupted")
    configs = copy_place(place, folder / "place")
    call = typed(configs, "train")
    parts = []
    for what, number in (
        ("step 6/30", signal.SIGINT),
        ("planner: 3 steps", signal.SIGTERM),
        ("", None),
    ):
        # One thread, as here: with more, sums come out differently.
        process = start_program(
            program.__file__, call, configs.parent, OMP_NUM_THREADS="1"
        )
        before = until(process, what)
        if number is not None:
            process.send_signal(number)
        shown, errors = process.communicate(timeout=LIMIT_S)
        parts.append((process.returncode, before + shown, errors))
        (command,) = re.findall("resume: (.*)", shown) or [""]
        call = shlex.split(command)[2:]
        if what.startswith("step"):
            copy_place(configs, folder / "unfinished")
    return configs, parts


Interrupted = tuple[Path, list[tuple[int, str, str]]]


def test_a_signal_in_a_stage_saves_it_and_says_how_to_go_on(
    interrupted: Interrupted,
) -> None:
    configs, ((code, shown, errors), *_) = interrupted
    assert (code, errors) == (130, "")
    *_, error, resume = shown.splitlines()
    # What else stood in the line when the signal came may be missing.
    assert re.search(
        r"error: SIGINT stopped the run after step \d+ of 30, which is saved$",
        error,
    )
    assert resume == f"resume: {resume_line(configs)}"


def test_a_signal_between_two_stages_does_so_too(
    interrupted: Interrupted,
) -> None:
    configs, (_, (code, shown, errors), _) = interrupted
    assert (code, errors) == (143, "")
    # It may come a moment later, in the next stage.
    assert re.search("error: SIGTERM stopped the (program|run)", shown)
    assert shown.endswith(f"\nresume: {resume_line(configs)}\n")


def resume_line(configs: Path) -> str:
    call = typed(configs, "train")
    return shlex.join([sys.executable, program.__file__, *call])


def test_it_goes_on_where_it_was(interrupted: Interrupted) -> None:
    _, (_, (_, second, _), (code, third, errors)) = interrupted
    assert (code, errors) == (0, "")
    assert "step 3/30" not in second and "step 30/30" in second
    assert re.search(r"backbone: 30 steps, \d+ s, was there already", third)
    assert re.search(r"planner: 3 steps, \d+ s, was there already", third)


@pytest.mark.parametrize("stage", STAGES)
def test_its_adapters_are_those_of_a_training_without_interruptions(
    interrupted: Interrupted,
    first: tuple[Path, str],
    stage: str,
) -> None:
    one, other = (
        configs.parent / "team" / stage / "adapter_model.safetensors"
        for configs in (interrupted[0], first[0])
    )
    assert one.read_bytes() == other.read_bytes()


def test_an_unfinished_stage_of_other_data_is_refused_or_begun_anew(
    run: Run,
    interrupted: Interrupted,
    tmp_path: Path,
) -> None:
    unfinished = interrupted[0].parents[1] / "unfinished" / "configs.json"
    configs = copy_place(unfinished, tmp_path / "place")
    fewer = typed(configs, "train", "--arm", "single", "--limit", "4")
    code, shown = run(*fewer)
    assert code == 3
    assert "cannot go on with other settings:\n  - data: " in shown
    assert "fix: bring the data back, or start anew with --over" in shown
    code, shown = run(*fewer, "--overwrite")
    assert code == 0 and "backbone: 20 steps" in shown


# -- chat ------------------------------------------------------------------


def test_chat_asks_the_demonstration_questions_then_talks(
    run: Run,
    configs: Path,
) -> None:
    code, shown = run(*typed(configs, "chat"), turns="And 2+2?\n")
    assert code == 0
    assert_in_order(
        shown,
        [
            "loaded in ",
            f"\n{QUESTIONS[0]} ──",
            "planner: ",
            f"\n{QUESTIONS[1]} ──",
            "conversation ──",
            "user> ",
        ],
    )
    assert shown.count("─ assistant ─") == 3
    assert shown.count("caller: Action: ") >= 3
    assert "training" not in shown and "WARNING" not in shown


def test_given_questions_are_asked_instead_and_nothing_else(
    run: Run,
    configs: Path,
) -> None:
    flags = ["--question", "Who?", "--question", "What?", "--no-chat"]
    code, shown = run(*typed(configs, "chat", *flags))
    assert code == 0
    assert_in_order(shown, ["\nWho? ──", "\nWhat? ──"])
    assert QUESTIONS[0] not in shown and "conversation ──" not in shown


def test_chat_trains_first_what_is_not_trained(
    run: Run,
    configs: Path,
) -> None:
    team_file(configs.parent / "team", "alpha-umi").unlink()
    flags = ["--question", "Who?", "--no-chat"]
    code, shown = run(*typed(configs, "chat", *flags))
    assert code == 0
    assert_in_order(
        shown,
        ["the roles are trained first", "was there already", "\nWho? ──"],
    )


def test_after_an_interrupted_reply_nothing_more_is_asked(
    run: Run,
    configs: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    async def interrupted(agent: object, question: str) -> bool:
        await asyncio.sleep(0)
        asked.append(question)
        return False

    monkeypatch.setattr(program, "ask", interrupted)
    assert run(*typed(configs, "chat", "--no-chat"))[0] == 130
    assert asked == QUESTIONS[:1]
    code, shown = run(*typed(configs, "chat"))
    assert code == 0 and "user> " in shown


# -- evaluate --------------------------------------------------------------


def test_an_evaluation_shows_its_page_and_keeps_every_step(
    run: Run,
    configs: Path,
) -> None:
    code, shown = run(*typed(configs, "evaluate", "--limit", "2"))
    folder = configs.parent / "team" / "evaluation" / "alpha-umi"
    assert code == 0
    assert (folder / "steps.md").read_text(encoding="utf-8") in shown
    assert f"written: {folder / 'steps.md'}\n" in shown
    assert "which is what the roles learn" in shown
    assert "| alpha-UMi w/ reuse | " in shown and "floor: " in shown
    assert "- data: `2 trajectories of trajectories.json`" in shown
    rows = (folder / "steps.jsonl").read_text().splitlines()
    assert len(rows) == 4
    names = {one.name for one in folder.iterdir()}
    assert names == {f"steps.{end}" for end in ("md", "json", "jsonl", "png")}


def test_whole_tasks_are_solved_where_that_is_wanted(
    run: Run,
    configs: Path,
    tmp_path: Path,
) -> None:
    data = str(configs.parent / "trajectories.json")
    flags = ["--data", data, "--limit", "1", "--report", str(tmp_path / "r")]
    code, shown = run(*typed(configs, "evaluate", "--tasks", *flags))
    assert code == 0
    assert_in_order(shown, ["steps.md\n", "solving 1 tasks", "tasks.md\n"])
    assert "which is what the roles learn" not in shown
    assert "| Solved ↑ |" in shown
    (row,) = (tmp_path / "r" / "tasks.jsonl").read_text().splitlines()
    assert json.loads(row)["instruction"] == "1+4?"


def test_one_model_alone_is_asked_at_steps_but_solves_no_tasks(
    run: Run,
    configs: Path,
) -> None:
    run(*typed(configs, "train", "--arm", "single"))
    flags = ["--arm", "single", "--limit", "1"]
    code, shown = run(*typed(configs, "evaluate", *flags))
    assert code == 0 and "| Single-LLM | " in shown
    code, shown = run(*typed(configs, "evaluate", "--tasks", *flags))
    assert code == 2 and "one model says all in it" in shown
    assert "Traceback" not in shown


# -- compare ---------------------------------------------------------------


@pytest.fixture(name="compared")
def fixture_compared(place: Path, tmp_path: Path) -> list[str]:
    """A comparison of two arms with two seeds."""
    configs = copy_place(place, tmp_path / "place")
    sgd = write_guided(tmp_path / "sgd")
    return typed(
        configs,
        "compare",
        *("--schema-guided", str(sgd), "--train", "12", "--test", "12"),
        *("--arms", "single", "multi-task", "--seeds", "1", "2"),
        *("--output", str(tmp_path / "out")),
    )


def test_a_comparison_is_a_table_of_arms_and_goes_on_from_what_is_there(
    run: Run,
    compared: list[str],
    tmp_path: Path,
) -> None:
    code, shown = run(*compared)
    assert code == 0
    out = tmp_path / "out"
    page = (out / "comparison.md").read_text(encoding="utf-8")
    assert page in shown
    for seed in (1, 2):
        assert f"training backbone, seed {seed}\n" in shown
        assert f"seed {seed}: asking Single-LLM multi-task, unseen" in shown
    for words in ("## seen (in domain)", "## unseen (out of domain)"):
        assert words in page
    assert page.count("| Single-LLM | 1, 2 |") == 2
    assert "Rows of the paper" not in page  # none of its data is asked
    figures = json.loads((out / "comparison.json").read_text())
    code, shown = run(*compared, "--report", str(tmp_path / "again"))
    assert code == 0
    assert "training " not in shown.partition("# Results")[0]
    assert "asking" not in shown
    again = json.loads((tmp_path / "again" / "comparison.json").read_text())
    assert again["parts"] == figures["parts"]
