# -*- coding: utf-8 -*-
"""Whatever a tool does, a planner can read of it, in time and in short."""

import asyncio
import time

import pytest
from scripted_team import TOOLS

from alpha_umi.calls import CallResult
from alpha_umi.limits import Limits
from alpha_umi.protocol import Call
from alpha_umi.tool_runs import MadeCall, cut, in_thread, make_call

LIMITS = Limits(tool_seconds=0.05, observation_characters=40)
ROME = Call("weather", '{"city": "Rome"}')


def made(run_tool, call: Call = ROME) -> MadeCall:
    return asyncio.run(make_call(call, TOOLS, run_tool, LIMITS))


def test_what_a_tool_returns_is_observed() -> None:
    async def tool(call: Call) -> str:
        return f"{call.name} is fine"

    assert made(tool) == MadeCall(ROME, CallResult.RETURNED, "weather is fine")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("no such city"), "Error: ValueError: no such city"),
        (ValueError(), "Error: ValueError"),
        (KeyError("x"), "Error: KeyError: 'x'"),
        (TimeoutError(), "Error: TimeoutError"),
        (SystemExit(2), "Error: SystemExit: 2"),
        (asyncio.CancelledError(), "Error: the tool was cancelled."),
    ],
)
def test_what_a_tool_raises_is_observed(
    error: BaseException,
    text: str,
) -> None:
    async def tool(call: Call) -> str:
        raise error

    assert made(tool) == MadeCall(ROME, CallResult.RAISED, text)


def test_an_error_that_cannot_be_written_is_observed() -> None:
    class Unspeakable(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    async def tool(call: Call) -> str:
        raise Unspeakable

    assert made(tool).result is CallResult.RAISED


def test_a_tool_that_hangs_is_given_up_and_cancelled() -> None:
    ends: list[str] = []

    async def tool(call: Call) -> str:
        try:
            await asyncio.sleep(60)
        finally:
            ends.append("tidied up")
        return ""

    async def given_up() -> tuple[MadeCall, list[str]]:
        return await make_call(ROME, TOOLS, tool, LIMITS), list(ends)

    began = time.monotonic()
    one, ends_by_then = asyncio.run(given_up())
    assert time.monotonic() - began < 2
    assert one.result is CallResult.TIMED_OUT
    assert one.observation == "The tool did not answer within 0.05 seco..."
    assert ends_by_then == ["tidied up"]


def test_the_text_of_a_tool_that_returns_something_else_is_observed() -> None:
    async def tool(call: Call) -> str:
        return {"sun": True}  # type: ignore[return-value]

    assert made(tool).observation == "{'sun': True}"


@pytest.mark.parametrize("nothing", ["", None])
def test_a_tool_that_returns_nothing_says_so(nothing: str) -> None:
    async def tool(call: Call) -> str:
        return nothing

    assert made(tool).observation == "The tool returned nothing."


def test_a_function_that_blocks_is_given_up_from_its_thread() -> None:
    def blocks(call: Call) -> str:
        time.sleep(0.3)
        return "late"

    assert made(in_thread(blocks)).result is CallResult.TIMED_OUT
    quick = made(in_thread(lambda call: call.name))
    assert quick.observation == "weather"


def test_a_call_that_is_wrong_is_not_run() -> None:
    async def tool(call: Call) -> str:
        pytest.fail("it was run")

    wrong = made(tool, Call("weather", "{}"))
    assert wrong.result is CallResult.INVALID_ARGUMENTS
    unknown = made(tool, Call("sun", "{}"))
    assert unknown.observation == cut(
        "There is no tool sun. Tools: weather, time.", 40
    )


def test_a_text_of_just_the_length_is_not_cut() -> None:
    assert cut("x" * 40, 40) == "x" * 40
    assert cut("x" * 41, 40) == "x" * 40 + "..."


def test_half_a_character_becomes_one_that_every_tokenizer_reads() -> None:
    assert cut("a\ud800b 🌞", 40) == "a?b 🌞"
