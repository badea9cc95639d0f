# -*- coding: utf-8 -*-
"""The agent that AgentScope's agent service makes for every message.

`TalkingAgent` is told what its owner wrote and nothing else. Knows no service.
Raises nothing.
"""

from typing import Any

from agentscope.tool import Toolkit

from finetune_dialog_agent import Finetune_DialogAgent

_NOTE = "\n\n<system-notification>"
"""Begins what the service adds to an agent's system prompt."""


class TalkingAgent(Finetune_DialogAgent):
    """A `Finetune_DialogAgent` that talks, without the service's tools.

    The service describes some twenty tools and its workspace to every agent,
    thousands of tokens that a small model reads for each reply and does not
    use, and that a model tuned on conversations has never seen there.
    """

    def __init__(
        self,
        name: str,
        system_prompt: str,
        model: Any,
        toolkit: Toolkit | None = None,
        offloader: Any = None,
        **more: Any,
    ) -> None:
        """Initialize the agent as `Finetune_DialogAgent` is.

        Args:
            name (`str`):
                The agent's name.
            system_prompt (`str`):
                What its owner wrote, and what the service adds.
            model (`Any`):
                A `HuggingFaceWrapper`.
            toolkit (`Toolkit | None`, optional):
                The service's tools; they are not offered to the model.
            offloader (`Any`, optional):
                The workspace; it is not described to the model.
            **more (`Any`):
                The other keywords of `Agent`.
        """
        own, _, _ = system_prompt.partition(_NOTE)
        super().__init__(name, own, model, **more)
