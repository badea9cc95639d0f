# -*- coding: utf-8 -*-
"""What the reply of a caller is held to, so that it is a call of its tools.

Knows grammars and their length, and no models. Raises GenerationError without
llguidance.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from local_llm.errors import ConfigError

from .call_grammar import call_grammar, longest_call_tokens
from .protocol import Tool

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HeldCall:
    """What a reply must be that is a call.

    Attributes:
        grammar (`str`):
            What it follows; see `Request.grammar`.
        tokens (`int`):
            Within so many it has ended. A reply that has less room may be
            cut, and is then no call.
    """

    grammar: str
    tokens: int


class HeldCalls:
    """What calls are held to; that of the last tools is kept."""

    def __init__(self) -> None:
        self._tools: tuple[Tool, ...] = ()
        self._held: HeldCall | None = None

    def of(self, tools: Sequence[Tool]) -> HeldCall | None:
        """What a call of one of these tools is held to.

        Args:
            tools (`Sequence[Tool]`):
                What may be called.

        Returns:
            `HeldCall | None`: None without tools, and where no grammar can
                be made of them, which is logged once.

        Raises:
            `GenerationError`: llguidance is not installed.
        """
        if self._tools != tuple(tools):
            self._held = _held(tools)
            self._tools = tuple(tools)
        return self._held


def _held(tools: Sequence[Tool]) -> HeldCall | None:
    if not tools:
        return None
    try:
        return HeldCall(call_grammar(tools), longest_call_tokens(tools))
    except ConfigError as error:
        # The tools of a server, or of a dataset, are not the user's to change.
        log.warning("calls are not held to their tools: %s", error)
        return None
