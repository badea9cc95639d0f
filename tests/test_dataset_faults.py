# -*- coding: utf-8 -*-
"""Faulty datasets, each with the error or the drop that it must give.

Row 1 of a dataset is good where rows are dropped, so that the fault is in
row 2; it alone is what is wrong.
"""

import gzip
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from written_datasets import (
    GOOD,
    Content,
    alpaca,
    lima,
    message,
    messages,
    pair,
    said,
    sharegpt,
    write_files,
)

from local_llm.chat_datasets import Drop, load_chat_data
from local_llm.errors import ConfigError, DatasetError, LocalLLMError

HI = message("user", "Hi")
HELLO = message("assistant", "Hello")
PLAIN_CALL = {"name": "weather", "arguments": {}}


@dataclass(frozen=True)
class Faulty:
    """A dataset, and the error that names its fault."""

    files: dict[str, Content]
    message: str
    """A part of the message; "{folder}" stands for the folder."""
    error: type[LocalLLMError] = DatasetError
    data_path: Any = None
    """By default the first file."""
    options: dict[str, Any] = field(default_factory=dict)


def rows(*bad: object) -> dict[str, Content]:
    """A file whose first row is good."""
    return {"a.json": [GOOD, *bad]}


def calling(call: object) -> dict[str, Any]:
    return messages(HI, message("assistant", None, tool_calls=[call]))


ROW_2 = "a.json row 2"

