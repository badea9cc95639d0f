# -*- coding: utf-8 -*-
"""Pieces reach the event loop as they come; who leaves cancels the rest."""

import asyncio
from contextlib import aclosing
from pathlib import Path

import pytest
from tiny_agents import local_model
from tiny_models import reply

from local_llm.errors import GenerationError
from local_llm.generation import Piece, Request
from local_llm.local_model import LocalModel
from local_llm.reply_streams import stream_request
from local_llm.turns import Turn

QUESTION = "What is the capital of France?"

pytestmark = pytest.mark.asyncio


@pytest.fixture(name="model")
def fixture_model(project: Path) -> LocalModel:
    model = local_model(project)
    model.load_model()
    return model


def request_of(model: LocalModel) -> Request:
    return model.request([Turn("user", QUESTION)], lambda delivery: None)


async def test_the_pieces_are_those_of_a_waiting_thread(
    model: LocalModel,
) -> None:
    pieces: list[Piece] = []
    async with aclosing(stream_request(model, request_of(model))) as stream:
        async for piece in stream:
            pieces.append(piece)
    assert "".join(one.text for one in pieces) == reply(model.base, QUESTION)
    assert [one.finish_reason is None for one in pieces[:-1]] == [True] * (
        len(pieces) - 1
    )
    assert pieces[-1].finish_reason in ("stop", "length")


async def test_leaving_the_stream_cancels_the_request(
    model: LocalModel,
) -> None:
    request = request_of(model)
    async with aclosing(stream_request(model, request)) as stream:
        await anext(stream)
    assert request.cancelled.is_set()


async def test_an_error_of_the_worker_is_raised_here(
    model: LocalModel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no kernel")

    monkeypatch.setattr(model.base.model, "forward", fail)
    with pytest.raises(GenerationError, match="RuntimeError: no kernel"):
        await anext(stream_request(model, request_of(model)))


async def test_the_loop_is_free_while_the_model_works(
    model: LocalModel,
) -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.ensure_future(count())
    async with aclosing(stream_request(model, request_of(model))) as stream:
        async for _ in stream:
            pass
    counting.cancel()
    assert turns > 10
