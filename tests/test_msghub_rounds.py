# -*- coding: utf-8 -*-
"""The message hub as a pipeline: rounds, answers that are waited for, console."""

import asyncio
import builtins
import io
import signal
from collections import deque
from copy import deepcopy

import pytest
from agentscope.console import ConsoleRenderer, launch_console
from agentscope.event import (
    ExternalExecutionResultEvent,
    ReplyStartEvent,
    RequireExternalExecutionEvent,
    RequireUserConfirmEvent,
    TextBlockDeltaEvent,
    UserConfirmResultEvent,
    UserInterruptEvent,
)
from agentscope.message import (
    Msg,
    ToolCallBlock,
    ToolResultBlock,
    ToolResultState,
    UserMsg,
)
from agentscope.tool import FunctionTool
from rich.console import Console
from scripted_agents import (
    HANG,
    agent,
    agentscope_warnings,
    confirm,
    heard,
    play,
    request_of,
    ring,
    ringer,
    speakers,
    user,
)

from local_llm.errors import GenerationError
from msghub import MsgHub

pytestmark = pytest.mark.asyncio

# --- rounds ---------------------------------------------------------------


async def test_a_round_lets_each_answer_what_it_heard_and_streams_it():
    alice, bob = agent("Alice", "Paris I think"), agent("Bob", "I agree")
    hub = MsgHub([alice, bob])
    stream = hub.reply_stream(user("Capital of France?"))
    events, asked = [], []
    async for event in stream:
        events.append(event)
        asked.append((len(alice.model.asked), len(bob.model.asked)))
    words = [e.delta for e in events if isinstance(e, TextBlockDeltaEvent)]
    assert words == ["Paris ", "I ", "think ", "I ", "agree "]
    first_word = events.index(
        next(e for e in events if e.type == "TEXT_BLOCK_DELTA")
    )
    assert asked[first_word] == (1, 0)
    assert not any(isinstance(event, Msg) for event in events)
    assert [m.get_text_content() for m in bob.model.asked[0]] == [
        "You are Bob.",
        "Capital of France?",
        "Alice: Paris I think ",
    ]
    assert heard(alice) == ["Capital of France?", "Bob: I agree"]


async def test_a_round_without_a_message_is_played_among_the_agents():
    alice, bob = agent("Alice", "1", "3"), agent("Bob", "2", "4")
    hub = MsgHub([alice, bob])
    await play(hub, user("Count."))
    assert speakers(await play(hub)) == ["Alice", "Bob"]
    assert heard(alice) == ["Count.", "Bob: 2", "Bob: 4"]


async def test_who_heard_nothing_new_does_not_answer_itself():
    alice = agent("Alice", "one")
    hub = MsgHub([alice])
    await play(hub, user("Hi."))
    with agentscope_warnings() as warned:
        assert await play(hub) == []
    assert warned == ["'Alice' heard nothing to answer"]


async def test_who_leaves_is_skipped_and_who_joins_speaks_in_the_next_round():
    alice, bob = agent("Alice", "1", "3"), agent("Bob")
    carol, dave = agent("Carol", "2", "4"), agent("Dave", "5")
    hub = MsgHub([alice, bob, carol])
    told = []
    async for event in hub.reply_stream(user("Go.")):
        told.append(event)
        if isinstance(event, ReplyStartEvent) and event.name == "Alice":
            hub.delete(bob)
            hub.add(dave)
    assert speakers(told) == ["Alice", "Carol"]
    assert heard(dave) == ["Alice: 1", "Carol: 2"]
    assert heard(bob) == ["Go."]
    assert speakers(await play(hub, user("On."))) == ["Alice", "Carol", "Dave"]


async def test_who_leaves_while_speaking_is_not_heard():
    alice, bob = agent("Alice", "bye"), agent("Bob", "hm")
    hub = MsgHub([alice, bob])
    async for event in hub.reply_stream(user("Go.")):
        if isinstance(event, ReplyStartEvent) and event.name == "Alice":
            hub.delete(alice)
    assert heard(bob) == ["Go."]


async def test_a_model_that_fails_ends_the_round_but_not_the_hub():
    alice, bob = agent("Alice", ValueError("boom"), "ok"), agent("Bob", "fine")
    hub = MsgHub([alice, bob])
    with pytest.raises(ValueError, match="boom"):
        await play(hub, user("Hi."))
    assert speakers(await play(hub, user("Again."))) == ["Alice", "Bob"]


async def test_cancelling_interrupts_the_speaker_and_ends_the_round():
    alice, bob = agent("Alice", HANG, "back"), agent("Bob", "fine")
    hub, events = MsgHub([alice, bob]), []

    async def consume() -> None:
        async for event in hub.reply_stream(user("Hi.")):
            events.append(event)

    task = asyncio.create_task(consume())
    await alice.model.hanging.wait()
    task.cancel()
    await asyncio.wait([task], timeout=5)
    assert speakers(events) == ["Alice"]
    assert events[-1].finished_reason == "interrupted"
    assert heard(bob) == ["Hi."]
    assert speakers(await play(hub, user("Again."))) == ["Alice", "Bob"]
    assert heard(bob) == ["Hi.", "Again.", "Alice: back"]


