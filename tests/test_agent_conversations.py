# -*- coding: utf-8 -*-
"""The agent in hub, team and console, with MCP tools and a local model."""

import asyncio
import builtins
import json
import os
import pty
import signal
import subprocess
import sys
from collections import deque
from pathlib import Path

import pytest
from agentscope.console import launch_console
from agentscope.mcp import MCPClient, StdioMCPConfig
from agentscope.message import Msg, ToolCallBlock, ToolResultBlock, UserMsg
from agentscope.pipeline import TeamMember, TeamPipeline
from agentscope.tool import Toolkit
from scripted_agents import agent as scripted
from scripted_agents import heard, play, speakers, user
from scripted_chat_models import (
    CALL,
    CONCLUDE,
    HANG,
    Voice,
    answer_of,
    call,
    decide,
    events_of,
    result_text,
    results_of,
    solver,
    team,
    toolkit,
)
from tiny_agents import entry, wrapper

from alpha_umi.agent import AlphaUMiAgent
from alpha_umi.agent_model import AlphaUMiModel
from alpha_umi.limits import Limits
from huggingface_model import HuggingFaceWrapper
from msghub import MsgHub

pytestmark = pytest.mark.asyncio

TESTS = Path(__file__).resolve().parent
ADD = call("add", '{"a": 2, "b": 3}')
QUESTION = "What is 2 + 3?"


def adder(name: str, answer: str, **more) -> AlphaUMiAgent:
    """An agent that adds, then answers; again on the next question."""
    plans = [f"I add. {CALL}", f"I know. {CONCLUDE}"] * 2
    roles = team(plans, [ADD], [answer])
    return solver(roles, name=name, **more)


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> deque[str]:
    """What the user will type, then the end of input."""
    lines: deque[str] = deque()

    def read(prompt: str = "") -> str:
        if not lines:
            raise EOFError
        return lines.popleft()

    monkeypatch.setattr(builtins, "input", read)
    return lines


# -- a hub ---------------------------------------------------------------------


async def test_in_a_hub_the_others_hear_the_answer_alone() -> None:
    ada, bob, cleo = agents = [
        adder("Ada", "It is 5."),
        adder("Bob", "I agree."),
        scripted("Cleo", "So it is."),
    ]
    async with MsgHub(agents) as hub:
        events = await play(hub, user(QUESTION))
    assert speakers(events) == ["Ada", "Bob", "Cleo"]
    assert heard(ada) == [QUESTION, "Bob: I agree.", "Cleo: So it is."]
    assert heard(bob) == [QUESTION, "Ada: It is 5.", "Cleo: So it is."]
    assert heard(cleo) == [QUESTION, "Ada: It is 5.", "Bob: I agree."]
    assert hub.failures == []


async def test_a_planner_in_a_hub_reads_who_said_what() -> None:
    ada, bob = adder("Ada", "It is 5."), adder("Bob", "I agree.")
    await play(MsgHub([ada, bob]), user(QUESTION))
    prompt = bob.model.planner.prompts[0]
    assert f"user: {QUESTION}\nuser: Ada: It is 5.\n" in prompt


async def test_a_hub_waits_for_the_users_yes_to_a_call() -> None:
    ada = adder("Ada", "It is 5.", tools=toolkit(asks=True))
    cleo = scripted("Cleo", "So it is.")
    hub = MsgHub([ada, cleo])
    events = await play(hub, user(QUESTION))
    assert speakers(events) == ["Ada"]
    events = await play(hub, decide(events, True))
    assert speakers(events) == ["Cleo"]
    assert heard(cleo) == [QUESTION, "Ada: It is 5."]


# -- a team --------------------------------------------------------------------


def results_told(leader) -> list[str]:
    """What the leader was told by its members."""
    blocks = [b for m in leader.state.context for b in m.content]
    return [result_text(b) for b in blocks if isinstance(b, ToolResultBlock)]


async def test_the_agent_is_a_member_of_a_team() -> None:
    task = json.dumps({"member": "Ada", "prompt": QUESTION})
    order = ToolCallBlock(id="1", name="TeamAssign", input=task)
    leader = scripted("Leader", [order], "All done.")
    member = TeamMember(agent=adder("Ada", "It is 5."), description="adds")
    events = await play(TeamPipeline(leader, [member]), user("Go."))
    assert speakers(events) == ["Leader", "Ada"]
    assert results_told(leader) == ["It is 5."]


