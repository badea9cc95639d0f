# -*- coding: utf-8 -*-
"""The model cards of what is made of a finished run."""

from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import metadata_load

from local_llm.export_cards import write_gguf_card, write_merged_card

RUN_CARD = """\
---
library_name: peft
license: gemma
tags:
- lora
- conversations
---

# A LoRA adapter for google/gemma-7b

Fine-tuned on GAIR/lima. The terms of both apply.
"""


@pytest.fixture(name="run")
def fixture_run(tmp_path: Path) -> Path:
    run = tmp_path / "run"
    run.mkdir()
    (run / "README.md").write_text(RUN_CARD)
    return run


def merged(run: Path, base: str = "google/gemma-7b") -> Path:
    write_merged_card(run, base, "float32", run.parent)
    return run.parent / "README.md"


def in_gguf(run: Path, base: str = "google/gemma-7b") -> Path:
    write_gguf_card(run, base, "run-f16.gguf", run.parent)
    return run.parent / "README.md"


both = pytest.mark.parametrize("card", [merged, in_gguf])
Card = Callable[..., Path]


@both
def test_what_the_run_says_of_terms_and_data_is_kept(
    run: Path,
    card: Card,
) -> None:
    path = card(run)
    assert metadata_load(path)["license"] == "gemma"
    assert "Fine-tuned on GAIR/lima. The terms" in path.read_text()


@both
def test_a_base_of_the_hub_is_named_in_the_metadata(
    run: Path,
    card: Card,
) -> None:
    found = metadata_load(card(run))
    assert found["base_model"] == "google/gemma-7b"
    assert found["base_model_relation"] == "finetune"


@both
@pytest.mark.parametrize("base", ["embedded:gemma-3-270m", "/models/own"])
def test_no_other_base_is(run: Path, card: Card, base: str) -> None:
    assert "base_model" not in metadata_load(card(run, base))


@both
def test_the_folders_of_this_machine_are_not_told(
    run: Path,
    card: Card,
) -> None:
    text = card(run, "/home/someone/models/own").read_text()
    assert "# own, fine-tuned" in text
    assert "/home/someone" not in text


@both
def test_a_card_has_one_title(run: Path, card: Card) -> None:
    lines = card(run).read_text().splitlines()
    assert [line for line in lines if line.startswith("# ")] == [
        line for line in lines if line.startswith("# google/gemma-7b, fine")
    ]
    assert "## A LoRA adapter for google/gemma-7b" in lines


@both
def test_a_run_without_a_card_gets_one(tmp_path: Path, card: Card) -> None:
    (tmp_path / "bare").mkdir()
    path = card(tmp_path / "bare")
    assert metadata_load(path)["pipeline_tag"] == "text-generation"


@both
def test_the_report_that_a_card_leads_to_comes_along(
    run: Path,
    card: Card,
) -> None:
    (run / "report.md").write_text("what came out")
    folder = card(run).parent
    assert (folder / "report.md").read_text() == "what came out"


def test_tags_of_an_adapter_are_left_out(run: Path) -> None:
    found = metadata_load(merged(run))
    assert found["tags"] == ["conversations", "fine-tuned"]
    assert found["library_name"] == "transformers"


def test_the_gguf_card_names_its_file(run: Path) -> None:
    assert "`run-f16.gguf`" in in_gguf(run).read_text()
