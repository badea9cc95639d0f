# -*- coding: utf-8 -*-
"""What a model may call, and must: AgentScope's tools and tool choice.

Knows schemas and turns, no models. Raises GenerationError for tools that
cannot be offered.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agentscope.tool import ToolChoice

from local_llm.errors import GenerationError
from local_llm.held_replies import Form, object_schema
from local_llm.reply_parts import ReplyPart
from local_llm.schema_checks import mismatch
from local_llm.tool_calls import (
    ToolCall,
    decode,
    offer_tools,
    render_call,
    tool_problem,
)
from local_llm.turns import Turn
from local_llm.wire_formats import WireFormat

STRUCTURED_TOOL = "GenerateStructuredOutput"
"""AgentScope's tool that ends a reply with structured output."""

Schema = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Offer:
    """What may be called in a reply.

    Attributes:
        shown (`tuple[dict[str, Any], ...]`):
            The tools that the prompt shows, as OpenAI writes schemas.
        callable (`tuple[dict[str, Any], ...]`):
            Those of them that may be called.
        forbidden (`frozenset[str]`):
            The names of tools that are there and may not be called now.
        must_call (`bool`):
            Whether the reply has to be a call.
    """

    shown: tuple[Schema, ...] = ()
    callable: tuple[Schema, ...] = ()
    forbidden: frozenset[str] = frozenset()
    must_call: bool = False

    @property
    def names(self) -> list[str]:
        """What may be called."""
        return [one["function"]["name"] for one in self.callable]

    def put_before(self, turns: Sequence[Turn]) -> list[Turn]:
        """The conversation with the tools, where fine-tuning data has them:
        behind the system text."""
        if not self.shown:
            return list(turns)
        first, rest = Turn("system", ""), [*turns]
        if rest and rest[0].role == "system":
            first = rest.pop(0)
        return [Turn("system", offer_tools(first.text, self.shown)), *rest]

    def demanded(self, turns: Sequence[Turn]) -> list[Turn]:
        """The conversation with words that demand a call."""
        names = " or ".join(self.names)
        words = f"Call {names} now. Reply with the call and nothing else."
        return [*turns, Turn("user", words)]

    def forms(self, wire: WireFormat) -> list[Form]:
        """What a reply may be that must be a call."""
        return [
            Form(
                one["function"]["name"],
                object_schema(one["function"].get("parameters")),
                wire.before_arguments(one["function"]["name"]),
                wire.after,
            )
            for one in self.callable
        ]

    def allowed(self, part: ReplyPart) -> ReplyPart:
        """A part of a reply; the call of a forbidden tool is only text."""
        if part.name not in self.forbidden:
            return part
        text = part.text
        if part.kind == "call":
            text = render_call(ToolCall(part.name, decode(part.text)))
        return ReplyPart("text", text)

    def problem(self, part: ReplyPart) -> str:
        """Why a part is not a call that may be made; empty where it is."""
        if part.kind != "call":
            return "it is not readable"
        for one in self.callable:
            if one["function"]["name"] == part.name:
                schema = object_schema(one["function"].get("parameters"))
                unfit = mismatch(decode(part.text), schema)
                return f"its arguments {unfit}" if unfit else ""
        return f"there is no {part.name}"


NO_TOOLS = Offer()
"""Nothing may be called."""


def offer_of(
    tools: Sequence[Schema] | None,
    tool_choice: ToolChoice | None = None,
) -> Offer:
    """What AgentScope lets a model call.

    Args:
        tools (`Sequence[dict[str, Any]] | None`):
            As OpenAI writes schemas.
        tool_choice (`ToolChoice | None`, optional):
            Which of them may be called, and whether one must be. Where there
            is no choice and AgentScope's tool for structured output is all
            that there is, that one must be: nothing else ends the reply.

    Raises:
        `GenerationError`: A tool cannot be offered, or there is none and one
            must be called.
    """
    tools = tuple(tools or ())
    _check(tools)
    mode = tool_choice.mode if tool_choice else "auto"
    wanted = tool_choice.tools if tool_choice else None
    shown = tuple(one for one in tools if not wanted or _name(one) in wanted)
    if mode == "none":
        return Offer(forbidden=frozenset(map(_name, tools)))
    if mode == "auto":
        may = shown
        must_call = [_name(one) for one in tools] == [STRUCTURED_TOOL]
    else:
        may = tuple(one for one in shown if mode in ("required", _name(one)))
        must_call = True
    if must_call and not may:
        raise GenerationError(
            "a tool has to be called, and there is none",
            fix="give the agent tools, or use tool_choice auto",
        )
    names = frozenset(map(_name, tools)) - frozenset(map(_name, may))
    return Offer(shown, may, names, must_call)


def _name(tool: Schema) -> str:
    return tool["function"]["name"]


def _check(tools: Sequence[Schema]) -> None:
    for number, tool in enumerate(tools, start=1):
        problem = tool_problem(tool)
        if not problem and "function" not in tool:
            problem = "it has no function"
        if problem:
            raise GenerationError(
                f"tool {number} cannot be offered: {problem}",
                fix="correct its schema",
            )
