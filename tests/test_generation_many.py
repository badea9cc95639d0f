# -*- coding: utf-8 -*-
"""Many requests at once: each gets what it would get alone."""

import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from reply_listeners import (
    QUESTION,
    Listener,
    adapters_of,
    loud_adapter,
    never_stop,
    request_of,
    seeded,
    slow_down,
    soon,
)
from tiny_models import (
    EXACT,
    gemma3,
    load_own,
    make_tokenizer,
    prompt,
    reply,
    save_model,
)

from local_llm import generation
from local_llm.adapters import add_adapter, remove_adapter
from local_llm.base_model import BaseModel, use_tokenizer
from local_llm.errors import GenerationError
from local_llm.generation import (
    Failure,
    GenerationEngine,
    Piece,
    Request,
    Sampling,
    engine_of,
)

REQUESTS = 64
TOKENS = 16
SYSTEM = "You are helpful and answer in short words, always and at once. " * 3


@pytest.fixture(name="base", scope="module")
def fixture_base(tmp_path_factory: pytest.TempPathFactory) -> BaseModel:
    """A Gemma 3 whose window is shorter than the prompts, in float32, that
    never ends a turn by itself, with three adapters."""
    place = tmp_path_factory.mktemp("base")
    folder = save_model(place / "gemma", gemma3(sliding_window=24))
    base = load_own(folder, place, **EXACT)
    never_stop(base)
    for seed, config in enumerate(({}, {"use_rslora": True}, {"r": 7})):
        loud_adapter(base, seed, **config)
    return base


def cases_of(base: BaseModel, count: int) -> list[dict[str, Any]]:
    """Prompts of many lengths, adapters in turn, drawn and not."""
    adapters = [*adapters_of(base)[:3], None]
    return [
        {
            "prompt_ids": prompt(
                base, SYSTEM * (n % 2) + f"Question {n}" + " and" * (n % 23)
            ),
            "adapter": adapters[n % 4],
            "sampling": seeded(n) if n % 3 else Sampling(),
            "max_new_tokens": TOKENS + n % 5,
        }
        for n in range(count)
    ]


def alone(base: BaseModel, case: dict[str, Any]) -> str:
    pieces = engine_of(base).stream(request_of(base, **case))
    return "".join(piece.text for piece in pieces)


@pytest.fixture(name="serial", scope="module")
def fixture_serial(base: BaseModel) -> list[str]:
    """The replies one after the other, nothing known of a prompt."""
    texts = []
    for case in cases_of(base, REQUESTS):
        engine_of(base).prefixes.clear()
        texts.append(alone(base, case))
    assert len(set(texts)) > REQUESTS - 8
    return texts


@pytest.fixture(name="slow")
def fixture_slow(
    base: BaseModel,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[float], list[int]]:
    """Slows every forward down; returns the rows of each."""
    return partial(slow_down, monkeypatch, base)


def submitted(
    base: BaseModel,
    cases: list[dict[str, Any]],
    **more: Any,
) -> tuple[list[Request], list[Listener]]:
    listeners = [Listener() for _ in cases]
    requests = [
        request_of(base, **{"deliver": listener, **case, **more})
        for case, listener in zip(cases, listeners, strict=True)
    ]
    for request in requests:
        engine_of(base).submit(request)
    return requests, listeners


# -- exact ----------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_concurrent_replies_are_those_one_after_the_other(
    base: BaseModel,
    serial: list[str],
    seed: int,
) -> None:
    random.Random(seed).shuffle(order := list(range(REQUESTS)))
    cases = cases_of(base, REQUESTS)
    _, listeners = submitted(base, [cases[n] for n in order])
    texts = [listener.text() for listener in listeners]
    assert texts == [serial[n] for n in order]


