# -*- coding: utf-8 -*-
"""AgentScope's messages and tool schemas as the roles read them.

Earlier rounds are a question and its answer; the round that is not answered
yet has its steps. Knows no models. Raises nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from agentscope.formatter import FormatterBase
from agentscope.message import (
    ContentBlock,
    DataBlock,
    HintBlock,
    Msg,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
    ToolResultBlock,
    ToolResultState,
)

from .agent_speech import plan_of
from .calls import fault_of
from .limits import LIMITS
from .protocol import Call, Tool, Utterance, gives_up, read_plan
from .python_tools import tool_of_schema
from .tool_runs import cut

_NEVER_MADE = (ToolResultState.ERROR, ToolResultState.DENIED)
"""The states of results of calls that were, or may have been, refused."""


class AlphaUMiFormatter(FormatterBase):
    """Turns messages into what the protocol calls a conversation."""

    async def format(self, msgs: list[Msg]) -> list[dict[str, str]]:
        """The conversation as published files write it.

        Args:
            msgs (`list[Msg]`):
                The system prompt, which is left out, and the conversation.
        """
        self.assert_list_of_msgs(msgs)
        return [
            {"from": one.speaker, "value": one.text}
            for one in history_of(msgs)
        ]


def history_of(
    messages: Iterable[Msg],
    tools: Sequence[Tool] | None = None,
    longest_observation: int = LIMITS.observation_characters,
) -> list[Utterance]:
    """What was said, by whom.

    Args:
        messages (`Iterable[Msg]`):
            The conversation of one agent.
        tools (`Sequence[Tool] | None`, optional):
            Where given, what is observed of a call that could not be made is
            what `fault_of` says, not what AgentScope says to larger models.
        longest_observation (`int`, optional):
            Where the results of tools are cut, in characters.
    """
    history: list[Utterance] = []
    for msg in messages:
        if msg.role == "user":
            history.append(Utterance("user", _text_of(msg.content)))
        elif msg.role == "assistant":
            history += _Reply(tools, longest_observation).read(msg.content)
    return history


def system_text(messages: Iterable[Msg]) -> str:
    """What the agent was told before the conversation."""
    texts = (_text_of(msg.content) for msg in messages if msg.role == "system")
    return "\n\n".join(text for text in texts if text.strip())


def tools_of(schemas: Iterable[Mapping[str, Any]]) -> tuple[Tool, ...]:
    """The tools from the schemas that AgentScope gives a chat model."""
    return tuple(
        tool_of_schema(
            one["function"]["name"],
            one["function"].get("description") or "",
            one["function"].get("parameters") or {},
        )
        for one in schemas
    )


class _Reply:
    """Reads one message of the agent's own."""

    def __init__(
        self,
        tools: Sequence[Tool] | None,
        longest_observation: int,
    ) -> None:
        self._tools = tools
        self._longest = longest_observation
        self._calls: dict[str, Call] = {}
        self._said: list[Utterance] = []
        self._plan: str | None = None
        self._words: list[str] = []

    def read(self, blocks: Iterable[ContentBlock]) -> list[Utterance]:
        for block in blocks:
            self._take(block)
        self._answer()
        return self._said

    def _take(self, block: ContentBlock) -> None:
        match block:
            case TextBlock():
                self._words.append(block.text)
            case ThinkingBlock():
                self._think(block)
            case ToolCallBlock():
                self._call(block)
            case ToolResultBlock():
                text = cut(self._observed(block), self._longest)
                self._said.append(Utterance("observation", text))
            case HintBlock():
                self._answer()
                self._said.append(Utterance("user", _text_of(block.hint)))

    def _think(self, block: ThinkingBlock) -> None:
        self._plan = plan_of(block)
        if self._plan is not None:
            plan = Utterance("assistant", self._plan)
            if gives_up(plan):
                self._said.append(plan)

    def _call(self, block: ToolCallBlock) -> None:
        # Another model's words before a call are its rationale.
        plan = self._plan or read_plan("\n".join(self._words)).text.strip()
        call = self._calls[block.id] = Call(block.name, block.input)
        self._said += [
            Utterance("assistant", plan),
            Utterance("caller", call.text),
        ]
        self._plan, self._words = None, []

    def _observed(self, block: ToolResultBlock) -> str:
        call = self._calls.get(block.id)
        if call and self._tools is not None and block.state in _NEVER_MADE:
            fault = fault_of(call, self._tools)
            if fault is not None:
                return fault.text
        return _text_of(block.output)

    def _answer(self) -> None:
        """What was said last is the answer; its steps are over."""
        if self._words:
            answer = "\n".join(self._words)
            self._said = [Utterance("conclusion", answer)]
            self._words = []


def _text_of(content: str | Iterable[ContentBlock]) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(
        f"[{block.source.media_type} data]"
        if isinstance(block, DataBlock)
        else block.text
        for block in content
        if isinstance(block, (TextBlock, DataBlock))
    )
