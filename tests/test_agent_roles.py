# -*- coding: utf-8 -*-
"""A chat model of AgentScope as a role: deltas, tokens, settings of a reply."""

import asyncio
from typing import Any

import pytest
from agentscope.message import TextBlock, ThinkingBlock
from agentscope.model import ChatResponse, ChatUsage
from pydantic import BaseModel
from scripted_chat_models import HANG, Voice
from tiny_agents import entry, wrapper

from alpha_umi.agent_roles import (
    RETRY_TEMPERATURE,
    ChatRole,
    ToldRole,
    UsageMeter,
    with_parameters,
)
from alpha_umi.call_grammar import call_grammar, longest_call_tokens
from alpha_umi.held_calls import HeldCalls
from alpha_umi.protocol import Tool
from alpha_umi.roles import Delta
from local_llm.errors import GenerationError

pytestmark = pytest.mark.asyncio

ADD = Tool("add")


class Local(BaseModel):
    """Parameters as those of a local model."""

    grammar: str | None = None
    do_sample: bool | None = None
    seed: int | None = None
    max_tokens: int = 7


class Remote(BaseModel):
    """Parameters as those of a server."""

    temperature: float | None = None


class Parts(Voice):
    """Replies with given parts."""

    def __init__(self, *parts: ChatResponse) -> None:
        super().__init__("")
        self.parts = parts

    async def _words(self, line: str):
        for part in self.parts:
            yield part


def role(model: Voice, system: str = "") -> ChatRole:
    return ChatRole(model, system, UsageMeter(), HeldCalls())


async def deltas(one: Any, *arguments: Any) -> list[Delta]:
    return [delta async for delta in one.stream("What?", *arguments)]


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (True, [Delta("I", 1), Delta(" am", 1), Delta(" Ada.", 1)]),
        (False, [Delta("I am Ada.", 3)]),
    ],
)
async def test_a_reply_comes_with_its_tokens(
    stream: bool,
    expected: list[Delta],
) -> None:
    said = await deltas(role(Voice("I am Ada.", stream=stream)))
    assert [one for one in said if one != Delta("", 0)] == expected


async def test_the_prompt_is_the_one_message() -> None:
    voice = Voice("Yes.")
    await deltas(role(voice))
    ((message,),) = voice.asked
    assert (message.role, message.get_text_content()) == ("user", "What?")


async def test_what_the_agent_was_told_goes_before_it() -> None:
    voice = Voice("Yes.")
    await deltas(role(voice, "Be kind."))
    (messages,) = voice.asked
    assert [(one.role, one.get_text_content()) for one in messages] == [
        ("system", "Be kind."),
        ("user", "What?"),
    ]


async def test_a_model_that_counts_only_at_the_end_is_counted() -> None:
    block = TextBlock(text="Yes.")
    usage = ChatUsage(10, 4, 1.0)
    model = Parts(
        ChatResponse([block], False),
        ChatResponse([], False, usage=usage),
    )
    assert await deltas(role(model)) == [Delta("Yes.", 0), Delta("", 4)]


async def test_a_model_that_gives_its_whole_reply_last_is_heard_once() -> None:
    block = TextBlock(text="Yes.")
    alone = Parts(ChatResponse([block], True))
    again = Parts(ChatResponse([block], False), ChatResponse([block], True))
    for model in (alone, again):
        said = await deltas(role(model))
        assert "".join(one.text for one in said) == "Yes."


async def test_the_thoughts_of_a_model_are_its_own() -> None:
    parts = [
        ChatResponse([ThinkingBlock(thinking="Hm.")], False),
        ChatResponse([TextBlock(text="Yes.")], False),
    ]
    said = await deltas(role(Parts(*parts)))
    assert [one.text for one in said] == ["", "Yes.", ""]


async def test_usage_is_the_sum_of_all_replies() -> None:
    usage = UsageMeter()
    assert usage.total() == ChatUsage(0, 0, 0)
    for voice in (Voice("One."), Voice("One two.", stream=False)):
        await deltas(ChatRole(voice, "", usage))
    assert usage.total() == ChatUsage(20, 3, 1.0)


