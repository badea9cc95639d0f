# -*- coding: utf-8 -*-
"""Planner, caller and summarizer as one chat model of AgentScope.

A reply of it is one step: a tool call, an answer or a given up attempt. An
AgentScope agent makes the call and asks again. Keeps no conversation. Raises
what the models of the roles raise.
"""

import json
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, Literal, Type

from agentscope.credential import CredentialBase
from agentscope.message import Msg
from agentscope.model import (
    ChatModelBase,
    ChatResponse,
    StructuredResponse,
)
from agentscope.tool import ToolChoice
from pydantic import BaseModel, Field

from local_llm.begun_streams import begun

from .agent_history import (
    AlphaUMiFormatter,
    history_of,
    system_text,
    tools_of,
)
from .agent_roles import ChatRole, ToldRole, UsageMeter, role_messages
from .agent_speech import Speech
from .held_calls import HeldCalls
from .limits import LIMITS, Limits, Outcome
from .moves import Move, next_move
from .prompts import PromptStyle
from .protocol import Call, Decision, Plan, Tool, Utterance
from .roles import Role, Team, role_prompt
from .search import SearchMode, Visible, visible_history

GAVE_UP = "I could not find an answer with the tools that I have."

STOPPED: Mapping[Outcome, str] = {
    Outcome.STEP_LIMIT: "I had to stop before I was finished.",
    Outcome.REPEATED_STATE: "I stopped because the same call kept bringing "
    "the same result.",
}
"""What an answer begins with that comes before the planner's conclusion."""

_NESTED = "(nested too deeply)"


@dataclass(frozen=True)
class _Task:
    """What a step is taken from.

    Attributes:
        team (`Team`):
            Who is asked.
        tools (`tuple[Tool, ...]`):
            What may be called.
        decided (`Decision | None`):
            What the planner is not asked any more.
        log (`tuple[Utterance, ...]`):
            All that was said, every attempt.
        has_begun (`bool`):
            Whether the last of it is not the question.
    """

    team: Team
    tools: tuple[Tool, ...]
    decided: Decision | None
    log: tuple[Utterance, ...]
    has_begun: bool


class _Step:
    """One step as it is taken; `move` is what it came to."""

    def __init__(
        self,
        task: _Task,
        seen: tuple[Utterance, ...],
        speech: Speech,
    ) -> None:
        self._task = task
        self._seen = seen
        self._speech = speech
        self.move: Move

    async def speak(self) -> AsyncGenerator[ChatResponse, None]:
        """What the roles say; not of a planner that was not asked."""
        team, decided = self._task.team, self._task.decided
        if decided:
            team = replace(team, planner=ToldRole(f"{decided.phrase}."))
        steps = next_move(team, self._task.tools, self._seen)
        async with aclosing(steps) as items:
            async for item in items:
                if isinstance(item, Move):
                    self.move = item
                elif not (decided and item.role is Role.PLANNER):
                    for part in self._speech.spoken(item):
                        yield part


