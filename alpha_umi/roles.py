# -*- coding: utf-8 -*-
"""The roles: what each reads, which adapter speaks it, where it stops.

`planner`, `caller` and `summarizer` of the multi-LLM agent, and `backbone`,
which does all three in one text. Knows no models. Raises nothing.
"""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from . import prompts
from .prompts import PromptStyle
from .protocol import Tool, Utterance, gives_up, without_decision


class Role(StrEnum):
    """Who speaks; also the names of the adapters and their folders."""

    BACKBONE = "backbone"
    PLANNER = "planner"
    CALLER = "caller"
    SUMMARIZER = "summarizer"


TEAM = (Role.PLANNER, Role.CALLER, Role.SUMMARIZER)
"""The roles of the multi-LLM agent."""


@dataclass(frozen=True, slots=True)
class Delta:
    """New text of a reply, and how many tokens it took."""

    text: str
    tokens: int


class RoleModel(Protocol):
    """A model that plays a role: a local adapter, or one far away."""

    def stream(
        self,
        prompt: str,
        tools: Sequence[Tool] = (),
        attempt: int = 0,
    ) -> AsyncGenerator[Delta, None]:
        """Reply to a prompt, in parts, until it is closed.

        Args:
            prompt (`str`):
                What `role_prompt` gives.
            tools (`Sequence[Tool]`, optional):
                Where given, the reply is a call of one of them; a model that
                can be held to that holds itself to it.
            attempt (`int`, optional):
                Above 0 the same prompt was asked before and another reply
                is wanted.

        Raises:
            `GenerationError`: There is no reply.
        """
        ...


@dataclass(frozen=True, slots=True)
class Team:
    """Who plays the three roles, and how they are asked."""

    planner: RoleModel
    caller: RoleModel
    summarizer: RoleModel
    style: PromptStyle = "brief"


def role_prompt(
    role: Role,
    style: PromptStyle,
    tools: Sequence[Tool],
    history: Sequence[Utterance],
) -> str:
    """What a role is asked at one point of a trajectory.

    Args:
        role (`Role`):
            Who is asked.
        style (`PromptStyle`):
            How the prompt is written.
        tools (`Sequence[Tool]`):
            What may be called; the summarizer does not see them.
        history (`Sequence[Utterance]`):
            What was said; for caller and summarizer it ends with the
            planner's text.
    """
    template = getattr(prompts.templates(style), role.value)
    thought = history[-1].text if role is Role.CALLER and history else ""
    seen = merge_for_backbone(history) if role is Role.BACKBONE else history
    return prompts.render(template, style, tools, seen, thought)


def merge_for_backbone(
    utterances: Sequence[Utterance],
) -> list[Utterance]:
    """What one model says that plays all roles: rationale and call, or
    rationale and answer, as one text of the assistant."""
    merged: list[Utterance] = []
    for before, one in zip([None, *utterances], utterances, strict=False):
        if one.speaker == "caller":
            merged.append(_joined(_taken(merged, before), one.text))
        elif one.speaker == "conclusion":
            answer = f"conclusion: {one.text}"
            merged.append(_joined(_taken(merged, before), answer))
        elif gives_up(one):
            merged.append(_joined(one.text, "conclusion: give up."))
        else:
            merged.append(one)
    return merged


def _taken(merged: list[Utterance], before: Utterance | None) -> str:
    """The plan that stands last, or nothing where none was said before."""
    if before is None or before.speaker != "assistant":
        return ""
    return merged.pop().text


def _joined(plan: str, text: str) -> Utterance:
    return Utterance("assistant", f"{without_decision(plan)}\n{text}")
