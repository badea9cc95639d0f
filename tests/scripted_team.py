# -*- coding: utf-8 -*-
"""A team that says what a test wants, and tools that do what it wants."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from alpha_umi.limits import LIMITS, Limits
from alpha_umi.loop import Event, Solution, solve
from alpha_umi.prompts import PromptStyle
from alpha_umi.protocol import Call, Tool, Utterance
from alpha_umi.roles import Delta, Team
from alpha_umi.search import SearchMode

CALL, CONCLUDE, GIVE_UP = (
    "Next: caller.",
    "Next: conclusion.",
    "Next: give up.",
)

CITY = Tool(
    "weather",
    "Weather of a city.",
    {"city": "string, the city", "days": "integer, days ahead"},
    {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "days": {"type": "integer"},
        },
        "required": ["city"],
        "additionalProperties": False,
    },
)
TIME = Tool("time", "The time.", {"zone": "string, the zone"})
TOOLS = (CITY, TIME)

Said = str | BaseException | Callable[[str], str]
"""What a model does when it is asked: say, raise, or reply to the prompt."""


@dataclass
class Scripted:
    """A model that says one text after the other, then the last again."""

    texts: Sequence[Said]
    prompts: list[str] = field(default_factory=list)
    attempts: list[int] = field(default_factory=list)
    closed: int = 0

    async def stream(
        self,
        prompt: str,
        tools: Sequence[Tool] = (),
        attempt: int = 0,
    ) -> AsyncGenerator[Delta, None]:
        said = self.texts[min(len(self.prompts), len(self.texts) - 1)]
        self.prompts.append(prompt)
        self.attempts.append(attempt)
        if isinstance(said, BaseException):
            yield Delta("half ", 1)
            raise said
        text = said if isinstance(said, str) else said(prompt)
        try:
            for start in range(0, len(text), 8):
                yield Delta(text[start : start + 8], 2)
        finally:
            self.closed += 1


def call_of(name: str, arguments: str) -> str:
    return f"Action: {name}\nAction Input: {arguments}"


ROME = call_of("weather", '{"city": "Rome"}')
OSLO = call_of("weather", '{"city": "Oslo"}')


def counted(template: str) -> Callable[[str], str]:
    """Another text each time: `{n}` counts the replies."""
    count = iter(range(1_000_000))
    return lambda prompt: template.replace("{n}", str(next(count)))


def team_of(
    planner: Sequence[Said],
    caller: Sequence[Said] = (ROME,),
    summarizer: Sequence[Said] = ("It is sunny.",),
    style: PromptStyle = "brief",
) -> Team:
    return Team(
        Scripted(planner), Scripted(caller), Scripted(summarizer), style
    )


async def sunny(call: Call) -> str:
    """The tool of those tests that want any."""
    return f"sunny, {call.arguments}"


def solved(
    team: Team,
    run_tool: Callable[[Call], Awaitable[str]] = sunny,
    limits: Limits = LIMITS,
    mode: SearchMode = "chain",
    tools: Sequence[Tool] = TOOLS,
) -> Solution:
    """How a task ends."""
    return asyncio.run(last(team, run_tool, limits, mode, tools))


async def last(
    team: Team,
    run_tool: Callable[[Call], Awaitable[str]],
    limits: Limits,
    mode: SearchMode,
    tools: Sequence[Tool],
) -> Solution:
    """The last event, and that there is one end alone."""
    events: list[Event] = [
        event
        async for event in solve(
            team, tools, "How is Rome?", run_tool, limits, mode
        )
    ]
    ends = [event for event in events if isinstance(event, Solution)]
    assert ends == events[-1:]
    whole = [event for event in events if isinstance(event, Utterance)]
    assert whole == list(ends[0].log[1:])
    return ends[0]
