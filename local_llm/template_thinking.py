# -*- coding: utf-8 -*-
"""Finds out whether a chat template lets thinking be switched on and off.

By what it writes, not by what stands in it. Knows no turns and no replies.
Raises nothing.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SWITCHES = ("enable_thinking", "thinking")
"""What templates call it: Qwen, Gemma and SmolLM the first, DeepSeek and
Granite the second."""

_ASKED = [{"role": "user", "content": "How many?"}]


def thinking_switch(tokenizer: "PreTrainedTokenizerBase") -> str | None:
    """The keyword with which a template is told whether the model thinks.

    Args:
        tokenizer (`PreTrainedTokenizerBase`):
            With a chat template.

    Returns:
        `str | None`: None where its prompts are the same either way.
    """
    for name in SWITCHES:
        if _prompt(tokenizer, name, True) != _prompt(tokenizer, name, False):
            return name
    return None


def _prompt(
    tokenizer: "PreTrainedTokenizerBase",
    name: str,
    value: bool,
) -> str:
    from jinja2.exceptions import TemplateError

    try:
        return tokenizer.apply_chat_template(
            _ASKED,
            tokenize=False,
            add_generation_prompt=True,
            **{name: value},
        )
    except (TemplateError, TypeError):
        return ""