async def test_the_agent_leads_a_team() -> None:
    task = call("TeamAssign", json.dumps({"member": "Cleo", "prompt": "Add."}))
    leader = solver(team([CALL, CONCLUDE], [task], ["Cleo says 5."]))
    member = TeamMember(agent=scripted("Cleo", "5."), description="adds")
    events = await play(TeamPipeline(leader, [member]), user(QUESTION))
    assert speakers(events) == ["Ada", "Cleo"]
    assert results_told(leader) == ["5. "]
    assert "observation: 5." in leader.model.planner.prompts[-1]


# -- tools of an MCP server ----------------------------------------------------

SERVER = '''
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

server = MCPServer("sums")


@server.tool()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@server.tool()
def fail() -> str:
    """Fail."""
    raise ToolError("out of order")


server.run("stdio")
'''


async def test_the_tools_of_an_mcp_server_are_called(tmp_path: Path) -> None:
    path = tmp_path / "server.py"
    path.write_text(SERVER)
    config = StdioMCPConfig(command=sys.executable, args=[str(path)])
    client = MCPClient(name="sums", is_stateful=True, mcp_config=config)
    name = "mcp__sums__add"
    calls = [
        call(name, '{"a": 2}'),
        call("mcp__sums__fail", "{}"),
        call(name, '{"a": 2, "b": 3}'),
    ]
    roles = team([CALL] * 3 + [CONCLUDE], calls, ["It is 5."])
    async with asyncio.timeout(60):
        await client.connect()
        try:
            agent = solver(roles, Toolkit(mcps=[client]))
            events = await events_of(agent, QUESTION)
            while answer_of(events) != "It is 5.":
                events = await events_of(agent, decide(events, True))
        finally:
            await client.close()
    prompts = roles["planner"].prompts
    assert f"{name}(a: integer, b: integer) Add two numbers." in prompts[0]
    assert "'b' is a required property" in prompts[1]
    assert "out of order" in prompts[2]
    assert results_of(agent)[-1] == ("success", "5")


# -- the console ---------------------------------------------------------------


async def test_the_console_shows_the_roles_as_they_speak(
    typed, capsys
) -> None:
    typed.extend([QUESTION, "y"])
    agent = adder("Ada", "It is 5.", tools=toolkit(asks=True))
    await asyncio.wait_for(launch_console(agent), timeout=20)
    shown = capsys.readouterr().out.splitlines()
    lines = [line.strip(" ") for line in shown if line.strip()]
    begin = lines.index("✻ Thinking…")
    assert [one for one in lines[begin:] if not one.startswith("·")] == [
        "✻ Thinking…",
        f"planner: I add. {CALL}",
        "caller: Action: add",
        'Action Input: {"a": 2, "b": 3}',
        '→ add {"a": 2, "b": 3}',
        "⚠ Tool calls awaiting user confirmation:",
        '• add {"a": 2, "b": 3}',
        "suggested rule: allow add",
        "✓ add · success",
        "5",
        "✻ Thinking…",
        f"planner: I know. {CONCLUDE}",
        "summarizer:",
        "It is 5.",
    ]


async def test_ctrl_c_in_the_console_ends_the_reply_and_not_the_program(
    typed,
    capsys,
) -> None:
    typed.extend([QUESTION, "Again?"])
    roles = team([HANG, CONCLUDE], answers=["It is 5."])
    agent = solver(roles)

    async def press_ctrl_c() -> None:
        await roles["planner"].hanging.wait()
        signal.raise_signal(signal.SIGINT)

    pressing = asyncio.create_task(press_ctrl_c())
    await asyncio.wait_for(launch_console(agent), timeout=20)
    await pressing
    shown = capsys.readouterr().out
    assert "Reply interrupted" in shown and "It is 5." in shown


PROGRAM = """
import asyncio
from agentscope.console import launch_console
from scripted_chat_models import CALL, CONCLUDE, call, solver, team, toolkit

roles = team(
    [f"I add. {CALL}", f"I know. {CONCLUDE}"],
    [call("add", '{"a": 2, "b": 3}')],
    ["It is 5."],
)
asyncio.run(launch_console(solver(roles, toolkit(asks=True))))
"""