async def test_a_consumer_that_walks_away_leaves_the_hub_usable():
    alice, bob = agent("Alice", HANG, "back"), agent("Bob", "fine")
    hub = MsgHub([alice, bob])
    stream = hub.reply_stream(user("Hi."))
    while not isinstance(await anext(stream), TextBlockDeltaEvent):
        pass
    await hub.broadcast(user("Psst."))
    assert heard(alice) == ["Hi."]
    await stream.aclose()
    assert heard(alice) == ["Hi.", "Psst."]
    assert speakers(await play(hub, user("Again."))) == ["Alice", "Bob"]
    assert heard(bob) == ["Hi.", "Psst.", "Again.", "Alice: back"]


# --- replies that wait for the user ---------------------------------------


async def test_a_round_waits_for_the_user_and_then_goes_on_where_it_stopped():
    alice, bob, carol = (
        agent("Alice", "1"),
        ringer("Bob", "rung"),
        agent("Carol", "3"),
    )
    hub = MsgHub([alice, bob, carol])
    events = await play(hub, user("Go."))
    assert speakers(events) == ["Alice", "Bob"]
    assert heard(carol) == ["Go.", "Alice: 1"]
    resumed = await play(hub, confirm(request_of(events)))
    assert speakers(resumed) == ["Carol"]
    assert heard(carol) == ["Go.", "Alice: 1", "Bob: rung"]
    assert heard(alice) == ["Go.", "Bob: rung", "Carol: 3"]


async def test_an_external_result_reaches_the_reply_that_waits_for_it():
    tool = FunctionTool(ring)
    tool.is_external_tool = True
    call = ToolCallBlock(id="call", name="ring", input="{}")
    alice, bob = agent("Alice", [call], "rung", tool=tool), agent("Bob", "2")
    hub = MsgHub([alice, bob])
    events = await play(hub, user("Go."))
    if isinstance(events[-1], RequireUserConfirmEvent):
        events = await play(hub, confirm(events[-1]))
    assert isinstance(events[-1], RequireExternalExecutionEvent)
    result = ToolResultBlock(
        id="call", name="ring", output="ding", state=ToolResultState.SUCCESS
    )
    answer = ExternalExecutionResultEvent(
        reply_id=events[-1].reply_id,
        execution_results=[result],
    )
    assert speakers(await play(hub, answer)) == ["Bob"]
    assert heard(bob) == ["Go.", "Alice: rung"]


async def test_a_reply_may_wait_twice_before_the_round_goes_on():
    second = ToolCallBlock(id="second", name="ring", input="{}")
    alice, bob = ringer("Alice", [second], "rung"), agent("Bob", "2")
    hub = MsgHub([alice, bob])
    events = await play(hub, user("Go."))
    events = await play(hub, confirm(request_of(events)))
    assert speakers(await play(hub, confirm(request_of(events)))) == ["Bob"]
    assert heard(bob) == ["Go.", "Alice: rung"]


async def test_a_refused_answer_can_be_sent_again_and_the_round_goes_on():
    alice, bob = ringer("Alice", "rung"), agent("Bob", "2")
    hub = MsgHub([alice, bob])
    answer = confirm(request_of(await play(hub, user("Go."))))
    wrong = deepcopy(answer)
    wrong.confirm_results[0].tool_call.id = "another"
    with pytest.raises(ValueError, match="another"):
        await play(hub, wrong)
    assert speakers(await play(hub, answer)) == ["Bob"]


async def test_an_interruption_ends_the_waiting_reply_and_the_round():
    alice, bob = ringer("Alice", "back"), agent("Bob", "2")
    hub = MsgHub([alice, bob])
    request = request_of(await play(hub, user("Go.")))
    events = await play(hub, UserInterruptEvent(reply_id=request.reply_id))
    assert events[-1].finished_reason == "interrupted"
    assert heard(bob) == ["Go."]
    assert speakers(await play(hub, user("On."))) == ["Alice", "Bob"]
    assert heard(bob) == ["Go.", "On.", "Alice: back"]


async def test_an_answer_after_an_ended_round_does_not_take_it_up_again():
    alice, bob = ringer("Alice"), agent("Bob")
    hub = MsgHub([alice, bob])
    await play(hub, user("Go."))
    await play(hub, UserInterruptEvent(reply_id=alice.state.reply_id))
    call = ToolCallBlock(id="again", name="ring", input="{}")
    alice.model.replies.extend([[call], "rung"])
    await hub.speak(alice, user("Ring."))
    asked = RequireUserConfirmEvent(
        reply_id=alice.state.reply_id,
        tool_calls=alice.state.get_awaiting_tool_calls("Alice"),
    )
    assert speakers(await play(hub, confirm(asked))) == []
    assert heard(bob) == ["Go.", "Alice: rung"]


