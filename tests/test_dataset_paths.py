# -*- coding: utf-8 -*-
"""A data path means a file or a folder, and a folder its training files."""

import json
from pathlib import Path
from typing import Any

import pytest

from local_llm.dataset_paths import (
    find_local_path,
    folder_files,
    read_path,
    skipped_files,
)
from local_llm.errors import DatasetError

ROW = {"conversations": ["Hi", "Hello"]}


def write(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def write_all(folder: Path, names: list[str]) -> None:
    for name in names:
        write(folder / name, {**ROW, "from": name})


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [row for _, row in read_path(path)]


def error_of(path: Path) -> str:
    with pytest.raises(DatasetError) as caught:
        list(read_path(path))
    assert caught.value.fix
    return caught.value.message


def test_a_folder_gives_its_files_in_order_of_name(tmp_path: Path) -> None:
    write_all(tmp_path, ["b.jsonl", "a.csv", "c.json"])
    (tmp_path / "a.csv").write_text("from,text\na.csv,Hi\n")
    write(tmp_path / "notes.txt", "not data")
    write(tmp_path / ".hidden.json", "not data")
    write(tmp_path / "dataset_infos.json", {})
    found = [row["from"] for row in rows_of(tmp_path)]
    assert found == ["a.csv", "b.jsonl", "c.json"]
    assert skipped_files(tmp_path) == ()


@pytest.mark.parametrize(
    ("names", "read"),
    [
        (["train.jsonl", "test.jsonl", "more.json"], ["train.jsonl"]),
        (
            ["train-00001.json", "train-00000.json", "test-0.json"],
            ["train-00000.json", "train-00001.json"],
        ),
        (["chat.json", "test.json", "validation.json"], ["chat.json"]),
        (["testimony.json", "trainers.json"],) * 2,
        (["a.json", "my_test.jsonl", "lima-validation.json"], ["a.json"]),
        (["a.val.json", "a_dev_2.json", "A-EVAL.json", "a.json"], ["a.json"]),
        (["lima_train.json", "extra.jsonl"], ["lima_train.json"]),
        (["contest.json", "evaluate.json", "devices.json"],) * 2,
        (["train_test.json", "chat.json"], ["chat.json"]),
    ],
)
def test_test_files_of_a_folder_are_not_trained_on(
    tmp_path: Path,
    names: list[str],
    read: list[str],
) -> None:
    write_all(tmp_path, names)
    assert [row["from"] for row in rows_of(tmp_path)] == sorted(read)
    assert skipped_files(tmp_path) == tuple(sorted({*names} - {*read}))


def test_a_clone_of_a_dataset_of_the_hub_is_read_from_its_data_folder(
    tmp_path: Path,
) -> None:
    names = ["data/train-00000-of-00001.json", "data/test-00000-of-00001.json"]
    write_all(tmp_path, names)
    write(tmp_path / "dataset_infos.json", {})
    (tmp_path / "README.md").write_text("# Data\n")
    assert [place for place, _ in read_path(tmp_path)] == [f"{names[0]} row 1"]
    assert skipped_files(tmp_path, "lima") == (f"lima/{names[1]}",)


def test_data_files_of_the_folder_itself_come_before_its_data_folder(
    tmp_path: Path,
) -> None:
    write_all(tmp_path, ["a.json", "data/b.json"])
    assert folder_files(tmp_path).training == (tmp_path / "a.json",)
    write_all(tmp_path, ["c/test.json", "c/data/b.json"])
    assert "there: test.json" in error_of(tmp_path / "c")


@pytest.mark.parametrize("names", [[], ["test.json"], ["notes.txt"]])
def test_a_folder_without_training_files_is_an_error(
    tmp_path: Path,
    names: list[str],
) -> None:
    write_all(tmp_path, names)
    message = error_of(tmp_path)
    assert message.startswith(f"no training files in folder {tmp_path}")
    assert ("test.json" in message) is ("test.json" in names)


def test_of_a_single_file_nothing_is_skipped(tmp_path: Path) -> None:
    write_all(tmp_path, ["test.json", "train.json"])
    assert len(rows_of(tmp_path / "test.json")) == 1
    assert skipped_files(tmp_path / "test.json") == ()


@pytest.mark.parametrize(
    "data_path",
    ["./lima", "data/a.json", "owner/name.jsonl.gz", "x.csv", "../a/b"],
)
def test_what_looks_like_a_path_and_is_missing_is_named_absolutely(
    tmp_path: Path,
    data_path: str,
) -> None:
    with pytest.raises(DatasetError) as caught:
        find_local_path(data_path, tmp_path / "base")
    named = caught.value.message.removeprefix("file does not exist: ")
    assert Path(named).is_absolute()
    assert named == str((tmp_path / "base" / data_path).resolve())


@pytest.mark.parametrize("data_path", ["/no/such/file", "~/no/such/folder"])
def test_an_absolute_path_that_is_missing_is_not_a_hub_id(
    data_path: str,
) -> None:
    with pytest.raises(DatasetError, match="file does not exist: /"):
        find_local_path(data_path)


@pytest.mark.parametrize("data_path", ["GAIR/lima", "a/b.c", "lima", ""])
def test_what_does_not_look_like_a_path_is_none(
    tmp_path: Path,
    data_path: str,
) -> None:
    assert find_local_path(data_path, tmp_path) is None


def test_what_exists_under_the_base_is_a_path(tmp_path: Path) -> None:
    (tmp_path / "owner" / "name").mkdir(parents=True)
    found = find_local_path("owner/name", tmp_path)
    assert found == tmp_path / "owner" / "name"


def test_paths_start_from_the_working_folder_without_a_base(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path / "a.json", [])
    assert find_local_path("a.json") == path


def test_a_label_stands_before_the_names_of_a_folder(tmp_path: Path) -> None:
    write(tmp_path / "a.json", [ROW])
    found = read_path(tmp_path, label="my/data")
    assert [where for where, _ in found] == ["my/data/a.json row 1"]
