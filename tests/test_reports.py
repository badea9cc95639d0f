# -*- coding: utf-8 -*-
"""What a run leaves to read, and how it is found again."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from local_llm import atomic_files
from local_llm.errors import CheckpointError
from local_llm.reports import (
    Demonstration,
    Reply,
    RunReport,
    finished_run,
    library_versions,
    read_report,
    run_key,
    write_report,
)

BEFORE = Reply("Breakfast is\n\nbreakfast is", "length", 160, 2.5)
AFTER = Reply("Oats with fruit.", "stop", 6, 0.5)
REPORT = RunReport(
    key="k1",
    base={"name": "gemma", "fingerprint": "f", "device": "cpu"},
    data={"source": "data.json", "summary": "8 rows, 2 held out"},
    settings={"max_seq_length": 512, "training_args": {"max_steps": 2}},
    losses=[[1, 6.5], [2, 5.25]],
    held_out_before=6.8761,
    held_out_after=2.5,
    steps=2,
    tokens=12345,
    seconds=61.4,
    tokens_per_second=201.06,
    peak_memory_bytes=2_510_000_000,
    demonstrations=[Demonstration("What for breakfast?", BEFORE, AFTER)],
    versions={"python": "3.11.7", "torch": "2.13.0"},
)


def seal(folder: Path, report: RunReport = REPORT) -> Path:
    """A finished run with a report and one more file."""
    with atomic_files.sealed_folder(folder) as partial:
        write_report(partial, report)
        (partial / "weights").write_bytes(b"12345")
    return folder


def test_a_report_is_read_as_it_was_written(tmp_path):
    write_report(tmp_path, REPORT)
    assert read_report(tmp_path) == REPORT


def test_a_report_without_held_out_rows_or_demonstrations_is_written(
    tmp_path,
):
    bare = replace(
        REPORT,
        held_out_before=None,
        held_out_after=None,
        demonstrations=[],
        losses=[],
    )
    write_report(tmp_path, bare)
    assert read_report(tmp_path) == bare
    text = (tmp_path / "report.md").read_text()
    assert "held-out loss: not measured before, not measured after" in text


@pytest.mark.parametrize(
    "line",
    [
        "# Fine-tuning gemma",
        "- data: data.json, 8 rows, 2 held out",
        "- held-out loss: 6.876 before, 2.500 after",
        "- 2 steps, 12,345 tokens in 61 s (201 tokens/s)",
        "- peak memory: 2.51 GB on cpu",
        "**What for breakfast?**",
        "- before (cut off after 160 tokens): Breakfast is breakfast is",
        "- after (ended its turn after 6 tokens): Oats with fruit.",
        '  "max_seq_length": 512,',
        "- torch 2.13.0",
    ],
)
def test_the_readable_report_has_the_figures(tmp_path, line):
    write_report(tmp_path, REPORT)
    assert line in (tmp_path / "report.md").read_text().splitlines()


def test_the_model_card_names_base_and_data(tmp_path):
    write_report(tmp_path, REPORT)
    card = (tmp_path / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: peft\n")
    assert "# A LoRA adapter for gemma" in card
    assert "Fine-tuned on data.json (8 rows, 2 held out)." in card


def test_the_losses_are_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    write_report(tmp_path, REPORT)
    picture = (tmp_path / "loss.png").read_bytes()
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    assert picture.endswith(b"IEND\xaeB`\x82")


def test_without_matplotlib_only_the_picture_is_missing(
    tmp_path,
    monkeypatch,
):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    write_report(tmp_path, REPORT)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["README.md", "report.json", "report.md"]
    assert "loss.png" not in (tmp_path / "report.md").read_text()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b"\xff\xfe",
        json.dumps({"demonstrations": []}).encode(),
        json.dumps({"demonstrations": [{"prompt": "p"}]}).encode(),
        json.dumps({"demonstrations": 3}).encode(),
    ],
)
def test_an_unreadable_report_is_a_checkpoint_error(tmp_path, content):
    (tmp_path / "report.json").write_bytes(content)
    with pytest.raises(CheckpointError, match="is not a report of a"):
        read_report(tmp_path)


def test_a_missing_report_is_a_checkpoint_error_with_the_path(tmp_path):
    with pytest.raises(CheckpointError) as caught:
        read_report(tmp_path)
    assert str(tmp_path / "report.json") in str(caught.value)


def test_the_same_parts_give_the_same_key_in_any_order():
    assert run_key(base="a", lora={"r": 1, "x": 2}) == run_key(
        lora={"x": 2, "r": 1}, base="a"
    )


def test_every_part_changes_the_key():
    parts = {"base": "a", "data": "b", "lora": {"r": 1}, "start": None}
    changes = [{}, *({name: "other"} for name in parts)]
    keys = [run_key(**{**parts, **change}) for change in changes]
    assert len(set(keys)) == len(keys)


def test_a_finished_run_is_found_by_its_key(tmp_path):
    folder = seal(tmp_path / "run")
    assert finished_run(folder, "k1") == REPORT
    assert finished_run(folder, "k2") is None


def test_what_is_not_a_finished_run_is_not_found(tmp_path):
    assert finished_run(tmp_path / "nowhere", "k1") is None
    write_report(tmp_path, REPORT)  # without a manifest
    assert finished_run(tmp_path, "k1") is None


def test_a_sealed_folder_with_another_report_is_not_found(tmp_path):
    folder = seal(tmp_path / "run")
    (folder / "report.json").write_text('{"version": 0}')
    assert finished_run(folder, "k1") is None


def test_a_changed_file_of_the_run_that_is_wanted_is_an_error(tmp_path):
    folder = seal(tmp_path / "run")
    (folder / "weights").write_bytes(b"12346")
    with pytest.raises(CheckpointError, match="weights"):
        finished_run(folder, "k1")
    assert finished_run(folder, "k2") is None


def test_the_versions_are_those_installed():
    import torch

    versions = library_versions()
    assert versions["torch"] == torch.__version__
    assert versions["python"] == sys.version.split()[0]
    assert {"trl", "peft", "bitsandbytes"} <= versions.keys()
