# -*- coding: utf-8 -*-
"""The command that makes something that works elsewhere of a run."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from finished_runs import PROMPTS, finished_run, replies_of_folder
from huggingface_hub import metadata_load
from model_hub import (
    TOKEN,
    Hub,
    fixture_hub,  # noqa: F401
    running_hub,
)
from tiny_models import gemma, save_model

from local_llm import export, hub_token, merged_model
from local_llm.atomic_files import check_manifest, sealed_folder
from local_llm.errors import EXIT_BAD_INPUT, EXIT_BUG, EXIT_ENVIRONMENT

PROJECT = Path(__file__).resolve().parents[1]
LIMIT_S = 120

Run = Callable[..., tuple[int, str]]


@pytest.fixture(name="main")
def fixture_main(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Run]:
    """Runs the command: exit code, and all that it has shown."""
    for name in hub_token.TOKEN_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(hub_token, "DEFAULT_ENV_FILE", tmp_path / ".env")
    monkeypatch.setenv("LOCAL_LLM_CACHE", str(tmp_path / "cache"))
    handler = signal.getsignal(signal.SIGTERM)

    def main(*argv: object) -> tuple[int, str]:
        code = export.main([str(one) for one in argv])
        shown = capsys.readouterr()
        return code, shown.out + shown.err

    yield main
    signal.signal(signal.SIGTERM, handler)


@pytest.fixture(name="run")
def fixture_run(project: Path) -> Path:
    return finished_run(project)


@pytest.fixture(name="whole")
def fixture_whole(tmp_path: Path) -> Path:
    """What a full fine-tuning leaves: the model itself."""
    with sealed_folder(tmp_path / "whole") as partial:
        save_model(partial, gemma())
    return tmp_path / "whole"


def in_a_process(hub: Hub, *argv: object) -> subprocess.CompletedProcess[str]:
    """The command as people run it, with a token for this hub."""
    return subprocess.run(
        [sys.executable, "-m", "local_llm.export", *map(str, argv)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        env={
            **os.environ,
            "HF_ENDPOINT": hub.url,
            "HF_TOKEN": TOKEN,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_OFFLINE": "0",
        },
    )


# -- merging ---------------------------------------------------------------


def test_a_merged_run_stands_beside_the_run_sealed(
    main: Run,
    run: Path,
) -> None:
    code, shown = main(run, "--merge")
    assert code == 0
    check_manifest(run.with_name("run-merged"))
    assert f"written: {run.with_name('run-merged')}" in shown


def test_a_merged_run_answers(main: Run, run: Path, tmp_path: Path) -> None:
    main(run, "--merge", "--to", tmp_path / "new" / "place")
    said = replies_of_folder(tmp_path / "new" / "place", PROMPTS[:1], 8)
    assert any(said[0])


def test_a_merged_run_has_the_report_and_a_card(main: Run, run: Path) -> None:
    main(run, "--merge")
    merged = run.with_name("run-merged")
    for name in ("report.json", "report.md"):
        assert (merged / name).read_bytes() == (run / name).read_bytes()
    assert metadata_load(merged / "README.md")["library_name"] == (
        "transformers"
    )


def test_what_is_there_is_not_overwritten(main: Run, run: Path) -> None:
    there = run.with_name("run-merged")
    there.mkdir()
    (there / "mine").write_text("mine")
    code, shown = main(run, "--merge")
    assert code == EXIT_ENVIRONMENT
    assert "is there already" in shown and "--to" in shown
    assert [path.name for path in there.iterdir()] == ["mine"]


def test_a_full_disk_is_found_before_the_weights_are_read(
    main: Run,
    run: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    full = SimpleNamespace(free=10**6)
    monkeypatch.setattr(merged_model.shutil, "disk_usage", lambda path: full)
    (run.parent / "model" / "model.safetensors").write_bytes(b"not read")
    code, shown = main(run, "--merge")
    assert code == EXIT_ENVIRONMENT
    assert "0.2 GB, and 0.0 GB are free there" in shown


def test_where_merging_fails_nothing_is_left(main: Run, run: Path) -> None:
    before = set(run.parent.iterdir())
    (run.parent / "model" / "model.safetensors").write_bytes(b"broken")
    code, shown = main(run, "--merge")
    assert code == EXIT_ENVIRONMENT
    assert "cannot be loaded" in shown
    assert set(run.parent.iterdir()) == before


def test_a_base_that_was_moved_is_taken_from_where_it_is_named(
    main: Run,
    run: Path,
) -> None:
    moved = (run.parent / "model").rename(run.parent / "moved")
    code, shown = main(run, "--merge")
    assert code == EXIT_ENVIRONMENT and "--base" in shown
    code, _ = main(run, "--merge", "--base", moved)
    assert code == 0


def test_a_whole_model_has_nothing_to_merge(main: Run, whole: Path) -> None:
    code, shown = main(whole, "--merge")
    assert code == EXIT_BAD_INPUT
    assert "there is nothing to merge" in shown


# -- GGUF ------------------------------------------------------------------


def test_a_gguf_of_a_run_stands_beside_it_with_its_modelfile(
    main: Run,
    run: Path,
) -> None:
    code, shown = main(run, "--gguf", "f16")
    assert code == 0, shown
    folder = run.with_name("run-gguf")
    check_manifest(folder)
    (file,) = folder.glob("*.gguf")
    assert file.name == "run-f16.gguf"
    assert file.read_bytes()[:4] == b"GGUF"
    assert (folder / "Modelfile").read_text().startswith("FROM ./run-f16.gguf")


def test_a_merged_run_can_hold_its_gguf(main: Run, run: Path) -> None:
    code, shown = main(run, "--merge", "--gguf", "q8_0")
    assert code == 0, shown
    merged = run.with_name("run-merged")
    assert (merged / "run-q8_0.gguf").is_file()
    assert (merged / "model.safetensors").is_file()


def test_a_whole_model_becomes_a_gguf_without_merging(
    main: Run,
    run: Path,
) -> None:
    main(run, "--merge")
    whole = run.with_name("run-merged")
    code, shown = main(whole, "--gguf", "q8_0")
    assert code == 0, shown
    folder = run.with_name("run-merged-gguf")
    assert (folder / "run-merged-q8_0.gguf").is_file()


def test_without_the_package_gguf_one_is_told_to_install_it(
    main: Run,
    run: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "local_llm.export.importlib.util.find_spec",
        lambda name: None,
    )
    code, shown = main(run, "--gguf", "f16")
    assert code == EXIT_ENVIRONMENT
    assert "pip install gguf" in shown
    assert not run.with_name("run-gguf").exists()


# -- the command line ------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to do: give --merge, --gguf or --push"),
        (["--push", "name"], "--push: wanted OWNER/NAME, found 'name'"),
        (["--push", "a/b", "--to", "x"], "--to is for what --merge or --gguf"),
        (["--merge", "--private"], "--private is for --push"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(
    main: Run,
    tmp_path: Path,
    arguments: list[str],
    message: str,
) -> None:
    code, shown = main(tmp_path, *arguments)
    assert code == EXIT_BAD_INPUT
    assert message in shown


def test_a_folder_that_is_no_run_is_refused(main: Run, tmp_path: Path) -> None:
    code, shown = main(tmp_path, "--merge")
    assert code == EXIT_ENVIRONMENT
    assert "is not a finished run" in shown


def test_a_fault_of_the_program_is_one_line(
    main: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(wanted: object) -> None:
        raise ZeroDivisionError("the reason")

    monkeypatch.setattr(export, "export", fail)
    code, shown = main("run", "--merge")
    assert code == EXIT_BUG
    assert shown.startswith("bug: ZeroDivisionError: the reason\n  fix: ")
    with pytest.raises(ZeroDivisionError):
        main("run", "--merge", "--debug")


# -- pushing ---------------------------------------------------------------


def test_nothing_is_uploaded_unless_it_is_asked_for(
    main: Run,
    run: Path,
    hub: Hub,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert main(run, "--merge")[0] == 0
    assert hub.paths == []


def test_a_run_is_pushed_whole_and_the_token_not_shown(run: Path) -> None:
    with running_hub() as hub:
        done = in_a_process(hub, run, "--push", "owner/name", "--private")
    assert done.returncode == 0, done.stderr
    assert f"uploaded: {hub.url}/owner/name" in done.stdout
    assert hub.files == {
        path.name: path.read_bytes() for path in run.iterdir()
    }
    assert hub.created["visibility"] == "private"
    assert TOKEN in hub.tokens
    assert TOKEN not in done.stdout + done.stderr


def test_with_merge_the_merged_model_is_pushed(run: Path) -> None:
    with running_hub() as hub:
        done = in_a_process(hub, run, "--merge", "--push", "owner/name")
    assert done.returncode == 0, done.stderr
    merged = run.with_name("run-merged")
    assert "model.safetensors" in hub.files
    assert hub.files == {
        path.name: path.read_bytes() for path in merged.iterdir()
    }


def test_a_whole_model_is_pushed_as_it_is(
    main: Run,
    whole: Path,
    hub: Hub,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert main(whole, "--push", "owner/name")[0] == 0
    assert sorted(hub.files) == sorted(path.name for path in whole.iterdir())


def test_without_a_token_nothing_is_merged(main: Run, run: Path) -> None:
    code, shown = main(run, "--merge", "--push", "owner/name")
    assert code == EXIT_ENVIRONMENT
    assert "no token to upload to owner/name with" in shown
    assert not run.with_name("run-merged").exists()


def test_a_token_that_is_refused_is_told_before_merging(
    main: Run,
    run: Path,
    hub: Hub,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub.statuses["/whoami-v2"] = 401
    code, shown = main(run, "--merge", "--push", "owner/name")
    assert code == EXIT_ENVIRONMENT
    assert "the hub refused the token (401)" in shown
    assert TOKEN not in shown
    assert not run.with_name("run-merged").exists()
