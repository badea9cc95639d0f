# -*- coding: utf-8 -*-
"""Local models that play roles, without AgentScope.

Each reply comes from the worker of the model, in parts. A caller is held to
calls that its tools accept, where that is wanted. Raises GenerationError, and
ConfigError for an arm that has no roles.
"""

import dataclasses
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from local_llm.generation import Request
from local_llm.loaded_model import LoadedModel
from local_llm.reply_streams import stream_request
from local_llm.turns import Turn

from .arms import check_has_roles
from .held_calls import HeldCalls
from .protocol import Tool
from .roles import Delta, Role, Team
from .trained_team import TrainedTeam


@dataclass(frozen=True)
class LocalRole:
    """A loaded model as a role.

    Attributes:
        model (`LoadedModel`):
            Who replies.
        held_calls (`HeldCalls | None`):
            Where given, a reply about tools is a call of one of them.
    """

    model: LoadedModel
    held_calls: HeldCalls | None = None

    async def stream(
        self,
        prompt: str,
        tools: Sequence[Tool] = (),
        attempt: int = 0,
    ) -> AsyncGenerator[Delta, None]:
        """Reply to a prompt, in parts; see `RoleModel`."""
        request = self._request(prompt, tools, attempt)
        tokens = 0
        async with aclosing(stream_request(self.model, request)) as pieces:
            async for piece in pieces:
                yield Delta(piece.text, piece.output_tokens - tokens)
                tokens = piece.output_tokens

    def _request(
        self,
        prompt: str,
        tools: Sequence[Tool],
        attempt: int,
    ) -> Request:
        generation = self.model.settings.generation
        if attempt:
            # The same prompt again: only a drawn reply can be another.
            generation = dataclasses.replace(
                generation,
                do_sample=True,
                seed=attempt,
            )
        held = self.held_calls and self.held_calls.of(tools)
        return self.model.request(
            [Turn("user", prompt)],
            lambda delivery: None,
            max_new_tokens=held.tokens if held else None,
            generation=generation,
            grammar=held.grammar if held else None,
        )


def local_team(trained: TrainedTeam, constrained_calls: bool = True) -> Team:
    """The roles of a trained team, to be asked one at a time.

    Args:
        trained (`TrainedTeam`):
            Of an arm that plays the three roles.
        constrained_calls (`bool`, optional):
            Whether calls must fit their tools.

    Raises:
        `ConfigError`: One model says all in that arm.
    """
    check_has_roles(trained.record.arm)
    models = trained.models
    held_calls = HeldCalls() if constrained_calls else None
    return Team(
        LocalRole(models[Role.PLANNER]),
        LocalRole(models[Role.CALLER], held_calls),
        LocalRole(models[Role.SUMMARIZER]),
        trained.record.style,
    )
