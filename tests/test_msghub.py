# -*- coding: utf-8 -*-
"""Who hears what in a message hub, on real agents over a scripted model."""

import asyncio

import pytest
from agentscope.event import (
    ConfirmResult,
    UserConfirmResultEvent,
)
from agentscope.message import (
    AssistantMsg,
    Base64Source,
    DataBlock,
    Msg,
    SystemMsg,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
    ToolResultBlock,
    ToolResultState,
    UserMsg,
)
from agentscope.middleware import MiddlewareBase
from agentscope.types import ReplyFinishedReason
from scripted_agents import (
    agent,
    agentscope_warnings,
    context,
    heard,
    play,
    ringer,
    speakers,
    user,
)

from local_llm.errors import ConfigError
from msghub import MsgHub

pytestmark = pytest.mark.asyncio

# --- entering, leaving and broadcasting -----------------------------------


async def test_entering_broadcasts_the_announcement_to_all():
    alice, bob = agent("Alice"), agent("Bob")
    async with MsgHub([alice, bob], [UserMsg("Host", "Hi."), user("Go.")]):
        assert heard(alice) == heard(bob) == ["Hi.", "Go."]


async def test_a_hub_that_is_not_entered_announces_before_the_first_reply():
    alice = agent("Alice", "yes")
    hub = MsgHub([alice], announcement=UserMsg("Host", "Be brief."))
    await play(hub, user("Ready?"))
    assert heard(alice) == ["Be brief.", "Ready?"]


async def test_after_leaving_a_reply_stays_private_and_memory_is_kept():
    alice, bob = agent("Alice", "one", "two"), agent("Bob")
    async with MsgHub([alice, bob], UserMsg("Host", "Hi.")) as hub:
        await hub.speak(alice)
    await hub.speak(alice)
    assert heard(bob) == ["Hi.", "Alice: one"]


async def test_an_entered_again_hub_broadcasts_again_but_announces_once():
    alice, bob = agent("Alice", "one", "two"), agent("Bob")
    hub = MsgHub([alice, bob], UserMsg("Host", "Hi."))
    async with hub:
        await hub.speak(alice)
    async with hub:
        await hub.speak(alice)
    assert heard(bob) == ["Hi.", "Alice: one", "Alice: two"]


async def test_broadcast_reaches_everyone_with_the_author_among_them():
    alice, bob = agent("Alice"), agent("Bob")
    await MsgHub([alice, bob]).broadcast(AssistantMsg("Alice", "Hi."))
    assert heard(alice) == heard(bob) == ["Alice: Hi."]


async def test_without_auto_broadcast_only_explicit_messages_are_heard():
    alice, bob = agent("Alice", "one", "two"), agent("Bob")
    async with MsgHub([alice, bob], enable_auto_broadcast=False) as hub:
        await hub.speak(alice)
        await hub.broadcast(UserMsg("Host", "Hi."))
        hub.set_auto_broadcast(True)
        await hub.speak(alice)
    assert heard(bob) == ["Hi.", "Alice: two"]


async def test_switching_auto_broadcast_off_inside_keeps_replies_private():
    alice, bob = agent("Alice", "one"), agent("Bob")
    async with MsgHub([alice, bob]) as hub:
        hub.set_auto_broadcast(False)
        await hub.speak(alice)
    assert heard(bob) == []


# --- participants ---------------------------------------------------------


async def test_added_agents_hear_from_then_on_and_deleted_ones_no_more():
    alice, bob, carol = (
        agent("Alice", "1", "2", "3"),
        agent("Bob"),
        agent("Carol"),
    )
    hub = MsgHub([alice, bob], UserMsg("Host", "Hi."))
    await hub.speak(alice)
    hub.add([carol])
    await hub.speak(alice)
    hub.delete(bob)
    await hub.speak(alice)
    assert heard(bob) == ["Hi.", "Alice: 1", "Alice: 2"]
    assert heard(carol) == ["Alice: 2", "Alice: 3"]
    assert hub.participants == [alice, carol]


