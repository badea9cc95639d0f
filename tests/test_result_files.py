# -*- coding: utf-8 -*-
"""Results are kept as figures, as a page, and as a picture where one can be
drawn."""

import sys
from pathlib import Path

import pytest
from result_examples import RESULTS

from alpha_umi.columns import ARGUMENT_COLUMNS
from alpha_umi.paper_results import PAPER_ROWS
from alpha_umi.result_files import write_result_files
from alpha_umi.result_tables import results_page
from alpha_umi.results import Results, read_results
from local_llm.errors import CheckpointError

PNG = b"\x89PNG\r\n"


def test_three_files_have_one_name(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    page = write_result_files(tmp_path / "new" / "folder", "steps", RESULTS)
    assert page == tmp_path / "new" / "folder" / "steps.md"
    assert sorted(one.name for one in page.parent.iterdir()) == [
        "steps.json",
        "steps.md",
        "steps.png",
    ]
    assert page.with_suffix(".png").read_bytes().startswith(PNG)
    assert page.read_text(encoding="utf-8") == results_page(
        RESULTS,
        picture="steps.png",
    )


def test_the_page_can_be_made_again_from_the_figures(tmp_path: Path) -> None:
    page = write_result_files(tmp_path, "steps", RESULTS)
    read = read_results(tmp_path / "steps.json")
    again = write_result_files(tmp_path, "again", read)
    text = page.read_text(encoding="utf-8").replace("steps.png", "again.png")
    assert again.read_text(encoding="utf-8") == text


def test_columns_and_rows_of_the_paper_are_those_that_are_wanted(
    tmp_path: Path,
) -> None:
    page = write_result_files(
        tmp_path,
        "steps",
        RESULTS,
        ARGUMENT_COLUMNS,
        {"unseen": PAPER_ROWS[:1]},
    )
    lines = page.read_text(encoding="utf-8").splitlines()
    tables = [line for line in lines if line.startswith("|")]
    assert "easy Arg. F1" in tables[0] and "Rouge-L" not in tables[0]
    of_paper = [line for line in tables if PAPER_ROWS[0].name in line]
    assert len(of_paper) == 1


def test_without_matplotlib_there_is_a_page_without_a_picture(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    page = write_result_files(tmp_path, "steps", RESULTS)
    names = sorted(one.name for one in tmp_path.iterdir())
    assert names == ["steps.json", "steps.md"]
    assert page.read_text(encoding="utf-8") == results_page(RESULTS)


def test_results_of_nothing_have_no_picture(tmp_path: Path) -> None:
    write_result_files(tmp_path, "steps", Results({"command": "none"}, ()))
    names = sorted(one.name for one in tmp_path.iterdir())
    assert names == ["steps.json", "steps.md"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match=str(tmp_path / "file")):
        write_result_files(tmp_path / "file", "steps", RESULTS)
