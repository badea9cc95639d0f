# -*- coding: utf-8 -*-
"""The agent: an AgentScope agent that can load and fine-tune its model."""

import inspect
import json

import pytest
from agentscope.agent import Agent, InjectionConfig
from agentscope.message import UserMsg
from scripted_agents import ScriptedModel, context
from tiny_agents import (
    dialog_agent,
    entry,
    fine_tuning,
    tuned_entry,
    wrapper,
    write_rows,
)

from finetune_dialog_agent import Finetune_DialogAgent, FinetuneDialogAgent
from local_llm.errors import CheckpointError, ConfigError, WeightsError
from local_llm.reports import read_report
from local_llm.surroundings import Listener

QUESTION = "Question 3?"


def write_config(project, *entries):
    """A config file in a project's `configs`."""
    path = project / "configs" / "model_configs.json"
    path.parent.mkdir()
    path.write_text(json.dumps(entries))
    return path


async def prompt_of(agent: Agent) -> str:
    """The prompt that the agent's model would get now."""
    arguments = await agent._prepare_model_input()
    turns = await agent.model._turns(arguments["messages"])
    base = agent.model.local.base
    return base.tokenizer.decode(base.chat_format.prompt_ids(turns))


# -- the constructor ---------------------------------------------------------------


def test_the_constructor_takes_the_keywords_of_agentscopes_agent():
    theirs = inspect.signature(Agent.__init__).parameters
    ours = inspect.signature(Finetune_DialogAgent.__init__).parameters
    assert [(p.name, p.kind, p.default) for p in ours.values()] == [
        (p.name, p.kind, p.default) for p in theirs.values()
    ]


def test_the_usual_spelling_names_the_same_class():
    assert FinetuneDialogAgent is Finetune_DialogAgent
    assert issubclass(Finetune_DialogAgent, Agent)


def test_what_is_given_reaches_the_agent(project):
    from agentscope.agent import ContextConfig, ModelConfig, ReActConfig
    from agentscope.state import AgentState
    from agentscope.tool import Toolkit

    given = {
        "toolkit": Toolkit(),
        "state": AgentState(),
        "model_config": ModelConfig(max_retries=2),
        "context_config": ContextConfig(trigger_ratio=0.5),
        "react_config": ReActConfig(max_iters=3),
        "injection_config": InjectionConfig(inject_runtime_state=True),
    }
    agent = dialog_agent(wrapper(project), "Alice", "Be brief.", **given)
    assert (agent.name, agent.model.model) == ("Alice", "tiny")
    assert {name: getattr(agent, name) for name in given} == given


@pytest.mark.asyncio
async def test_nothing_is_added_to_the_prompt_unless_asked_for(project):
    agent = dialog_agent(wrapper(project), system_prompt="Be brief.")
    await agent.reply(UserMsg("user", QUESTION))
    question, _ = context(agent)
    assert question == ("user", "user", QUESTION)
    agent.state.context.pop()
    assert await prompt_of(agent) == (
        "<bos><start_of_turn>user\nBe brief.\n\nQuestion 3?<end_of_turn>\n"
        "<start_of_turn>model\n"
    )


@pytest.mark.asyncio
async def test_runtime_state_is_added_when_asked_for(project):
    injection = InjectionConfig(inject_runtime_state=True)
    agent = dialog_agent(wrapper(project), injection_config=injection)
    await agent.reply(UserMsg("user", QUESTION))
    prompt = await prompt_of(agent)
    assert "time" in prompt.split("Question 3?")[1].lower()


@pytest.mark.asyncio
async def test_an_empty_system_prompt_adds_no_text(project):
    agent = dialog_agent(wrapper(project), system_prompt="")
    await agent.observe(UserMsg("user", "Hi"))
    assert await prompt_of(agent) == (
        "<bos><start_of_turn>user\nHi<end_of_turn>\n<start_of_turn>model\n"
    )


# -- from a config -----------------------------------------------------------------


