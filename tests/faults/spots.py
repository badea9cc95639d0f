# -*- coding: utf-8 -*-
"""Named places in the code, and what happens to a process when it is there.

Functions are wrapped, not replaced: what they do is what they always do.
"""

import functools
import importlib
import itertools
import os
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

LIMIT_S = 60
REACHED = "reached"
When = Literal["before", "after", "halfway"]


@dataclass(frozen=True)
class Spot:
    """A call of a function.

    Attributes:
        target (`str`):
            Module and function, as in `local_llm.atomic_files:_place`.
        when (`str`):
            Before the call or after it; `halfway` after it, with one half
            of the file that it has written.
        call (`int`):
            Which of the calls, from 1.
        about (`str`):
            Only calls count that have a path with these letters.
    """

    target: str
    when: When = "before"
    call: int = 1
    about: str = ""


def die() -> None:
    """End as `kill -9` ends a process."""
    os.kill(os.getpid(), signal.SIGKILL)


def pause(place: Path) -> None:
    """Say that a spot is reached, and wait until somebody says go on."""
    (place / REACHED).touch()
    wait_until(lambda: not (place / REACHED).exists())


def wait_until(done: Callable[[], bool]) -> None:
    """Wait, in short sleeps that a signal handler can come between."""
    end = time.monotonic() + LIMIT_S
    while not done():
        assert time.monotonic() < end, "nothing has happened for too long"
        time.sleep(0.02)


def act_at(spot: Spot, act: Callable[[], None]) -> None:
    """Do something when this process comes to a spot."""
    numbers = itertools.count(1)

    def around(real: Callable, args: tuple, kwargs: dict) -> Any:
        here = _is_about(spot, args) and next(numbers) == spot.call
        if here and spot.when == "before":
            act()
        result = real(*args, **kwargs)
        if here and spot.when == "halfway":
            _cut_in_half(Path(args[-1]))
        if here and spot.when != "before":
            act()
        return result

    _wrap(spot.target, around)


def count_calls(targets: Iterable[str]) -> dict[str, int]:
    """Counts calls from now on; the counts grow in what is returned."""
    counts = dict.fromkeys(targets, 0)
    for target in targets:

        def around(
            real: Callable,
            args: tuple,
            kwargs: dict,
            target: str = target,
        ) -> Any:
            counts[target] += 1
            return real(*args, **kwargs)

        _wrap(target, around)
    return counts


def _wrap(target: str, around: Callable[[Callable, tuple, dict], Any]) -> None:
    module, _, path = target.partition(":")
    *outer, name = path.split(".")
    owner: Any = importlib.import_module(module)
    for one in outer:
        owner = getattr(owner, one)
    real = getattr(owner, name)

    @functools.wraps(real)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        return around(real, args, kwargs)

    setattr(owner, name, wrapped)


def _is_about(spot: Spot, args: tuple) -> bool:
    if not spot.about:
        return True
    paths = (str(one) for one in args if isinstance(one, str | os.PathLike))
    return any(spot.about in one for one in paths)


def _cut_in_half(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)
