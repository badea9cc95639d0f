# -*- coding: utf-8 -*-
"""`--preview` and `--dry-run` of the program, on the tiny model."""

import json

import pytest
from tiny_program import (  # noqa: F401
    Run,
    arguments,
    fixture_configs,
    fixture_run,
)

from local_llm import base_model, checkpoints


@pytest.fixture(name="no_weights", autouse=True)
def fixture_no_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading weights would fail."""
    monkeypatch.setattr(base_model, "load_weights", None)


def test_a_preview_shows_examples_and_ends(run: Run, configs) -> None:
    code, shown = run(*arguments(configs, "--preview", "2"))
    assert code == 0
    assert shown.count("tokens under the loss") == 2
    assert "[[Number two is one of the twelve" in shown
    assert not (configs.parent / "runs").exists()


def test_a_dry_run_shows_a_plan_and_ends(run: Run, configs) -> None:
    code, shown = run(*arguments(configs, "--dry-run"))
    assert code == 0
    assert "steps: 3 of 2 rows" in shown
    assert shown.endswith("it will fit\n")
    assert not (configs.parent / "runs").exists()


def test_a_dry_run_of_what_does_not_fit_ends_with_three(
    run: Run,
    configs,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "local_llm.planning.free_memory_bytes",
        lambda device: 1 << 20,
    )
    code, shown = run(*arguments(configs, "--dry-run"))
    assert code == 3
    assert "it will not fit" in shown
    assert "fix: in this order: per_device_train_batch_size 1" in shown


def test_a_dry_run_of_faulty_settings_ends_with_two(run: Run, configs):
    code, shown = run(*arguments(configs, "--dry-run", name="without-data"))
    assert code == 2
    assert "not/there.json" in shown


def test_a_dry_run_finds_an_output_folder_that_cannot_be_written(
    run: Run,
    configs,
) -> None:
    code, shown = run(*arguments(configs, "--dry-run", name="no-room"))
    assert code == 3
    assert "it will fit" in shown
    assert "error: cannot write in" in shown


def test_a_dry_run_finds_the_unfinished_run_that_is_in_the_way(
    run: Run,
    configs,
) -> None:
    unfinished = configs.parent / "runs" / "tiny.unfinished"
    unfinished.parent.mkdir()
    checkpoints.begin(unfinished, {})
    checkpoints.commit(unfinished, 1, lambda folder: None)
    code, shown = run(*arguments(configs, "--dry-run"))
    assert code == 3
    assert "can go on with --resume" in shown
    for option in ("--resume", "--overwrite"):
        code, _ = run(*arguments(configs, "--dry-run", option))
        assert code == 0
    assert checkpoints.is_unfinished(unfinished)


@pytest.mark.parametrize("options", [("--dry-run",), ()], ids=str)
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"optim": "galore_adamw"}, "install `galore_torch`"),
        ({"report_to": "wandb"}, "report_to: wandb is not installed"),
        ({"tf32": True}, "tf32"),
    ],
    ids=str,
)
def test_what_training_would_be_refused_for_is_found_before_all_else(
    run: Run,
    configs,
    options: tuple[str, ...],
    changes: dict,
    words: str,
) -> None:
    entries = json.loads(configs.read_text())
    entries[0]["fine_tune_config"]["training_args"] |= changes
    configs.write_text(json.dumps(entries))
    code, shown = run(*arguments(configs, *options))
    assert code == 2
    assert words in shown
    assert "dry run" not in shown and "loading the weights" not in shown


def test_the_launcher_says_how_many_processes_train(
    run: Run,
    configs,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    _, shown = run(*arguments(configs, "--dry-run"))
    assert "2 rows x 2 processes" in shown


@pytest.mark.parametrize("number", ["0", "-1", "many"])
def test_a_preview_wants_a_number(run: Run, configs, number: str) -> None:
    with pytest.raises(SystemExit) as end:
        run(*arguments(configs, "--preview", number))
    assert end.value.code == 2