@pytest.mark.asyncio
async def test_an_agent_is_made_fine_tuned_from_a_config(project):
    config = tuned_entry(
        fine_tune_config=fine_tuning(max_steps=2),
        system_prompt="Be brief.",
    )
    path = write_config(project, entry(config_name="other"), config)
    agent = Finetune_DialogAgent.from_config(
        "tiny", name="Alice", model_configs=path
    )
    assert (agent.name, agent.model.local.report.steps) == ("Alice", 2)
    assert read_report(project / "run") == agent.model.local.report
    await agent.observe(UserMsg("user", "Hi"))
    assert "user\nBe brief.\n\nHi<end_of_turn>" in await prompt_of(agent)
    reply = await agent.reply(UserMsg("user", QUESTION))
    assert reply.name == "Alice" and reply.get_text_content()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("in_config", "given", "expected"),
    [
        (None, None, ""),
        ("Be brief.", None, "Be brief.\n\n"),
        ("Be brief.", "Be long.", "Be long.\n\n"),
        ("Be brief.", "", ""),
        ("", None, ""),
    ],
)
async def test_the_system_prompt_given_goes_before_the_configs(
    project,
    in_config,
    given,
    expected,
):
    path = write_config(project, entry(system_prompt=in_config))
    agent = Finetune_DialogAgent.from_config(
        "tiny", system_prompt=given, model_configs=path
    )
    assert agent.name == "assistant"
    await agent.observe(UserMsg("user", "Hi"))
    assert f"user\n{expected}Hi<end_of_turn>" in await prompt_of(agent)


def test_an_entry_that_is_not_there_is_named_with_its_neighbours(project):
    path = write_config(project, entry())
    with pytest.raises(ConfigError, match="did you mean 'tiny'"):
        Finetune_DialogAgent.from_config("tinny", model_configs=path)


# -- loading and fine-tuning ---------------------------------------------------------


def test_loading_and_fine_tuning_are_the_models(project):
    agent = dialog_agent(wrapper(project))
    before = agent.model.local.reply(QUESTION)
    report = agent.fine_tune(
        "data.json",
        "run",
        fine_tuning(max_steps=4),
        {QUESTION: before},
    )
    assert agent.model.local.report is report
    assert (report.steps, len(report.demonstrations)) == (4, 1)
    agent.load_model()
    assert not agent.model.local.is_fine_tuned
    agent.load_model(local_model_path="run")
    assert agent.model.local.report == report
    agent.load_tokenizer(local_tokenizer_path="run")
    name = agent.model.local.base.tokenizer.name_or_path
    assert name == str(project / "run")
    with pytest.raises(WeightsError, match="does not exist"):
        agent.load_model(local_model_path="nowhere")


def test_an_interrupted_run_goes_on_with_other_data_if_that_is_accepted(
    project,
):
    def die(step) -> None:
        if step.number == 3:
            raise KeyboardInterrupt

    agent = dialog_agent(wrapper(project, listener=Listener(on_step=die)))
    settings = fine_tuning(max_steps=4, save_steps=1)
    with pytest.raises(KeyboardInterrupt):
        agent.fine_tune("data.json", "run", settings)
    write_rows(project / "data.json", 9)
    agent.model.local.listen(Listener())
    with pytest.raises(CheckpointError, match="data"):
        agent.fine_tune("data.json", "run", settings, existing_run="resume")
    report = agent.fine_tune(
        "data.json",
        "run",
        settings,
        existing_run="resume",
        accept_data_change=True,
    )
    assert (report.steps, report.resumed_at) == (4, [2])


@pytest.mark.parametrize("method", ["load_model", "load_tokenizer"])
def test_a_model_of_another_kind_cannot_be_loaded(method):
    agent = dialog_agent(ScriptedModel(("Hi",)), "Bob")
    with pytest.raises(ConfigError) as caught:
        getattr(agent, method)()
    assert "'Bob'" in str(caught.value)
    assert "ScriptedModel" in str(caught.value)
    assert "HuggingFaceWrapper" in caught.value.fix


def test_a_model_of_another_kind_cannot_be_fine_tuned_but_talks():
    agent = dialog_agent(ScriptedModel(("Hi",)), "Bob")
    with pytest.raises(ConfigError, match="ScriptedModel"):
        agent.fine_tune("data.json")
