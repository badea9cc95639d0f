# -*- coding: utf-8 -*-
"""What a planner sees at one point of a search for an answer.

A search is its log: all that was said in the order in which it was said. From
the log alone follows where the search stands, so that whoever has only a
conversation can search too. Knows no models and runs nothing. Raises nothing.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from .calls import call_key, first_words
from .limits import Limits, Outcome
from .prompts import PromptStyle
from .protocol import Call, Utterance, gives_up, is_blank, read_call

SearchMode = Literal["chain", "dfsdt"]
"""`chain` is one attempt. `dfsdt` goes back where an attempt ends without an
answer (depth-first search of a decision tree)."""


@dataclass(frozen=True, slots=True)
class Visible:
    """Where a search stands.

    Attributes:
        history (`tuple[Utterance, ...]`):
            What the planner sees: the way to this point. Where other calls
            were tried here, a user's turn at its end asks for another one.
        end (`Outcome | None`):
            How the search ended, None while the planner is to be asked. Of a
            search that was exhausted, what ended its last attempt.
    """

    history: tuple[Utterance, ...]
    end: Outcome | None = None


def visible_history(
    log: Iterable[Utterance],
    mode: SearchMode,
    limits: Limits,
    style: PromptStyle,
) -> Visible:
    """Find where a search stands.

    Giving up closes the point it is said at, and another call is tried at
    the point before; so do an empty answer, the last step of an attempt, a
    call that repeats itself, and another call that brings nothing new. A
    point where `width` calls were tried is closed too. A turn of the user
    begins a new search, which sees the way that the last one ended on.

    Args:
        log (`Iterable[Utterance]`):
            All that was said, every attempt, without the turns that ask for
            another call. A call is followed by its observation.
        mode (`SearchMode`):
            Whether to go back.
        limits (`Limits`):
            Steps, width and repeats count here.
        style (`PromptStyle`):
            How the turn that asks for another call is written; in `paper`
            as in the published records, which keep the newest of them alone.
    """
    walk = _Walk(mode, limits, style)
    for one in log:
        walk.hear(one)
    return Visible((*walk.here.seen, *walk.pending), walk.end)


_Key = tuple[str, str, str]
"""Equal for calls that ask the same and bring the same."""


@dataclass(frozen=True, slots=True)
class _Tried:
    """A call that was made at a point, and what it brought."""

    call: Call
    observation: str
    key: _Key


@dataclass(frozen=True, slots=True)
class _Point:
    """A point of the tree: the way to it, and what was tried there."""

    path: tuple[Utterance, ...] = ()
    keys: tuple[_Key, ...] = ()
    tried: tuple[_Tried, ...] = ()
    hint: tuple[int, Utterance] | None = None

    @property
    def seen(self) -> tuple[Utterance, ...]:
        """The way to it, with the newest request for another call."""
        if self.hint is None:
            return self.path
        place, hint = self.hint
        return (*self.path[:place], hint, *self.path[place:])

    def below(self, step: Sequence[Utterance], tried: _Tried) -> "_Point":
        """The point that a call leads to."""
        return _Point(
            path=(*self.path, *step),
            keys=(*self.keys, tried.key),
            hint=self.hint,
        )

    def is_vain(self, tried: _Tried) -> bool:
        """Whether another call was asked for and this brings nothing new."""
        known = [*self.keys, *(one.key for one in self.tried)]
        return bool(self.tried) and tried.key in known


class _Walk:
    """Follows a log through the tree."""

    def __init__(
        self,
        mode: SearchMode,
        limits: Limits,
        style: PromptStyle,
    ) -> None:
        self.width = 1 if mode == "chain" else limits.width
        self.limits = limits
        self.style = style
        self.above: list[_Point] = []
        self.here = _Point()
        self.pending: list[Utterance] = []
        self.end: Outcome | None = None

    def hear(self, one: Utterance) -> None:
        """Go on by one utterance."""
        if one.speaker == "user":
            self._begin(one)
        elif one.speaker == "observation" and self._has_called():
            self._observe(one)
        else:
            self.pending.append(one)
            if one.speaker == "conclusion":
                self._conclude(one)
            elif gives_up(one):
                self._close(Outcome.GAVE_UP)

    def _begin(self, one: Utterance) -> None:
        path = (*self.here.path, *self.pending, one)
        self.here, self.above, self.pending = _Point(path), [], []
        self.end = None

    def _has_called(self) -> bool:
        return bool(self.pending) and self.pending[-1].speaker == "caller"

    def _observe(self, one: Utterance) -> None:
        call = read_call(self.pending[-1].text)
        tried = _Tried(call, one.text, (*call_key(call), one.text))
        point, below = self.here, self.here.below([*self.pending, one], tried)
        self.above.append(replace(point, tried=(*point.tried, tried)))
        self.here, self.pending = below, []
        times = below.keys.count(tried.key)
        if point.is_vain(tried) or times >= self.limits.repeats:
            self._close(Outcome.REPEATED_STATE)
        elif len(self.above) >= self.limits.steps:
            self._close(Outcome.STEP_LIMIT)

    def _conclude(self, one: Utterance) -> None:
        # What is said after the end, of a search given up too, changes none.
        if self.end is None:
            if is_blank(one.text):
                self._close(Outcome.GAVE_UP)
            else:
                self.end = Outcome.ANSWERED

    def _close(self, why: Outcome) -> None:
        """Go back to the last point that may be tried again, or end."""
        while self.above and len(self.above[-1].tried) >= self.width:
            self.above.pop()
        if not self.above:
            self.end = why
            return
        point = self.above.pop()
        hint = Utterance("user", _HINTS[self.style](point))
        self.here = replace(point, hint=(len(point.path), hint))
        self.pending = []


# -- the turn that asks for another call ----------------------------------

# The wording, mistakes included, is the interface of the published records
# and weights (X-PLUG/Multi-LLM-Agent).
_PAPER = (
    "This is not the first time you try this task, all previous trails "
    "failed.\nBefore you generate my thought for this state, I will first "
    "show you your previous actions for this state, and then you must "
    "generate actions that is different from all of them. Here are some "
    "previous actions candidates:\n{candidates}\n{observation}\n"
    "Remember you are now in the intermediate state of a trail, you will "
    "first analyze the now state and previous action candidates, then make "
    "actions that is different from all the previous."
)
_PAPER_OBSERVATION = "again, your former observation: {text}\n"
_VALUE = 0.0
"""What the paper's runner says of every candidate (`compute_weight`)."""

_BRIEF = "Tried here without success:\n{candidates}\nDo something else."
_LONGEST_RESULT = 100
"""Of an observation in the brief style, in characters."""


def _paper_hint(point: _Point) -> str:
    candidates = [
        {
            "name": tried.call.name,
            "arguments": tried.call.arguments,
            "function_output": tried.observation,
            "mento-carlo-action-value": _VALUE,
        }
        for tried in point.tried
    ]
    last = point.path[-1] if point.path else None
    is_observed = last and last.speaker == "observation" and last.text
    return _PAPER.format(
        candidates=json.dumps(candidates, indent=2),
        observation=_PAPER_OBSERVATION.format(text=last.text)
        if is_observed
        else "",
    )


def _brief_hint(point: _Point) -> str:
    lines = [
        f"- {tried.call.name} {tried.call.arguments} -> "
        f"{first_words(tried.observation, _LONGEST_RESULT)}"
        for tried in point.tried
    ]
    return _BRIEF.format(candidates="\n".join(lines))


_HINTS: Mapping[PromptStyle, Callable[[_Point], str]] = {
    "paper": _paper_hint,
    "brief": _brief_hint,
}
