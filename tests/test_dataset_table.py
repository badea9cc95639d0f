# -*- coding: utf-8 -*-
"""Datasets of every shape that is accepted, with the turns they hold."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import datasets
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

from local_llm.chat_datasets import load_chat_data
from local_llm.tool_calls import (
    ToolCall,
    render_call,
    render_result,
    render_tools,
)

Written = list[tuple[str, str]]
"""A conversation as role's first letter and text: s, u, a, t."""


@dataclass(frozen=True)
class Accepted:
    """A dataset, and what must come out of it."""

    files: dict[str, Content]
    turns: list[Written]
    formats: dict[str, int]
    data_path: Any = None
    """By default the first file."""
    options: dict[str, Any] = field(default_factory=dict)
    adjusted: dict[str, int] = field(default_factory=dict)


HELLO = message("assistant", "Hello")
ASKED: Written = [("u", "Hi"), ("a", "Hello")]
GOOD_TURNS: Written = [("u", "good question"), ("a", "good answer")]
ROW = lima("Hi", "Hello")
SCHEMA = {
    "name": "weather",
    "description": "The weather of a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
    },
}
BOOK = {
    "name": "book",
    "parameters": {"properties": {"seats": {"minimum": 1}}},
}
BOOKING = {"function": {"name": "book", "arguments": {"seats": 2}}}
OFFER = render_tools([SCHEMA])
CALL = render_call(ToolCall("weather", {"city": "Paris"}))
CALL_ROME = render_call(ToolCall("weather", {"city": "Rome"}))
RESULT = render_result("18 degrees")
TWO_CALLS = [
    {"id": call_id, "name": "weather", "arguments": {"city": city}}
    for call_id, city in (("1", "Paris"), ("2", "Rome"))
]
RENAMED_CALL = {"name": "weather", "parameters": {"city": "Paris"}}
WITH_TOOLS: Written = [
    ("s", OFFER),
    ("u", "Warm?"),
    ("a", CALL),
    ("u", RESULT),
    ("a", "Mild."),
]


def called(arguments: object, **more: object) -> dict[str, Any]:
    call = {"function": {"name": "weather", "arguments": arguments}, **more}
    return message("assistant", None, tool_calls=[call])


def tool_messages(arguments: object, tools: object) -> dict[str, Any]:
    return messages(
        message("user", "Warm?"),
        called(arguments, id="1", type="function"),
        message("tool", "18 degrees", tool_call_id="1"),
        message("assistant", "Mild."),
        tools=tools,
    )


SHAREGPT_TOOLS = sharegpt(
    said("human", "Warm?"),
    said(
        "function_call", '{"name": "weather", "arguments": {"city": "Paris"}}'
    ),
    said("observation", "18 degrees"),
    said("gpt", "Mild."),
    tools='[{"name": "weather", "description": "The weather of a city.", '
    '"parameters": {"type": "object", "properties": {"city": {"type": '
    '"string"}}}}]',
)

