# -*- coding: utf-8 -*-
"""3,000 different damaged datasets are read, or refused in our words.

Each starts from valid rows of every format and is changed in one to three
places, in its values or in the bytes of its file; none is as it was, and no
two are the same. What is kept and what is dropped are all the rows, and what
is kept has lost nothing and can be trained on.
"""

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from row_contents import lost
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

from local_llm.chat_datasets import (
    ChatData,
    Conversation,
    load_chat_data,
    to_turns,
)
from local_llm.chat_format import ChatFormat
from local_llm.dataset_files import read_file
from local_llm.errors import LocalLLMError
from local_llm.turns import PLAIN_TEXT

ROWS_CASES, BYTES_CASES = 2500, 600
"""How many different ones at least; some more are drawn than that."""
ROWS_KEPT, BYTES_KEPT = 0.25, 0.04
"""Of this share at least some rows are kept: not all damage is beyond reading,
though that of bytes that are compressed is."""
FUZZ: dict[str, Any] = {
    "derandomize": True,
    "deadline": None,
    "database": None,
    "suppress_health_check": list(HealthCheck),
}

CALL = {"name": "weather", "arguments": '{"city": "Paris"}'}
TEXT_CALL = {"name": "weather", "arguments": {"city": "Paris"}}
TOOL = {"name": "weather", "description": "how warm it is"}
SEEDS: list[dict[str, Any]] = [
    lima("alder", "birch", "cedar", "daisy"),
    messages(
        message("system", "sorrel"),
        message("user", "alder"),
        message("assistant", "birch"),
    ),
    messages(
        message("user", "alder"),
        message("assistant", None, tool_calls=[{"id": "1", "function": CALL}]),
        message("tool", "18", tool_call_id="1"),
        message("assistant", "birch"),
        tools=[{"type": "function", "function": TOOL}],
    ),
    sharegpt(said("human", "alder"), said("gpt", "birch"), system="sorrel"),
    sharegpt(
        said("human", "alder"),
        said("function_call", json.dumps(CALL)),
        said("observation", "18"),
        said("gpt", "birch"),
        tools=json.dumps([TOOL]),
    ),
    alpaca(
        "alder",
        "birch",
        input="cedar",
        history=[["daisy", "elder"]],
        system="sorrel",
    ),
    pair("alder", "birch"),
    pair([message("user", "alder")], [message("assistant", "birch")]),
    sharegpt(
        said("human", "alder"),
        said("gpt", f"<tool_call>{json.dumps(TEXT_CALL)}</tool_call>"),
        said("tool", "<tool_response>18</tool_response>"),
        {**said("gpt", "birch"), "weight": 1},
    ),
    pair(
        json.dumps([message("user", "alder"), message("assistant", "elm")]),
        json.dumps([message("user", "cedar"), message("assistant", "daisy")]),
    ),
    {"text": "Once upon a time."},
]
WORDS = "the cat sat on the mat and asked why " * 8
LONG: list[dict[str, Any]] = [
    lima(WORDS, WORDS, "d", WORDS),
    messages(message("user", WORDS), message("assistant", WORDS)),
    sharegpt(said("human", WORDS), said("gpt", WORDS)),
    alpaca(WORDS, WORDS),
    pair(WORDS, WORDS),
    {"text": WORDS * 2},
]
"""Rows in which most bytes are text, so that damage there leaves a row."""
CALLING = SEEDS[2]
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


@dataclass(frozen=True)
class Damaged:
    """A file that is not what it was."""

    kind: str
    content: bytes
    rows: int | None = None
    """How many were written, where that is known."""


@st.composite
def damaged_rows(draw: st.DrawFn) -> Damaged:
    chosen = draw(st.lists(st.sampled_from(SEEDS), min_size=1, max_size=3))
    rows: list[Any] = copy.deepcopy([GOOD, *chosen])
    kind = draw(st.sampled_from(KINDS))
    before = written(kind, rows)
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
    after = written(kind, rows)
    assume(after != before)
    return Damaged(*after, rows=len(rows))


