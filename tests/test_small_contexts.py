# -*- coding: utf-8 -*-
"""Conversations in a small context are summed up briefly, and go on."""

import logging
from pathlib import Path

import pytest
from agentscope.agent import ContextConfig
from agentscope.message import UserMsg
from tiny_agents import dialog_agent, entry, messages_of, wrapper

from huggingface_model import HuggingFaceWrapper
from msghub import MsgHub
from small_contexts import SMALL_CONTEXT, context_config_for

ROUNDS = 60


@pytest.mark.parametrize("size", [SMALL_CONTEXT + 1, 131072])
def test_a_large_context_is_compressed_as_agentscope_does_it(size):
    assert context_config_for(size) == ContextConfig()


def test_the_words_that_ask_for_a_brief_summary_are_few():
    config = context_config_for(2048)
    assert len(config.compression_prompt) < 60
    parts = config.summary_schema["properties"]
    summary = config.summary_template.format(**dict.fromkeys(parts, "@"))
    assert summary.count("@") == len(parts) == 3


@pytest.mark.asyncio
async def test_three_agents_talk_for_sixty_rounds_and_nothing_is_cut(
    roomy_folder: Path,
):
    """2,048 tokens hold a tenth of it: the rest is in summaries."""
    config = entry(local_model_path=str(roomy_folder), max_length=16)
    model = wrapper(
        roomy_folder,
        config,
        parameters=HuggingFaceWrapper.Parameters(temperature=1.5, seed=1),
        context_size=2048,
    )
    agents = [
        dialog_agent(model, name, f"You are {name}.")
        for name in ("Alice", "Bob", "Carol")
    ]
    opening = UserMsg("user", "Let us talk.")
    replies = []
    with messages_of("as", logging.WARNING) as warnings:
        async with MsgHub(agents, opening) as hub:
            for _ in range(ROUNDS):
                replies += [await hub.speak(agent) for agent in agents]
    assert len(replies) == 3 * ROUNDS
    assert all(reply.get_text_content() for reply in replies)
    assert hub.failures == []
    assert not [one for one in warnings if "truncat" in one.lower()]
    for agent in agents:
        assert agent.state.summary.startswith("What was said before.")
        prompt = await agent._prepare_model_input()
        assert await model.count_tokens(**prompt) < 2048
