# -*- coding: utf-8 -*-
"""What a run leaves to read, and how it is found again."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from report_examples import AFTER, BARE, BEFORE, REPORT

from local_llm import atomic_files
from local_llm.errors import CheckpointError
from local_llm.reports import (
    Demonstration,
    RunReport,
    finished_run,
    library_versions,
    read_report,
    run_key,
    write_report,
)

FIRST_FIELDS = (
    *("key", "base", "data", "settings", "losses", "held_out_before"),
    *("held_out_after", "steps", "tokens", "seconds", "tokens_per_second"),
    "peak_memory_bytes",
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


def test_a_bare_report_is_read_with_the_same_defaults(tmp_path):
    write_report(tmp_path, BARE)
    found = read_report(tmp_path)
    assert found.held_out_curve == []
    assert replace(
        found,
        demonstrations=(),
        held_out_losses=(),
        resumed_at=(),
        notes=(),
        changes=(),
    ) == replace(BARE, losses=found.losses)


def test_only_the_report_is_written(tmp_path):
    write_report(tmp_path, REPORT)
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_a_report_of_the_version_before_is_read_with_defaults(tmp_path):
    values = {name: getattr(BARE, name) for name in FIRST_FIELDS}
    old = {**values, "demonstrations": [], "versions": {"python": "3.11"}}
    (tmp_path / "report.json").write_text(json.dumps(old))
    found = read_report(tmp_path)
    assert found.key == "k0"
    assert found.best_step is None
    assert found.stopped_early is False
    assert [*found.held_out_losses, *found.resumed_at, *found.notes] == []
    assert (found.licences, list(found.changes)) == ({}, [])


def test_a_report_of_a_later_version_is_read_without_what_is_new(tmp_path):
    write_report(tmp_path, REPORT)
    path = tmp_path / "report.json"
    values = {**json.loads(path.read_text()), "something new": 1}
    path.write_text(json.dumps(values))
    assert read_report(tmp_path) == REPORT


def test_the_file_has_the_shares_of_replies_that_ended(tmp_path):
    write_report(tmp_path, REPORT)
    values = json.loads((tmp_path / "report.json").read_text())
    assert values["end_of_turn_share"] == {"before": 0.0, "after": 1.0}
    write_report(tmp_path, BARE)
    values = json.loads((tmp_path / "report.json").read_text())
    assert values["end_of_turn_share"] == {"before": None, "after": None}


def test_a_name_that_is_not_utf_8_is_read_as_it_was_written(tmp_path):
    data = {**REPORT.data, "source": "caf\udce9.json"}
    write_report(tmp_path, replace(REPORT, data=data))
    assert read_report(tmp_path).data == data


def test_the_share_that_ended_counts_the_demonstrations():
    three = [Demonstration("p", BEFORE, AFTER)] * 3
    three.append(Demonstration("q", AFTER, BEFORE))
    report = replace(REPORT, demonstrations=three)
    assert report.ended_turns("before") == 1
    assert report.end_of_turn_share("before") == 0.25
    assert report.end_of_turn_share("after") == 0.75


def test_the_held_out_curve_is_what_was_measured_or_its_ends():
    assert REPORT.held_out_curve == [(0, 6.8761), (1, 2.5), (2, 2.75)]
    ends = replace(REPORT, held_out_losses=[], best_step=None)
    assert ends.held_out_curve == [(0, 6.8761), (2, 2.5)]
    best = replace(REPORT, held_out_losses=[], best_step=1)
    assert best.held_out_curve == [(0, 6.8761), (1, 2.5)]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b"\xff\xfe",
        b"[" * 100_000,
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


def test_the_card_of_a_finished_run_may_be_edited(tmp_path):
    with atomic_files.sealed_folder(tmp_path / "run") as partial:
        write_report(partial, REPORT)
        (partial / "README.md").write_text("# As it was written")
    (tmp_path / "run" / "README.md").write_text("# In my own words")
    assert finished_run(tmp_path / "run", "k1") == REPORT
    (tmp_path / "run" / "README.md").unlink()
    assert finished_run(tmp_path / "run", "k1") == REPORT


def test_the_versions_are_those_installed():
    import torch

    versions = library_versions()
    assert versions["torch"] == torch.__version__
    assert versions["python"] == sys.version.split()[0]
    assert {"trl", "peft", "bitsandbytes"} <= versions.keys()
