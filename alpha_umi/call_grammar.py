# -*- coding: utf-8 -*-
"""A grammar of the calls of some tools.

Knows no models. Raises nothing.
"""

import json
from collections.abc import Sequence

from .protocol import Tool


def call_grammar(tools: Sequence[Tool]) -> str:
    """A Lark grammar of the two lines of a call."""
    names = " | ".join(json.dumps(tool.name) for tool in tools)
    return f'start: "Action: " ({names}) "\\nAction Input: " /\\{{.*\\}}/'
