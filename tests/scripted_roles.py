# -*- coding: utf-8 -*-
"""Role models that say what they are told to, and keep what they were asked."""

from collections import deque
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from alpha_umi.moves import Move, Spoken, next_move
from alpha_umi.prompts import PromptStyle
from alpha_umi.protocol import Tool, Utterance
from alpha_umi.roles import Delta, Role, Team

TOOLS = (
    Tool("add", "Adds numbers.", {"a": "number, one", "b": "number, other"}),
    Tool("now", "Tells the time."),
)
QUESTION = (Utterance("user", "What is 2 + 3?"),)


@dataclass(frozen=True)
class Asked:
    """One question to a role model."""

    prompt: str
    tools: tuple[Tool, ...]
    attempt: int


class ScriptedRole:
    """Streams one script for each question: texts, one of them a delta."""

    def __init__(self, *scripts: Sequence[str] | str) -> None:
        self.scripts = deque(
            [one] if isinstance(one, str) else one for one in scripts
        )
        self.asked: list[Asked] = []
        self.closed = 0

    async def stream(
        self,
        prompt: str,
        tools: Sequence[Tool] = (),
        attempt: int = 0,
    ) -> AsyncGenerator[Delta, None]:
        self.asked.append(Asked(prompt, tuple(tools), attempt))
        try:
            for text in self.scripts.popleft():
                yield Delta(text, 1)
        finally:
            self.closed += 1


def team(
    planner: ScriptedRole,
    caller: ScriptedRole | None = None,
    summarizer: ScriptedRole | None = None,
    style: PromptStyle = "brief",
) -> Team:
    """A team in which who is not given is never asked."""
    return Team(
        planner,
        caller or ScriptedRole(),
        summarizer or ScriptedRole(),
        style,
    )


async def steps(
    players: Team,
    history: Sequence[Utterance] = QUESTION,
) -> tuple[list[Spoken], Move]:
    """All that one step yields: what is said, and the move."""
    *spoken, move = [one async for one in next_move(players, TOOLS, history)]
    assert all(isinstance(one, Spoken) for one in spoken)
    assert isinstance(move, Move)
    return spoken, move


def heard(spoken: Sequence[Spoken], role: Role) -> str:
    """All that a role said, as it was passed on."""
    return "".join(one.text for one in spoken if one.role is role)