ACCEPTED: dict[str, Accepted] = {
    "lima-json": Accepted({"a.json": [ROW]}, [ASKED], {"lima": 1}),
    "lima-several-turns": Accepted(
        {"a.json": [lima("a", "b", "c", "d")]},
        [[("u", "a"), ("a", "b"), ("u", "c"), ("a", "d")]],
        {"lima": 1},
    ),
    "lima-ends-with-the-user": Accepted(
        {"a.json": [lima("Hi", "Hello", "And?")]},
        [ASKED],
        {"lima": 1},
        adjusted={"last user turn removed": 1},
    ),
    "lima-parquet": Accepted({"a.parquet": [ROW]}, [ASKED], {"lima": 1}),
    "lima-csv": Accepted({"a.csv": [ROW]}, [ASKED], {"lima": 1}),
    "messages-jsonl": Accepted(
        {"a.jsonl": [messages(message("user", "Hi"), HELLO)]},
        [ASKED],
        {"messages": 1},
    ),
    "messages-with-system": Accepted(
        {
            "a.json": [
                messages(
                    message("system", "Be brief."),
                    message("user", "Hi"),
                    HELLO,
                ),
            ],
        },
        [[("s", "Be brief."), *ASKED]],
        {"messages": 1},
    ),
    "messages-of-one-role-in-a-row": Accepted(
        {
            "a.json": [
                messages(
                    message("user", "a"),
                    message("user", "b"),
                    message("assistant", "c"),
                ),
            ],
        },
        [[("u", "a\n\nb"), ("a", "c")]],
        {"messages": 1},
        adjusted={"turns of one role merged": 1},
    ),
    "messages-csv-as-json-text": Accepted(
        {"a.csv": [messages(message("user", "Hi"), HELLO)]},
        [ASKED],
        {"messages": 1},
    ),
    "messages-parquet-as-json-text": Accepted(
        {
            "a.parquet": [
                {
                    "messages": '[{"role": "user", "content": "Hi"}, '
                    '{"role": "assistant", "content": "Hello"}]',
                },
            ],
        },
        [ASKED],
        {"messages": 1},
    ),
    "tools-as-a-list-arguments-as-text": Accepted(
        {"a.json": [tool_messages('{"city": "Paris"}', [SCHEMA])]},
        [WITH_TOOLS],
        {"messages": 1},
    ),
    "tools-wrapped-arguments-as-object": Accepted(
        {
            "a.json": [
                tool_messages(
                    {"city": "Paris"},
                    [{"type": "function", "function": SCHEMA}],
                ),
            ],
        },
        [WITH_TOOLS],
        {"messages": 1},
    ),
    "tools-join-the-system-turn": Accepted(
        {
            "a.json": [
                messages(
                    message("system", "Be brief."),
                    message("user", "Hi"),
                    HELLO,
                    tools=[SCHEMA],
                ),
            ],
        },
        [[("s", f"Be brief.\n\n{OFFER}"), *ASKED]],
        {"messages": 1},
    ),
    "two-calls-and-their-results": Accepted(
        {
            "a.json": [
                messages(
                    message("user", "Warm?"),
                    message("assistant", "Let me look.", tool_calls=TWO_CALLS),
                    message("tool", "18 degrees", tool_call_id="1"),
                    message("tool", "25 degrees", tool_call_id="2"),
                    message("assistant", "Yes."),
                ),
            ],
        },
        [
            [
                ("u", "Warm?"),
                ("a", f"Let me look.\n{CALL}\n{CALL_ROME}"),
                ("u", f"{RESULT}\n{render_result('25 degrees')}"),
                ("a", "Yes."),
            ],
        ],
        {"messages": 1},
        options={"merge_same_role": False},
    ),
    "results-in-another-order-than-their-calls": Accepted(
        {
            "a.json": [
                messages(
                    message("user", "Warm?"),
                    message("assistant", None, tool_calls=TWO_CALLS),
                    message("tool", "25 degrees", tool_call_id="2"),
                    message("tool", "18 degrees", tool_call_id="1"),
                    message("assistant", "Yes."),
                ),
            ],
        },
        [
            [
                ("u", "Warm?"),
                ("a", f"{CALL}\n{CALL_ROME}"),
                ("u", f"{RESULT}\n{render_result('25 degrees')}"),
                ("a", "Yes."),
            ],
        ],
        {"messages": 1},
    ),
    "parameters-in-place-of-arguments": Accepted(
        {
            "a.json": [
                messages(
                    message("user", "Warm?"),
                    message("assistant", None, tool_calls=[RENAMED_CALL]),
                ),
            ],
        },
        [WITH_TOOLS[1:3]],
        {"messages": 1},
    ),
    "calls-that-are-text-already": Accepted(
        {
            "a.json": [
                messages(
                    message("user", "Warm?"),
                    message("assistant", CALL),
                    message("tool", "18 degrees"),
                    message("assistant", "Mild."),
                    tools=[SCHEMA],
                ),
            ],
        },
        [WITH_TOOLS],
        {"messages": 1},
    ),
    "a-function-call-of-the-old-form": Accepted(
        {
            "a.json": [
                messages(
                    message("user", "Warm?"),
                    message(
                        "assistant",
                        None,
                        function_call={
                            "name": "weather",
                            "arguments": '{"city": "Paris"}',
                        },
                    ),
                    message("function", "18 degrees", name="weather"),
                    message("assistant", "Mild."),
                ),
            ],
        },
        [WITH_TOOLS[1:]],
        {"messages": 1},
    ),
    "a-call-as-the-last-turn": Accepted(
        {
            "a.json": [
                messages(message("user", "Warm?"), called({"city": "Paris"}))
            ]
        },
        [WITH_TOOLS[1:3]],
        {"messages": 1},
    ),
    "tools-in-parquet": Accepted(
        {"a.parquet": [tool_messages('{"city": "Paris"}', [SCHEMA])]},
        [WITH_TOOLS],
        {"messages": 1},
    ),
    "two-tools-in-parquet": Accepted(
        {
            "a.parquet": [
                tool_messages({"city": "Paris"}, [SCHEMA]),
                messages(
                    message("user", "Book."),
                    message("assistant", None, tool_calls=[BOOKING]),
                    tools=[BOOK],
                ),
            ],
        },
        [
            WITH_TOOLS,
            [
                ("s", render_tools([BOOK])),
                ("u", "Book."),
                ("a", render_call(ToolCall("book", {"seats": 2}))),
            ],
        ],
        {"messages": 2},
    ),
    "null-as-an-argument-in-json": Accepted(
        {
            "a.json": [
                messages(message("user", "Warm?"), called({"city": None})),
            ],
        },
        [
            [
                ("u", "Warm?"),
                ("a", render_call(ToolCall("weather", {"city": None}))),
            ],
        ],
        {"messages": 1},
    ),
    "sharegpt-human-gpt": Accepted(
        {"a.json": [sharegpt(said("human", "Hi"), said("gpt", "Hello"))]},
        [ASKED],
        {"sharegpt": 1},
    ),
    "sharegpt-user-chatgpt": Accepted(
        {
            "a.json": [
                sharegpt(
                    said("system", "Be brief."),
                    said("user", "Hi"),
                    said("chatgpt", "Hello"),
                ),
            ],
        },
        [[("s", "Be brief."), *ASKED]],
        {"sharegpt": 1},
    ),
    "sharegpt-system-column": Accepted(
        {
            "a.jsonl.gz": [
                sharegpt(
                    said("human", "Hi"),
                    said("assistant", "Hello"),
                    system="Be brief.",
                ),
            ],
        },
        [[("s", "Be brief."), *ASKED]],
        {"sharegpt": 1},
    ),
    "sharegpt-tools": Accepted(
        {"a.json": [SHAREGPT_TOOLS]},
        [WITH_TOOLS],
        {"sharegpt": 1},
    ),
    "sharegpt-tools-csv": Accepted(
        {"a.csv": [SHAREGPT_TOOLS]},
        [WITH_TOOLS],
        {"sharegpt": 1},
    ),
    "sharegpt-calls-and-results-as-text": Accepted(
        {
            "a.json": [
                sharegpt(
                    said("human", "Warm?"),
                    said("gpt", CALL),
                    said("tool", RESULT),
                    said("gpt", "Mild."),
                ),
            ],
        },
        [WITH_TOOLS[1:]],
        {"sharegpt": 1},
    ),
    "alpaca": Accepted(
        {"a.json": [alpaca("Hi", "Hello", input="")]},
        [ASKED],
        {"alpaca": 1},
    ),
    "alpaca-tools": Accepted(
        {"a.json": [alpaca("Hi", "Hello", tools=[SCHEMA])]},
        [[("s", OFFER), *ASKED]],
        {"alpaca": 1},
    ),
    "alpaca-input": Accepted(
        {"a.json": [alpaca("Add.", "5", input="2 and 3")]},
        [[("u", "Add.\n2 and 3"), ("a", "5")]],
        {"alpaca": 1},
    ),
    "alpaca-history-and-system": Accepted(
        {
            "a.json": [
                alpaca("c", "d", history=[["a", "b"]], system="Be brief."),
            ],
        },
        [[("s", "Be brief."), *zip("uaua", "abcd", strict=True)]],
        {"alpaca": 1},
    ),
    "alpaca-csv-with-history": Accepted(
        {"a.csv": [alpaca("c", "d", history=[["a", "b"]])]},
        [[*zip("uaua", "abcd", strict=True)]],
        {"alpaca": 1},
    ),
    "alpaca-with-a-text-column": Accepted(
        {"a.parquet": [alpaca("Hi", "Hello", text="### Instruction: Hi")]},
        [ASKED],
        {"alpaca": 1},
    ),
    "prompt-completion": Accepted(
        {"a.jsonl": [pair("Hi", "Hello")]},
        [ASKED],
        {"prompt_completion": 1},
    ),
    "prompt-completion-of-messages": Accepted(
        {
            "a.json": [
                pair(
                    [message("system", "Be brief."), message("user", "Hi")],
                    [HELLO],
                ),
            ],
        },
        [[("s", "Be brief."), *ASKED]],
        {"prompt_completion": 1},
    ),
    "prompt-completion-csv-of-messages": Accepted(
        {"a.csv": [pair([message("user", "Hi")], [HELLO])]},
        [ASKED],
        {"prompt_completion": 1},
    ),
    "prompt-completion-tsv": Accepted(
        {"a.tsv": [pair("Hi", "Hello")]},
        [ASKED],
        {"prompt_completion": 1},
    ),
    "text": Accepted(
        {"a.jsonl": [{"text": "Once upon a time.\n"}]},
        [[("t", "Once upon a time.\n")]],
        {"text": 1},
    ),
    "text-csv-gzip": Accepted(
        {"a.csv.gz": [{"text": 'Once, "upon"\na time.'}]},
        [[("t", 'Once, "upon"\na time.')]],
        {"text": 1},
    ),
    "columns-of-other-names": Accepted(
        {"a.csv": [{"question": "Hi", "answer": "Hello", "id": 7}]},
        [ASKED],
        {"alpaca": 1},
        options={"columns": {"instruction": "question", "output": "answer"}},
    ),
    "a-list-in-a-column-of-another-name": Accepted(
        {"a.csv": [{"chat": ["Hi", "Hello"]}]},
        [ASKED],
        {"lima": 1},
        options={"columns": {"conversations": "chat"}},
    ),
    "a-format-that-is-named": Accepted(
        {"a.json": [alpaca("Hi", "Hello", text="Once.")]},
        [[("t", "Once.")]],
        {"text": 1},
        options={"data_format": "text"},
    ),
    "every-format-in-one-file": Accepted(
        {
            "a.jsonl": [
                GOOD,
                messages(message("user", "a"), message("assistant", "b")),
                sharegpt(said("human", "c"), said("gpt", "d")),
                alpaca("e", "f"),
                pair("g", "h"),
                {"text": "i"},
            ],
        },
        [
            GOOD_TURNS,
            *([("u", q), ("a", a)] for q, a in ("ab", "cd", "ef", "gh")),
            [("t", "i")],
        ],
        {
            "lima": 1,
            "messages": 1,
            "sharegpt": 1,
            "alpaca": 1,
            "prompt_completion": 1,
            "text": 1,
        },
    ),
    "a-table-of-two-formats": Accepted(
        {"a.parquet": [ROW, {"text": "Once."}]},
        [ASKED, [("t", "Once.")]],
        {"lima": 1, "text": 1},
    ),
    "a-folder-without-its-test-file": Accepted(
        {"d/train.jsonl": [ROW], "d/test.jsonl": [GOOD], "d/README.md": "x"},
        [ASKED],
        {"lima": 1},
        data_path="d",
    ),
    "a-folder-of-several-kinds": Accepted(
        {"d/a.json.gz": {"data": [ROW]}, "d/b.csv": [pair("a", "b")]},
        [ASKED, [("u", "a"), ("a", "b")]],
        {"lima": 1, "prompt_completion": 1},
        data_path="d",
    ),
    "sources-with-weights": Accepted(
        {"a.json": [ROW], "b.jsonl": [GOOD]},
        [ASKED, GOOD_TURNS, GOOD_TURNS],
        {"lima": 2},
        data_path=["a.json", {"path": "b.jsonl", "weight": 2}],
    ),
}


