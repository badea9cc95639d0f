# -*- coding: utf-8 -*-
"""How the readers of datasets put tools into words, long or short.

Knows no dataset. Raises nothing.
"""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Literal

from .protocol import Decision

ArgumentTexts = Literal["described", "named"]
"""How an argument reads: with type and description; or with its name alone, a
few values where it has no others, and a question mark where it is optional."""

_MOST_VALUES = {"described": 40, "named": 16}
"""Of the values of an argument, in characters."""

_SHORT_DESCRIPTION = 28
"""Of a tool whose arguments are named alone, in characters."""


def argument_text(
    texts: ArgumentTexts,
    kind: str,
    values: Sequence[str],
    description: str,
    is_optional: bool,
) -> str:
    """What is said of an argument.

    Args:
        texts (`ArgumentTexts`):
            How much.
        kind (`str`):
            Its type.
        values (`Sequence[str]`):
            All that it may be, empty where that is not limited.
        description (`str`):
            What it is.
        is_optional (`bool`):
            Whether a call may lack it.
    """
    among = "|".join(values)
    shown = among if len(among) <= _MOST_VALUES[texts] else ""
    if texts == "named":
        return f"{shown}?" if is_optional else shown
    optional = "optional" if is_optional else ""
    return ", ".join(filter(None, (kind, optional, shown, description)))


def description_text(texts: ArgumentTexts, description: str) -> str:
    """What is said of a tool; in short of its first sentence what fits."""
    if texts == "described":
        return description
    first = description.partition(". ")[0]
    return textwrap.shorten(first, _SHORT_DESCRIPTION, placeholder="")


def call_rationale(name: str, known: Mapping[str, object]) -> str:
    """A planner's words before a call: what is wanted, and what is known."""
    values = ", ".join(f"{key} {value}" for key, value in known.items())
    wish = f"The user wants {name}"
    return rationale(f"{wish}; known: {values}" if values else wish)


def rationale(words: str, decision: Decision = Decision.CALL) -> str:
    """A planner's words, and whose turn it is."""
    return f"{words}. {decision.phrase}."
