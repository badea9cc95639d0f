# -*- coding: utf-8 -*-
"""Agents whose model is held to the calls of a script.

A random model that is held to schemas makes valid calls, though not sensible
ones; a schema with constants leaves it one.
"""

from collections import deque
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from agentscope.message import Msg, ToolCallBlock, ToolResultBlock
from agentscope.middleware import MiddlewareBase
from agentscope.permission import PermissionMode
from agentscope.tool import ToolChoice, Toolkit
from tiny_agents import dialog_agent

Step = tuple[str, Mapping[str, Any]] | None
"""A tool with the values that some arguments must have; None to only talk."""


class Script(MiddlewareBase):
    """Demands one call after the other, through AgentScope's tool choice.

    Args:
        steps (`Step`):
            What each reply of the model is to be.
    """

    def __init__(self, *steps: Step) -> None:
        self.steps = deque(steps)

    async def on_model_call(self, agent, input_kwargs, next_handler):
        step = self.steps.popleft()
        if step is None:
            choice = ToolChoice(mode="none")
            return await next_handler(
                **{**input_kwargs, "tool_choice": choice}
            )
        name, constants = step
        tools = [_fixed(one, constants) for one in input_kwargs["tools"]]
        return await next_handler(
            **{
                **input_kwargs,
                "tools": tools,
                "tool_choice": ToolChoice(mode=name),
            },
        )


def scripted_agent(model, name: str, tools: list, *steps: Step):
    """An agent that follows a script and asks nobody before it acts."""
    agent = dialog_agent(
        model,
        name,
        f"You are {name}.",
        toolkit=Toolkit(tools=tools),
        middlewares=[Script(*steps)],
    )
    agent.state.permission_context.mode = PermissionMode.BYPASS
    return agent


def calls_of(msg: Msg) -> list[ToolCallBlock]:
    """The calls of a message."""
    return msg.get_content_blocks("tool_call")


def results_of(msg: Msg) -> list[ToolResultBlock]:
    """The results of a message."""
    return msg.get_content_blocks("tool_result")


def _fixed(tool: dict, constants: Mapping[str, Any]) -> dict:
    fixed = deepcopy(tool)
    properties = fixed["function"]["parameters"].get("properties", {})
    for name, value in constants.items():
        if name in properties:
            properties[name] = {"const": value}
    return fixed
