# -*- coding: utf-8 -*-
"""One call made: checked, run within its time, its result as an observation.

Whatever a tool does becomes a text that a planner can read. Knows no models
and no history. Raises nothing but cancellation.
"""

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from .calls import CallResult, Fault, fault_of
from .limits import Limits
from .protocol import Call, Tool

RunTool = Callable[[Call], Awaitable[str]]
"""Runs a call that fits its tool's schema. One that blocks the event loop
cannot be given up; run such a tool in a thread."""

CUT_MARK = "..."
"""What a cut observation ends with; as in the published records."""

_GRACE_S = 1.0
"""How long a tool that was given up may tidy up before the task goes on."""


@dataclass(frozen=True, slots=True)
class MadeCall:
    """A call and what came of it.

    Attributes:
        call (`Call`):
            As the caller wrote it.
        result (`CallResult`):
            Whether it was made, and how it ended.
        observation (`str`):
            What planner and summarizer read of it.
    """

    call: Call
    result: CallResult
    observation: str


async def make_call(
    call: Call,
    tools: Sequence[Tool],
    run_tool: RunTool,
    limits: Limits,
) -> MadeCall:
    """Run a call, if it can be made.

    Args:
        call (`Call`):
            What a caller wrote.
        tools (`Sequence[Tool]`):
            What may be called.
        run_tool (`RunTool`):
            Runs it. Not asked where `fault_of` finds something wrong.
        limits (`Limits`):
            Seconds of a tool and characters of an observation count here.
    """
    found = fault_of(call, tools) or await _run(
        call,
        run_tool,
        limits.tool_seconds,
    )
    if isinstance(found, Fault):
        result, text = found.result, found.text
    else:
        result, text = found
    return MadeCall(call, result, cut(text, limits.observation_characters))


def cut(text: str, characters: int) -> str:
    """A text of at most so many characters, and a mark where it was cut.

    Half a character, which no tokenizer reads, becomes a question mark.
    """
    if len(text) > characters:
        text = f"{text[:characters]}{CUT_MARK}"
    return text.encode("utf-8", "replace").decode("utf-8")


def in_thread(run: Callable[[Call], str]) -> RunTool:
    """Let a function run calls that is not asynchronous.

    Args:
        run (`Callable[[Call], str]`):
            Such as `python_tools.runner_of` gives. One that is given up goes
            on in its thread, and the program ends after it.
    """

    async def run_tool(call: Call) -> str:
        return await asyncio.to_thread(run, call)

    return run_tool


async def _run(
    call: Call,
    run_tool: RunTool,
    seconds: float,
) -> tuple[CallResult, str]:
    task = asyncio.ensure_future(_text_of(call, run_tool))
    try:
        await asyncio.wait({task}, timeout=seconds)
    finally:
        # Also where the task itself was cancelled. A tool that takes no
        # notice must not hold up anybody, hence no waiting for its end.
        is_late = task.cancel()
    if not is_late:
        return await task
    await asyncio.wait({task}, timeout=min(seconds, _GRACE_S))
    text = f"The tool did not answer within {seconds:g} seconds."
    return CallResult.TIMED_OUT, text


async def _text_of(call: Call, run_tool: RunTool) -> tuple[CallResult, str]:
    """Run it; the one place where whatever a tool raises becomes a text."""
    try:
        value = await run_tool(call)
        text = "" if value is None else str(value)
    except asyncio.CancelledError:
        # By the tool itself, or because it was given up: nobody waits then.
        return CallResult.RAISED, "Error: the tool was cancelled."
    except (Exception, SystemExit) as error:  # noqa: BLE001
        said = "".join(traceback.format_exception_only(error)).strip()
        return CallResult.RAISED, f"Error: {said}"
    return CallResult.RETURNED, text or "The tool returned nothing."
