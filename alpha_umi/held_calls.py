# -*- coding: utf-8 -*-
"""What the reply of a caller is held to, so that it is a call of its tools.

Knows grammars and their length, and no models. Raises GenerationError without
llguidance.
"""

import logging
from collections.abc import Sequence

from local_llm.errors import ConfigError
from local_llm.held_replies import HeldReply

from .call_grammar import call_grammar, longest_call_tokens
from .protocol import Tool

log = logging.getLogger(__name__)


class HeldCalls:
    """What calls are held to; that of the last tools is kept."""

    def __init__(self) -> None:
        self._tools: tuple[Tool, ...] = ()
        self._held: HeldReply | None = None

    def of(self, tools: Sequence[Tool]) -> HeldReply | None:
        """What a call of one of these tools is held to.

        Args:
            tools (`Sequence[Tool]`):
                What may be called.

        Returns:
            `HeldReply | None`: None without tools, and where no grammar can
                be made of them, which is logged once.

        Raises:
            `GenerationError`: llguidance is not installed.
        """
        if self._tools != tuple(tools):
            self._held = _held(tools)
            self._tools = tuple(tools)
        return self._held


def _held(tools: Sequence[Tool]) -> HeldReply | None:
    if not tools:
        return None
    try:
        return HeldReply(call_grammar(tools), longest_call_tokens(tools))
    except ConfigError as error:
        # The tools of a server, or of a dataset, are not the user's to change.
        log.warning("calls are not held to their tools: %s", error)
        return None
