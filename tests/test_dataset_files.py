# -*- coding: utf-8 -*-
"""Files are read row by row, or refused with the file and the line."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from local_llm import dataset_files
from local_llm.dataset_files import read_document, read_file
from local_llm.errors import DatasetError

ROW = {"conversations": ["Hi", "Hello \u00e9"]}
OTHER = {"messages": []}


def write(path: Path, content: str | bytes) -> Path:
    data = content.encode("utf-8") if isinstance(content, str) else content
    if path.suffix == ".gz":
        data = gzip.compress(data)
    path.write_bytes(data)
    return path


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [row for _, row in read_file(path, path.name)]


def error_of(path: Path) -> str:
    with pytest.raises(DatasetError) as caught:
        list(read_file(path, path.name))
    assert caught.value.fix
    return caught.value.message


@pytest.mark.parametrize("ending", [".json", ".json.gz", ".JSON"])
def test_a_json_list_gives_its_rows_numbered_from_one(
    tmp_path: Path,
    ending: str,
) -> None:
    path = write(tmp_path / f"a{ending}", json.dumps([ROW, OTHER]))
    assert list(read_file(path, path.name)) == [
        (f"a{ending} row 1", ROW),
        (f"a{ending} row 2", OTHER),
    ]


@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz"])
def test_the_row_of_a_jsonl_file_is_its_line(
    tmp_path: Path,
    ending: str,
) -> None:
    text = f"{json.dumps(ROW)}\r\n\n{json.dumps(OTHER)}"
    path = write(tmp_path / f"a{ending}", text)
    assert list(read_file(path, path.name)) == [
        (f"a{ending} row 1", ROW),
        (f"a{ending} row 3", OTHER),
    ]


@pytest.mark.parametrize(
    "content",
    [
        {"data": [ROW, OTHER]},
        {"version": "1", "rows": [ROW, OTHER]},
    ],
)
def test_an_object_around_one_list_gives_the_rows_of_the_list(
    tmp_path: Path,
    content: object,
) -> None:
    path = write(tmp_path / "a.json", json.dumps(content))
    assert rows_of(path) == [ROW, OTHER]


def test_an_object_that_is_a_row_is_the_only_row(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", json.dumps(ROW, indent=2))
    assert rows_of(path) == [ROW]


def test_a_json_file_with_an_object_a_line_is_read_by_lines(
    tmp_path: Path,
) -> None:
    text = f"{json.dumps(ROW)}\n{json.dumps(OTHER)}\n"
    assert rows_of(write(tmp_path / "a.json", text)) == [ROW, OTHER]


@pytest.mark.parametrize("value", [{"a": [], "b": []}, {"a": 1}, "text", 5])
def test_json_that_holds_no_list_of_rows_is_an_error(
    tmp_path: Path,
    value: object,
) -> None:
    path = write(tmp_path / "a.json", json.dumps(value))
    assert f"{path} holds " in error_of(path)


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_a_byte_order_mark_is_accepted(tmp_path: Path, name: str) -> None:
    text = json.dumps(ROW) if name == "a.jsonl" else json.dumps([ROW])
    path = write(tmp_path / name, b"\xef\xbb\xbf" + text.encode("utf-8"))
    assert rows_of(path) == [ROW]


def test_a_bad_jsonl_line_is_named_with_the_text_around(
    tmp_path: Path,
) -> None:
    text = f'{json.dumps(ROW)}\n{{"conversations": ["x" "y"]}}\n'
    path = write(tmp_path / "a.jsonl", text)
    message = error_of(path)
    assert message.startswith(f"{path}:2:24: not JSON")
    assert '"conversations": ["x" "y"]}' in message


def test_a_bad_place_in_json_is_named_by_line_and_column(
    tmp_path: Path,
) -> None:
    path = write(tmp_path / "a.json", '[\n  {"messages" []}\n]')
    assert error_of(path).startswith(f"{path}:2:15: not")


def test_a_file_that_is_not_utf8_is_named_with_its_line(
    tmp_path: Path,
) -> None:
    good = json.dumps(ROW).encode("ascii") + b"\n"
    bad = '{"text": "caf\u00e9"}'.encode("latin-1")
    for name in ("a.json", "a.jsonl"):
        message = error_of(write(tmp_path / name, good + bad))
        assert f"{name}:2: not UTF-8, byte 0xe9 after " in message
        assert "caf" in message


@pytest.mark.parametrize("value", [5, "text", None, [1, 2]])
@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_a_row_that_is_no_object_is_an_error(
    tmp_path: Path,
    value: object,
    name: str,
) -> None:
    lines = [json.dumps(ROW), json.dumps(value)]
    text = "\n".join(lines) if name == "a.jsonl" else f"[{','.join(lines)}]"
    message = error_of(write(tmp_path / name, text))
    assert message.startswith(f"{name} row 2 is ")
    assert "want an object" in message


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a": ' + "9" * 5000 + "}"])
def test_json_that_breaks_the_parser_is_an_error(
    tmp_path: Path,
    text: str,
) -> None:
    path = write(tmp_path / "a.jsonl", f"{json.dumps(ROW)}\n{text}")
    assert error_of(path).startswith(f"{path}:2: JSON that cannot be read")


@pytest.mark.parametrize("name", ["bomb.json.gz", "bomb.jsonl.gz"])
def test_a_gzip_bomb_is_refused_before_it_is_unpacked(
    tmp_path: Path,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert dataset_files.MAX_DECOMPRESSED_BYTES == 1024**3
    monkeypatch.setattr(dataset_files, "MAX_DECOMPRESSED_BYTES", 100_000)
    path = write(tmp_path / name, b" " * 10_000_000)
    assert path.stat().st_size < 100_000
    assert "holds more than 100000 bytes" in error_of(path)


def test_a_gzip_file_up_to_the_limit_is_read(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = json.dumps([ROW])
    monkeypatch.setattr(dataset_files, "MAX_DECOMPRESSED_BYTES", len(text))
    assert rows_of(write(tmp_path / "a.json.gz", text)) == [ROW]


@pytest.mark.parametrize("damage", ["cut", "not gzip", "flipped"])
def test_a_damaged_gzip_file_is_an_error(tmp_path: Path, damage: str) -> None:
    whole = gzip.compress(json.dumps([ROW] * 50).encode())
    content = {
        "cut": whole[:-20],
        "not gzip": b"[]",
        "flipped": whole[:30] + bytes([whole[30] ^ 255]) + whole[31:],
    }[damage]
    path = tmp_path / "a.json.gz"
    path.write_bytes(content)
    assert error_of(path) == f"{path} is not a complete gzip file"


@pytest.mark.parametrize("content", ["", "\n \n", "[]"])
def test_a_file_without_rows_gives_none(tmp_path: Path, content: str) -> None:
    assert rows_of(write(tmp_path / "a.json", content)) == []


def test_a_file_of_another_kind_names_the_kinds_that_are_read(
    tmp_path: Path,
) -> None:
    path = write(tmp_path / "a.xlsx", "a,b")
    with pytest.raises(DatasetError) as caught:
        list(read_file(path, path.name))
    assert ".json, .jsonl, .csv, .tsv, " in str(caught.value.fix)


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".CSV"])
def test_the_row_of_a_csv_file_comes_with_its_line(
    tmp_path: Path,
    ending: str,
) -> None:
    text = '\ufefftext,id\r\n"two\r\nlines",1\r\nplain,2\r\n'
    path = write(tmp_path / f"a{ending}", text)
    assert list(read_file(path, path.name)) == [
        (f"a{ending} row 1 (line 2)", {"text": "two\r\nlines", "id": "1"}),
        (f"a{ending} row 2 (line 4)", {"text": "plain", "id": "2"}),
    ]


@pytest.mark.parametrize("ending", [".json", ".json.gz"])
@pytest.mark.parametrize("value", [{"a": [1], "b": [2]}, [ROW], "text"])
def test_a_document_is_the_value_of_the_whole_file(
    tmp_path: Path,
    ending: str,
    value: object,
) -> None:
    path = write(tmp_path / f"a{ending}", json.dumps(value, indent=1))
    assert read_document(path) == value


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.json", '{"a": 1,\n}', "a.json:2:1: not JSON"),
        ("a.json", b'"\xff"', "a.json:1: not UTF-8"),
        ("gone.json", None, "gone.json cannot be read: No such file"),
    ],
)
def test_a_document_that_cannot_be_read_is_an_error(
    tmp_path: Path,
    name: str,
    content: str | bytes | None,
    problem: str,
) -> None:
    if content is not None:
        write(tmp_path / name, content)
    with pytest.raises(DatasetError) as caught:
        read_document(tmp_path / name)
    assert problem in caught.value.message and caught.value.fix
