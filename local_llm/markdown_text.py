# -*- coding: utf-8 -*-
"""Text of any origin as part of a Markdown page that it cannot break.

Quotes it in blocks, in code and in cells of tables, and makes visible what a
reader would not see. Knows nothing of what is on the page. Raises nothing.
"""

import re
from collections.abc import Iterable, Sequence

_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters, not tab and newline
    "\u2028-\u202e\u2066-\u2069\ufeff"  # other line ends, changes of direction
    "\ud800-\udfff]",  # halves of characters, which no file can hold
)
_PLAIN_CODE = re.compile(r"[^`|\\\s](?:[^`|\\\n]*[^`|\\\s])?")
_PUNCTUATION = re.compile(r"[!\"#$&'()*:<>@\[\\\]_`{|}~]")


def visible(text: str) -> str:
    """A text with escapes like `\\x1b` for what has no shape of its own.

    Tabs, line breaks and characters of every script stay.
    """
    lines = text.replace("\r\n", "\n")
    return _UNSEEN.sub(_escape, lines)


def fenced(text: str, language: str = "text") -> str:
    """A text as a block of its own, closed by nothing that is in it.

    Args:
        text (`str`):
            Anything.
        language (`str`, defaults to `"text"`):
            How it is to be coloured.
    """
    shown = visible(text)
    runs = [len(run) for run in re.findall("`+", shown)]
    fence = "`" * max([3, *(length + 1 for length in runs)])
    return f"{fence}{language}\n{shown}\n{fence}"


def code(text: str) -> str:
    """A text as code on one line, inside a sentence or a cell of a table."""
    shown = visible(text).replace("\n", r"\n")
    if not shown:
        return "(empty)"
    if _PLAIN_CODE.fullmatch(shown):
        return f"`{shown}`"
    # Tables are split at "|" before code is looked for, and readers differ
    # on which backslash hides one; entities are the same to all of them.
    return f"<code>{_PUNCTUATION.sub(_entity, shown)}</code>"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; its cells are Markdown, other text goes through `code`."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _escape(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")


def _entity(match: re.Match[str]) -> str:
    return f"&#{ord(match[0])};"
