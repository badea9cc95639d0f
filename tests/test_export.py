# -*- coding: utf-8 -*-
"""The command that makes something that works elsewhere of a run."""

import os
import shlex
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

from local_llm import export, hub_token, hub_upload, merged_model
from local_llm.atomic_files import check_manifest, sealed_folder
from local_llm.errors import EXIT_BAD_INPUT, EXIT_BUG, EXIT_ENVIRONMENT
from local_llm.public_files import public_texts
from local_llm.stop_signals import STOP_SIGNALS

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
    handlers = {one: signal.getsignal(one) for one in STOP_SIGNALS}

    def main(*argv: object) -> tuple[int, str]:
        code = export.main([str(one) for one in argv])
        shown = capsys.readouterr()
        return code, shown.out + shown.err

    yield main
    for number, handler in handlers.items():
        signal.signal(number, handler)


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
    for name, text in public_texts(run).items():
        if name.startswith("report"):
            assert (merged / name).read_bytes() == text
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


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--merge"], "--merge: there is nothing to merge"),
        (["--gguf", "f16", "--base", "x"], "--base: it needs none"),
        (
            ["--gguf", "f16", "--dtype", "float32"],
            "--dtype: its weights stay as they are",
        ),
    ],
)
def test_what_is_of_adapters_alone_is_refused_of_a_whole_model(
    main: Run,
    whole: Path,
    arguments: list[str],
    why: str,
) -> None:
    code, shown = main(whole, *arguments)
    assert code == EXIT_BAD_INPUT
    assert f"  - {why}\n" in shown


def test_a_card_that_was_edited_stops_no_export(main: Run, run: Path) -> None:
    card = run / "README.md"
    card.write_text(card.read_text() + "\n## Thanks\n\nTo everybody.\n")
    assert main(run, "--merge")[0] == 0
    merged = run.with_name("run-merged") / "README.md"
    assert "## Thanks\n\nTo everybody." in merged.read_text()


def test_a_card_that_cannot_be_read_is_told_before_merging(
    main: Run,
    run: Path,
) -> None:
    (run / "README.md").write_text("---\nlicense: [\n---\n# Mine\n")
    code, shown = main(run, "--merge")
    assert code == EXIT_ENVIRONMENT
    assert f"the metadata at the beginning of {run / 'README.md'}" in shown
    assert not run.with_name("run-merged").exists()


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
        (["--push", "a/b/c"], "--push: wanted OWNER/NAME, found 'a/b/c'"),
        (["--push", "owner/na--me"], "--push: Cannot have -- or .. in"),
        (["--push", "owner/a..b"], "--push: Cannot have -- or .. in"),
        (["--push", "owner/name.git"], "--push: Repo_id cannot end by '.git'"),
        (["--push", "a/b", "--to", "x"], "--to is for what --merge or --gguf"),
        (["--push", "a/b", "--base", "x"], "--base is for what --merge or"),
        (["--push", "a/b", "--dtype", "float32"], "--dtype is for what"),
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
    assert hub.files.keys() == {path.name for path in run.iterdir()}
    for name, content in hub.files.items():
        assert str(run.parent).encode() not in content, name
    weights = "adapter_model.safetensors"
    assert hub.files[weights] == (run / weights).read_bytes()
    assert hub.created["visibility"] == "private"
    assert TOKEN in hub.tokens
    assert TOKEN not in done.stdout + done.stderr


def test_with_merge_the_merged_model_is_pushed(run: Path) -> None:
    with running_hub() as hub:
        done = in_a_process(hub, run, "--merge", "--push", "owner/name")
    assert done.returncode == 0, done.stderr
    merged = run.with_name("run-merged")
    assert "model.safetensors" in hub.files
    assert hub.files.keys() == {path.name for path in merged.iterdir()}
    (run.parent / "fetched").mkdir()
    for name, content in hub.files.items():
        (run.parent / "fetched" / name).write_bytes(content)
    check_manifest(run.parent / "fetched")


