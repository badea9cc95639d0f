# -*- coding: utf-8 -*-
"""One step of the multi-LLM agent: a plan, then a call, an answer or the end.

Asks the planner, and whoever it passes the turn to. Runs no tool and keeps no
history, so that a search over simulated tools and an AgentScope agent take
their steps from here alike. Raises what the models of the roles raise.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from .protocol import (
    Call,
    Decision,
    Plan,
    Tool,
    Utterance,
    is_blank,
    read_call,
    read_plan,
    up_to_decision,
)
from .roles import Delta, Role, RoleModel, Team, role_prompt

BLANK_PLANS = 5
"""How often a planner that says nothing is asked again; as in the paper."""

BLANK_ANSWERS = 1
"""How often a summarizer that says nothing is asked again."""

_LONGEST_DECISION = max(len(f"{one.phrase}.") for one in Decision)

# A caller that says nothing calls no tool, which its observation will say.
_ASKED_AGAIN: Mapping[Role, int] = {
    Role.PLANNER: BLANK_PLANS,
    Role.CALLER: 0,
    Role.SUMMARIZER: BLANK_ANSWERS,
}


@dataclass(frozen=True, slots=True)
class Spoken:
    """New text of a role, as it comes.

    Attributes:
        role (`Role`):
            Who speaks.
        text (`str`):
            What is new.
        tokens (`int`):
            How many tokens it took.
        attempt (`int`):
            Counts the attempts of a role: what it said in the one before is
            void.
    """

    role: Role
    text: str
    tokens: int
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class Move:
    """What a step came to: exactly one of call, answer and neither.

    Attributes:
        plan (`Plan`):
            What the planner said.
        call (`Call | None`):
            What to call, where it is the caller's turn.
        answer (`str | None`):
            What the user is told, where the task is finished; empty where
            the summarizer stayed silent.
    """

    plan: Plan
    call: Call | None = None
    answer: str | None = None

    @property
    def utterances(self) -> tuple[Utterance, ...]:
        """What this step adds to the history."""
        said = [Utterance("assistant", self.plan.text)]
        if self.call is not None:
            said.append(Utterance("caller", self.call.text))
        if self.answer is not None:
            said.append(Utterance("conclusion", self.answer))
        return tuple(said)


async def next_move(
    team: Team,
    tools: Sequence[Tool],
    history: Sequence[Utterance],
) -> AsyncGenerator[Spoken | Move, None]:
    """Take one step; closed, it closes the stream of who speaks.

    Args:
        team (`Team`):
            Who is asked.
        tools (`Sequence[Tool]`):
            What may be called.
        history (`Sequence[Utterance]`):
            All that was said, from the user's first turn on.

    Yields:
        `Spoken`: The texts of the roles, as they come.
        `Move`: Last, what it came to. A planner that stays silent gives up.

    Raises:
        `GenerationError`: A model has no reply.
    """
    silent = f"{Decision.GIVE_UP.phrase}."
    plan = Plan(silent, Decision.GIVE_UP, False)
    prompt = role_prompt(Role.PLANNER, team.style, tools, history)
    said: list[str] = []
    async with aclosing(_ask(Role.PLANNER, team.planner, prompt, said)) as new:
        async for spoken in new:
            yield spoken
    if not is_blank("".join(said)):
        plan = read_plan("".join(said))
    if plan.decision is Decision.GIVE_UP:
        yield Move(plan)
        return
    seen = [*history, Utterance("assistant", plan.text)]
    role, model = _next_role(team, plan)
    prompt = role_prompt(role, team.style, tools, seen)
    offered = tools if role is Role.CALLER else ()
    async with aclosing(_ask(role, model, prompt, said, offered)) as new:
        async for spoken in new:
            yield spoken
    text = "".join(said).strip()
    if role is Role.CALLER:
        yield Move(plan, call=read_call(text))
    else:
        yield Move(plan, answer="" if is_blank(text) else text)


def _next_role(team: Team, plan: Plan) -> tuple[Role, RoleModel]:
    if plan.decision is Decision.CALL:
        return Role.CALLER, team.caller
    return Role.SUMMARIZER, team.summarizer


async def _ask(
    role: Role,
    model: RoleModel,
    prompt: str,
    said: list[str],
    tools: Sequence[Tool] = (),
) -> AsyncGenerator[Spoken, None]:
    """Ask until something is said; `said` has the last attempt's parts."""
    for attempt in range(1 + _ASKED_AGAIN[role]):
        said.clear()
        reply = model.stream(prompt, tools, attempt)
        async with aclosing(_listen(role, reply, said, attempt)) as heard:
            async for spoken in heard:
                yield spoken
        if not is_blank("".join(said)):
            return


async def _listen(
    role: Role,
    deltas: AsyncGenerator[Delta, None],
    said: list[str],
    attempt: int,
) -> AsyncGenerator[Spoken, None]:
    """Note what is said and pass it on; of a planner up to its decision."""
    pass_on = _UpToDecision().of if role is Role.PLANNER else str
    async with aclosing(deltas):
        async for delta in deltas:
            said.append(delta.text)
            yield Spoken(role, pass_on(delta.text), delta.tokens, attempt)


class _UpToDecision:
    """Lets a text through until it has named whose turn it is.

    Looks at its end alone, or a long text would be read once for each part.
    """

    def __init__(self) -> None:
        self.end = ""
        self.is_over = False

    def of(self, part: str) -> str:
        """What of the next part stands before the end of the decision."""
        if self.is_over:
            return ""
        text = self.end + part
        passed = up_to_decision(text)
        new = passed[len(self.end) :]
        # Where the text ends with the decision, its full stop may follow.
        self.is_over = len(passed) < len(text)
        self.end = passed[-_LONGEST_DECISION:]
        return new
