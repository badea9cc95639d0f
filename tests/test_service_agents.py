# -*- coding: utf-8 -*-
"""The service's agents are told what their owner wrote."""

import pytest
from agentscope.agent import ContextConfig
from agentscope.message import UserMsg
from agentscope.state import AgentState
from agentscope.tool import FunctionTool, Toolkit
from scripted_agents import ScriptedModel

from service_agents import TalkingAgent

ADDED = (
    "\n\n<system-notification>You're within a session.</system-notification>"
)


def tool() -> str:
    """Do something."""
    return "done"


def agent(system_prompt: str, **more) -> TalkingAgent:
    return TalkingAgent(
        name="Bob",
        system_prompt=system_prompt,
        model=ScriptedModel(("Hi",)),
        toolkit=Toolkit([FunctionTool(tool)]),
        offloader=object(),
        **more,
    )


@pytest.mark.asyncio
@pytest.mark.parametrize("own", ["", "Be brief.", "Two.\n\nParts."])
async def test_the_prompt_is_the_owners_and_there_are_no_tools(own):
    prepared = await agent(own + ADDED)._prepare_model_input()
    system, *rest = prepared["messages"]
    assert (system.get_text_content() or "", rest) == (own, [])
    assert prepared["tools"] == []


@pytest.mark.asyncio
async def test_it_replies_in_the_state_that_it_is_given():
    state = AgentState()
    talking = agent("Be brief.", state=state, context_config=ContextConfig())
    reply = await talking.reply(UserMsg("user", "Hello"))
    assert reply.get_text_content().strip() == "Hi"
    assert [msg.name for msg in state.context] == ["user", "Bob"]
