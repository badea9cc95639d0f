# -*- coding: utf-8 -*-
"""Config files that are not what they should be, each with its message."""

import json
import math
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_llm.errors import ConfigError, LocalLLMError
from local_llm.settings_file import join, masked, read_entries, shown, walk

CANARY = "hf_CANARY0123456789abcdefghijklmnop"
GOOD = b'[{"config_name": "a"}]'


def problems_of(path: Path, data: bytes) -> list[str]:
    """The problems of a file with these bytes."""
    path.write_bytes(data)
    with pytest.raises(ConfigError) as caught:
        read_entries(path)
    assert caught.value.where == str(path)
    return caught.value.problems


@pytest.fixture(name="path")
def config_path(tmp_path: Path) -> Path:
    """Where a test writes its file."""
    return tmp_path / "model_configs.json"


def test_a_right_file_gives_its_entries(path: Path) -> None:
    path.write_bytes(GOOD)
    assert read_entries(path) == [{"config_name": "a"}]


def test_a_byte_order_mark_is_accepted(path: Path) -> None:
    path.write_bytes(b"\xef\xbb\xbf" + GOOD)
    assert read_entries(path) == [{"config_name": "a"}]


def test_an_absent_file_is_named_with_its_absolute_path(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as caught:
        read_entries(Path("absent.json"))
    assert caught.value.where == str(tmp_path / "absent.json")
    assert caught.value.problems == ["the file does not exist"]


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is a folder"):
        read_entries(tmp_path)


@pytest.mark.parametrize("name", ["a.json/b.json", "x" * 300, "a\0b"])
def test_a_path_that_cannot_be_opened_is_refused(
    tmp_path: Path,
    name: str,
) -> None:
    (tmp_path / "a.json").write_bytes(GOOD)
    with pytest.raises(ConfigError, match="cannot be read|does not exist"):
        read_entries(tmp_path / name)


@pytest.mark.parametrize(
    ("data", "place", "text"),
    [
        (b"", "1:1", "the file is empty"),
        (b"[\n {},\n]", "3:1", "a comma before the closing bracket; the"),
        (b'[\n {"a": 1,}\n]', "2:10", 'the line is {"a": 1,}'),
        (
            b"[\n // mine\n]",
            "2:2",
            "JSON has no comments; the line is // mine",
        ),
        (b"[{'a': 1}]", "1:3", "JSON strings stand between double quotes"),
        (b'[{"a" 1}]', "1:7", "Expecting ':' delimiter"),
        (b"[{}]]", "1:5", "Extra data"),
        (b'[\n"\xff"]', "2:2", "is not UTF-8 text"),
        (b"[\x1b[2J]", "1:2", r"the line is [\x1b[2J]"),
    ],
)
def test_a_syntax_error_is_told_with_line_column_and_text(
    path: Path,
    data: bytes,
    place: str,
    text: str,
) -> None:
    (problem,) = problems_of(path, data)
    assert problem.startswith(f"{path}:{place}: is not ")
    assert text in problem


@pytest.mark.parametrize(
    "data",
    [
        b'[{"hub_token": "canary" 1}]',
        b'[{"hub_token":\n"canary" 1}]',
        b"[{'hub_token': 'canary'}]",
        b"[{hub_token: canary}]",
        b'[{"token": "canary\n}]',
        b'[{"a": "' + CANARY.encode() + b'" 1}]',
    ],
)
def test_a_syntax_error_never_shows_a_token(path: Path, data: bytes) -> None:
    assert "canary" not in problems_of(path, data)[0].lower()


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (
            b'[{"config_name": "a", "x": {"r": 1, "r": 2}}]',
            "[0].x.r: the key is given twice",
        ),
        (b'[{"config_name": "a", "x": NaN}]', "[0].x: wanted a finite"),
        (b'[{"config_name": "a", "x": [-Infinity]}]', "[0].x[0]: wanted a"),
        (b'[{"config_name": "a", "x": 1e999}]', "[0].x: wanted a finite"),
        (
            b'[{"config_name": "a", "x": ' + b"9" * 5000 + b"}]",
            "[0].x: wanted a finite number of at most 19 digits",
        ),
        (b"[" * 100_000, "nested more than 64 deep"),
        (b'{"config_name": "a"}', "wanted a list of entries, found an object"),
        (b"null", "wanted a list of entries, found null"),
        (b"[]", "wanted at least one entry"),
        (b"[3]", "[0]: wanted an object, found 3"),
        (b"[{}]", "[0].config_name: wanted a name, found null"),
        (b'[{"config_name": 3}]', "[0].config_name: wanted a name, found 3"),
        (
            b'[{"config_name": "a"}, {"config_name": "a"}]',
            "[1].config_name: 'a' names an entry before it too",
        ),
        (b" " * (1024 * 1024 + 1), "is larger than 1048576 bytes"),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else value,
)
def test_what_json_would_let_pass_is_refused(
    path: Path,
    data: bytes,
    text: str,
) -> None:
    assert text in problems_of(path, data)[0]


