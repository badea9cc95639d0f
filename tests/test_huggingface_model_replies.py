# -*- coding: utf-8 -*-
"""Replies of the chat model: streams, counts, limits, interruptions."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from agentscope.agent import ModelConfig
from agentscope.message import AssistantMsg, SystemMsg, UserMsg
from agentscope.model import FinishedReason
from tiny_agents import (
    answer,
    asked,
    dialog_agent,
    entry,
    respond,
    text_of,
    wrapper,
)

from huggingface_model import HuggingFaceWrapper
from local_llm import decoder
from local_llm.errors import GenerationError

pytestmark = pytest.mark.asyncio

QUESTION = "What is the capital of France?"
OTHER = "And of Spain?"


@pytest.fixture(scope="module")
def model(
    tiny_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> HuggingFaceWrapper:
    """A model that streams; nobody fine-tunes it."""
    config = entry(local_model_path=str(tiny_folder), max_length=24)
    return wrapper(tmp_path_factory.mktemp("place"), config)


@pytest.fixture(scope="module")
def whole(
    tiny_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> HuggingFaceWrapper:
    """The same, with replies as a whole."""
    config = entry(local_model_path=str(tiny_folder), max_length=24)
    place = tmp_path_factory.mktemp("place")
    return wrapper(place, config, stream=False)


@contextmanager
def forwards(
    model: HuggingFaceWrapper,
    pause_s: float = 0.0,
) -> Iterator[list[int]]:
    """How many tokens each forward got: a prompt, then one at a time."""
    lengths: list[int] = []

    def note(module: object, arguments: tuple, named: dict) -> None:
        lengths.append(named["input_ids"].shape[1])
        time.sleep(pause_s)

    network = model.local.base.model
    handle = network.register_forward_pre_hook(note, with_kwargs=True)
    try:
        yield lengths
    finally:
        handle.remove()


async def until(lengths: list[int], count: int) -> None:
    """Wait until there were that many forwards."""
    async with asyncio.timeout(20):
        while len(lengths) < count:
            await asyncio.sleep(0.005)


def wasted(lengths: list[int], since: int) -> int:
    """Forwards of the old reply before the next prompt."""
    after = lengths[since:]
    return next(i for i, length in enumerate(after) if length > 1)


# -- the reply -----------------------------------------------------------------------


async def test_streamed_and_whole_replies_have_the_same_text(model, whole):
    streamed = [chunk async for chunk in await model(asked(QUESTION))]
    parts = "".join(text_of(chunk) for chunk in streamed[:-1])
    reply = await whole(asked(QUESTION))
    assert len(streamed) > 3
    assert parts == text_of(streamed[-1]) == text_of(reply) != ""
    assert [chunk.is_last for chunk in streamed] == [
        *[False] * (len(streamed) - 1),
        True,
    ]
    assert reply.is_last
    assert reply.finished_reason == FinishedReason.COMPLETED


async def test_a_stream_keeps_the_ids_of_response_and_text(model):
    chunks = [chunk async for chunk in await model(asked(QUESTION))]
    assert len({chunk.id for chunk in chunks}) == 1
    assert len({b.id for chunk in chunks for b in chunk.content}) == 1
    other = await respond(model, QUESTION)
    assert other.id != chunks[0].id


@pytest.mark.parametrize("kind", ["model", "whole"])
async def test_usage_is_exact(request, kind):
    chosen = request.getfixturevalue(kind)
    messages = [
        SystemMsg("system", "Be brief."),
        UserMsg("user", "Hi"),
        AssistantMsg("Alice", "Hello."),
        UserMsg("user", QUESTION),
    ]
    response = await chosen(messages, max_tokens=7)
    if kind == "model":
        response = [chunk async for chunk in response][-1]
    turns = await chosen._turns(messages)
    ids = chosen.local.base.chat_format.prompt_ids(turns)
    assert response.usage.input_tokens == len(ids)
    assert response.usage.output_tokens == 7
    assert await chosen.count_tokens(messages) == len(ids)


async def test_parameters_limit_and_change_the_reply(model):
    greedy = await answer(model, QUESTION)
    assert await answer(model, QUESTION, max_tokens=3) != greedy
    assert greedy.startswith(await answer(model, QUESTION, max_tokens=12))
    drawn = await answer(model, QUESTION, temperature=1.5, seed=1)
    assert drawn != greedy


async def test_the_parameters_of_the_model_hold_for_every_reply(tiny_folder):
    config = entry(local_model_path=str(tiny_folder))
    parameters = HuggingFaceWrapper.Parameters(max_tokens=4, top_k=20, seed=3)
    model = wrapper(tiny_folder, config, parameters=parameters)
    response = await respond(model, QUESTION)
    assert response.usage.output_tokens == 4
    assert await answer(model, QUESTION) == text_of(response)
    assert await answer(model, QUESTION, seed=4) != text_of(response)
    assert model.parameters == parameters


async def test_a_reply_alone_can_follow_a_grammar(model):
    free = await answer(model, QUESTION)
    grammar = 'start: "Paris" | "Rome"'
    assert await answer(model, QUESTION, grammar=grammar) in ("Paris", "Rome")
    assert await answer(model, QUESTION) == free not in ("Paris", "Rome")


async def test_a_seed_makes_drawn_replies_repeatable(model):
    drawn = [
        await answer(model, QUESTION, temperature=1.5, seed=seed)
        for seed in (1, 2, 1)
    ]
    assert drawn[0] == drawn[2] != drawn[1]
    free = {await answer(model, QUESTION, temperature=2.0) for _ in range(3)}
    assert len(free) == 3


# -- what is refused -------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["model", "whole"])
async def test_a_prompt_that_does_not_fit_is_refused_with_both_numbers(
    request,
    kind,
):
    chosen = request.getfixturevalue(kind)
    long = "word " * 300
    tokens = await chosen.count_tokens(asked(long))
    with pytest.raises(GenerationError) as caught:
        await respond(chosen, long)
    assert f"prompt has {tokens} tokens, the context only 512" in str(
        caught.value
    )


async def test_an_explicit_context_limits_prompt_and_reply(tiny_folder):
    config = entry(local_model_path=str(tiny_folder), max_length=200)
    model = wrapper(tiny_folder, config, context_size=100)
    response = await respond(model, QUESTION)
    assert response.usage.input_tokens + response.usage.output_tokens <= 100
    with pytest.raises(GenerationError, match="the context only 100"):
        await respond(model, "word " * 60)


@pytest.mark.parametrize(
    ("text", "more"),
    [("word " * 300, {}), (QUESTION, {"grammar": "start: ("})],
    ids=["prompt", "grammar"],
)
async def test_what_is_refused_is_refused_before_there_is_a_stream(
    model,
    text,
    more,
):
    with pytest.raises(GenerationError):
        await model(asked(text), **more)


async def test_an_agent_turns_to_its_other_model_where_the_first_refuses(
    tiny_folder,
):
    config = entry(local_model_path=str(tiny_folder), max_length=5)
    broken = HuggingFaceWrapper.Parameters(grammar="start: (")
    other = wrapper(tiny_folder, config)
    agent = dialog_agent(
        wrapper(tiny_folder, config, parameters=broken),
        model_config=ModelConfig(fallback_model=other),
    )
    reply = await agent.reply(UserMsg("user", QUESTION))
    assert reply.get_text_content() == await answer(other, QUESTION)


async def test_a_stream_that_nobody_listens_to_frees_the_worker(model):
    expected = await answer(model, OTHER)
    with forwards(model, pause_s=0.02) as lengths:
        stream = await model(asked(QUESTION), max_tokens=400)
        del stream
        since = len(lengths)
        assert await answer(model, OTHER) == expected
    assert wasted(lengths, since) <= 2


@pytest.mark.parametrize("kind", ["model", "whole"])
async def test_the_last_response_says_why_the_reply_has_ended(request, kind):
    chosen = request.getfixturevalue(kind)
    cut = await respond(chosen, QUESTION, max_tokens=3)
    assert cut.metadata == {"finish_reason": "length"}
    ended = await respond(chosen, QUESTION, grammar='start: "Paris"')
    assert ended.metadata == {"finish_reason": "stop"}


@pytest.mark.parametrize("kind", ["model", "whole"])
async def test_stop_strings_end_a_reply_and_are_never_shown(request, kind):
    chosen = request.getfixturevalue(kind)
    full = await answer(chosen, QUESTION)
    stop = full[5:8]
    response = await chosen(asked(QUESTION), stop=[stop, "never said"])
    if kind == "model":
        chunks = [chunk async for chunk in response]
        *parts, response = chunks
        assert "".join(map(text_of, parts)) == full.partition(stop)[0]
    assert text_of(response) == full.partition(stop)[0]
    assert response.metadata["finish_reason"] == "stop"


async def test_a_temperature_of_0_takes_the_likeliest(model):
    greedy = await answer(model, QUESTION)
    for more in ({}, {"top_p": 0.9}):
        assert await answer(model, QUESTION, temperature=0, **more) == greedy


async def test_an_unknown_argument_is_refused(model):
    with pytest.raises(GenerationError, match="arguments: num_beams"):
        await model(asked(QUESTION), num_beams=4)


# -- leaving ---------------------------------------------------------------------------


async def test_leaving_a_stream_frees_the_worker_within_two_tokens(model):
    expected = await answer(model, OTHER)
    with forwards(model, pause_s=0.02) as lengths:
        stream = await model(asked(QUESTION), max_tokens=400)
        await anext(stream)
        await stream.aclose()
        since = len(lengths)
        assert await answer(model, OTHER) == expected
    assert wasted(lengths, since) <= 2


async def test_a_cancelled_stream_keeps_what_was_said_and_frees_the_worker(
    model,
):
    full = await answer(model, QUESTION, max_tokens=60)

    async def consume() -> list:
        stream = await model(asked(QUESTION), max_tokens=400)
        return [chunk async for chunk in stream]

    with forwards(model, pause_s=0.02) as lengths:
        task = asyncio.create_task(consume())
        await until(lengths, 12)
        task.cancel()
        since = len(lengths)
        chunks = await task
        await respond(model, OTHER, max_tokens=1)
    assert chunks[-1].is_last
    assert chunks[-1].finished_reason == FinishedReason.INTERRUPTED
    said = "".join(text_of(chunk) for chunk in chunks[:-1])
    assert text_of(chunks[-1]) == said != ""
    assert full.startswith(said)
    assert wasted(lengths, since) <= 2


async def test_a_cancelled_whole_reply_is_interrupted_and_frees_the_worker(
    whole,
):
    with forwards(whole, pause_s=0.02) as lengths:
        task = asyncio.create_task(whole(asked(QUESTION), max_tokens=400))
        await until(lengths, 5)
        task.cancel()
        since = len(lengths)
        response = await task
        await respond(whole, OTHER, max_tokens=1)
    assert response.finished_reason == FinishedReason.INTERRUPTED
    assert response.content == []
    assert wasted(lengths, since) <= 2


async def test_leaving_the_queue_costs_the_one_before_nothing(
    model,
    monkeypatch,
):
    monkeypatch.setattr(decoder, "MOST_ROWS", 1)
    expected = await answer(model, QUESTION)
    with forwards(model, pause_s=0.01) as lengths:
        first = asyncio.create_task(answer(model, QUESTION))
        await until(lengths, 2)
        second = asyncio.create_task(respond(model, OTHER))
        await asyncio.sleep(0.02)
        second.cancel()
        interrupted = await second
        assert await first == expected
    assert interrupted.finished_reason == FinishedReason.INTERRUPTED
    assert sum(length > 1 for length in lengths) == 1


# -- together ----------------------------------------------------------------------------


async def test_the_event_loop_goes_on_while_a_reply_is_generated(model):
    ticks: list[float] = []

    async def tick() -> None:
        while True:
            ticks.append(time.monotonic())
            await asyncio.sleep(0.005)

    ticker = asyncio.create_task(tick())
    with forwards(model, pause_s=0.02):
        start = time.monotonic()
        await respond(model, QUESTION)
        end = time.monotonic()
    ticker.cancel()
    assert end - start > 0.4  # 24 tokens
    gaps = [b - a for a, b in zip(ticks, ticks[1:], strict=False)]
    assert max(gaps) < (end - start) / 2
    assert len(ticks) > 20


async def test_replies_asked_for_at_once_are_those_asked_one_by_one(
    tiny_folder,
    tmp_path,
):
    in_float32 = {"load_in_4bit": False, "bnb_4bit_compute_dtype": "float32"}
    exact = entry(
        local_model_path=str(tiny_folder),
        max_length=24,
        fine_tune_config={"bnb_config": in_float32},
    )
    model = wrapper(tmp_path, exact)
    whole = wrapper(tmp_path, exact, stream=False)
    jobs = [
        (chosen, f"Question {number}?", arguments)
        for number in range(4)
        for chosen in (model, whole)
        for arguments in ({}, {"temperature": 1.5, "seed": number})
    ]
    serial = [await answer(one, text, **more) for one, text, more in jobs]
    together = await asyncio.gather(
        *(answer(one, text, **more) for one, text, more in jobs),
    )
    assert together == serial
    assert len(set(serial)) > 5  # of 4 questions, drawn and not
