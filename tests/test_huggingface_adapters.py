# -*- coding: utf-8 -*-
"""Agents on one base, each with its own adapter."""

import asyncio
from pathlib import Path

import pytest
from agentscope.message import UserMsg
from scripted_agents import ScriptedModel
from tiny_adapters import make_adapter
from tiny_agents import answer, dialog_agent, entry, wrapper

from huggingface_model import HuggingFaceWrapper
from local_llm.errors import ConfigError, GenerationError, WeightsError
from msghub import MsgHub

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:peft")
QUESTION = "Question 3?"
OWNERS = (None, "alice", "bob")


@pytest.fixture(name="model")
def fixture_model(project: Path) -> HuggingFaceWrapper:
    """A model with the adapters `alice` and `bob` on it."""
    model = wrapper(project)
    for seed, name in enumerate(("alice", "bob")):
        make_adapter(model.local.base, project / f"of {name}", seed)
        model.load_adapter(name, f"of {name}")
    return model


def said(model: HuggingFaceWrapper) -> str:
    return asyncio.run(answer(model, QUESTION))


async def replied(agent) -> str:
    reply = await agent.reply(UserMsg("user", QUESTION))
    agent.state.context.clear()
    return reply.get_text_content()


def test_a_path_begins_where_those_of_the_config_do(model, project):
    assert model.adapter_names == ["alice", "bob"]
    model.load_adapter("carol", project / "of bob")
    assert said(model.with_adapter("carol")) == said(
        model.with_adapter("bob"),
    )


def test_a_view_leaves_the_model_that_it_is_of_as_it_was(model):
    before = said(model)
    view = model.with_adapter("alice")
    assert type(view) is HuggingFaceWrapper
    assert said(view) != before == said(model)
    assert view.local.base is model.local.base


def test_three_agents_on_one_base_answer_each_with_its_own_adapter(model):
    agents = {name: dialog_agent(model, name or "base") for name in OWNERS}
    for name, agent in agents.items():
        agent.use_adapter(name)

    async def all_at_once() -> list[str]:
        return await asyncio.gather(*map(replied, agents.values()))

    texts = asyncio.run(all_at_once())
    alone = [said(model.with_adapter(name)) for name in OWNERS]
    assert len(set(texts)) == 3
    assert [text.strip() for text in texts] == [one.strip() for one in alone]


@pytest.mark.asyncio
async def test_an_agent_changes_its_adapter_between_two_replies(model):
    agent = dialog_agent(model)
    bare = await replied(agent)
    base = agent.model.local.base
    agent.use_adapter("alice")
    tuned = await replied(agent)
    agent.use_adapter(None)
    assert await replied(agent) == bare != tuned
    agent.use_adapter("alice")
    assert await replied(agent) == tuned
    assert agent.model.local.base is base


@pytest.mark.asyncio
async def test_agents_of_a_hub_speak_each_with_its_own_adapter(model):
    agents = [dialog_agent(model, name) for name in ("alice", "bob")]
    for agent in agents:
        agent.use_adapter(agent.name)
    async with MsgHub(agents, announcement=UserMsg("host", "Hi")) as hub:
        for agent in agents:
            await hub.speak(agent)
    names = [agent.model.local.adapter_name for agent in agents]
    assert names == ["alice", "bob"]


def test_a_failed_change_leaves_an_agent_its_adapter(model):
    agent = dialog_agent(model)
    agent.use_adapter("alice")
    with pytest.raises(ConfigError, match="'dora'; it has alice, bob"):
        agent.use_adapter("dora")
    assert agent.model.local.adapter_name == "alice"


@pytest.mark.asyncio
async def test_an_agent_whose_adapter_was_unloaded_is_told(model):
    agent = dialog_agent(model)
    agent.use_adapter("alice")
    model.unload_adapter("alice")
    with pytest.raises(GenerationError, match="'alice' was unloaded"):
        await replied(agent)
    agent.use_adapter("bob")
    assert await replied(agent)


def test_an_agent_on_another_kind_of_model_has_no_adapters():
    agent = dialog_agent(ScriptedModel(("Hi",)), "Bob")
    with pytest.raises(ConfigError, match="ScriptedModel"):
        agent.use_adapter("alice")


def test_there_are_no_names_before_something_is_loaded(project):
    model = wrapper(project, entry(), initial_fine_tuning="manual")
    with pytest.raises(WeightsError, match="no model is loaded"):
        model.load_adapter("alice", "of alice")