async def test_deleting_an_absent_agent_only_warns():
    alice, bob = agent("Alice"), agent("Bob")
    hub = MsgHub([alice], name="table")
    with agentscope_warnings() as warned:
        hub.delete([bob, agent("Alice")])
    assert warned == [
        "table: 'Bob' is not in it",
        "table: 'Alice' is not in it",
    ]
    assert hub.participants == [alice]


async def test_participants_with_one_name_are_refused_all_at_once():
    twins = [agent("A"), agent("A"), agent("B"), agent("B"), agent("C")]
    with pytest.raises(ConfigError) as caught:
        MsgHub(twins)
    assert caught.value.problems == [
        "'A' is there twice",
        "'B' is there twice",
    ]
    assert caught.value.fix


async def test_a_participant_that_joins_twice_is_refused_and_nobody_joins():
    alice = agent("Alice")
    hub = MsgHub([alice])
    with pytest.raises(ConfigError, match="'Alice' is there twice"):
        hub.add([agent("Bob"), alice])
    assert hub.participants == [alice]


async def test_a_round_without_participants_is_an_error_that_says_what_to_do():
    with pytest.raises(ConfigError, match="no participants") as caught:
        await play(MsgHub([]), user("Hello?"))
    assert "add()" in caught.value.fix


async def test_only_a_participant_may_speak():
    with pytest.raises(ConfigError, match="'Bob' is not a participant"):
        await MsgHub([agent("Alice")]).speak(agent("Bob", "hi"))


# --- what is heard, and how -----------------------------------------------


async def test_an_agents_words_reach_others_as_a_named_user_turn():
    alice, bob = agent("Alice", "hi there"), agent("Bob")
    reply = await MsgHub([alice, bob]).speak(alice)
    assert context(bob) == [("user", "Alice", "Alice: hi there")]
    assert reply.get_text_content().strip() == "hi there"
    assert context(alice) == [("assistant", "Alice", "hi there")]


@pytest.mark.parametrize(
    ("emitted", "told"),
    [
        ("Alice: hi", "Alice: hi"),
        ("  alice : Alice: hi", "Alice: hi"),
        ("Bob: hi", "Alice: Bob: hi"),
        ("I, Alice: hi", "Alice: I, Alice: hi"),
    ],
)
async def test_an_own_name_that_the_model_emitted_stands_once(emitted, told):
    alice, bob = agent("Alice", emitted), agent("Bob")
    await MsgHub([alice, bob]).speak(alice)
    assert heard(bob) == [told]


async def test_a_name_with_special_characters_is_taken_literally():
    odd, bob = agent("C++ (v.2)", "C++ (v.2): hi"), agent("Bob")
    await MsgHub([odd, bob]).speak(odd)
    assert heard(bob) == ["C++ (v.2): hi"]


async def test_a_heard_message_that_is_passed_on_is_not_prefixed_again():
    alice, bob, carol = agent("Alice", "hi"), agent("Bob"), agent("Carol")
    await MsgHub([alice, bob]).speak(alice)
    await MsgHub([carol]).broadcast(bob.state.context[0])
    assert heard(carol) == ["Alice: hi"]


async def test_the_words_of_people_and_of_the_system_stay_plain():
    alice = agent("Alice")
    await MsgHub([alice]).broadcast(
        [user("Hi: you"), SystemMsg("sys", "Rules.")]
    )
    assert context(alice) == [
        ("user", "user", "Hi: you"),
        ("user", "sys", "Rules."),
    ]


async def test_only_text_and_data_are_public():
    alice = agent("Alice")
    picture = DataBlock(
        source=Base64Source(data="aGk=", media_type="image/png")
    )
    blocks = [
        ThinkingBlock(thinking="secret"),
        ToolCallBlock(id="1", name="ring", input="{}"),
        ToolResultBlock(
            id="1", name="ring", output="ding", state=ToolResultState.SUCCESS
        ),
        TextBlock(text=" "),
        picture,
        TextBlock(text="Look."),
    ]
    await MsgHub([alice]).broadcast(AssistantMsg("Bob", blocks))
    (msg,) = alice.state.context
    assert [b.type for b in msg.content] == ["text", "data", "text"]
    assert msg.get_text_content() == "Bob:\nLook."


