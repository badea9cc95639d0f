# -*- coding: utf-8 -*-
"""The loop of the multi-LLM agent: plan, call, observe, until it ends.

Searches with any models and any tools. Knows no AgentScope and keeps nothing
between tasks. Raises nothing but cancellation: every end is a `Solution` with
all that was said.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from .budget import Budget, TaskEnded
from .limits import LIMITS, Limits, Outcome
from .moves import Move, Spoken, next_move
from .protocol import Speaker, Tool, Utterance
from .roles import Role, Team
from .search import SearchMode, visible_history
from .tool_runs import MadeCall, RunTool, make_call


@dataclass(frozen=True, slots=True)
class Solution:
    """How a task ended, and all that was said.

    Attributes:
        outcome (`Outcome`):
            How it ended.
        answer (`str | None`):
            What the user is told, None where there is no answer.
        log (`tuple[Utterance, ...]`):
            All that was said, every attempt; `visible_history` reads it.
        calls (`tuple[MadeCall, ...]`):
            In their order, with those that could not be made.
        steps (`int`):
            Moves that were finished, over all attempts.
        queries (`int`):
            How often a model was asked.
        tokens (`int`):
            That the models wrote.
        unfinished (`tuple[Utterance, ...]`):
            What was said of the move in which a limit or an error came.
        error (`str | None`):
            Of the model that failed, with its role.
    """

    outcome: Outcome
    answer: str | None
    log: tuple[Utterance, ...]
    calls: tuple[MadeCall, ...]
    steps: int
    queries: int
    tokens: int
    unfinished: tuple[Utterance, ...] = ()
    error: str | None = None


Event = Spoken | Utterance | Solution
"""New text as it comes, what was said once it is whole, and last the end."""


async def solve(
    team: Team,
    tools: Sequence[Tool],
    instruction: str,
    run_tool: RunTool,
    limits: Limits = LIMITS,
    mode: SearchMode = "chain",
) -> AsyncGenerator[Event, None]:
    """Work on a task until it ends.

    Args:
        team (`Team`):
            Who is asked. Whatever its models raise ends the task as
            `MODEL_ERROR`.
        tools (`Sequence[Tool]`):
            What may be called.
        instruction (`str`):
            The task.
        run_tool (`RunTool`):
            Runs a call that fits its tool; what it raises is observed.
        limits (`Limits`, optional):
            What the task may take.
        mode (`SearchMode`, optional):
            Whether to go back where an attempt ends without an answer.

    Yields:
        `Spoken`: New text of a role.
        `Utterance`: What a role has said, and what a tool brought.
        `Solution`: Last, how it ended.
    """
    budget = Budget(limits)
    run = _Run(budget.of_team(team), tools, run_tool, limits)
    run.log.append(Utterance("user", instruction))
    error = None
    while True:
        seen = visible_history(run.log, mode, limits, team.style)
        if seen.end is not None:
            outcome = seen.end
            break
        try:
            async with aclosing(_step(run, seen.history)) as events:
                async for event in events:
                    yield event
        except TaskEnded as ended:
            outcome, error = ended.outcome, ended.error
            break
    yield _solution(outcome, run, budget, error)


@dataclass(slots=True)
class _Run:
    """A task that is worked on."""

    team: Team
    tools: Sequence[Tool]
    run_tool: RunTool
    limits: Limits
    log: list[Utterance] = field(default_factory=list)
    calls: list[MadeCall] = field(default_factory=list)
    steps: int = 0
    spoken: list[Spoken] = field(default_factory=list)

    def note(self, one: Utterance) -> Utterance:
        self.log.append(one)
        return one


async def _step(
    run: _Run,
    history: Sequence[Utterance],
) -> AsyncGenerator[Spoken | Utterance, None]:
    """One move, and the call that it may come to."""
    async with aclosing(next_move(run.team, run.tools, history)) as parts:
        async for part in parts:
            if isinstance(part, Move):
                move = part
            else:
                run.spoken.append(part)
                yield part
    run.spoken.clear()
    run.steps += 1
    for one in move.utterances:
        yield run.note(one)
    if move.call is not None:
        made = await make_call(
            move.call,
            run.tools,
            run.run_tool,
            run.limits,
        )
        run.calls.append(made)
        yield run.note(Utterance("observation", made.observation))


def _solution(
    outcome: Outcome,
    run: _Run,
    budget: Budget,
    error: str | None,
) -> Solution:
    return Solution(
        outcome=outcome,
        answer=run.log[-1].text if outcome is Outcome.ANSWERED else None,
        log=tuple(run.log),
        calls=tuple(run.calls),
        steps=run.steps,
        queries=budget.queries,
        tokens=budget.tokens,
        unfinished=_unfinished(run.spoken),
        error=error,
    )


_SPEAKERS: Mapping[Role, Speaker] = {
    Role.PLANNER: "assistant",
    Role.CALLER: "caller",
    Role.SUMMARIZER: "conclusion",
}


def _unfinished(spoken: Sequence[Spoken]) -> tuple[Utterance, ...]:
    """What each role said in its last attempt."""
    texts: dict[tuple[Role, int], list[str]] = {}
    for one in spoken:
        texts.setdefault((one.role, one.attempt), []).append(one.text)
    last = {role: "".join(parts) for (role, _), parts in texts.items()}
    return tuple(
        Utterance(_SPEAKERS[role], text) for role, text in last.items()
    )
