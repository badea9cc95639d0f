# -*- coding: utf-8 -*-
"""How AgentScope compresses conversations of models with a small context.

Its own instructions and its form of a summary take a thousand tokens, half of
such a context. Knows no models. Raises nothing.
"""

from agentscope.agent import ContextConfig

SMALL_CONTEXT = 4096
"""Tokens of prompt and reply, up to which summaries are brief."""

_PARTS = {
    "wanted": "What the user wants.",
    "known": "What was found out, with names and numbers.",
    "next": "What comes next.",
}
_CHARACTERS = 160


def context_config_for(context_size: int) -> ContextConfig:
    """When and how a conversation is compressed.

    Args:
        context_size (`int`):
            Tokens of prompt and reply.

    Returns:
        `ContextConfig`: AgentScope's own for large contexts. For small ones
            a summary of three short parts, asked for in few words, earlier:
            what is summed up, the summary and the next reply share the room.
    """
    if context_size > SMALL_CONTEXT:
        return ContextConfig()
    lines = [f"{name.capitalize()}: {{{name}}}" for name in _PARTS]
    return ContextConfig(
        trigger_ratio=0.6,
        reserve_ratio=0.2,
        compression_prompt="Sum up the conversation so far in a few words.",
        summary_template="\n".join(["What was said before.", *lines]),
        summary_schema={
            "type": "object",
            "properties": {
                name: {
                    "type": "string",
                    "description": words,
                    "maxLength": _CHARACTERS,
                }
                for name, words in _PARTS.items()
            },
            "required": [*_PARTS],
            "additionalProperties": False,
        },
    )