@pytest.mark.parametrize("kind", ["--merge", "--gguf"])
def test_an_upload_that_failed_is_repeated_with_the_command_it_names(
    main: Run,
    run: Path,
    hub: Hub,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub.statuses["/commit/"] = 500
    what = [kind] if kind == "--merge" else [kind, "q8_0"]
    code, shown = main(run, *what, "--push", "owner/name", "--private")
    assert code == EXIT_ENVIRONMENT
    assert hub.files == {}
    _, _, command = shown.strip().partition("python -m local_llm.export ")
    hub.statuses.clear()
    code, shown = main(*shlex.split(command))
    assert code == 0, shown
    made = run.with_name(f"run-{kind[2:].replace('merge', 'merged')}")
    assert hub.files.keys() == {path.name for path in made.iterdir()}


def test_of_a_gguf_folder_nothing_more_is_made(main: Run, run: Path) -> None:
    main(run, "--gguf", "q8_0")
    code, shown = main(run.with_name("run-gguf"), "--gguf", "f16")
    assert code == EXIT_BAD_INPUT
    assert "it holds a GGUF file, nothing more can be made of it" in shown


def test_a_whole_model_is_pushed_as_it_is(
    main: Run,
    whole: Path,
    hub: Hub,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert main(whole, "--push", "owner/name")[0] == 0
    assert sorted(hub.files) == sorted(path.name for path in whole.iterdir())


def test_a_public_repository_is_refused_before_merging(
    main: Run,
    run: Path,
    hub: Hub,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub.statuses["/repos/create"] = 409
    code, shown = main(run, "--merge", "--push", "owner/name", "--private")
    assert code == EXIT_ENVIRONMENT
    assert "owner/name is there already and is public" in shown
    assert hub.files == {}
    assert not run.with_name("run-merged").exists()


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


# -- signals ---------------------------------------------------------------


def test_an_interrupted_upload_says_what_is_there(
    main: Run,
    run: Path,
    hub: Hub,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(hub_upload, "upload_files", interrupt)
    code, shown = main(run, "--merge", "--push", "owner/name")
    merged = run.with_name("run-merged")
    assert code == 130
    assert f"interrupted; {merged} and the repository owner/name" in shown
    assert f"local_llm.export {merged} --push owner/name\n" in shown
    check_manifest(merged)


def test_an_interrupted_merge_leaves_the_repository_and_says_so(
    main: Run,
    run: Path,
    hub: Hub,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(merged_model, "_merged", interrupt)
    code, shown = main(run, "--merge", "--push", "owner/name")
    assert code == 130
    assert "nothing was left behind but the repository owner/name" in shown
    code, shown = main(run, "--merge")
    assert shown.endswith("interrupted; nothing was left behind\n")


@pytest.mark.parametrize(
    "number",
    [one for one in STOP_SIGNALS if one != signal.SIGINT],
)
def test_a_signal_that_ends_it_leaves_nothing(
    main: Run,
    run: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
) -> None:
    before = set(run.parent.iterdir())
    monkeypatch.setattr(
        merged_model,
        "_merged",
        lambda *_: os.kill(os.getpid(), number),
    )
    with pytest.raises(SystemExit) as caught:
        main(run, "--merge")
    assert caught.value.code == 128 + number
    assert set(run.parent.iterdir()) == before


def test_a_signal_that_is_ignored_stays_so(main: Run, tmp_path: Path) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    main(tmp_path, "--merge")
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_without_a_network_the_retries_of_the_library_are_not_shown(
    run: Path,
) -> None:
    nowhere = Hub(url="http://127.0.0.1:9")
    done = in_a_process(nowhere, run, "--merge", "--base", "owner/name")
    assert done.returncode == EXIT_ENVIRONMENT
    assert "the hub cannot be reached" in done.stderr
    assert "Retrying" not in done.stdout + done.stderr
