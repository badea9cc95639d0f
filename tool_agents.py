# -*- coding: utf-8 -*-
"""The multi-LLM agent of `small_llms.py`: trained roles and local tools.

Puts a trained team, the toolkit and AgentScope's agent together. Raises what
loading raises, and ConfigError for an arm that has no roles.
"""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from agentscope.message import TextBlock, ToolResultState
from agentscope.model import ChatModelBase
from agentscope.permission import PermissionBehavior, PermissionDecision
from agentscope.tool import FunctionTool, ToolChunk, Toolkit

from alpha_umi.agent import AlphaUMiAgent
from alpha_umi.agent_model import AlphaUMiModel
from alpha_umi.arm_names import ArmName
from alpha_umi.arms import ARMS, check_has_roles
from alpha_umi.limits import Limits
from alpha_umi.local_tools import local_tools
from alpha_umi.protocol import Tool, write_call
from alpha_umi.python_tools import failed, runner_of, tools_of
from alpha_umi.roles import TEAM, Role
from alpha_umi.tool_agent_settings import (
    ToolAgentSettings,
    load_tool_agent_settings,
)
from alpha_umi.trained_team import read_team, trained_folder
from command_line import MODEL_CONFIGS
from huggingface_model import HuggingFaceWrapper
from local_llm.settings import project_folder, resolve_path
from local_llm.surroundings import Listener

NAME = "assistant"


def load_agent(
    config_name: str,
    model_configs: Path = MODEL_CONFIGS,
    toolkit: Toolkit | None = None,
    planner: ChatModelBase | None = None,
) -> AlphaUMiAgent:
    """The agent of a config entry, with the adapters that
    `small_llms.py train` has left, else with the entry's ready ones.

    Args:
        config_name (`str`):
            The entry.
        model_configs (`Path`, optional):
            The config file.
        toolkit (`Toolkit | None`, optional):
            Its tools; the local ones if empty.
        planner (`ChatModelBase | None`, optional):
            Who plans in place of the trained planner.

    Raises:
        `ConfigError`: There is no such entry, or it has faults.
        `CheckpointError`: It is not trained.
    """
    settings = load_tool_agent_settings(model_configs, config_name)
    project = project_folder(model_configs)
    arm = ARMS[ArmName.WITH_REUSE]
    output = resolve_path(settings.output_dir, project)
    return make_agent(
        settings,
        trained_folder(settings, project, arm) or output,
        arm.name,
        project,
        toolkit=toolkit,
        players={} if planner is None else {Role.PLANNER: planner},
    )


def make_agent(
    settings: ToolAgentSettings,
    folder: Path,
    arm_name: str,
    project: Path,
    listener: Listener | None = None,
    toolkit: Toolkit | None = None,
    players: Mapping[Role, ChatModelBase] | None = None,
) -> AlphaUMiAgent:
    """An agent whose roles are the trained adapters of a folder.

    The roles share the base model's weights.

    Args:
        settings (`ToolAgentSettings`):
            The base model, and how the roles work together.
        folder (`Path`):
            Where the adapters stand.
        arm_name (`str`):
            How they were trained.
        project (`Path`):
            Where the settings' relative paths begin.
        listener (`Listener | None`, optional):
            Is told how far loading is.
        toolkit (`Toolkit | None`, optional):
            Its tools; the local ones if empty.
        players (`Mapping[Role, ChatModelBase] | None`, optional):
            Who plays a role in place of its adapter.

    Raises:
        `CheckpointError`: The arm is not trained there.
        `ConfigError`: One model says all in that arm; it has no roles.
    """
    record = read_team(folder, arm_name)
    check_has_roles(record.arm)
    given = players or {}
    plays = record.arm.plays
    stages = dict.fromkeys(plays[role] for role in TEAM if role not in given)
    by_stage = {
        stage: _role_model(settings, folder / stage, project, listener)
        for stage in stages
    }
    models = {
        role.value: given[role] if role in given else by_stage[plays[role]]
        for role in TEAM
    }
    return AlphaUMiAgent(
        NAME,
        settings.system_prompt or "",
        toolkit=toolkit or local_toolkit(),
        parameters=AlphaUMiModel.Parameters(
            style=record.style,
            mode=settings.search,
            limits=Limits(steps=settings.max_steps),
            constrained_calls=settings.constrained_calls,
        ),
        **models,
    )


def local_toolkit() -> Toolkit:
    """The local tools, with a to-do list of their own.

    They change nothing outside the conversation, so nobody is asked before.
    """
    functions = local_tools()
    run = runner_of(functions)

    def callable_of(tool: Tool) -> Callable[..., ToolChunk]:
        def call(**arguments: Any) -> ToolChunk:
            text = run(write_call(tool.name, arguments))
            chunk = ToolChunk(content=[TextBlock(text=text)])
            if text.startswith(failed("")):
                chunk.state = ToolResultState.ERROR
            return chunk

        return call

    allowed = PermissionDecision(
        behavior=PermissionBehavior.ALLOW,
        message="a local tool",
    )
    return Toolkit(
        [
            FunctionTool(
                callable_of(tool),
                name=tool.name,
                description=tool.description,
                input_schema=dict(tool.schema or {}),
                permission=allowed,
            )
            for tool in tools_of(functions)
        ],
    )


def _role_model(
    settings: ToolAgentSettings,
    adapter: Path,
    project: Path,
    listener: Listener | None,
) -> HuggingFaceWrapper:
    config = dataclasses.replace(
        settings.model,
        config_name=f"{settings.config_name}, {adapter.name}",
        # The adapter names the base that it was trained on.
        pretrained_model_name_or_path=None,
        local_model_path=adapter,
    )
    return HuggingFaceWrapper(
        config=config,
        base_folder=project,
        initial_fine_tuning="off",
        listener=listener,
    )