async def test_an_interruption_reaches_every_waiting_reply():
    alice, bob = ringer("Alice"), ringer("Bob")
    hub = MsgHub([alice, bob], UserMsg("Host", "Ring."))
    await asyncio.gather(hub.speak(alice), hub.speak(bob))
    events = await play(hub, UserInterruptEvent(reply_id="any"))
    ended = [e.reply_id for e in events if e.type == "REPLY_END"]
    assert ended == [alice.state.reply_id, bob.state.reply_id]
    assert heard(alice) == heard(bob) == ["Ring."]


async def test_an_interruption_with_nobody_waiting_does_nothing():
    hub = MsgHub([agent("Alice")])
    assert await play(hub, UserInterruptEvent(reply_id="any")) == []


async def test_a_new_message_while_a_reply_waits_is_refused_unheard():
    alice, bob = ringer("Alice", "rung"), agent("Bob", "2")
    hub = MsgHub([alice, bob])
    request = request_of(await play(hub, user("Go.")))
    with pytest.raises(GenerationError, match="Alice still waits") as caught:
        await play(hub, user("Hello?"))
    assert "UserInterruptEvent" in caught.value.fix
    assert heard(bob) == ["Go."]
    assert speakers(await play(hub, confirm(request))) == ["Bob"]


async def test_an_answer_that_nobody_waits_for_is_an_error():
    hub = MsgHub([agent("Alice")])
    answer = UserConfirmResultEvent(reply_id="gone", confirm_results=[])
    with pytest.raises(GenerationError, match="'gone'"):
        await play(hub, answer)


# --- the console ----------------------------------------------------------


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> deque[str]:
    """What the user types; then the input ends."""
    lines: deque[str] = deque()

    def read(_prompt: str = "") -> str:
        if not lines:
            raise EOFError
        return lines.popleft()

    monkeypatch.setattr(builtins, "input", read)
    return lines


async def test_the_renderer_shows_who_speaks():
    console = Console(file=io.StringIO(), width=60)
    renderer = ConsoleRenderer(console=console)
    for event in await play(
        MsgHub([agent("Alice", "1"), agent("Bob", "2")]), user("Go.")
    ):
        renderer.render(event)
    shown = console.file.getvalue()
    rules = [line.strip(" ─") for line in shown.splitlines() if "─" in line]
    assert rules == ["Alice", "Bob"]


async def test_the_console_plays_two_rounds_with_two_agents(typed, capsys):
    alice, bob = agent("Alice", "one", "three"), agent("Bob", "two", "four")
    typed.extend(["Count.", "Go on."])
    async with MsgHub([alice, bob], UserMsg("Host", "Welcome.")) as hub:
        await asyncio.wait_for(launch_console(hub), timeout=20)
    shown = capsys.readouterr().out
    said = ["Alice", "one", "Bob", "two", "Alice", "three", "Bob", "four"]
    words = [w for w in shown.split() if w in said]
    assert words == said
    assert heard(alice) == [
        "Welcome.",
        "Count.",
        "Bob: two",
        "Go on.",
        "Bob: four",
    ]
    assert heard(bob) == [
        "Welcome.",
        "Count.",
        "Alice: one",
        "Go on.",
        "Alice: three",
    ]


async def test_the_console_confirms_a_tool_and_the_round_goes_on(
    typed, capsys
):
    alice, bob = ringer("Alice", "rung"), agent("Bob", "heard")
    typed.extend(["Ring.", "y"])
    await asyncio.wait_for(launch_console(MsgHub([alice, bob])), timeout=20)
    assert "✓ ring" in capsys.readouterr().out
    assert heard(bob) == ["Ring.", "Alice: rung"]


async def test_the_end_of_input_at_a_confirmation_ends_the_console(typed):
    alice, bob = ringer("Alice"), agent("Bob")
    typed.append("Ring.")
    await asyncio.wait_for(launch_console(MsgHub([alice, bob])), timeout=20)
    assert not alice.state.has_awaiting_tool_calls("Alice")
    assert bob.model.asked == []


async def test_ctrl_c_ends_the_round_and_not_the_console(typed, capsys):
    alice, bob = agent("Alice", HANG, "back"), agent("Bob", "fine")
    typed.extend(["Hi.", "Again."])

    async def press_ctrl_c() -> None:
        await alice.model.hanging.wait()
        signal.raise_signal(signal.SIGINT)

    pressing = asyncio.create_task(press_ctrl_c())
    await asyncio.wait_for(launch_console(MsgHub([alice, bob])), timeout=20)
    await pressing
    assert "Reply interrupted" in capsys.readouterr().out
    assert len(bob.model.asked) == 1
    assert heard(bob) == ["Hi.", "Again.", "Alice: back"]