class AlphaUMiModel(ChatModelBase):
    """A chat model that three chat models are.

    Args:
        planner (`ChatModelBase`):
            Who plans; may be far away.
        caller (`ChatModelBase | None`, optional):
            Who writes the calls; the planner if empty.
        summarizer (`ChatModelBase | None`, optional):
            Who answers; the planner if empty.
        parameters (`AlphaUMiModel.Parameters | None`, optional):
            How they work together.
        stream (`bool`, defaults to `True`):
            Whether steps are streamed.
    """

    class Parameters(BaseModel):
        """How the roles work together."""

        style: PromptStyle = Field(
            default="brief",
            title="Prompt style",
            description="How the roles were trained to be asked.",
        )
        mode: SearchMode = Field(
            default="chain",
            title="Search",
            description="Whether other calls are tried where an attempt "
            "ends without an answer.",
        )
        limits: Limits = Field(
            default=LIMITS,
            title="Limits",
            description="What a round may take; steps, width, repeats, "
            "observation_characters and tool_seconds count here.",
        )

        constrained_calls: bool = Field(
            default=True,
            title="Constrained calls",
            description="Whether a caller that can be is held to calls that "
            "fit their tools.",
        )

    type: Literal["alpha_umi_chat"] = "alpha_umi_chat"
    """The type of the chat model."""

    def __init__(
        self,
        planner: ChatModelBase,
        caller: ChatModelBase | None = None,
        summarizer: ChatModelBase | None = None,
        parameters: "AlphaUMiModel.Parameters | None" = None,
        stream: bool = True,
    ) -> None:
        """Let the models play their roles."""
        self.planner = planner
        self.caller = caller or planner
        self.summarizer = summarizer or planner
        models = (self.planner, self.caller, self.summarizer)
        names = dict.fromkeys(one.model for one in models)
        super().__init__(
            credential=CredentialBase(),
            model=" + ".join(names),
            parameters=parameters or self.Parameters(),
            stream=stream,
            max_retries=0,  # the models of the roles do that
            context_size=min(one.context_size for one in models),
        )
        self.formatter = AlphaUMiFormatter()
        self._held_calls = HeldCalls()

    async def count_tokens(
        self,
        messages: list[Msg],
        tools: list[dict] | None = None,
    ) -> int:
        """Count the tokens of the planner's prompt, as its model counts.

        Args:
            messages (`list[Msg]`):
                The system prompt and the conversation.
            tools (`list[dict] | None`, optional):
                The tools.
        """
        task = self._task(messages, tools, None, UsageMeter())
        prompt = role_prompt(
            Role.PLANNER,
            self.parameters.style,
            task.tools,
            self._search(task.log).history,
        )
        told = role_messages(system_text(messages), prompt)
        return await self.planner.count_tokens(told, None)

    async def generate_structured_output(
        self,
        messages: list[Msg],
        structured_model: Type[BaseModel] | dict,
        **kwargs: Any,
    ) -> StructuredResponse:
        """Let the summarizer do it, where its model can.

        Args:
            messages (`list[Msg]`):
                The system prompt and the conversation.
            structured_model (`Type[BaseModel] | dict`):
                What is wanted.
            **kwargs (`Any`):
                Arguments of the summarizer's model.

        Raises:
            `StructuredOutputError`: It cannot.
        """
        return await self.summarizer.generate_structured_output(
            messages,
            structured_model,
            **kwargs,
        )

    async def _call_api(
        self,
        model_name: str,
        messages: list[Msg],
        tools: list[dict] | None = None,
        tool_choice: ToolChoice | None = None,
    ) -> ChatResponse | AsyncGenerator[ChatResponse, None]:
        """Take one step.

        Args:
            model_name (`str`):
                The name of this model.
            messages (`list[Msg]`):
                The system prompt and the conversation.
            tools (`list[dict] | None`, optional):
                The tools that may be called.
            tool_choice (`ToolChoice | None`, optional):
                Whether one must be, or none may.

        Returns:
            `ChatResponse | AsyncGenerator[ChatResponse, None]`:
                The step, see `Speech`, or its parts as they come if `stream`
                is set. A step of thoughts alone is an attempt given up; the
                next one tries something else.

        Raises:
            `GenerationError`: A model has no reply.
        """
        self._validate_tool_choice(tool_choice, tools)
        usage = UsageMeter()
        task = self._task(messages, tools, tool_choice, usage)
        parts = self._parts(task, usage)
        return await (begun(parts) if self.stream else _whole(parts))

    # -- a step ------------------------------------------------------------

    async def _parts(
        self,
        task: _Task,
        usage: UsageMeter,
    ) -> AsyncGenerator[ChatResponse, None]:
        async with aclosing(self._reply(task)) as parts:
            async for part in parts:
                part.usage = usage.total()
                yield part

    async def _reply(
        self,
        task: _Task,
    ) -> AsyncGenerator[ChatResponse, None]:
        """Take a step, or answer with what is known if none is left."""
        speech = Speech()
        search = self._search(task.log)
        end = search.end
        if end is Outcome.GAVE_UP:
            yield speech.sentence(GAVE_UP)
            return
        if task.decided is Decision.CONCLUDE and task.has_begun:
            end = end or Outcome.STEP_LIMIT
        if end in STOPPED and task.decided is not Decision.CALL:
            yield speech.sentence(STOPPED[end])
            task = replace(task, decided=Decision.CONCLUDE)
        step = _Step(task, search.history, speech)
        async with aclosing(step.speak()) as parts:
            async for part in parts:
                yield part
        for part in self._ending(step.move, task, speech):
            yield part

    def _ending(
        self,
        move: Move,
        task: _Task,
        speech: Speech,
    ) -> Iterator[ChatResponse]:
        """What a step leaves behind what was said."""
        if move.call is not None:
            yield speech.planned(move.plan)
            yield speech.called(_shallow(move.call))
        elif not speech.has_answered:
            plan = _given_up(move.plan)
            said = Utterance("assistant", plan.text)
            ended = self._search((*task.log, said)).end is not None
            if ended:
                yield speech.sentence(GAVE_UP)
            else:
                yield speech.planned(plan)

    def _search(self, log: tuple[Utterance, ...]) -> Visible:
        chosen = self.parameters
        return visible_history(log, chosen.mode, chosen.limits, chosen.style)

    def _task(
        self,
        messages: list[Msg],
        schemas: list[dict] | None,
        tool_choice: ToolChoice | None,
        usage: UsageMeter,
    ) -> _Task:
        system = system_text(messages)
        held = self.parameters.constrained_calls
        held_calls = self._held_calls if held else None
        team = Team(
            planner=ChatRole(self.planner, system, usage),
            caller=ChatRole(self.caller, system, usage, held_calls),
            summarizer=ChatRole(self.summarizer, system, usage),
            style=self.parameters.style,
        )
        tools = tools_of(schemas or ())
        longest = self.parameters.limits.observation_characters
        log = tuple(history_of(messages, tools, longest))
        offered, decided = _offered(tools, tool_choice)
        has_begun = bool(messages) and messages[-1].role == "assistant"
        return _Task(team, offered, decided, log, has_begun)


def _offered(
    tools: tuple[Tool, ...],
    tool_choice: ToolChoice | None,
) -> tuple[tuple[Tool, ...], Decision | None]:
    """The tools, and what the planner is not asked any more."""
    if tool_choice is None:
        return tools, None
    if tool_choice.tools:
        tools = tuple(one for one in tools if one.name in tool_choice.tools)
    if tool_choice.mode == "none":
        return tools, Decision.CONCLUDE
    if tool_choice.mode == "auto" or not tools:
        return tools, None
    named = tuple(one for one in tools if one.name == tool_choice.mode)
    return named or tools, Decision.CALL


async def _whole(
    parts: AsyncGenerator[ChatResponse, None],
) -> ChatResponse:
    whole = ChatResponse(content=[], is_last=True)
    async for part in parts:
        whole.append_chat_response(part)
    return whole


def _given_up(plan: Plan) -> Plan:
    """The plan, or where its answer is empty one that gives up."""
    give_up = Decision.GIVE_UP
    if plan.decision is give_up:
        return plan
    return Plan(f"{give_up.phrase}.", give_up, False)


def _shallow(call: Call) -> Call:
    """A call whose arguments AgentScope can read, or refuse."""
    try:
        json.loads(call.arguments)
    except RecursionError:
        return Call(call.name, _NESTED)
    except ValueError:
        pass
    return call
