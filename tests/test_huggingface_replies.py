# -*- coding: utf-8 -*-
"""A worker's pieces as responses."""

import asyncio

import pytest
from agentscope.model import ChatResponse
from tiny_agents import local_model

from huggingface_asking import Asking
from huggingface_parameters import ReplyParameters
from huggingface_replies import reply_stream, whole_reply
from local_llm import reply_streams
from local_llm.errors import GenerationError
from local_llm.local_model import LocalModel
from local_llm.turns import Turn

TURNS = [Turn("user", "What is the capital of France?")]


@pytest.fixture
def local(project) -> LocalModel:
    """A loaded model."""
    model = local_model(project)
    model.load_model()
    return model


async def parts_of(local, **parameters) -> list[ChatResponse]:
    """All responses of a stream."""
    chosen = ReplyParameters(**parameters)
    return [part async for part in reply_stream(Asking(local, TURNS, chosen))]


@pytest.mark.asyncio
async def test_the_responses_of_a_stream_belong_together(local):
    parts = await parts_of(local)
    assert len({part.id for part in parts}) == 1
    blocks = [block for part in parts for block in part.content]
    assert len(blocks) > 1
    assert len({block.id for block in blocks}) == 1
    assert not any(part.is_last for part in parts)
    reasons = [part.metadata["finish_reason"] for part in parts]
    assert reasons == [None] * (len(parts) - 1) + ["length"]


@pytest.mark.asyncio
async def test_usage_counts_prompt_and_reply_exactly(local):
    parts = await parts_of(local, max_tokens=7)
    counts = [part.usage.output_tokens for part in parts]
    assert counts == sorted(counts) and counts[-1] == 7
    prompt = local.base.chat_format.prompt_ids(TURNS)
    assert {part.usage.input_tokens for part in parts} == {len(prompt)}
    times = [part.usage.time for part in parts]
    assert times == sorted(times) and times[0] > 0


@pytest.mark.asyncio
async def test_the_whole_reply_is_the_text_of_its_parts(local):
    parts = await parts_of(local)
    text = "".join(block.text for part in parts for block in part.content)
    whole = await whole_reply(
        reply_stream(Asking(local, TURNS, ReplyParameters()))
    )
    (block,) = whole.content
    assert block.text == text
    assert whole.is_last
    assert whole.metadata["finish_reason"] == "length"
    assert whole.usage.output_tokens == parts[-1].usage.output_tokens


@pytest.mark.asyncio
async def test_a_failing_model_fails_the_stream_and_serves_the_next(
    local,
    monkeypatch,
):
    expected = len(await parts_of(local))

    def fail(*arguments, **more):
        raise RuntimeError("no kernel")

    with monkeypatch.context() as broken:
        broken.setattr(local.base.model, "forward", fail)
        with pytest.raises(GenerationError, match="RuntimeError: no kernel"):
            await parts_of(local)
    assert len(await parts_of(local)) == expected


@pytest.mark.asyncio
async def test_a_broken_grammar_fails_the_stream_and_serves_the_next(local):
    with pytest.raises(GenerationError, match="the grammar cannot be used"):
        await parts_of(local, grammar="start: (")
    assert await parts_of(local)


@pytest.mark.asyncio
async def test_a_worker_that_stays_silent_is_not_waited_for_forever(
    local,
    monkeypatch,
):
    requests = []
    monkeypatch.setattr(reply_streams, "_GRACE_S", -599.9)
    monkeypatch.setattr(local, "submit", requests.append)
    with pytest.raises(GenerationError, match="gave no answer"):
        await parts_of(local)
    assert requests[0].cancelled.is_set()


def test_a_piece_that_comes_after_the_loop_is_closed_is_dropped(
    local,
    monkeypatch,
):
    requests = []
    monkeypatch.setattr(local, "submit", requests.append)

    async def leave() -> None:
        stream = reply_stream(Asking(local, TURNS, ReplyParameters()))
        waiting = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0.01)
        waiting.cancel()

    asyncio.run(leave())
    assert requests[0].deliver("a piece") is None
