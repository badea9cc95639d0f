# -*- coding: utf-8 -*-
"""Tables are read row by row, or refused with the row and the line."""

from pathlib import Path
from typing import Any

import datasets
import pyarrow
import pyarrow.parquet
import pytest

from local_llm import dataset_tables
from local_llm.dataset_tables import (
    dataset_rows,
    delimited_rows,
    is_saved_dataset,
    parquet_rows,
    saved_rows,
)
from local_llm.errors import DatasetError
from local_llm.row_values import TableObject

PATH = Path("folder") / "a.csv"


def rows_of(text: str, delimiter: str = ",") -> list[tuple[str, Any]]:
    lines = text.splitlines(keepends=True)
    return list(delimited_rows(lines, PATH, delimiter))


def error_of(text: str) -> str:
    with pytest.raises(DatasetError) as caught:
        rows_of(text)
    assert caught.value.fix
    return caught.value.message


def parquet(tmp_path: Path, rows: list[dict[str, Any]]) -> Path:
    path = tmp_path / "a.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return path


def test_rows_are_counted_below_the_header_and_have_their_line() -> None:
    text = 'a,b\n1,"two\nlines, a ""quote"""\n\n3,4\n'
    assert rows_of(text) == [
        ("row 1 (line 2)", {"a": "1", "b": 'two\nlines, a "quote"'}),
        ("row 2 (line 5)", {"a": "3", "b": "4"}),
    ]


def test_tabs_separate_where_they_should() -> None:
    assert rows_of("a\tb\n1,5\t2\n", "\t") == [
        ("row 1 (line 2)", {"a": "1,5", "b": "2"}),
    ]


def test_an_empty_value_is_null() -> None:
    assert rows_of('a,b\n,""\n')[0][1] == {"a": None, "b": None}


@pytest.mark.parametrize("text", ["", "\n", "a,b\n", "a,b\r\n\r\n"])
def test_a_table_without_rows_gives_none(text: str) -> None:
    assert rows_of(text) == []


def test_a_long_document_is_a_value() -> None:
    text = "x" * 1_000_000
    assert rows_of(f"a\n{text}\n")[0][1] == {"a": text}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n3\n", "a.csv row 2 (line 3) has 1 values, and the head"),
        ("a,b\n1,2,3\n", "a.csv row 1 (line 2) has 3 values, and the head"),
        ("a,a\n1,2\n", f"{PATH}:1: two columns are named 'a'"),
        ('a\n1\n"2\n', f"{PATH}:3: a record that cannot be read: unexpected"),
        ('a\n"1"2\n', f"{PATH}:2: a record that cannot be read: ',' expected"),
    ],
)
def test_a_broken_table_is_an_error_with_its_line(
    text: str,
    message: str,
) -> None:
    assert error_of(text).startswith(message)


def test_columns_without_a_name_do_not_matter() -> None:
    assert rows_of(",,a\n0,0,x\n")[0][1]["a"] == "x"


def test_parquet_gives_nested_values_and_nulls(tmp_path: Path) -> None:
    rows = [
        {"messages": [{"role": "user", "content": "a"}], "text": None},
        {"messages": None, "text": "b"},
    ]
    path = parquet(tmp_path, rows * 700)
    with path.open("rb") as stream:
        found = list(parquet_rows(stream, path))
    assert found[:2] == [("row 1", rows[0]), ("row 2", rows[1])]
    assert found[-1] == ("row 1400", rows[1])


MIXED = [
    {"messages": [{"call": {"city": "Paris", "hour": None}}, {"call": "f"}]},
    {"messages": [{"role": "user", "call": {"date": "today"}}]},
]
"""Members of two types, for which `datasets` writes a table of JSON texts."""