@pytest.mark.parametrize("said", ["", "  \n", "Alice:", " Alice: Alice: "])
async def test_a_reply_that_says_nothing_is_not_heard(said):
    alice, bob = agent("Alice", said), agent("Bob")
    await MsgHub([alice, bob]).speak(alice)
    assert context(bob) == []


async def test_a_blank_message_is_not_heard():
    alice = agent("Alice")
    await MsgHub([alice]).broadcast([user(" \n"), user("Hi.")])
    assert heard(alice) == ["Hi."]


async def test_a_model_that_streams_nothing_leaves_the_round_going():
    alice, bob = agent("Alice", []), agent("Bob", "still here")
    events = await play(MsgHub([alice, bob]), user("Hi."))
    assert speakers(events) == ["Alice", "Bob"]
    assert heard(bob) == ["Hi."]


async def test_a_reply_in_error_is_not_heard_and_the_round_goes_on():
    class Failing(MiddlewareBase):
        async def on_reply(self, agent, input_kwargs, next_handler):
            async for item in next_handler(**input_kwargs):
                if isinstance(item, Msg):
                    item.finished_reason = ReplyFinishedReason.ERROR
                yield item

    alice = agent("Alice", "broken", middleware=Failing())
    bob = agent("Bob", "fine")
    events = await play(MsgHub([alice, bob]), user("Hi."))
    assert speakers(events) == ["Alice", "Bob"]
    assert heard(bob) == ["Hi."]
    assert heard(alice) == ["Hi.", "Bob: fine"]


async def test_the_speaker_never_hears_its_own_reply_again():
    alice, bob = agent("Alice", "hi"), agent("Bob")
    hub = MsgHub([alice, bob])
    await hub.broadcast(await hub.speak(alice))
    assert context(alice) == [("assistant", "Alice", "hi")]
    assert heard(bob) == ["Alice: hi"]


async def test_a_speaker_whose_reply_got_another_id_does_not_hear_it():
    class Renaming(MiddlewareBase):
        async def on_reply(self, agent, input_kwargs, next_handler):
            async for item in next_handler(**input_kwargs):
                if isinstance(item, Msg):
                    item.id = "another"
                yield item

    alice, bob = agent("Alice", "hi", middleware=Renaming()), agent("Bob")
    await MsgHub([alice, bob]).speak(alice)
    assert heard(alice) == []
    assert heard(bob) == ["Alice: hi"]


async def test_a_message_in_two_overlapping_hubs_is_heard_once():
    alice, bob, carol = agent("Alice", "hi"), agent("Bob"), agent("Carol")
    notice = UserMsg("Host", "Hi.")
    async with MsgHub([alice, bob], notice) as inner:
        async with MsgHub([alice, bob, carol], notice) as outer:
            await outer.broadcast(await inner.speak(alice))
    assert heard(bob) == heard(carol) == ["Hi.", "Alice: hi"]


# --- speak ----------------------------------------------------------------


async def test_what_one_agent_is_told_stays_with_it_and_keeps_its_role():
    alice, bob, carol = (
        agent("Alice", "hi"),
        agent("Bob", "hello"),
        agent("Carol"),
    )
    hub = MsgHub([alice, bob, carol])
    await hub.speak(bob, [user("Psst."), AssistantMsg("Dave", "Psst too.")])
    assert heard(bob) == ["Psst.", "Dave: Psst too."]
    assert heard(alice) == heard(carol) == ["Bob: hello"]


async def test_handing_a_reply_on_does_not_tell_it_twice():
    alice, bob = agent("Alice", "hi"), agent("Bob", "hello")
    hub = MsgHub([alice, bob])
    await hub.speak(bob, await hub.speak(alice))
    assert heard(bob) == ["Alice: hi"]


