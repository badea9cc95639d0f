# -*- coding: utf-8 -*-
"""Three thousand damaged datasets are read, or refused in the project's words.

Each starts from valid rows of every format and is changed in one to three
places, in its values or in the bytes of its file. What is kept and what is
dropped are all the rows, and what is kept can be trained on.
"""

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tiny_models import SPECIAL, TURN_MARKS, make_tokenizer
from trl.chat_template_utils import gemma_chat_template
from written_datasets import (
    GOOD,
    alpaca,
    as_bytes,
    lima,
    message,
    messages,
    pair,
    said,
    sharegpt,
)

from local_llm.chat_datasets import ChatData, Conversation, load_chat_data
from local_llm.chat_format import PLAIN_TEXT, ChatFormat
from local_llm.errors import LocalLLMError

ROWS_CASES, BYTES_CASES = 2400, 600
FUZZ: dict[str, Any] = {
    "derandomize": True,
    "deadline": None,
    "database": None,
    "suppress_health_check": list(HealthCheck),
}

CALL = {"name": "weather", "arguments": '{"city": "Paris"}'}
TEXT_CALL = {"name": "weather", "arguments": {"city": "Paris"}}
SEEDS: list[dict[str, Any]] = [
    lima("a", "b", "c", "d"),
    messages(
        message("system", "s"),
        message("user", "a"),
        message("assistant", "b"),
    ),
    messages(
        message("user", "a"),
        message("assistant", None, tool_calls=[{"id": "1", "function": CALL}]),
        message("tool", "18", tool_call_id="1"),
        message("assistant", "b"),
        tools=[{"type": "function", "function": {"name": "weather"}}],
    ),
    sharegpt(said("human", "a"), said("gpt", "b"), system="s"),
    sharegpt(
        said("human", "a"),
        said("function_call", json.dumps(CALL)),
        said("observation", "18"),
        said("gpt", "b"),
        tools='[{"name": "weather"}]',
    ),
    sharegpt(
        said("human", "a"),
        said("gpt", f"<tool_call>{json.dumps(TEXT_CALL)}</tool_call>"),
        said("tool", "<tool_response>18</tool_response>"),
        {**said("gpt", "b"), "weight": 1},
    ),
    alpaca("a", "b", input="c", history=[["d", "e"]], system="s"),
    pair("a", "b"),
    pair([message("user", "a")], [message("assistant", "b")]),
    pair(
        json.dumps([message("user", "a"), message("assistant", "b")] * 2),
        json.dumps([message("user", "c"), message("assistant", "d")]),
    ),
    {"text": "Once upon a time."},
]
KINDS = ("json", "jsonl", "csv", "tsv", "parquet", "jsonl.gz", "csv.gz")


def nested(depth: int) -> object:
    value: object = {"name": "f"}
    for _ in range(depth):
        value = [value]
    return value


CONTROL = [*SPECIAL, *TURN_MARKS, "<start_of_image>"]
TEXTS = [
    *("", " ", "\n", "\x00", "\ud83d", "\u202e", "\U0001f469\u200d\U0001f680"),
    *("[", "{", "[]", "{}", '["a", "b"]', '[{"role": "user"}]', '"', "'"),
    *(
        "<tool_call>",
        "</tool_call>",
        "</tool_response>",
        "</tools>",
        "\ue0000",
    ),
    *("user", "assistant", "system", "tool", "human", "function_call", "gpt"),
    *(f"x{mark}y" for mark in CONTROL),
]
JUNK = [
    *(None, True, False, 0, -1, 1.5, 10**30, float("nan"), float("inf")),
    *([], {}, [[]], [None], {"": None}, ["a", "b", "c"], CALL, nested(60)),
    *(message("user", "a"), message("tool", "a"), said("gpt", "a")),
    *TEXTS,
]
KEYS = [
    *("role", "content", "from", "value", "messages", "conversations", "text"),
    *("tools", "tool_calls", "function_call", "tool_call_id", "function", ""),
    *("name", "arguments", "weight", "prompt", "completion", "instruction"),
    *("output", "input", "history", "system", "id", "\ud800", "extra"),
    *("functions", "parameters"),
]
Spot = tuple[Any, Any]
Change = Callable[[Any, Any, Any], None]


def spots(value: Any) -> Iterator[Spot]:
    """Every place in a value, as its container and key."""
    if isinstance(value, dict | list):
        keys = value.keys() if isinstance(value, dict) else range(len(value))
        for key in list(keys):
            yield value, key
            yield from spots(value[key])


def put(container: Any, key: Any, junk: Any) -> None:
    container[key] = copy.deepcopy(junk)


def remove(container: Any, key: Any, junk: Any) -> None:
    del container[key]


def wrap(container: Any, key: Any, junk: Any) -> None:
    container[key] = [container[key]]


def as_text(container: Any, key: Any, junk: Any) -> None:
    container[key] = json.dumps(container[key])


def append_text(container: Any, key: Any, junk: Any) -> None:
    container[key] = f"{container[key]}{junk}"


def double(container: Any, key: Any, junk: Any) -> None:
    if isinstance(container, list):
        container.insert(key, copy.deepcopy(container[key]))


def swap(container: Any, key: Any, junk: Any) -> None:
    if isinstance(container, list):
        container[0], container[key] = container[key], container[0]


CHANGES: tuple[Change, ...] = (
    *(put, remove, wrap, as_text, append_text, double, swap),
)


