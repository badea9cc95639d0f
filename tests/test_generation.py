# -*- coding: utf-8 -*-
"""Replies come whole, in order, to the one who asked, and end in time."""

import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from reply_listeners import (
    QUESTION,
    Listener,
    adapters_of,
    bytes_of,
    loud_adapter,
    never_stop,
    request_of,
    seeded,
    slow_down,
    soon,
)
from tiny_models import (
    CONTEXT,
    TURN_MARKS,
    generate,
    load_own,
    reply,
    request_for,
)

from local_llm import generation
from local_llm.base_model import BaseModel, load_base_model
from local_llm.errors import GenerationError, WeightsError
from local_llm.generation import (
    Delivery,
    Failure,
    GenerationEngine,
    Piece,
    Sampling,
    engine_of,
)

LONG = 400
"""More tokens than a test waits for: the reply is broken off before."""


@pytest.fixture(name="base", scope="module")
def fixture_base(
    tiny_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> BaseModel:
    """A model that never ends a turn by itself, with three adapters."""
    base = load_own(tiny_folder, tmp_path_factory.mktemp("base"))
    never_stop(base)
    for seed in range(3):
        loud_adapter(base, seed)
    return base


def force(
    monkeypatch: pytest.MonkeyPatch,
    base: BaseModel,
    ids: list[int],
) -> None:
    """Make the model say these tokens, whatever its weights want."""
    forward = base.model.forward
    left = iter(ids)

    def forced(*args: Any, **arguments: Any) -> Any:
        output = forward(*args, **arguments)
        output.logits[..., next(left)] = 1e4
        return output

    monkeypatch.setattr(base.model, "forward", forced)


@pytest.fixture(name="slow")
def fixture_slow(
    base: BaseModel,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[float], list[int]]:
    """Slows every token down; returns a list that grows by one for each."""
    return partial(slow_down, monkeypatch, base)


# -- pieces ---------------------------------------------------------------


def test_the_pieces_of_a_reply_together_are_its_tokens_decoded(
    base: BaseModel,
) -> None:
    sampling = seeded(4)
    pieces = generate(base, QUESTION, max_new_tokens=60, sampling=sampling)
    assert len(pieces) > 20
    assert [one.output_tokens for one in pieces] == sorted(
        one.output_tokens for one in pieces
    )
    assert pieces[-1].output_tokens == 60
    assert [one.finish_reason for one in pieces[:-1]] == (
        [None] * (len(pieces) - 1)
    )


# -- ends -----------------------------------------------------------------


@pytest.mark.parametrize("mark", [TURN_MARKS[1], "<eos>"])
def test_a_stop_token_ends_the_reply_and_is_not_in_the_text(
    tiny: BaseModel,
    monkeypatch: pytest.MonkeyPatch,
    mark: str,
) -> None:
    stop_id = tiny.tokenizer.convert_tokens_to_ids(mark)
    force(monkeypatch, tiny, [*bytes_of("Paris"), stop_id, 40, 40])
    pieces = generate(tiny, QUESTION, max_new_tokens=50)
    assert "".join(piece.text for piece in pieces) == "Paris"
    assert pieces[-1].finish_reason == "stop"
    assert pieces[-1].output_tokens == 6


def test_the_limit_of_tokens_ends_the_reply(base: BaseModel) -> None:
    last = generate(base, QUESTION, max_new_tokens=5)[-1]
    assert (last.finish_reason, last.output_tokens) == ("length", 5)


def test_the_time_limit_ends_the_reply_with_the_text_so_far(
    base: BaseModel,
    slow: Callable[[float], list[int]],
) -> None:
    slow(0.01)
    start = time.monotonic()
    pieces = generate(
        base,
        QUESTION,
        max_new_tokens=LONG,
        timeout_s=0.3,
    )
    assert time.monotonic() - start < 2
    assert pieces[-1].finish_reason == "timeout"
    assert 1 <= pieces[-1].output_tokens < 40
    whole = reply(base, QUESTION, max_new_tokens=40)
    text = "".join(piece.text for piece in pieces)
    assert text and whole.startswith(text.rstrip("\ufffd"))


def test_a_reply_that_is_complete_when_time_is_up_has_stopped(
    tiny: BaseModel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    force(monkeypatch, tiny, [tiny.chat_format.end_of_turn_id])
    last = generate(tiny, QUESTION, timeout_s=0.0)[-1]
    assert (last.finish_reason, last.output_tokens) == ("stop", 1)


def test_a_cancelled_reply_ends_within_two_tokens(
    base: BaseModel,
    slow: Callable[[float], list[int]],
) -> None:
    slow(0.005)
    request = request_of(base, max_new_tokens=LONG)
    seen: list[int] = []
    for piece in engine_of(base).stream(request):
        seen.append(piece.output_tokens)
        if piece.output_tokens >= 10 and not request.cancelled.is_set():
            at = piece.output_tokens
            request.cancelled.set()
    assert piece.finish_reason == "cancelled"
    assert seen[-1] <= at + 2


def test_who_leaves_early_frees_the_worker_within_two_tokens(
    base: BaseModel,
    slow: Callable[[float], list[int]],
) -> None:
    tokens = slow(0.02)
    with closing(
        engine_of(base).stream(request_of(base, max_new_tokens=LONG)),
    ) as pieces:
        next(pieces)
    at = len(tokens)
    with base.lock.generating(5):
        assert len(tokens) <= at + 2


def test_a_request_cancelled_while_it_waits_disturbs_nobody(
    base: BaseModel,
    slow: Callable[[float], list[int]],
) -> None:
    expected = reply(base, QUESTION, max_new_tokens=30)
    slow(0.005)
    engine = engine_of(base)
    first, second, third = Listener(), Listener(), Listener()
    engine.submit(request_of(base, deliver=first, max_new_tokens=30))
    waiting = request_of(base, deliver=second)
    engine.submit(waiting)
    engine.submit(request_of(base, deliver=third, max_new_tokens=30))
    waiting.cancelled.set()
    assert first.text() == third.text() == expected
    assert second.pieces() == [Piece("", 0, "cancelled")]


# -- choice of tokens -----------------------------------------------------


def test_the_same_seed_gives_the_same_text_and_another_another(
    base: BaseModel,
) -> None:
    one, same, other = (
        reply(base, QUESTION, max_new_tokens=30, sampling=seeded(seed))
        for seed in (1, 1, 2)
    )
    assert one == same != other


def test_without_a_seed_two_replies_differ(base: BaseModel) -> None:
    sampling = Sampling(do_sample=True, temperature=1.0)
    one, other = (
        reply(base, QUESTION, max_new_tokens=30, sampling=sampling)
        for _ in range(2)
    )
    assert one != other


@pytest.mark.parametrize("seed", [3, None])
def test_the_random_state_of_the_process_is_left_alone(
    base: BaseModel,
    seed: int | None,
) -> None:
    before = torch.random.get_rng_state()
    reply(base, QUESTION, sampling=Sampling(do_sample=True, seed=seed))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_repeated_ngram_is_avoided_where_asked(base: BaseModel) -> None:
    sampling = Sampling(no_repeat_ngram_size=1)
    request = request_of(base, max_new_tokens=40, sampling=sampling)
    text = "".join(one.text for one in engine_of(base).stream(request))
    plain = reply(base, QUESTION, max_new_tokens=40)
    assert len(set(text)) > len(set(plain))


def test_settings_of_the_model_do_not_make_greedy_replies_random(
    base: BaseModel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = reply(base, QUESTION, max_new_tokens=20)
    own = base.model.generation_config
    for key, value in {
        "do_sample": True,
        "temperature": 5.0,
        "top_k": 64,
        "repetition_penalty": 3.0,
        "max_length": 20,
    }.items():
        monkeypatch.setattr(own, key, value)
    assert reply(base, QUESTION, max_new_tokens=20) == expected


# -- many at once ---------------------------------------------------------


def test_an_adapter_changes_its_own_replies_only(base: BaseModel) -> None:
    texts = {
        name: reply(base, QUESTION, adapter=name)
        for name in (None, *adapters_of(base))
    }
    assert len(set(texts.values())) == 4
    assert reply(base, QUESTION) == texts[None]


def test_one_request_too_many_is_refused_at_once(
    tiny: BaseModel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(generation, "MAX_WAITING", 2)
    engine = GenerationEngine(tiny)
    listeners = [Listener(), Listener()]
    with tiny.lock.generating(1):
        for listener in listeners:
            engine.submit(request_of(tiny, deliver=listener))
        start = time.monotonic()
        with pytest.raises(GenerationError, match="busy: 2 requests"):
            engine.submit(request_of(tiny))
        assert time.monotonic() - start < 0.2
    assert listeners[0].text() == listeners[1].text() != ""
    after = Listener()
    engine.submit(request_of(tiny, deliver=after))
    assert after.text() == listeners[0].text()


# -- what goes wrong ------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("odd shape"), "ValueError: odd shape"),
        (KeyError("x"), "KeyError: 'x'"),
        (torch.OutOfMemoryError("full"), "out of memory at a prompt of 17"),
    ],
)
def test_an_error_in_the_model_reaches_its_reader_and_the_next_is_served(
    base: BaseModel,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    text: str,
) -> None:
    expected = reply(base, QUESTION)

    def broken(*_: Any, **__: Any) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(base.model, "forward", broken)
        with pytest.raises(GenerationError) as caught:
            reply(base, QUESTION, adapter=adapters_of(base)[0])
    assert text in caught.value.message
    assert caught.value.__cause__ is error
    assert reply(base, QUESTION) == expected


def test_an_error_in_mid_reply_comes_after_the_pieces_before_it(
    base: BaseModel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    forward = base.model.forward
    calls: list[int] = []

    def breaking(*args: Any, **arguments: Any) -> Any:
        calls.append(1)
        if len(calls) > 6:
            raise RuntimeError("broken off")
        return forward(*args, **arguments)

    monkeypatch.setattr(base.model, "forward", breaking)
    pieces = engine_of(base).stream(request_of(base))
    with pytest.raises(GenerationError, match="broken off"):
        assert next(pieces).text
        list(pieces)


def test_a_listener_that_raises_does_not_stop_the_worker(
    base: BaseModel,
) -> None:
    def raising(_: Delivery) -> None:
        raise OSError("gone")

    engine_of(base).submit(request_of(base, deliver=raising))
    assert reply(base, QUESTION)


def test_an_unknown_adapter_is_an_error_and_not_another_adapters_reply(
    base: BaseModel,
) -> None:
    expected = reply(base, QUESTION)
    with pytest.raises(WeightsError, match="has no adapter 'adapter0'"):
        reply(base, QUESTION, adapter="adapter0")
    assert reply(base, QUESTION) == expected


@pytest.mark.parametrize("more", [0, 1, 100])
def test_a_prompt_longer_than_the_context_is_refused_with_the_numbers(
    base: BaseModel,
    more: int,
) -> None:
    request = request_of(base, prompt_ids=[40] * (CONTEXT + more))
    with pytest.raises(GenerationError) as caught:
        engine_of(base).submit(request)
    assert f"the prompt has {CONTEXT + more} tokens" in caught.value.message
    assert f"only {CONTEXT}" in caught.value.message


def test_a_reply_ends_where_the_context_does(base: BaseModel) -> None:
    request = request_of(
        base,
        prompt_ids=[40] * (CONTEXT - 3),
        max_new_tokens=50,
    )
    last = list(engine_of(base).stream(request))[-1]
    assert (last.finish_reason, last.output_tokens) == ("length", 3)


def test_a_request_during_training_is_refused_at_once(
    base: BaseModel,
) -> None:
    with base.lock.training(1):
        base.lock.training_progress = "step 12/200"
        with pytest.raises(GenerationError, match=r"\(step 12/200\)"):
            engine_of(base).submit(request_of(base))


def test_a_request_that_waits_when_training_begins_is_refused(
    base: BaseModel,
) -> None:
    listener = Listener()
    with base.lock.generating(1):
        engine_of(base).submit(request_of(base, deliver=listener))
        base.lock.training_progress = "starting"
        assert listener.ended.wait(5)
    base.lock.training_progress = None
    (failure,) = listener.deliveries
    assert isinstance(failure, Failure)
    assert "fine-tuning in progress" in failure.error.message


# -- life -----------------------------------------------------------------


def test_a_base_has_one_engine(base: BaseModel) -> None:
    engines: list[GenerationEngine] = []
    threads = [
        threading.Thread(target=lambda: engines.append(engine_of(base)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    assert len(set(map(id, engines))) == 1


@pytest.fixture(name="unheld")
def fixture_unheld(tiny_folder: Path, tmp_path: Path) -> Iterator[Path]:
    link = tmp_path / "unheld"
    link.symlink_to(tiny_folder)
    yield link


def test_a_model_that_generated_and_nobody_holds_is_freed_with_its_worker(
    unheld: Path,
) -> None:
    before = set(threading.enumerate())
    base = load_base_model(request_for(unheld))
    reply(base, QUESTION)
    (worker,) = set(threading.enumerate()) - before
    watched = weakref.ref(base.model)
    del base
    assert soon(lambda: gc.collect() >= 0 and watched() is None)
    assert soon(lambda: not worker.is_alive())
