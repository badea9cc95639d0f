# -*- coding: utf-8 -*-
"""Examples and plans are readable with colours and without."""

import dataclasses
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from test_schedules import rows_of
from tiny_program import entry, set_up

from local_llm.errors import TrainingError
from local_llm.local_model import LocalModel
from local_llm.planning import Fit, Preview, RunPlan, plan_run
from local_llm.preview import PreviewRow, Span
from local_llm.settings import parse_settings
from local_llm.surroundings import Surroundings
from local_llm.training_rows import TrainingRows
from plan_screen import look_ahead, show_plan, show_preview

SPANS = (
    Span("<bos><start_of_turn>user\nHi [bold]\x1b[2J<end_of_turn>", False),
    Span("Hello.<end_of_turn>", True),
    Span("\n", False),
)
GREEN = "\x1b[1;32mHello.<end_of_turn>\x1b[0m"


def console(is_terminal: bool = False, **environment: str) -> Console:
    return Console(
        file=StringIO(),
        force_terminal=is_terminal,
        width=80,
        highlight=False,
        legacy_windows=False,
        _environ={"TERM": "xterm-256color", **environment},
    )


def text_of(one: Console) -> str:
    assert isinstance(one.file, StringIO)
    return one.file.getvalue()


def preview(is_shortened: bool = False) -> Preview:
    row = PreviewRow("data.json row 7", SPANS, 10, 4, is_shortened)
    return Preview("data.json: 2 rows", [row], rows_of(10, 20))


@pytest.fixture(name="local")
def fixture_local(tmp_path: Path, tiny_folder: Path) -> LocalModel:
    set_up(tmp_path, tiny_folder)
    settings = parse_settings(entry("tiny", tiny_folder), "a test")
    return LocalModel(settings, Surroundings(tmp_path, tmp_path / "cache"))


@pytest.fixture(name="plan")
def fixture_plan(local: LocalModel) -> RunPlan:
    return plan_run(local.settings, local.surroundings)


def test_without_colours_brackets_mark_what_is_learned() -> None:
    shown = console()
    show_preview(shown, preview())
    text = text_of(shown)
    assert "[[Hello.<end_of_turn>]]" in text
    assert "[[between these]] is what the model learns" in text


def test_in_a_terminal_a_colour_marks_what_is_learned() -> None:
    shown = console(is_terminal=True)
    show_preview(shown, preview())
    assert GREEN in text_of(shown)
    assert "[[" not in text_of(shown)


def test_a_terminal_that_wants_no_colours_gets_brackets() -> None:
    shown = console(is_terminal=True, NO_COLOR="1")
    show_preview(shown, preview())
    assert "[[Hello.<end_of_turn>]]" in text_of(shown)


def test_the_text_of_data_is_shown_as_it_is_and_not_obeyed() -> None:
    shown = console()
    show_preview(shown, preview())
    assert "<bos><start_of_turn>user\nHi [bold][2J" in text_of(shown)


def test_an_example_has_its_place_and_its_share_under_the_loss() -> None:
    shown = console()
    show_preview(shown, preview())
    text = text_of(shown)
    assert "example 1: data.json row 7" in text
    assert "4 of 10 tokens under the loss (40%)\n" in text
    assert "2 rows to train on, 30 tokens, 15 under the loss (50%)" in text


def test_rows_without_an_answer_are_counted_and_the_first_is_named() -> None:
    shown = console()
    rows = TrainingRows(rows_of(10).rows, 2, ["a row 3", "a row 9"])
    show_preview(shown, dataclasses.replace(preview(), rows=rows))
    assert (
        ", 2 cut to the longest length, 2 left out by that (the first: a "
        "row 3)" in text_of(shown).replace("\n", " ")
    )


def test_a_plan_counts_the_rows_held_out(plan: RunPlan) -> None:
    shown = console()
    held_out = TrainingRows(rows_of(10, 20).rows, 1, ["a row 3"])
    show_plan(shown, dataclasses.replace(plan, held_out=held_out))
    assert (
        "\nheld out: 2 rows, 1 cut to the longest length, 1 left out by that "
        "(a row 3)\n"
    ) in text_of(shown)


def test_an_example_that_was_cut_says_so() -> None:
    shown = console()
    show_preview(shown, preview(is_shortened=True))
    assert "(40%), cut to the longest length" in text_of(shown)


def test_a_plan_has_every_part_of_the_memory(plan: RunPlan) -> None:
    shown = console()
    show_plan(shown, plan)
    text = text_of(shown)
    for part in ("weights", "adapter", "optimizer", "activations", "logits"):
        assert f"\n{part} " in text
    assert "\ntogether " in text


def test_a_plan_says_steps_time_disk_and_whether_it_fits(plan) -> None:
    shown = console()
    show_plan(shown, plan)
    text = text_of(shown)
    assert "steps: 3 of 2 rows, 0.6 epochs" in text
    assert "gradient checkpointing: off (without it " in text
    assert "time: about " in text
    assert "disk: " in text
    assert f"tightest: {plan.fits[0].what}, " in text
    assert text.endswith("it will fit\n")


def test_a_plan_that_does_not_fit_says_so(plan: RunPlan) -> None:
    lacking = (Fit("memory", 4_000_000_000, 2_000_000_000), plan.fits[1])
    shown = console()
    show_plan(shown, dataclasses.replace(plan, fits=lacking))
    text = text_of(shown)
    assert "memory: 4.0 GB of 2.0 GB free" in text
    assert "tightest: memory, 200% of what is free" in text
    assert text.endswith("it will not fit\n")


def test_examples_and_plan_can_be_had_together_or_alone(local) -> None:
    both, first, second = console(), console(), console()
    look_ahead(local, both, examples=1, processes=1)
    look_ahead(local, first, examples=1, processes=None)
    look_ahead(local, second, examples=None, processes=1)
    assert ("example 1" in text_of(both), "dry run" in text_of(both)) == (
        True,
        True,
    )
    assert "dry run" not in text_of(first)
    assert "example 1" not in text_of(second)


def test_a_run_that_does_not_fit_is_shown_and_then_refused(
    local: LocalModel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("local_llm.planning.free_bytes", lambda folder: 1)
    shown = console()
    with pytest.raises(TrainingError, match="will not fit"):
        look_ahead(local, shown, examples=None, processes=1)
    assert text_of(shown).endswith("it will not fit\n")