def test_a_quarter_may_leave_in_the_middle_and_the_rest_is_exact(
    base: BaseModel,
    serial: list[str],
    slow: Callable[[float], list[int]],
) -> None:
    threads = threading.active_count()
    slow(0.0)
    cases = cases_of(base, REQUESTS)
    counts: dict[int, int] = {}

    def leaving(number: int, request: Request, inner: Listener) -> Any:
        def deliver(piece: Any) -> None:
            inner(piece)
            if piece.output_tokens >= 5:
                counts.setdefault(number, piece.output_tokens)
                request.cancelled.set()

        return deliver

    listeners = [Listener() for _ in cases]
    for number, case in enumerate(cases):
        request = request_of(base, **case, deliver=listeners[number])
        if number % 4 == 1:
            request.deliver = leaving(number, request, listeners[number])
        engine_of(base).submit(request)
    for number, listener in enumerate(listeners):
        last = listener.pieces()[-1]
        if number % 4 == 1:
            assert last.finish_reason == "cancelled"
            assert last.output_tokens <= counts[number] + 2
        else:
            assert listener.text() == serial[number]
    assert soon(lambda: threading.active_count() <= threads)


def test_requests_are_decoded_together_and_the_queue_is_first_come(
    base: BaseModel,
    slow: Callable[[float], list[int]],
) -> None:
    rows = slow(0.002)
    cases = [{"max_new_tokens": 30} for _ in range(8)]
    _, listeners = submitted(base, cases)
    for listener in listeners:
        listener.pieces()
    assert max(rows) == 8
    assert len(rows) < 8 * 30 / 4


def test_a_stop_string_a_grammar_and_a_free_reply_share_a_batch(
    base: BaseModel,
) -> None:
    free = alone(base, {"max_new_tokens": 40})
    stop = free[12:15]
    cases = [
        {"max_new_tokens": 40},
        {"max_new_tokens": 40, "stop_strings": (stop,)},
        {"max_new_tokens": 40, "grammar": 'start: "yes" | "no"'},
        {"max_new_tokens": 40, "grammar": "start: ("},
        {"max_new_tokens": 40, "sampling": Sampling(no_repeat_ngram_size=1)},
    ]
    _, listeners = submitted(base, cases)
    assert listeners[0].text() == free
    assert listeners[1].text() == free[: free.index(stop)]
    assert listeners[1].pieces()[-1].finish_reason == "stop"
    assert listeners[2].text() in ("yes", "no")
    assert listeners[3].ended.wait(30)
    assert isinstance(listeners[3].deliveries[0], Failure)
    assert listeners[4].text() != free


# -- adapters that cannot share -------------------------------------------


def test_adapters_that_share_no_batch_take_turns_with_the_others(
    base: BaseModel,
) -> None:
    names = [
        loud_adapter(base, 7, use_dora=True),
        loud_adapter(base, 8, modules_to_save=["norm"]),
        adapters_of(base)[0],
        None,
    ]
    cases = [
        {"adapter": names[n % 4], "max_new_tokens": 12} for n in range(12)
    ]
    expected = [alone(base, case) for case in cases[:4]]
    assert len(set(expected)) == 4
    _, listeners = submitted(base, cases)
    assert [listener.text() for listener in listeners] == expected * 3
    for name in names[:2]:
        remove_adapter(base, name)


def test_an_adapter_changes_between_replies_and_no_request_is_refused(
    base: BaseModel,
    slow: Callable[[float], list[int]],
) -> None:
    expected = alone(base, {"max_new_tokens": 30})
    slow(0.002)
    _, listeners = submitted(base, [{"max_new_tokens": 30}] * 40)
    assert soon(lambda: bool(listeners[0].deliveries))
    name = add_adapter(base, {"r": 2})
    assert not all(one.ended.is_set() for one in listeners)
    remove_adapter(base, name)
    assert {one.text() for one in listeners} == {expected}


def test_training_gets_the_model_although_requests_go_on_coming(
    base: BaseModel,
    slow: Callable[[float], list[int]],
) -> None:
    slow(0.005)
    _, listeners = submitted(base, [{"max_new_tokens": 20}] * 40)
    assert soon(lambda: bool(listeners[0].deliveries))
    start = time.monotonic()
    with base.lock.training(10):
        waited = time.monotonic() - start
        assert soon(lambda: all(one.ended.is_set() for one in listeners))
    ends = [one.deliveries[-1] for one in listeners]
    refused = [one for one in ends if isinstance(one, Failure)]
    assert waited < 2 and 0 < len(refused) < 40
    assert "fine-tuning in progress" in refused[0].error.message


# -- what prompts begin with ----------------------------------------------


