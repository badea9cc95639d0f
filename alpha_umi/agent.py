# -*- coding: utf-8 -*-
"""The multi-LLM agent as an agent of AgentScope.

Permissions, tools, hub, team and console are AgentScope's; this adds limits
that suit small models. Raises ConfigError for an agent without a planner, and
what the models raise.
"""

from agentscope.agent import (
    Agent,
    ContextConfig,
    InjectionConfig,
    ModelConfig,
    ReActConfig,
)
from agentscope.message import HintBlock
from agentscope.middleware import MiddlewareBase
from agentscope.model import ChatModelBase
from agentscope.state import AgentState
from agentscope.tool import Toolkit
from agentscope.workspace import Offloader

from local_llm.errors import ConfigError

from .agent_calls import StrictCalls, TimedCalls
from .agent_model import AlphaUMiModel

_STEP_QUERIES = 2
"""Models that a step of a search asks."""

_KEPT_CONTEXT = 0.5
"""The share of a context that stays where it gets too full. AgentScope keeps
a tenth and a summary; small models write none, and forget their last step."""


class AlphaUMiAgent(Agent):
    """An agent whose planner, caller and summarizer work together.

    Args:
        planner, caller, summarizer (`ChatModelBase | None`, optional):
            Who plays the roles; `model` where one is empty.
        parameters (`AlphaUMiModel.Parameters | None`, optional):
            How they work together; not with a `model` that knows it.

    The other arguments are those of `Agent`. `model` may be an
    `AlphaUMiModel`. By default the steps of a round are those of the limits,
    half of a full context is kept, and AgentScope adds nothing to the
    conversation: the roles were trained without the time of day.

    Raises:
        `ConfigError`: A role has no model, or two say how to work together.
    """

    def __init__(
        self,
        name: str,
        system_prompt: str = "",
        model: ChatModelBase | None = None,
        toolkit: Toolkit | None = None,
        middlewares: list[MiddlewareBase] | None = None,
        state: AgentState | None = None,
        offloader: Offloader | None = None,
        model_config: ModelConfig | None = None,
        context_config: ContextConfig | None = None,
        react_config: ReActConfig | None = None,
        injection_config: InjectionConfig | None = None,
        *,
        planner: ChatModelBase | None = None,
        caller: ChatModelBase | None = None,
        summarizer: ChatModelBase | None = None,
        parameters: AlphaUMiModel.Parameters | None = None,
    ) -> None:
        """Initialize the agent."""
        roles = {
            "planner": planner,
            "caller": caller,
            "summarizer": summarizer,
        }
        whole = _one_model(name, model, roles, parameters)
        super().__init__(
            name,
            system_prompt,
            whole,
            toolkit,
            [
                StrictCalls(),
                TimedCalls(whole.parameters.limits.tool_seconds),
                *(middlewares or []),
            ],
            state,
            offloader,
            model_config,
            context_config or ContextConfig(reserve_ratio=_KEPT_CONTEXT),
            react_config or ReActConfig(max_iters=_steps(whole.parameters)),
            injection_config or InjectionConfig(inject_runtime_state=False),
        )

    async def compress_context(
        self,
        context_config: ContextConfig | None = None,
        instructions: HintBlock | None = None,
    ) -> None:
        """Compress as `Agent` does, but keep the question.

        The steps of a long round may fill the context; without the question
        they mean nothing. The arguments are those of `Agent`.
        """
        asked = [msg for msg in self.state.context if msg.role == "user"][-1:]
        await super().compress_context(context_config, instructions)
        kept = {msg.id for msg in self.state.context}
        self.state.context[:0] = [msg for msg in asked if msg.id not in kept]


def _one_model(
    name: str,
    model: ChatModelBase | None,
    roles: dict[str, ChatModelBase | None],
    parameters: AlphaUMiModel.Parameters | None,
) -> AlphaUMiModel:
    """The model of an agent."""
    if isinstance(model, AlphaUMiModel):
        twice = [role for role, one in roles.items() if one]
        if parameters is not None:
            twice.append("parameters")
        if twice:
            raise ConfigError(
                f"agent {name!r}",
                [f"{one}: the model has its own" for one in twice],
                fix="give them to the AlphaUMiModel",
            )
        return model
    players = {role: one or model for role, one in roles.items()}
    missing = [role for role, one in players.items() if one is None]
    if missing:
        raise ConfigError(
            f"agent {name!r}",
            [f"{role}: there is no model for it" for role in missing],
            fix="give one for each role, or a model for all of them",
        )
    return AlphaUMiModel(**players, parameters=parameters)


def _steps(parameters: AlphaUMiModel.Parameters) -> int:
    """How often an agent may ask its model in a round."""
    if parameters.mode == "chain":
        return parameters.limits.steps
    return max(1, parameters.limits.queries // _STEP_QUERIES)
