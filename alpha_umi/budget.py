# -*- coding: utf-8 -*-
"""Counts what the models of a team take, and ends a task that takes more.

Stands between a move and the models, so that a move cannot overrun a limit.
Knows no tools and no history. Raises TaskEnded.
"""

import traceback
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from local_llm.errors import LocalLLMError

from .limits import Limits, Outcome
from .protocol import Tool
from .roles import Delta, Role, RoleModel, Team


class TaskEnded(Exception):
    """A model may not go on, or cannot.

    Args:
        outcome (`Outcome`):
            A limit, or `MODEL_ERROR`.
        error (`str | None`, optional):
            Which role failed, and what its model said.
    """

    def __init__(self, outcome: Outcome, error: str | None = None) -> None:
        super().__init__(outcome)
        self.outcome = outcome
        self.error = error


class Budget:
    """What the models of one task have taken.

    Attributes:
        queries (`int`):
            How often one was asked.
        tokens (`int`):
            That they have written.
    """

    def __init__(self, limits: Limits) -> None:
        self.queries = 0
        self.tokens = 0
        self._parts = 0
        self._limits = limits

    def of_team(self, team: Team) -> Team:
        """The team, held to this budget."""
        return replace(
            team,
            planner=_Held(Role.PLANNER, team.planner, self),
            caller=_Held(Role.CALLER, team.caller, self),
            summarizer=_Held(Role.SUMMARIZER, team.summarizer, self),
        )

    def ask(self) -> None:
        """Count a query that is about to be made."""
        if self.queries >= self._limits.queries:
            raise TaskEnded(Outcome.QUERY_LIMIT)
        self.queries += 1

    def hear(self, delta: Delta) -> None:
        """Count a part of a reply."""
        self.tokens += delta.tokens
        # A model that counts no tokens comes to an end too.
        self._parts += 1
        if max(self.tokens, self._parts) > self._limits.tokens:
            raise TaskEnded(Outcome.TOKEN_LIMIT)


@dataclass(frozen=True, slots=True)
class _Held:
    """A role's model that counts, and whose failure names the role."""

    role: Role
    model: RoleModel
    budget: Budget

    async def stream(
        self,
        prompt: str,
        tools: Sequence[Tool] = (),
        attempt: int = 0,
    ) -> AsyncGenerator[Delta, None]:
        """Reply as the model does, within the budget."""
        self.budget.ask()
        try:
            reply = self.model.stream(prompt, tools, attempt)
            async with aclosing(reply) as deltas:
                async for delta in deltas:
                    self.budget.hear(delta)
                    yield delta
        except TaskEnded:
            raise
        except LocalLLMError as error:
            raise self._failed(str(error)) from error
        except Exception as error:
            # The models of others raise what they like.
            what = "".join(traceback.format_exception_only(error)).strip()
            raise self._failed(what) from error

    def _failed(self, what: str) -> TaskEnded:
        return TaskEnded(Outcome.MODEL_ERROR, f"{self.role}: {what}")