def test_a_common_beginning_is_read_once_for_each_adapter(
    base: BaseModel,
) -> None:
    engine = GenerationEngine(base)
    block = engine.prefixes.block_tokens
    ids = prompt(base, SYSTEM + "One?")
    other = prompt(base, SYSTEM + "Two? And three?")
    common = len(os.path.commonprefix([ids, other]))
    assert common > block
    spared = []
    for adapter in (None, adapters_of(base)[0]):
        for tokens in (ids, other, ids):
            request = request_of(base, prompt_ids=tokens, adapter=adapter)
            list(engine.stream(request))
            spared.append(engine.prefixes.tokens_spared)
    first = common // block * block
    again = (len(ids) - 1) // block * block
    expected = [0, first, first + again]
    assert spared == [*expected, *(expected[-1] + one for one in expected)]


def test_nothing_is_known_of_prompts_after_a_change_of_the_model(
    base: BaseModel,
) -> None:
    engine = GenerationEngine(base)
    request = request_of(base, prompt_ids=prompt(base, SYSTEM))

    def spared() -> int:
        before = engine.prefixes.tokens_spared
        list(engine.stream(replace_of(request)))
        return engine.prefixes.tokens_spared - before

    assert (spared() > 0, spared() > 0) == (False, True)
    with base.lock.training(5):
        pass
    assert (spared() > 0, spared() > 0) == (False, True)
    tokenizer = make_tokenizer()
    tokenizer.chat_template = base.tokenizer.chat_template
    use_tokenizer(base, tokenizer)
    assert (spared() > 0, spared() > 0) == (False, True)


def replace_of(request: Request) -> Request:
    return replace(request, cancelled=threading.Event())


# -- the queue ------------------------------------------------------------


@pytest.fixture(name="busy")
def fixture_busy(
    base: BaseModel,
    slow: Callable[[float], list[int]],
) -> Iterator[tuple[list[Request], list[Listener]]]:
    """A batch that is full, of replies that take long."""
    slow(0.01)
    running = submitted(base, [{"max_new_tokens": 300}] * 16)
    assert soon(lambda: all(one.deliveries for one in running[1]))
    yield running
    for request in running[0]:
        request.cancelled.set()
    assert soon(lambda: all(one.ended.is_set() for one in running[1]))


@pytest.mark.usefixtures("busy")
def test_a_full_queue_says_so_at_once(
    base: BaseModel,
) -> None:
    waiting, listeners = submitted(base, [{}] * generation.MAX_WAITING)
    start = time.perf_counter()
    with pytest.raises(GenerationError, match="busy: 64 requests"):
        engine_of(base).submit(request_of(base))
    assert time.perf_counter() - start < 0.01
    for request in waiting:
        request.cancelled.set()
    assert soon(lambda: all(one.ended.is_set() for one in listeners))


@pytest.mark.usefixtures("busy")
def test_who_waits_can_leave_or_be_late_before_there_is_room(
    base: BaseModel,
) -> None:
    (_, request, *_), (late, left, stays) = submitted(
        base,
        [{"timeout_s": 0.1}, {}, {}],
    )
    request.cancelled.set()
    assert left.pieces() == [Piece("", 0, "cancelled")]
    assert late.pieces() == [Piece("", 0, "timeout")]
    assert stays.deliveries == []
    engine_of(base)._waiting[0].request.cancelled.set()
    assert stays.pieces() == [Piece("", 0, "cancelled")]


# -- the worker -----------------------------------------------------------


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_a_worker_that_dies_fails_its_requests_and_the_next_gets_another(
    base: BaseModel,
    monkeypatch: pytest.MonkeyPatch,
    kind: type[BaseException],
) -> None:
    expected = reply(base, QUESTION)
    forward = base.model.forward
    died = threading.Event()

    def deadly(input_ids: torch.Tensor, **more: Any) -> Any:
        if len(input_ids) == 16:
            died.set()
            raise kind("the end")
        return forward(input_ids=input_ids, **more)

    with monkeypatch.context() as patch:
        patch.setattr(base.model, "forward", deadly)
        _, listeners = submitted(base, [{"max_new_tokens": 100}] * 40)
        assert died.wait(30)
        assert all(one.ended.wait(1) for one in listeners)
    ends = [one.deliveries[-1] for one in listeners]
    assert all(isinstance(one, Failure) for one in ends)
    words = f"the worker has died: {kind.__name__}: the end"
    assert {one.error.message for one in ends} == {words}
    assert reply(base, QUESTION) == expected