def test_there_are_forty_or_more() -> None:
    assert len(ACCEPTED) >= 40


@pytest.mark.parametrize("name", list(ACCEPTED))
def test_a_dataset_of_an_accepted_shape_gives_its_turns(
    tmp_path: Path,
    name: str,
) -> None:
    case = ACCEPTED[name]
    write_files(tmp_path, case.files)
    data = load_chat_data(
        case.data_path or next(iter(case.files)),
        base=tmp_path,
        held_out_share=0.0,
        strict=True,
        **case.options,
    )
    found = [
        [(turn.role[0], turn.text) for turn in one.turns] for one in data.train
    ]
    assert found == case.turns
    assert (data.formats, data.adjustments) == (case.formats, case.adjusted)
    assert data.rows_read == data.rows_kept == sum(case.formats.values())


@pytest.mark.parametrize(
    "name", ["lima-several-turns", "two-tools-in-parquet"]
)
def test_a_saved_dataset_gives_its_turns(tmp_path: Path, name: str) -> None:
    case = ACCEPTED[name]
    rows = next(iter(case.files.values()))
    datasets.Dataset.from_list(rows).save_to_disk(tmp_path / "saved")
    data = load_chat_data("saved", base=tmp_path, held_out_share=0.0)
    assert [
        [(turn.role[0], turn.text) for turn in one.turns] for one in data.train
    ] == case.turns
    assert data.train[0].where == "saved row 1"