@st.composite
def damaged_bytes(draw: st.DrawFn) -> Damaged:
    kind = draw(st.sampled_from(KINDS))
    seed = draw(st.sampled_from([*SEEDS, *LONG]))
    before = as_bytes(f"a.{kind}", [seed])
    content = bytearray(before)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(0, len(content) - 1)))
        end = min(len(content), at + draw(st.integers(0, 9)))
        piece = draw(
            st.binary(max_size=4)
            | st.sampled_from([b'"', b"\r", b"\n", b",", b"{", b"\xff", b""])
            | st.just(bytes(content[at:end]) * 2),
        )
        content[at:end] = piece
    assume(content != before)
    return Damaged(kind, bytes(content))


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


def check_contents(data: ChatData, path: Path) -> None:
    """No text and no argument of a kept row is lost."""
    rows = dict(read_file(path, path.name))
    for one in {*data.train, *data.held_out}:
        row = rows[one.where]
        _, turns = to_turns(row, one.where)
        last = turns[-1:] if turns[-1].role == "user" else []
        assert lost(row, [*one.turns, *last]) == [], row


def read(path: Path) -> ChatData | None:
    """What comes out of a file; None where it was refused in our words."""
    try:
        data = load_chat_data(str(path), held_out_share=0.3)
    except LocalLLMError as error:
        assert str(error).encode("utf-8")
        assert error.fix
        return None
    check_account(data)
    check_contents(data, path)
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


class Tally:
    """Counts different files, and those of which something was kept."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, bytes], bool] = {}

    def read(self, folder: Path, damaged: Damaged) -> ChatData | None:
        path = folder / f"a.{damaged.kind}"
        path.write_bytes(damaged.content)
        data = read(path)
        self.kept[damaged.kind, damaged.content] = data is not None
        return data

    def check(self, cases: int, kept_share: float) -> None:
        assert len(self.kept) >= cases
        assert sum(self.kept.values()) >= kept_share * len(self.kept)


def test_damaged_rows_are_kept_dropped_or_refused_and_never_crash(
    folder: Path,
) -> None:
    tally = Tally()

    @settings(max_examples=ROWS_CASES * 4 // 3, **FUZZ)
    @given(damaged_rows())
    def check(damaged: Damaged) -> None:
        data = tally.read(folder, damaged)
        if data is not None and damaged.kind in ("jsonl", "parquet"):
            assert data.rows_read == damaged.rows

    check()
    tally.check(ROWS_CASES, ROWS_KEPT)


def test_damaged_files_are_read_or_refused_and_never_crash(
    folder: Path,
) -> None:
    tally = Tally()

    @settings(max_examples=BYTES_CASES * 4 // 3, **FUZZ)
    @given(damaged_bytes())
    @example(Damaged("csv", b"text\ra\r"))
    @example(Damaged("parquet", b"PAR1\x00\x00\x00\x00PAR1"))
    def check(damaged: Damaged) -> None:
        tally.read(folder, damaged)

    check()
    tally.check(BYTES_CASES, BYTES_KEPT)


@pytest.mark.parametrize("seed", SEEDS)
def test_of_a_row_as_it_is_nothing_is_lost(seed: dict[str, Any]) -> None:
    assert lost(seed, to_turns(seed, "row 1")[1]) == []


@pytest.mark.parametrize("seed", SEEDS)
def test_every_turn_of_a_row_would_be_missed(seed: dict[str, Any]) -> None:
    turns = to_turns(seed, "row 1")[1]
    for number, turn in enumerate(turns):
        others = [*turns[:number], *turns[number + 1 :]]
        assert lost(seed, others) or turn in others


@pytest.mark.parametrize("gone", ["weather", "Paris", "18"])
def test_a_name_an_argument_or_a_result_would_be_missed(gone: str) -> None:
    turns = to_turns(CALLING, "row 1")[1]
    cut = [replace(one, text=one.text.replace(gone, "")) for one in turns]
    assert any(gone in one for one in lost(CALLING, cut))


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