@pytest.mark.parametrize("kind", ["parquet", "saved", "in memory"])
def test_json_in_a_table_is_what_was_written(
    tmp_path: Path,
    kind: str,
) -> None:
    features = datasets.Features(
        {"messages": datasets.List(datasets.Json())},
    )
    table = datasets.Dataset.from_list(MIXED, features=features)
    table.to_parquet(tmp_path / "a.parquet")
    table.save_to_disk(tmp_path / "saved")
    with (tmp_path / "a.parquet").open("rb") as stream:
        found = {
            "parquet": parquet_rows(stream, tmp_path / "a.parquet"),
            "saved": saved_rows(tmp_path / "saved", "train"),
            "in memory": dataset_rows(table),
        }[kind]
        rows = [row for _, row in found]
    assert rows == MIXED
    assert type(rows[0]["messages"][0]) is dict


@pytest.mark.parametrize("kind", ["parquet", "saved", "in memory"])
def test_other_objects_of_a_table_may_have_members_of_other_rows(
    tmp_path: Path,
    kind: str,
) -> None:
    rows = [{"a": [{"b": {"x": 1}}]}, {"a": [{"b": {"y": 2}}]}]
    path = parquet(tmp_path, rows)
    table = datasets.Dataset.from_list(rows)
    table.save_to_disk(tmp_path / "saved")
    with path.open("rb") as stream:
        found = {
            "parquet": parquet_rows(stream, path),
            "saved": saved_rows(tmp_path / "saved", "train"),
            "in memory": dataset_rows(table),
        }[kind]
        _, row = next(found)
    assert row == {"a": [{"b": {"x": 1, "y": None}}]}
    assert isinstance(row["a"][0]["b"], TableObject)


@pytest.mark.parametrize("damage", ["cut", "no parquet", "empty"])
def test_a_damaged_parquet_file_is_an_error(
    tmp_path: Path,
    damage: str,
) -> None:
    path = parquet(tmp_path, [{"text": "a" * 50}])
    whole = path.read_bytes()
    content = {
        "cut": whole[: len(whole) // 2],
        "no parquet": b"PAR1 but not really",
        "empty": b"",
    }[damage]
    path.write_bytes(content)
    with path.open("rb") as stream, pytest.raises(DatasetError) as caught:
        list(parquet_rows(stream, path))
    assert caught.value.message.startswith(f"{path} cannot be read as a tab")


def test_a_parquet_bomb_is_refused_before_it_is_unpacked(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dataset_tables, "MAX_TABLE_BYTES", 1000)
    path = parquet(tmp_path, [{"text": f"{n}" * 9} for n in range(999)])
    with path.open("rb") as stream, pytest.raises(DatasetError) as caught:
        list(parquet_rows(stream, path))
    assert "holds more than 1000 bytes" in caught.value.message


def test_a_saved_dataset_is_read_with_and_without_splits(
    tmp_path: Path,
) -> None:
    rows = datasets.Dataset.from_list([{"text": "a"}, {"text": "b"}])
    rows.save_to_disk(tmp_path / "one")
    splits = datasets.DatasetDict({"train": rows, "test": rows.select([1])})
    splits.save_to_disk(tmp_path / "two")
    assert not is_saved_dataset(tmp_path)
    assert is_saved_dataset(tmp_path / "one")
    assert list(saved_rows(tmp_path / "one", "train")) == [
        ("row 1", {"text": "a"}),
        ("row 2", {"text": "b"}),
    ]
    found = saved_rows(tmp_path / "two", "test")
    assert list(found) == [("row 1", {"text": "b"})]


def test_a_split_that_was_not_saved_names_those_that_were(
    tmp_path: Path,
) -> None:
    rows = datasets.Dataset.from_list([{"text": "a"}])
    datasets.DatasetDict({"train": rows}).save_to_disk(tmp_path / "saved")
    with pytest.raises(DatasetError, match="splits: 'train'") as caught:
        list(saved_rows(tmp_path / "saved", "dev"))
    assert "no split 'dev'" in caught.value.message


def test_a_damaged_saved_dataset_is_an_error(tmp_path: Path) -> None:
    datasets.Dataset.from_list([{"text": "a"}]).save_to_disk(tmp_path / "a")
    (tmp_path / "a" / "state.json").write_text("{")
    with pytest.raises(DatasetError, match="cannot be read as a table"):
        list(saved_rows(tmp_path / "a", "train"))
