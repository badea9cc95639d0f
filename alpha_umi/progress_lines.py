# -*- coding: utf-8 -*-
"""How far something long is, in few lines.

Knows not what is done. Raises nothing.
"""

from collections.abc import Callable

_LINES = 10
"""At most, of one thing."""


def in_tenths(
    total: int,
    what: str,
    say: Callable[[str], None],
) -> Callable[[int], None]:
    """What to tell how much is done: it passes on each new tenth.

    Args:
        total (`int`):
            When all is done.
        what (`str`):
            What is counted, in the plural.
        say (`Callable[[str], None]`):
            Gets lines such as `12 of 40 replies`.
    """
    told = 0

    def tell(done: int) -> None:
        nonlocal told
        reached = _LINES * done // max(1, total)
        if reached > told:
            told = reached
            say(f"{done} of {total} {what}")

    return tell