async def test_a_model_without_usage_counts_nothing() -> None:
    usage = UsageMeter()
    model = Parts(ChatResponse([TextBlock(text="Yes.")], False))
    await deltas(ChatRole(model, "", usage))
    assert usage.total() == ChatUsage(0, 0, 0)


# -- settings of one reply -----------------------------------------------------


async def test_a_model_that_can_is_held_to_the_calls_of_the_tools() -> None:
    voice = Voice("Yes.", parameters=Local())
    await deltas(role(voice), [ADD])
    await deltas(role(voice))
    first, second = voice.asked_with
    assert first == Local(
        grammar=call_grammar([ADD]),
        max_tokens=longest_call_tokens([ADD]),
    )
    assert second == voice.parameters == Local()


async def test_a_role_without_grammars_is_held_to_nothing() -> None:
    voice = Voice("Yes.", parameters=Local())
    await deltas(ChatRole(voice, "", UsageMeter()), [ADD])
    assert voice.asked_with == [Local()]


async def test_tools_that_no_grammar_fits_are_called_freely() -> None:
    odd = Tool("odd", schema={"properties": {"x": {"not": {}}}})
    voice = Voice("Yes.", parameters=Local())
    await deltas(role(voice), [odd])
    assert voice.asked_with == [Local()]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (Local(), Local(do_sample=True, seed=3)),
        (Local(do_sample=False), Local(do_sample=True, seed=3)),
        (Remote(temperature=0), Remote(temperature=RETRY_TEMPERATURE)),
        (Remote(temperature=1.2), Remote(temperature=1.2)),
        (Remote(), Remote()),
        (Voice.Parameters(), Voice.Parameters()),
    ],
)
async def test_another_reply_is_sampled_where_the_model_has_a_choice(
    given: BaseModel,
    expected: BaseModel,
) -> None:
    voice = Voice("Yes.", parameters=given)
    await deltas(role(voice), (), 3)
    assert voice.asked_with == [expected]


async def test_a_model_asked_otherwise_shares_all_but_its_parameters() -> None:
    voice = Voice("Yes.", parameters=Local())
    other = with_parameters(voice, {"seed": 1})
    assert other.lines is voice.lines
    assert (other.parameters.seed, voice.parameters.seed) == (1, None)
    assert with_parameters(voice, {}) is voice


# -- what goes wrong -------------------------------------------------------------


async def test_what_the_model_raises_is_raised() -> None:
    with pytest.raises(GenerationError, match="no room"):
        await deltas(role(Voice(GenerationError("no room"))))


@pytest.mark.parametrize("stream", [True, False])
async def test_an_interruption_is_not_an_end_of_the_reply(
    stream: bool,
) -> None:
    voice = Voice(f"I am {HANG}", stream=stream)
    task = asyncio.create_task(deltas(role(voice)))
    async with asyncio.timeout(5):
        await voice.hanging.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_who_stops_listening_ends_the_reply() -> None:
    voice = Voice("I am Ada and I have much to say.")
    stream = role(voice).stream("What?")
    await anext(stream)
    await stream.aclose()
    assert voice.closed == [True]


async def test_a_told_role_says_its_words_at_once() -> None:
    assert await deltas(ToldRole("Next: caller.")) == [
        Delta("Next: caller.", 0)
    ]


# -- a local model -------------------------------------------------------------


async def test_a_local_model_plays_a_role(project) -> None:
    model = wrapper(project)
    said = await deltas(role(model))
    text = "".join(one.text for one in said)
    assert text
    assert sum(one.tokens for one in said) == model.local.settings.max_length
    again = await deltas(role(model))
    assert "".join(one.text for one in again) == text


async def test_a_local_model_replies_otherwise_when_asked_again(
    project,
) -> None:
    model = wrapper(project, entry(max_length=24))
    replies = set()
    for attempt in range(3):
        said = await deltas(role(model), (), attempt)
        replies.add("".join(one.text for one in said))
    assert len(replies) == 3