FAULTY: dict[str, Faulty] = {
    "columns-of-no-format": Faulty(
        rows({"question": "a", "answer": "b"}),
        f"{ROW_2} is of no known format: columns 'question', 'answer'",
    ),
    "a-column-misspelt": Faulty(
        rows({"message": []}),
        f"{ROW_2} is of no known format: columns 'message'; nearest: messages",
    ),
    "a-row-that-is-text": Faulty(rows("a"), f"{ROW_2} is text, want an obje"),
    "a-row-that-is-null": Faulty(rows(None), f"{ROW_2} is null, want an obj"),
    "messages-of-text": Faulty(
        rows({"messages": "a"}),
        f"{ROW_2}, messages is text, want a list",
    ),
    "messages-that-are-texts": Faulty(
        rows(messages("a", "b")),
        f"{ROW_2}, turn 1 is text, want an object with role and content",
    ),
    "a-role-missing": Faulty(
        rows(messages({"content": "a"})),
        f"{ROW_2}, turn 1 has no role; its keys: 'content'",
    ),
    "a-role-unknown": Faulty(
        rows(messages(HI, message("asistant", "a"))),
        f"{ROW_2}, turn 2: unknown role 'asistant'; did you mean 'assistant'?",
    ),
    "a-content-missing": Faulty(
        rows(messages({"role": "user", "text": "a"})),
        f"{ROW_2}, turn 1 has no content; its keys: 'role', 'text'",
    ),
    "a-content-of-a-number": Faulty(
        rows(messages(HI, message("assistant", 5))),
        f"{ROW_2}, turn 2 is a number, want text",
    ),
    "a-content-of-parts": Faulty(
        rows(messages(message("user", [{"type": "text", "text": "a"}]))),
        f"{ROW_2}, turn 1 is a list, want text",
    ),
    "half-a-character": Faulty(
        rows(lima("a", "b\ud83d")),
        f"{ROW_2}, turn 2: half a character (lone surrogate U+D83D) at posi",
    ),
    "two-turns-of-one-role-not-merged": Faulty(
        rows(messages(HI, HI, HELLO)),
        f"{ROW_2}, turn 2: two user turns in a row",
        options={"merge_same_role": False},
    ),
    "messages-with-from": Faulty(
        rows(messages(said("human", "a"))),
        f"{ROW_2}, turn 1 has no role; its keys: 'from', 'value'",
    ),
    "sharegpt-with-role": Faulty(
        rows(sharegpt(HI)),
        f"{ROW_2}, turn 1 has no from; its keys: 'role', 'content'",
    ),
    "a-speaker-unknown": Faulty(
        rows(sharegpt(said("human", "a"), said("bing", "b"))),
        f"{ROW_2}, turn 2: unknown from 'bing'",
    ),
    "a-value-of-an-object": Faulty(
        rows(sharegpt(said("human", {"text": "a"}))),
        f"{ROW_2}, turn 1 is an object, want text",
    ),
    "lima-mixed-with-sharegpt": Faulty(
        rows(lima("a", said("gpt", "b"))),
        f"{ROW_2}, turn 2 is an object, want text",
    ),
    "arguments-that-are-no-json": Faulty(
        rows(calling({"function": {"name": "f", "arguments": "city=Paris"}})),
        f"{ROW_2}, turn 2, tool call 1, arguments is text that is no JSON ob",
    ),
    "arguments-cut-off": Faulty(
        rows(calling({"function": {"name": "f", "arguments": '{"city": "P'}})),
        f"{ROW_2}, turn 2, tool call 1, arguments looks like JSON and is not",
    ),
    "arguments-in-single-quotes": Faulty(
        rows(calling({"name": "f", "arguments": "{'city': 'Paris'}"})),
        f"{ROW_2}, turn 2, tool call 1, arguments looks like JSON and is not",
    ),
    "arguments-of-a-list": Faulty(
        rows(calling({"name": "f", "arguments": ["Paris"]})),
        f"{ROW_2}, turn 2, tool call 1: the arguments of a call are not an o",
    ),
    "a-call-without-a-name": Faulty(
        rows(calling({"function": {"arguments": "{}"}})),
        f"{ROW_2}, turn 2, tool call 1: a call has no name",
    ),
    "arguments-under-another-key": Faulty(
        rows(calling({"name": "f", "args": {"city": "Paris"}})),
        f"{ROW_2}, turn 2, tool call 1: a call has the unknown key 'args'",
    ),
    "sharegpt-arguments-under-another-key": Faulty(
        rows(
            sharegpt(
                said("human", "a"),
                said("function_call", '{"name": "f", "args": {}}'),
            ),
        ),
        f"{ROW_2}, turn 2: a call has the unknown key 'args'",
    ),
    "a-call-by-the-user": Faulty(
        rows(messages(message("user", "a", tool_calls=[PLAIN_CALL]))),
        f"{ROW_2}, turn 1: a tool is called by the role 'user'",
    ),
    "a-function-call-that-is-text": Faulty(
        rows(sharegpt(said("human", "a"), said("function_call", "f()"))),
        f"{ROW_2}, turn 2 is text, want an object with name and arguments",
    ),
    "tools-that-are-no-json": Faulty(
        rows(messages(HI, HELLO, tools="search")),
        f"{ROW_2}, tools is text, want a list",
    ),
    "a-call-beside-the-turns": Faulty(
        rows(messages(HI, HELLO, function_call={"name": "f"})),
        f"{ROW_2}, function_call is an object beside the turns",
    ),
    "a-tool-without-a-name": Faulty(
        rows(messages(HI, HELLO, tools=[{"description": "a"}])),
        f"{ROW_2}, tool 1: a tool has no name",
    ),
    "a-history-of-text": Faulty(
        rows(alpaca("a", "b", history="c")),
        f"{ROW_2}, history is text, want a list",
    ),
    "a-history-of-three": Faulty(
        rows(alpaca("a", "b", history=[["c", "d", "e"]])),
        f"{ROW_2}, history 1 is a list, want a list of question and answer",
    ),
    "prompt-text-completion-messages": Faulty(
        rows(pair("a", [HELLO])),
        f"{ROW_2}, completion is a list and the other is text",
    ),
    "a-text-of-a-list": Faulty(
        rows({"text": ["a"]}),
        f"{ROW_2}, text is a list, want text",
    ),
    "a-format-that-the-row-is-not": Faulty(
        rows({"text": "a"}),
        f"{ROW_2} is not of the format lima, which data_format names: colum",
        options={"data_format": "lima"},
    ),
    "a-name-in-columns-misspelt": Faulty(
        {"a.csv": [{"question": "a", "answer": "b"}]},
        "a.csv row 1 (line 2) is of no known format: columns 'question', "
        "'answer'; `columns` names 'questoin', not found here",
        options={"columns": {"instruction": "questoin", "output": "answer"}},
    ),
    "a-name-in-columns-that-no-row-has": Faulty(
        {"a.json": [pair("a", "b")]},
        "no row of {folder}/a.json has a column 'hist', which `columns` names",
        options={"columns": {"history": "hist"}},
    ),
    "no-such-file": Faulty(
        {},
        "file does not exist: {folder}/missing.jsonl",
        data_path="missing.jsonl",
    ),
    "neither-file-nor-hub-id": Faulty(
        {},
        "'my data' is neither an existing path nor the id of a dataset",
        data_path="my data",
    ),
    "a-file-of-another-kind": Faulty(
        {"a.xlsx": b"PK"},
        "{folder}/a.xlsx is not of a kind that can be read",
    ),
    "a-folder-without-data": Faulty(
        {"d/README.md": "a"},
        "no training files in folder {folder}/d; data files there: none",
        data_path="d",
    ),
    "no-rows": Faulty({"a.json": []}, "0 rows in {folder}/a.json"),
    "only-a-header": Faulty({"a.csv": "text\n"}, "0 rows in {folder}/a.csv"),
    "a-bad-line": Faulty(
        {"a.jsonl": '{"text": "a"}\n{"text": "b}\n'},
        "{folder}/a.jsonl:2:13: not JSON",
    ),
    "a-json-file-cut-off": Faulty(
        {"a.json": '[{"text": "a"},\n {"text": '},
        "{folder}/a.json:2:11: not JSON",
    ),
    "not-utf8": Faulty(
        {"a.jsonl": b'{"text": "a"}\n{"text": "caf\xe9"}\n'},
        "{folder}/a.jsonl:2: not UTF-8, byte 0xe9",
    ),
    "a-csv-that-is-not-utf8": Faulty(
        {"a.csv": b"text\na\ncaf\xe9\n"},
        "{folder}/a.csv:3: not UTF-8, byte 0xe9",
    ),
    "a-gzip-file-cut-off": Faulty(
        {"a.json.gz": gzip.compress(b'[{"text": "a"}]')[:-9]},
        "{folder}/a.json.gz is not a complete gzip file",
    ),
    "a-csv-row-with-too-many-values": Faulty(
        {"a.csv": "prompt,completion\na,b\nc,d,e\n"},
        "a.csv row 2 (line 3) has 3 values, and the header 2",
    ),
    "a-quote-that-is-not-closed": Faulty(
        {"a.csv": 'text\na\n"b\n'},
        "{folder}/a.csv:3: a record that cannot be read",
    ),
    "two-columns-of-one-name": Faulty(
        {"a.csv": "text,text\na,b\n"},
        "{folder}/a.csv:1: two columns are named 'text'",
    ),
    "a-parquet-file-that-is-none": Faulty(
        {"a.parquet": b"PAR1"},
        "{folder}/a.parquet cannot be read as a table",
    ),
    "a-split-of-a-file": Faulty(
        {"a.json": [GOOD]},
        "split: is of datasets on the hub, and this is {folder}/a.json",
        error=ConfigError,
        data_path=[{"path": "a.json", "split": "test"}],
    ),
}

