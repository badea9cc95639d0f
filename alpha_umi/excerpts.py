# -*- coding: utf-8 -*-
"""Excerpts of dialogues: how much of one is taken, and how often which.

Shared by the readers of dialogue datasets; knows none of them. Raises
nothing.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol, TypeVar

from .protocol import Trajectory, Utterance
from .reading import LONGEST_OBSERVATION, place_of
from .tool_texts import ArgumentTexts


class Kind(StrEnum):
    """What an excerpt shows."""

    FAILED = "failed"
    ANSWERED = "answered"
    CALLED = "called"
    SAID = "said"


@dataclass(frozen=True, slots=True)
class Cut:
    """How much of a dialogue a trajectory has.

    Attributes:
        turns (`int`):
            Before the step, the user's last one included.
        tools (`int`):
            At most, those of the step's own service apart.
        distractors (`int`):
            Of these, at most so many that are foreign to the dialogue.
        texts (`ArgumentTexts`):
            How arguments read.
        results (`int`):
            The first ones that an observation has.
        observation (`int`):
            Its longest text, in characters.
    """

    turns: int = 13
    tools: int = 12
    distractors: int = 3
    texts: ArgumentTexts = "described"
    results: int = 3
    observation: int = LONGEST_OBSERVATION


FULL = Cut()
SMALL = Cut(
    turns=5,
    tools=4,
    distractors=3,
    texts="named",
    results=1,
    observation=200,
)
"""For models that read slowly: prompts of 900 characters on average, in the
brief style, with Schema-Guided Dialogue."""


@dataclass(frozen=True, slots=True)
class Mix:
    """How often each kind of excerpt comes, as weights.

    Attributes:
        failed (`float`):
            A call that failed or found nothing, and giving up.
        answered (`float`):
            A call and the answer.
        called (`float`):
            A call alone: the excerpt ends before its result.
        said (`float`):
            An answer or a question without a call.
    """

    failed: float
    answered: float
    called: float
    said: float

    @property
    def total(self) -> float:
        """The sum of the weights."""
        return self.failed + self.answered + self.called + self.said


PAPER_MIX = Mix(failed=7, answered=9.5, called=57.5, said=9.5)
"""Where each excerpt has one call at most: in a hundred steps 74 calls, 19
conclusions and 7 times giving up, as in the paper's test set; half of the
conclusions follow a call."""

Excerpts = Mapping[Kind, Sequence[Trajectory]]
"""All that a dataset has of each kind."""


class Named(Protocol):
    """What has a name: a tool, an intent."""

    @property
    def name(self) -> str:
        """Its name in a call."""
        ...


NamedT = TypeVar("NamedT", bound=Named)


def choose(
    found: Excerpts,
    mix: Mix | None,
    limit: int | None,
) -> list[Trajectory]:
    """Excerpts in the shares that are wanted, the same each time.

    Args:
        found (`Excerpts`):
            All there are, each with a name of its own.
        mix (`Mix | None`):
            How often each kind comes; as many are taken as the rarest kind
            allows. Answers that are too many are cut off and serve as calls.
            None takes all.
        limit (`int | None`):
            The most excerpts.

    Returns:
        `list[Trajectory]`: In a mixed order; the first ones are a fair
        sample.
    """
    ordered = {kind: _mixed(found[kind], "choice") for kind in Kind}
    if mix is None:
        chosen = [one for kind in Kind for one in ordered[kind]]
    else:
        chosen = _weighted(ordered, mix, limit)
    # What was chosen stands at the front of its kind: mixed anew.
    return _mixed(chosen, "order")[:limit]


def offer(
    own: Iterable[NamedT],
    theirs: Iterable[NamedT],
    foreign: Iterable[NamedT],
    seed: str,
    cut: Cut,
) -> list[NamedT]:
    """What stands to choice at one step, in a mixed order; of several that
    share a name the first.

    Args:
        own (`Iterable[NamedT]`):
            Of the step's own service; all are offered.
        theirs (`Iterable[NamedT]`):
            Others of the dialogue, offered next.
        foreign (`Iterable[NamedT]`):
            What the dialogue does not have, for distractors.
        seed (`str`):
            What the choice depends on, the name of the dialogue.
        cut (`Cut`):
            How many.
    """
    chance = random.Random(seed)
    chosen = _by_name(own)
    others = _by_name(theirs)
    wanted = [name for name in others if name not in chosen]
    strangers = _by_name(foreign)
    strange = [one for one in strangers if one not in {*chosen, *others}]
    chance.shuffle(strange)
    wanted += strange[: cut.distractors]
    for name in wanted[: max(0, cut.tools - len(chosen))]:
        chosen[name] = others.get(name) or strangers[name]
    offered = list(chosen.values())
    chance.shuffle(offered)
    return offered


def lower_text(utterances: Iterable[Utterance]) -> str:
    """All that was said, in small letters."""
    return "\n".join(one.text for one in utterances).lower()


# -- the shares -----------------------------------------------------------


def _mixed(
    trajectories: Iterable[Trajectory],
    purpose: str,
) -> list[Trajectory]:
    return sorted(
        trajectories,
        key=lambda one: place_of(f"{purpose} {one.name}"),
    )


def _weighted(
    found: Excerpts,
    mix: Mix,
    limit: int | None,
) -> list[Trajectory]:
    failed, answered, called, said = (found[kind] for kind in Kind)
    most = min(
        _ratio(len(failed), mix.failed),
        _ratio(len(answered), mix.answered),
        _ratio(len(answered) + len(called), mix.answered + mix.called),
        _ratio(len(said), mix.said),
        *([] if limit is None else [_ratio(limit, mix.total)]),
    )
    kept = int(most * mix.answered)
    cut_off = [_without_answer(one) for one in answered[kept:]]
    calls = _mixed([*called, *cut_off], "choice")
    return [
        *failed[: int(most * mix.failed)],
        *answered[:kept],
        *calls[: int(most * mix.called)],
        *said[: int(most * mix.said)],
    ]


def _ratio(available: int, weight: float) -> float:
    return available / weight if weight else float("inf")


def _without_answer(trajectory: Trajectory) -> Trajectory:
    said = trajectory.utterances
    end = 1 + max(i for i, one in enumerate(said) if one.speaker == "caller")
    return replace(trajectory, utterances=said[:end])


def _by_name(named: Iterable[NamedT]) -> dict[str, NamedT]:
    first: dict[str, NamedT] = {}
    for one in named:
        first.setdefault(one.name, one)
    return first
