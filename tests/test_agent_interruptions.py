# -*- coding: utf-8 -*-
"""The agent interrupted while a role speaks or a tool runs, and afterwards."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest
from agentscope.event import ReplyEndEvent, ThinkingBlockDeltaEvent
from agentscope.message import UserMsg
from agentscope.types import ReplyFinishedReason
from scripted_chat_models import (
    CALL,
    CONCLUDE,
    HANG,
    Voice,
    answer_of,
    call,
    events_of,
    results_of,
    solver,
    team,
    toolkit,
)
from tiny_agents import entry, wrapper

from alpha_umi.agent import AlphaUMiAgent

pytestmark = pytest.mark.asyncio

ADD = call("add", '{"a": 2, "b": 3}')
LINES: dict[str, dict[str, Any]] = {
    "planner": {
        "plans": [f"I think {HANG}", CONCLUDE],
        "answers": ["It is 5."],
    },
    "caller": {
        "plans": [CALL, CONCLUDE],
        "calls": [f"Action: add {HANG}"],
        "answers": ["It is 5."],
    },
    "summarizer": {
        "plans": [CONCLUDE],
        "answers": [f"It is {HANG}", "It is 5."],
    },
}
each_role = pytest.mark.parametrize("role", LINES)


async def interrupted(
    agent: AlphaUMiAgent,
    until: Awaitable[Any],
) -> list:
    """The events of a question that is interrupted at some point."""
    task = asyncio.create_task(events_of(agent, "What is 2 + 3?"))
    async with asyncio.timeout(10):
        await until
        task.cancel()
        return await task


def reason(events: list) -> ReplyFinishedReason:
    (end,) = [one for one in events if isinstance(one, ReplyEndEvent)]
    return ReplyFinishedReason(end.finished_reason)


@each_role
@pytest.mark.parametrize("stream", [True, False])
async def test_a_role_can_be_interrupted_and_the_agent_goes_on(
    role: str,
    stream: bool,
) -> None:
    roles = team(**LINES[role], stream=stream)
    agent = solver(roles)
    agent.model.stream = stream
    events = await interrupted(agent, roles[role].hanging.wait())
    assert reason(events) == ReplyFinishedReason.INTERRUPTED
    assert answer_of(events) == agent.react_config.interruption_message
    assert answer_of(await events_of(agent, "Again?")) == "It is 5."


@each_role
async def test_what_was_cut_short_is_no_step(role: str) -> None:
    roles = team(**LINES[role])
    agent = solver(roles)
    await interrupted(agent, roles[role].hanging.wait())
    await events_of(agent, "Again?")
    history = roles["planner"].prompts[-1].split("\n\n")[1].splitlines()[:-1]
    said = ["conclusion: It is"] if role == "summarizer" else []
    assert history == ["user: What is 2 + 3?", *said, "user: Again?"]


async def test_the_steps_before_an_interruption_are_kept() -> None:
    roles = team([CALL, HANG, CONCLUDE], [ADD], ["It is 5."])
    agent = solver(roles)
    await interrupted(agent, roles["planner"].hanging.wait())
    await events_of(agent, "Go on.")
    assert "observation: 5\nuser: Go on." in roles["planner"].prompts[-1]


async def test_a_tool_can_be_interrupted() -> None:
    running = asyncio.Event()

    async def wait() -> str:
        """Wait."""
        running.set()
        await asyncio.sleep(60)
        return "waited"

    roles = team([CALL, CONCLUDE], [call("wait", "{}")], ["I waited."])
    agent = solver(roles, toolkit(wait))
    events = await interrupted(agent, running.wait())
    assert reason(events) == ReplyFinishedReason.INTERRUPTED
    assert [state for state, _ in results_of(agent)] == ["interrupted"]
    assert answer_of(await events_of(agent, "And?")) == "I waited."
    assert "interrupted by the user" in roles["planner"].prompts[-1]


@each_role
async def test_a_reader_who_leaves_ends_the_role_that_speaks(
    role: str,
) -> None:
    roles = team(
        [CALL if role == "caller" else CONCLUDE],
        [ADD],
        ["It is five, and I could go on for long."],
    )
    last = roles[role]
    stream = solver(roles).reply_stream(UserMsg("user", "What is 2 + 3?"))
    async for _ in stream:
        if last.asked:
            break
    assert last.closed == []
    await stream.aclose()
    async with asyncio.timeout(5):
        while not last.closed:
            await asyncio.sleep(0)


async def test_a_local_model_stops_when_its_role_is_interrupted(
    project,
) -> None:
    model = wrapper(project, entry(max_length=400))
    agent = AlphaUMiAgent("Ada", model=model)
    begun = asyncio.Event()

    async def listen() -> list:
        events = []
        stream = agent.reply_stream(UserMsg("user", "Talk."), None, True)
        async for event in stream:
            events.append(event)
            if isinstance(event, ThinkingBlockDeltaEvent):
                begun.set()
        return events

    task = asyncio.create_task(listen())
    async with asyncio.timeout(30):
        await begun.wait()
        task.cancel()
        events = await task
    assert reason(events) == ReplyFinishedReason.INTERRUPTED
    (thought,) = agent.state.context[-1].content
    assert len(thought.thinking) < 400
    model.parameters = model.Parameters(max_tokens=4)
    assert answer_of(await events_of(agent, "Again?"))


async def test_two_agents_of_the_same_roles_do_not_disturb_each_other() -> (
    None
):
    voice = Voice(CONCLUDE, CONCLUDE, "It is 5.")
    agents = [AlphaUMiAgent(name, model=voice) for name in ("Ada", "Bob")]
    replies = await asyncio.gather(
        *(agent.reply(UserMsg("user", "2 + 3?")) for agent in agents),
    )
    assert [one.get_text_content() for one in replies] == ["It is 5."] * 2
