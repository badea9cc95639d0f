# -*- coding: utf-8 -*-
"""Agents on the tiny model in AgentScope's own conversations."""

import asyncio
import builtins
import json
import signal
from collections import deque
from pathlib import Path

import pytest
from agentscope.agent import Agent, InjectionConfig
from agentscope.console import launch_console
from agentscope.event import TextBlockDeltaEvent
from agentscope.message import Msg, ToolCallBlock, UserMsg
from agentscope.pipeline import TeamMember, TeamPipeline
from agentscope.types import ReplyFinishedReason
from scripted_agents import agent as scripted
from scripted_agents import context, play, speakers, user
from tiny_agents import answer, dialog_agent, entry, wrapper

from huggingface_model import HuggingFaceWrapper
from local_llm.chat_format import ChatFormat
from local_llm.errors import GenerationError
from msghub import MsgHub

pytestmark = pytest.mark.asyncio

QUESTION = "Question 3?"


@pytest.fixture(scope="module")
def model(
    tiny_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> HuggingFaceWrapper:
    """One model for all agents; nobody fine-tunes it."""
    config = entry(local_model_path=str(tiny_folder), max_length=8)
    return wrapper(tmp_path_factory.mktemp("place"), config)


@pytest.fixture
def small(tiny_folder: Path, tmp_path: Path) -> HuggingFaceWrapper:
    """A model whose context holds a few short turns."""
    config = entry(
        local_model_path=str(tiny_folder),
        max_length=8,
        context_size=96,
    )
    return wrapper(tmp_path, config)


@pytest.fixture
def prompts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every prompt that the model is asked with, in order."""
    seen: list[str] = []
    render = ChatFormat.prompt_ids
    submit = HuggingFaceWrapper._call_api

    async def note(self, model_name, messages, *rest, **more):
        chat_format = self.local.base.chat_format
        ids = render(chat_format, await self._turns(messages))
        seen.append(self.local.base.tokenizer.decode(ids))
        return await submit(self, model_name, messages, *rest, **more)

    monkeypatch.setattr(HuggingFaceWrapper, "_call_api", note)
    return seen


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


def roles(prompt: str) -> list[str]:
    """Who speaks in a prompt, turn by turn."""
    marks = prompt.split("<start_of_turn>")[1:]
    return [mark.split("\n")[0] for mark in marks]


def words(agent) -> list[str]:
    """What an agent said itself."""
    return [text for role, _, text in context(agent) if role == "assistant"]


# -- the console ---------------------------------------------------------------------


async def test_the_console_talks_two_turns_with_the_agent(
    model,
    prompts,
    typed,
    capsys,
):
    alice = dialog_agent(model, system_prompt="Be brief.")
    typed.extend([QUESTION, "Go on."])
    await asyncio.wait_for(launch_console(alice), timeout=30)
    first, second = words(alice)
    shown = capsys.readouterr().out
    assert "Alice" in shown and first in shown and second in shown
    assert [roles(prompt) for prompt in prompts] == [
        ["user", "model"],
        ["user", "model", "user", "model"],
    ]
    assert prompts[1] == (
        f"{prompts[0]}{first}<end_of_turn>\n"
        "<start_of_turn>user\nGo on.<end_of_turn>\n<start_of_turn>model\n"
    )


async def test_ctrl_c_in_the_console_ends_the_reply_and_not_the_program(
    model,
    typed,
    capsys,
):
    slow = wrapper(
        Path.cwd(),
        entry(
            local_model_path=model.local.base.name,
            max_length=400,
        ),
    )
    alice = dialog_agent(slow)
    typed.extend(["Talk.", QUESTION])

    async def press_ctrl_c() -> None:
        while not alice.state.context:
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.1)
        slow.parameters = slow.Parameters(max_tokens=8)
        signal.raise_signal(signal.SIGINT)

    pressing = asyncio.create_task(press_ctrl_c())
    await asyncio.wait_for(launch_console(alice), timeout=30)
    await pressing
    assert "Reply interrupted" in capsys.readouterr().out
    assert context(alice)[-2] == ("user", "user", QUESTION)
    assert words(alice)[-1]


# -- a team --------------------------------------------------------------------------


async def test_the_agent_is_a_member_of_a_team(model):
    task = {"member": "Alice", "prompt": QUESTION}
    call = ToolCallBlock(id="1", name="TeamAssign", input=json.dumps(task))
    leader = scripted("Leader", [call], "All done.")
    alice = dialog_agent(model)
    member = TeamMember(agent=alice, description="answers questions")
    team = TeamPipeline(leader, [member])
    events = [event async for event in team.reply_stream(user("Go."))]
    expected = await answer(model, QUESTION)
    results = [
        block
        for msg in leader.model.asked[1]
        for block in msg.get_content_blocks("tool_result")
    ]
    assert [block.output[0].text for block in results] == [expected]
    assert speakers(events) == ["Leader", "Alice"]
    assert words(leader)[-1].endswith("All done.")


# -- a hub ---------------------------------------------------------------------------


def three(model) -> list:
    """Three agents on one model, the second with a system prompt."""
    return [
        dialog_agent(model, "Alice"),
        dialog_agent(model, "Bob", "You are Bob."),
        dialog_agent(model, "Carol"),
    ]


async def test_in_a_hub_each_hears_the_others_as_users_with_names(model):
    alice, bob, carol = three(model)
    async with MsgHub([alice, bob, carol], UserMsg("Host", "Hi.")) as hub:
        replies = [
            (await hub.speak(one)).get_text_content()
            for one in (alice, bob, carol)
        ]
    said = [reply.strip() for reply in replies]
    assert all(said)
    assert context(carol) == [
        ("user", "Host", "Hi."),
        ("user", "Alice", f"Alice: {said[0]}"),
        ("user", "Bob", f"Bob: {said[1]}"),
        ("assistant", "Carol", said[2]),
    ]
    assert context(alice)[1:] == [
        ("assistant", "Alice", said[0]),
        ("user", "Bob", f"Bob: {said[1]}"),
        ("user", "Carol", f"Carol: {said[2]}"),
    ]


async def test_over_three_rounds_every_prompt_alternates(model, prompts):
    hub = MsgHub(three(model))
    spoken = []
    for line in ("Count.", None, "Go on."):
        inputs = None if line is None else user(line)
        spoken += speakers(await play(hub, inputs))
    assert spoken == ["Alice", "Bob", "Carol"] * 3
    assert hub.failures == []
    assert len(prompts) == 9
    for number, prompt in enumerate(prompts):
        turns = 2 * (number // 3) + 2
        assert roles(prompt) == ["user", "model"] * (turns // 2)
    assert all("You are Bob." in one for one in prompts[1::3])
    assert not any("You are Bob." in one for one in prompts[::3])


async def test_the_console_streams_a_hub_of_agents(model, typed, capsys):
    agents = three(model)
    typed.extend(["Count.", "Go on."])
    async with MsgHub(agents) as hub:
        await asyncio.wait_for(launch_console(hub), timeout=30)
    shown = capsys.readouterr().out
    heads = [line.strip(" ─") for line in shown.splitlines() if "──" in line]
    assert heads == ["Alice", "Bob", "Carol"] * 2
    assert [len(words(one)) for one in agents] == [2, 2, 2]


async def test_agents_asked_at_once_answer_as_they_do_alone(model):
    questions = [f"Question {number}?" for number in range(4)]
    alone = [
        (await dialog_agent(model).reply(user(one))).get_text_content()
        for one in questions
    ]
    together = await asyncio.gather(
        *(dialog_agent(model).reply(user(one)) for one in questions),
    )
    assert [reply.get_text_content() for reply in together] == alone
    assert len(set(alone)) > 1


# -- what goes wrong --------------------------------------------------------------------


async def test_an_interrupted_reply_leaves_the_agent_usable(model, prompts):
    expected = await answer(model, "Again?")
    alice = dialog_agent(model)
    model.parameters = model.Parameters(max_tokens=400)
    try:
        spoken: list[str] = []

        async def talk() -> Msg:
            stream = alice.reply_stream(user(QUESTION), yield_final_msg=True)
            async for event in stream:
                if isinstance(event, TextBlockDeltaEvent):
                    spoken.append(event.delta)
            return event

        talking = asyncio.create_task(talk())
        while len(spoken) < 3:
            await asyncio.sleep(0.002)
        talking.cancel()
        final = await talking
    finally:
        model.parameters = model.Parameters()
    assert final.finished_reason == ReplyFinishedReason.INTERRUPTED
    heard = "".join(spoken).strip()
    assert words(alice)[0].startswith(heard)
    again = await alice.reply(user("Again?"))
    assert again.finished_reason == ReplyFinishedReason.COMPLETED
    assert heard in prompts[-1]
    fresh = await dialog_agent(model).reply(user("Again?"))
    assert fresh.get_text_content() == expected


async def test_an_empty_reply_ends_the_turn_and_the_talk_goes_on(project):
    silent = wrapper(project)
    chat_format = silent.local.base.chat_format
    stops = chat_format.stop_ids
    chat_format.stop_ids = tuple(range(352))  # whatever comes first is one
    alice, bob = dialog_agent(silent), dialog_agent(silent, "Bob")
    hub = MsgHub([alice, bob])
    reply = await hub.speak(alice, user(QUESTION))
    assert reply.finished_reason == ReplyFinishedReason.COMPLETED
    assert not reply.get_text_content()
    assert reply.usage.output_tokens == 1
    assert context(bob) == []
    chat_format.stop_ids = stops
    assert (await hub.speak(alice, user("Again?"))).get_text_content()
    assert len(context(bob)) == 1


async def test_a_long_conversation_goes_on_in_a_small_context(small, prompts):
    alice = dialog_agent(small)
    for number in range(8):
        reply = await alice.reply(user(f"Question number {number}?"))
        assert reply.finished_reason == ReplyFinishedReason.COMPLETED
    assert len(prompts) == 8  # none of them to ask for a summary
    assert "Question number 0?" in prompts[1]
    assert "Question number 0?" not in prompts[-1]
    assert "messages were truncated" in prompts[-1]
    for number, prompt in enumerate(prompts):
        assert prompt.endswith(
            f"Question number {number}?<end_of_turn>\n<start_of_turn>model\n"
        )


async def test_a_message_longer_than_the_context_is_a_clear_error(small):
    alice = dialog_agent(small)
    with pytest.raises(GenerationError, match="tokens, the context only 96"):
        await alice.reply(user("word " * 100))
    reply = await alice.reply(user(QUESTION))
    assert reply.finished_reason == ReplyFinishedReason.COMPLETED
    assert context(alice)[0] == ("user", "user", QUESTION)


async def test_an_agent_of_agentscope_answers_without_the_question_then(
    small,
    prompts,
):
    """Why the dialog agent compresses in its own way."""
    plain = Agent(
        name="Alice",
        system_prompt="",
        model=small,
        injection_config=InjectionConfig(inject_runtime_state=False),
    )
    await plain.reply(user("word " * 100))
    assert "word" not in prompts[0]