def test_brackets_inside_strings_are_no_nesting(path: Path) -> None:
    text = json.dumps([{"config_name": "a", "x": '\\"' + "[" * 100}])
    path.write_text(text, encoding="utf-8")
    assert len(read_entries(path)) == 1


@pytest.mark.parametrize(
    "data",
    [
        b'"' + b'\\"' * 300_000,
        b'"' + b'\\"' * 300_000 + b"\\",
        b"[" + b'{"a":1,"a":1},' * 50_000 + b"1]",
        b"[" + b'{"config_name":"a"},' * 50_000 + b"1]",
        b"[{" + b'"a":1,' * 100_000 + b'"a":1}]',
        b"[" + b"{}," * 300_000,
        b'["' + b"token" * 200_000,
        b"[://" + b":" * 500_000,
    ],
    ids=range(8),
)
def test_a_large_file_is_refused_in_reasonable_time(
    path: Path,
    data: bytes,
) -> None:
    start = time.process_time()
    assert len(problems_of(path, data)) <= 52
    assert time.process_time() - start < 5


@settings(max_examples=200, derandomize=True, deadline=None)
@given(
    st.integers(0, 20),
    st.binary(max_size=6),
    st.integers(0, 25),
)
def test_no_bytes_escape_as_another_exception(
    tmp_path_factory: pytest.TempPathFactory,
    start: int,
    patch: bytes,
    end: int,
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzzed.json"
    path.write_bytes(GOOD[:start] + patch + GOOD[end:])
    try:
        read_entries(path)
    except LocalLLMError as error:
        str(error).encode("utf-8")


def test_a_token_is_masked_wherever_it_stands() -> None:
    text = f"a {CANARY} b https://me:canary@host/x"
    assert masked(text) == "a *** b https://me:***@host/x"


def test_a_name_that_starts_like_a_token_is_no_token() -> None:
    assert masked("data/hf_conversations.json") == "data/hf_conversations.json"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (None, "null"),
        (1.5, "1.5"),
        pytest.param(10**5000, "an integer of 16610 bits", id="huge"),
        ("x", "the string 'x'"),
        ("\ud800", r"the string '\ud800'"),
        ("x" * 100, "the string '" + "x" * 60 + "'... (100 characters)"),
        ({"a": 1}, "an object with 1 keys"),
        ([1, 2], "a list of 2"),
        ({1}, "a Python set"),
        (math.inf, "inf"),
    ],
)
def test_any_value_can_be_shown_shortly(value: object, text: str) -> None:
    assert shown(value) == text


def test_a_walk_names_every_value_by_its_path() -> None:
    spots = list(walk({"a": [1, {"b.c": 2}]}))
    assert [(spot.path, spot.depth) for spot in spots] == [
        ("", 0),
        ("a", 1),
        ("a[0]", 2),
        ("a[1]", 2),
        ("a[1].'b.c'", 3),
    ]


def test_a_key_that_is_no_string_can_stand_in_a_path() -> None:
    assert join("a", None) == "a.null"