async def test_agents_that_speak_at_once_hear_each_other_after_their_reply():
    alice, bob = agent("Alice", "I am Alice"), agent("Bob", "I am Bob")
    hub = MsgHub([alice, bob], UserMsg("Host", "Who are you?"))
    await asyncio.gather(hub.speak(alice), hub.speak(bob))
    assert [c[2] for c in context(alice)] == [
        "Who are you?",
        "I am Alice",
        "Bob: I am Bob",
    ]
    assert [c[2] for c in context(bob)] == [
        "Who are you?",
        "I am Bob",
        "Alice: I am Alice",
    ]


async def test_a_parked_agent_hears_the_others_after_its_reply():
    alice, bob = ringer("Alice", "rung"), agent("Bob", "waiting")
    hub = MsgHub([alice, bob], UserMsg("Host", "Ring."))
    await hub.speak(alice)
    await hub.speak(bob)
    assert heard(alice) == ["Ring."]
    call = alice.state.get_awaiting_tool_calls("Alice")[0]
    result = ConfirmResult(confirmed=True, tool_call=call)
    answer = UserConfirmResultEvent(
        reply_id=alice.state.reply_id, confirm_results=[result]
    )
    reply = await hub.speak(alice, answer)
    assert reply.get_text_content().strip() == "rung"
    assert heard(alice) == ["Ring.", "Bob: waiting"]
    assert heard(bob) == ["Ring.", "Alice: rung"]


# --- listeners that fail or are slow --------------------------------------


async def test_a_failing_listener_costs_the_others_nothing():
    alice, bob, carol = (
        agent("Alice", "hi"),
        agent("Bob"),
        agent("Carol", "yes"),
    )
    bob.deaf = RuntimeError("disk full")
    hub = MsgHub([bob, alice, carol])
    with agentscope_warnings() as warned:
        events = await play(hub, user("Hi."))
    assert speakers(events) == ["Alice", "Carol"]
    assert heard(carol) == ["Hi.", "Alice: hi"]
    assert hub.failures == [("Bob", bob.deaf)] * 3
    missed = "'Bob' missed a message: RuntimeError('disk full')"
    silent = "'Bob' heard nothing to answer"
    assert warned == [missed, silent, missed, missed]


async def test_a_message_that_was_missed_can_be_broadcast_again():
    alice, bob = agent("Alice"), agent("Bob")
    bob.deaf = RuntimeError("disk full")
    hub, notice = MsgHub([alice, bob]), UserMsg("Host", "Hi.")
    await hub.broadcast(notice)
    bob.deaf = None
    await hub.broadcast(notice)
    assert heard(alice) == heard(bob) == ["Hi."]


async def test_a_cancelled_listener_is_not_taken_for_a_failing_one():
    alice = agent("Alice")
    alice.slow_s = 60
    hub = MsgHub([alice])
    task = asyncio.create_task(hub.broadcast(user("Hi.")))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert hub.failures == []
    alice.slow_s = 0
    await hub.broadcast(user("Again."))
    assert heard(alice) == ["Hi.", "Again."]


async def test_slow_listeners_listen_side_by_side():
    agents = [agent(name) for name in "ABCDE"]
    for listener in agents:
        listener.slow_s = 0.1
    start = asyncio.get_running_loop().time()
    await MsgHub(agents).broadcast(user("Hi."))
    assert asyncio.get_running_loop().time() - start < 0.3
    assert all(heard(listener) == ["Hi."] for listener in agents)


async def test_a_slow_listener_hears_two_broadcasts_in_their_order():
    alice = agent("Alice")
    hub, alice.slow_s = MsgHub([alice]), 0.05
    first = asyncio.create_task(hub.broadcast([user("1"), user("2")]))
    await asyncio.sleep(0.01)
    alice.slow_s = 0.0
    await hub.broadcast(user("3"))
    await first
    assert heard(alice) == ["1", "2", "3"]