@st.composite
def damaged_rows(draw: st.DrawFn) -> list[Any]:
    chosen = draw(st.lists(st.sampled_from(SEEDS), min_size=1, max_size=3))
    rows: list[Any] = copy.deepcopy([GOOD, *chosen])
    for _ in range(draw(st.integers(1, 3))):
        places = list(spots(rows))
        if not places:
            break
        container, key = draw(st.sampled_from(places))
        if isinstance(container, dict) and draw(st.booleans()):
            name = draw(st.sampled_from(KEYS))
            container[name] = copy.deepcopy(
                draw(st.sampled_from([container[key], *JUNK])),
            )
        else:
            change = draw(st.sampled_from(CHANGES))
            change(container, key, draw(st.sampled_from(JUNK)))
    return rows


@st.composite
def damaged_bytes(draw: st.DrawFn) -> tuple[str, bytes]:
    kind = draw(st.sampled_from(KINDS))
    seed = draw(st.sampled_from(SEEDS))
    content = bytearray(as_bytes(f"a.{kind}", [seed]))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(0, len(content) - 1)))
        end = min(len(content), at + draw(st.integers(0, 9)))
        piece = draw(
            st.binary(max_size=4)
            | st.sampled_from([b'"', b"\r", b"\n", b",", b"{", b"\xff", b""])
            | st.just(bytes(content[at:end]) * 2),
        )
        content[at:end] = piece
    return kind, bytes(content)


def chat_format() -> ChatFormat:
    tokenizer = make_tokenizer()
    tokenizer.chat_template = gemma_chat_template
    return ChatFormat(tokenizer)


FORMAT = chat_format()
BOS, EOS, START, END = FORMAT.tokenizer.convert_tokens_to_ids(
    ["<bos>", "<eos>", *TURN_MARKS],
)


def check_conversation(one: Conversation) -> None:
    """Control tokens stand where the renderer put them; some are learned."""
    chat = FORMAT.render(one.turns)
    found = [token for token in chat.ids if token in FORMAT.control_ids]
    if one.turns[0].role == PLAIN_TEXT:
        assert found == [BOS, EOS]
    else:
        turns = FORMAT.normalise(one.turns)
        assert found == [BOS, *[START, END] * len(turns)]
    learned = [
        token for token, mask in zip(chat.ids, chat.mask, strict=True) if mask
    ]
    assert 0 < len(learned) < len(chat.ids)
    assert {BOS, START}.isdisjoint(learned)


def check_account(data: ChatData) -> None:
    """Every row is kept or dropped, and none is both."""
    assert data.rows_kept + len(data.drops) == data.rows_read
    kept = {*data.train, *data.held_out}
    assert len(kept) == data.rows_kept
    dropped = {drop.where.partition(",")[0] for drop in data.drops}
    assert dropped.isdisjoint(one.where for one in kept)
    assert all(drop.reason for drop in data.drops)


def read(path: Path) -> ChatData | None:
    """What comes out of a file; None where it was refused in our words."""
    try:
        data = load_chat_data(str(path), held_out_share=0.3)
    except LocalLLMError as error:
        assert str(error).encode("utf-8")
        assert error.fix
        return None
    check_account(data)
    for one in {*data.train, *data.held_out}:
        check_conversation(one)
    return data


def written(kind: str, rows: list[Any]) -> tuple[str, bytes]:
    """The rows as a file of that kind, or as JSON where it has no form."""
    try:
        return kind, as_bytes(f"a.{kind}", rows)
    except (
        *(AttributeError, TypeError, ValueError, OverflowError, KeyError),
        pyarrow.ArrowException,
    ):
        return "json", as_bytes("a.json", rows)


@pytest.fixture(scope="module", name="folder")
def fixture_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@settings(max_examples=ROWS_CASES, **FUZZ)
@given(rows=damaged_rows(), kind=st.sampled_from(KINDS))
def test_damaged_rows_are_kept_dropped_or_refused_and_never_crash(
    folder: Path,
    rows: list[Any],
    kind: str,
) -> None:
    kind, content = written(kind, rows)
    path = folder / f"a.{kind}"
    path.write_bytes(content)
    data = read(path)
    if data is not None and kind in ("jsonl", "parquet"):
        assert data.rows_read == len(rows)


@settings(max_examples=BYTES_CASES, **FUZZ)
@given(damaged=damaged_bytes())
@example(damaged=("csv", b"text\ra\r"))
@example(damaged=("parquet", b"PAR1\x00\x00\x00\x00PAR1"))
def test_damaged_files_are_read_or_refused_and_never_crash(
    folder: Path,
    damaged: tuple[str, bytes],
) -> None:
    kind, content = damaged
    path = folder / f"b.{kind}"
    path.write_bytes(content)
    read(path)


@pytest.mark.parametrize("depth", [*range(900, 1000, 20), 100_000])
@pytest.mark.parametrize(
    "row",
    [
        '{"messages": [{"role": @, "content": "a"}]}',
        '{"messages": @}',
        '{"conversations": [{"from": @, "value": "a"}]}',
        '{"messages": [{"role": "user", "content": "a"}], "tools": '
        '[{"name": "f", "parameters": @}]}',
        '{"messages": [{"role": "assistant", "content": null, '
        '"tool_calls": [{"name": "f", "arguments": {"x": @}}]}]}',
        "@",
    ],
)
def test_nesting_at_the_limit_of_the_parser_never_crashes(
    folder: Path,
    row: str,
    depth: int,
) -> None:
    deep = "[" * depth + "]" * depth
    path = folder / "deep.jsonl"
    path.write_text('{"text": "a"}\n' + row.replace("@", deep))
    read(path)