def read_until(terminal: int, mark: str, shown: str = "") -> str:
    """What a terminal shows up to a mark."""
    while mark not in shown:
        shown += os.read(terminal, 4096).decode("utf-8", "replace")
    return shown


@pytest.mark.timeout(120)
async def test_the_agent_talks_in_a_terminal() -> None:
    terminal, slave = pty.openpty()
    folders = os.pathsep.join([str(TESTS), str(TESTS.parent)])
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env={**os.environ, "PYTHONPATH": folders, "TERM": "xterm"},
        start_new_session=True,
    ) as program:
        try:
            os.close(slave)
            shown = read_until(terminal, "user> ")
            os.write(terminal, f"{QUESTION}\n".encode())
            shown = read_until(terminal, "[y]es / [N]o", shown)
            os.write(terminal, b"y\n")
            shown = read_until(terminal, "It is 5.", shown)
            shown = read_until(terminal, "user> ", shown)
            os.write(terminal, b"exit\n")
            assert program.wait(timeout=30) == 0
        finally:
            program.kill()
            os.close(terminal)
    assert "Traceback" not in shown
    assert shown.index("planner: ") < shown.index("caller: ")
    assert shown.index("caller: ") < shown.index("summarizer:")


# -- models --------------------------------------------------------------------


@pytest.fixture(name="model", scope="module")
def fixture_model(
    tiny_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> HuggingFaceWrapper:
    """A random model."""
    config = entry(local_model_path=str(tiny_folder), max_length=24)
    return wrapper(tmp_path_factory.mktemp("place"), config)


async def test_a_remote_planner_leads_a_local_caller_and_summarizer(
    model: HuggingFaceWrapper,
) -> None:
    planner = Voice(f"I add. {CALL}", f"I know. {CONCLUDE}", stream=False)
    agent = AlphaUMiAgent(
        "Ada", model=model, planner=planner, toolkit=toolkit()
    )
    events = await events_of(agent, QUESTION)
    assert answer_of(events)
    assert len(results_of(agent)) == 1
    assert agent.model.model == "voice + tiny"


@pytest.mark.parametrize("seed", range(3))
async def test_a_local_caller_makes_calls_that_fit_their_tools(
    model: HuggingFaceWrapper,
    seed: int,
) -> None:
    drawn = model.Parameters(do_sample=True, seed=seed, max_tokens=120)
    caller = HuggingFaceWrapper(
        config=model.local.settings,
        parameters=drawn,
    )
    plans = [CALL, CALL, CALL, CONCLUDE]
    roles = {**team(plans, answers=["Done."]), "caller": caller}
    often = AlphaUMiModel.Parameters(limits=Limits(repeats=9))
    agent = solver(roles, parameters=often)
    assert answer_of(await events_of(agent, QUESTION)) == "Done."
    assert [state for state, _ in results_of(agent)] == ["success"] * 3


async def test_a_caller_that_is_not_to_be_held_says_what_it_likes(
    model: HuggingFaceWrapper,
) -> None:
    roles = {**team([CALL, CONCLUDE], answers=["Done."]), "caller": model}
    free = AlphaUMiModel.Parameters(constrained_calls=False)
    agent = solver(roles, parameters=free)
    await events_of(agent, QUESTION)
    assert [state for state, _ in results_of(agent)] == ["error"]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("mode", ["chain", "dfsdt"])
async def test_whatever_a_random_model_says_comes_to_an_end(
    model: HuggingFaceWrapper,
    seed: int,
    mode: str,
) -> None:
    roles = HuggingFaceWrapper(
        config=model.local.settings,
        parameters=model.Parameters(do_sample=True, temperature=2, seed=seed),
    )
    limits = Limits(steps=3, queries=12)
    agent = AlphaUMiAgent(
        "Ada",
        model=roles,
        toolkit=toolkit(),
        parameters=AlphaUMiModel.Parameters(
            mode=mode,
            limits=limits,
            constrained_calls=seed % 2 == 0,
        ),
    )
    async with asyncio.timeout(60):
        reply = await agent.reply(UserMsg("user", QUESTION))
    assert isinstance(reply, Msg)
    assert (reply.get_text_content() or "").strip()
    assert len(results_of(agent)) <= 6
