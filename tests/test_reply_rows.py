# -*- coding: utf-8 -*-
"""A reply ends for one reason, and says which."""

import threading
import time
from pathlib import Path

import pytest
import torch
from reply_listeners import Listener, bytes_of, request_of
from tiny_models import CONTEXT, load_own

from local_llm.base_model import BaseModel
from local_llm.errors import GenerationError, WeightsError
from local_llm.generation import Delivery, Failure, Piece
from local_llm.reply_rows import ReplyRow, attempt

SCORES = torch.zeros(1, 352)


@pytest.fixture(name="base", scope="module")
def fixture_base(
    tiny_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> BaseModel:
    return load_own(tiny_folder, tmp_path_factory.mktemp("base"))


def begun(base: BaseModel, listener: Listener, **more: object) -> ReplyRow:
    row = ReplyRow(base, request_of(base, deliver=listener, **more))
    row.begin()
    return row


def say(row: ReplyRow, ids: list[int]) -> None:
    for token_id in ids:
        if not row.is_over:
            row.go_on(token_id, SCORES)


def test_a_stop_token_ends_it_and_counts(base: BaseModel) -> None:
    listener = Listener()
    row = begun(base, listener, max_new_tokens=50)
    say(row, [*bytes_of("Hi"), base.chat_format.stop_ids[0], 40])
    assert listener.pieces() == [
        Piece("H", 1),
        Piece("i", 2),
        Piece("", 3, "stop"),
    ]


def test_a_stop_string_ends_it_and_is_not_in_it(base: BaseModel) -> None:
    listener = Listener()
    more = {"stop_strings": ("\nUser:",), "max_new_tokens": 50}
    say(begun(base, listener, **more), bytes_of("Hi\nUs\nUser: no"))
    assert listener.text() == "Hi\nUs"
    last = listener.pieces()[-1]
    assert (last.finish_reason, last.output_tokens) == ("stop", 11)


def test_what_was_held_back_comes_at_the_end(base: BaseModel) -> None:
    listener = Listener()
    more = {"stop_strings": ("User:",), "max_new_tokens": 3}
    say(begun(base, listener, **more), bytes_of("xUse"))
    assert listener.pieces() == [Piece("x", 1), Piece("Us", 3, "length")]


def test_the_end_of_the_context_ends_it(base: BaseModel) -> None:
    listener = Listener()
    ids = [40] * (CONTEXT - 2)
    say(begun(base, listener, prompt_ids=ids), bytes_of("abcd"))
    assert listener.text() == "ab"
    assert listener.pieces()[-1].finish_reason == "length"


def test_time_that_is_up_ends_it_with_the_text_so_far(
    base: BaseModel,
) -> None:
    listener = Listener()
    row = begun(base, listener, timeout_s=0.05)
    say(row, bytes_of("a\u4e16")[:-1])
    row.check_time()
    assert not row.is_over
    time.sleep(0.06)
    row.check_time()
    assert listener.pieces()[-1] == Piece("\ufffd", 3, "timeout")


def test_a_cancelled_reply_says_so_once(base: BaseModel) -> None:
    listener = Listener()
    row = begun(base, listener)
    row.request.cancelled.set()
    row.check_time()
    row.check_time()
    row.fail(ValueError("late"))
    assert listener.pieces() == [Piece("", 0, "cancelled")]


def test_an_adapter_that_is_not_there_is_an_error(base: BaseModel) -> None:
    row = ReplyRow(base, request_of(base, adapter="nobody"))
    with pytest.raises(WeightsError, match="has no adapter"):
        row.begin()


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("odd"), "could not reply: ValueError: odd"),
        (torch.OutOfMemoryError("x"), "out of memory at a prompt of 17"),
        (MemoryError(), "out of memory at a prompt of 17"),
        (GenerationError("own"), "own"),
    ],
)
def test_an_error_of_some_goes_to_each_of_them_in_words(
    base: BaseModel,
    error: Exception,
    text: str,
) -> None:
    listeners = [Listener() for _ in range(3)]
    rows = [begun(base, one) for one in listeners]

    def fail() -> None:
        raise error

    assert not attempt(rows[:2], fail)
    for listener in listeners[:2]:
        (failure,) = listener.deliveries
        assert isinstance(failure, Failure)
        assert text in failure.error.message
    assert listeners[2].deliveries == []
    assert attempt(rows, lambda: None)


def test_who_raises_at_a_piece_does_not_harm_the_others(
    base: BaseModel,
) -> None:
    def raising(_: Delivery) -> None:
        raise OSError("gone")

    deaf, listener = (
        ReplyRow(base, request_of(base, deliver=raising)),
        Listener(),
    )
    deaf.begin()
    other = begun(base, listener)
    assert not attempt([deaf], lambda: say(deaf, bytes_of("a")))
    assert deaf.is_over
    assert not attempt([deaf, other], lambda: [][0])
    assert listener.ended.is_set()


def test_what_ends_a_thread_is_not_held_up(base: BaseModel) -> None:
    listener = Listener()
    row = begun(base, listener)

    def end() -> None:
        raise SystemExit

    with pytest.raises(SystemExit):
        attempt([row], end)
    assert not row.is_over
    assert threading.current_thread().is_alive()
