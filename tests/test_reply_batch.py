# -*- coding: utf-8 -*-
"""Replies come forward together; what goes wrong ends whom it concerns."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from reply_listeners import Listener, never_stop, request_of
from tiny_models import EXACT, load_own, prompt, reply

from local_llm import decoder
from local_llm.base_model import BaseModel
from local_llm.decoder import Decoder
from local_llm.generation import Failure
from local_llm.prefix_cache import PrefixCache
from local_llm.reply_batch import ReplyBatch
from local_llm.reply_rows import ReplyRow

TEXTS = ["Hi!", "What is the capital of France?", "Begin.", "And " * 30]


@pytest.fixture(name="base", scope="module")
def fixture_base(
    tiny_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> BaseModel:
    base = load_own(tiny_folder, tmp_path_factory.mktemp("base"), **EXACT)
    never_stop(base)
    return base


@pytest.fixture(name="expected", scope="module")
def fixture_expected(base: BaseModel) -> list[str]:
    return [reply(base, text) for text in TEXTS]


class Queue:
    """Gives rows away, each not before so many tokens were generated."""

    def __init__(self, base: BaseModel, waits: list[int]) -> None:
        self.tokens = 0
        self.listeners = [Listener() for _ in waits]
        self.requests = [
            request_of(
                base,
                prompt_ids=prompt(base, TEXTS[number % len(TEXTS)]),
                deliver=listener,
                max_new_tokens=12,
            )
            for number, listener in enumerate(self.listeners)
        ]
        self._waits = waits
        self._rows = [ReplyRow(base, request) for request in self.requests]

    def next_row(self) -> ReplyRow | None:
        if self._waits and self._waits[0] <= self.tokens:
            self._waits.pop(0)
            return self._rows.pop(0)
        return None

    def on_token(self) -> None:
        self.tokens += 1


def run(
    base: BaseModel,
    waits: list[int],
    on_token: Callable[[Queue], None] = lambda queue: None,
) -> Queue:
    queue = Queue(base, waits)

    def count() -> None:
        queue.on_token()
        on_token(queue)

    rows = Decoder(base.model, lambda adapters: None, PrefixCache(16))
    with torch.inference_mode():
        ReplyBatch(rows, queue.next_row, count).run()
    return queue


@pytest.mark.parametrize(
    "waits",
    [[0, 0, 0, 0], [0, 3, 4, 9], [0, 1, 1, 5, 9, 14, 15, 20]],
    ids=str,
)
def test_replies_that_begin_at_different_times_are_those_of_each_alone(
    base: BaseModel,
    expected: list[str],
    waits: list[int],
) -> None:
    texts = [one.text() for one in run(base, [*waits]).listeners]
    assert texts == (expected * 2)[: len(waits)]


def test_no_more_run_together_than_there_is_room_for(
    base: BaseModel,
    expected: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(decoder, "MOST_ROWS", 2)
    together: list[int] = []

    def look(queue: Queue) -> None:
        begun = [one for one in queue.listeners if one.deliveries]
        together.append(sum(not one.ended.is_set() for one in begun))

    queue = run(base, [0, 0, 0, 0], look)
    assert [one.text() for one in queue.listeners] == expected
    assert max(together) == 2


def test_a_long_prompt_is_read_in_parts_between_the_tokens_of_others(
    base: BaseModel,
) -> None:
    seen: list[int] = []

    def look(queue: Queue) -> None:
        if not queue.listeners[3].deliveries:
            seen.append(len(queue.listeners[0].deliveries))

    run(base, [0, 0, 0, 0], look)
    assert seen == sorted(seen)
    assert len(set(seen)) > 4


def test_who_leaves_in_the_middle_changes_nothing_for_the_others(
    base: BaseModel,
    expected: list[str],
) -> None:
    def leave(queue: Queue) -> None:
        if queue.tokens == 6:
            queue.requests[1].cancelled.set()

    queue = run(base, [0, 0, 0, 2], leave)
    texts = [one.text() for one in queue.listeners]
    assert [texts[n] for n in (0, 2, 3)] == [expected[n] for n in (0, 2, 3)]
    last = queue.listeners[1].pieces()[-1]
    assert last.finish_reason == "cancelled"
    assert last.output_tokens <= 7
    assert expected[1].startswith(texts[1].rstrip("\ufffd"))


def test_a_request_that_is_cancelled_before_it_begins_says_nothing(
    base: BaseModel,
    expected: list[str],
) -> None:
    def leave(queue: Queue) -> None:
        queue.requests[1].cancelled.set()

    queue = run(base, [0, 4], leave)
    assert queue.listeners[0].text() == expected[0]
    (piece,) = queue.listeners[1].pieces()
    assert (piece.text, piece.output_tokens) == ("", 0)


def breaking(
    monkeypatch: pytest.MonkeyPatch,
    base: BaseModel,
    breaks: Callable[[torch.Tensor], bool],
) -> None:
    """Let the model fail at some inputs."""
    forward = base.model.forward

    def broken(input_ids: torch.Tensor, **more: Any) -> Any:
        if breaks(input_ids):
            raise torch.OutOfMemoryError("full")
        return forward(input_ids=input_ids, **more)

    monkeypatch.setattr(base.model, "forward", broken)


def test_a_prompt_that_fails_fails_alone(
    base: BaseModel,
    expected: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The end of the second prompt, in parts of 16.
    wrong = prompt(base, TEXTS[1])[16:]
    breaking(monkeypatch, base, lambda ids: ids[0].tolist() == wrong)
    first, second, third, _ = run(base, [0, 1, 2, 3]).listeners
    assert [first.text(), third.text()] == [expected[0], expected[2]]
    (failure,) = second.deliveries
    assert isinstance(failure, Failure)
    assert "out of memory at a prompt of 17" in failure.error.message


def test_a_step_that_fails_fails_its_rows_and_the_next_begin_anew(
    base: BaseModel,
    expected: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    breaking(monkeypatch, base, lambda ids: len(ids) == 3)
    *failed, last = run(base, [0, 0, 0, 1, 9]).listeners
    assert last.text() == expected[0]
    failures = [one.deliveries[-1] for one in failed[:3]]
    assert all(isinstance(one, Failure) for one in failures)
    assert len({id(one.error) for one in failures}) == 3