DROPPED: dict[str, tuple[object, str, str]] = {
    "no-turns": (messages(), "", "no turns"),
    "a-question-alone": (lima("a"), "", "no assistant turn"),
    "an-empty-answer": (lima("a", " \n"), ", turn 2", "empty turn"),
    "a-null-answer": (alpaca("a", None), ", output", "turn without text"),
    "the-assistant-first": (
        messages(HELLO, HI, HELLO),
        ", turn 1",
        "assistant speaks first",
    ),
    "a-system-turn-in-the-middle": (
        messages(HI, HELLO, message("system", "a"), HI, HELLO),
        ", turn 3",
        "system turn in the middle",
    ),
    "a-duplicate": (
        messages(
            message("user", "good question"),
            message("assistant", "good answer"),
        ),
        "",
        "duplicate conversation",
    ),
    "a-result-without-a-call": (
        messages(HI, message("tool", "18"), HELLO),
        ", turn 2",
        "tool result without a call",
    ),
    "weight-0-alone": (
        messages(HI, message("assistant", "a", weight=0)),
        "",
        "no turn to be learned",
    ),
    "a-completion-that-goes-on-with-the-answer-in-the-prompt": (
        pair([HI, message("assistant", "Well,")], [HELLO]),
        ", completion turn 1",
        "turns of one role, not all of them to be learned",
    ),
    "a-call-without-a-result": (
        messages(
            HI, message("assistant", None, tool_calls=[PLAIN_CALL]), HELLO
        ),
        ", turn 2",
        "tool call without a result",
    ),
    "neither-text-nor-calls": (
        messages(HI, {"role": "assistant", "tool_calls": []}),
        ", turn 2",
        "turn without text",
    ),
    "a-null-answer-beside-a-text": (
        alpaca("a", None, text="### a"),
        ", output",
        "turn without text",
    ),
    "a-blank-text": ({"text": "\t\n"}, ", text", "empty turn"),
}


def test_there_are_sixty_or_more() -> None:
    assert len(FAULTY) + len(DROPPED) >= 60


@pytest.mark.parametrize("name", list(FAULTY))
def test_a_faulty_dataset_is_refused_with_its_place(
    tmp_path: Path,
    name: str,
) -> None:
    case = FAULTY[name]
    write_files(tmp_path, case.files)
    with pytest.raises(case.error) as caught:
        load_chat_data(
            case.data_path or next(iter(case.files)),
            base=tmp_path,
            **case.options,
        )
    assert case.message.format(folder=tmp_path) in caught.value.message
    assert caught.value.fix


@pytest.mark.parametrize("name", list(DROPPED))
def test_a_row_that_teaches_nothing_is_dropped_with_its_reason(
    tmp_path: Path,
    name: str,
) -> None:
    row, turn, reason = DROPPED[name]
    write_files(tmp_path, rows(row))
    data = load_chat_data("a.json", base=tmp_path)
    assert data.drops == (Drop(f"{ROW_2}{turn}", reason),)
    assert data.rows_read == data.rows_kept + len(data.drops) == 2


@pytest.mark.parametrize("name", list(DROPPED))
def test_strict_makes_the_drop_an_error_with_the_same_place(
    tmp_path: Path,
    name: str,
) -> None:
    row, turn, reason = DROPPED[name]
    write_files(tmp_path, rows(row))
    with pytest.raises(DatasetError) as caught:
        load_chat_data("a.json", base=tmp_path, strict=True)
    assert caught.value.message == f"{ROW_2}{turn}: {reason}"
    assert "strict_data" in str(caught.value.fix)
