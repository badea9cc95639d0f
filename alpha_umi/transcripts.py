# -*- coding: utf-8 -*-
"""A solution to read, or as lines of JSON for a file.

Knows no models and no files. Raises nothing.
"""

import json
import textwrap
from collections.abc import Mapping

from local_llm.markdown_text import visible

from .loop import Solution
from .protocol import Speaker, Utterance

_NAMES: Mapping[Speaker, str] = {
    "assistant": "planner",
    "conclusion": "summarizer",
}


def as_text(solution: Solution) -> str:
    """All that was said, one speaker after the other, and how it ended.

    What would move a terminal's cursor or colour it is written out.
    """
    said = [_paragraph(one) for one in solution.log]
    begun = [_paragraph(one, "unfinished ") for one in solution.unfinished]
    error = [f"error: {visible(solution.error)}"] if solution.error else []
    return "\n".join([*said, *begun, *error, f"-- {_end(solution)}\n"])


def as_json_lines(solution: Solution) -> str:
    """The end in the first line, then what was said, as in a trajectory.

    ASCII alone, so that any text fits into any file.
    """
    head = {
        "outcome": solution.outcome,
        "answer": solution.answer,
        "steps": solution.steps,
        "queries": solution.queries,
        "tokens": solution.tokens,
        "calls": [one.result for one in solution.calls],
        "error": solution.error,
    }
    said = [_turn(one) for one in solution.log]
    begun = [{**_turn(one), "unfinished": True} for one in solution.unfinished]
    return "".join(f"{json.dumps(one)}\n" for one in [head, *said, *begun])


def _turn(one: Utterance) -> dict[str, object]:
    return {"from": one.speaker, "value": one.text}


def _paragraph(one: Utterance, before: str = "") -> str:
    name = _NAMES.get(one.speaker, one.speaker)
    text = textwrap.indent(visible(one.text), "  ").removeprefix("  ")
    return f"{before}{name}: {text}".rstrip()


def _end(solution: Solution) -> str:
    counts = {
        "step": solution.steps,
        "call": len(solution.calls),
        "query": solution.queries,
        "token": solution.tokens,
    }
    parts = [f"{n} {_plural(word, n)}" for word, n in counts.items()]
    return f"{solution.outcome.replace('_', ' ')}: {', '.join(parts)}"


def _plural(word: str, count: int) -> str:
    if count == 1:
        return word
    return f"{word.removesuffix('y')}ies" if word.endswith("y") else f"{word}s"
