# -*- coding: utf-8 -*-
"""Schema-Guided Dialogue as trajectories of planner, caller and summarizer.

Each trajectory is an excerpt around one turn of the system, with what led to
it; rationales are written from templates, which makes the planner's task
easier than the free texts of the paper. Knows no models. Raises DatasetError
with file and row.

The data: Rastogi et al. 2020, CC BY-SA 4.0. A call's dates are as in the
data, where today is 1 March 2019.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from .protocol import Trajectory
from .reading import faults_named, place_of
from .schema_guided_dialogues import Dialogue, read_dialogues
from .schema_guided_excerpts import FULL, SMALL, Cut, Kind, excerpts
from .schema_guided_services import read_services

__all__ = [
    "FULL",
    "PAPER_MIX",
    "SMALL",
    "Cut",
    "Mix",
    "Part",
    "is_seen",
    "read_schema_guided",
]

Part = Literal["all", "seen", "unseen"]
"""Of the dialogues: `seen` where every service stands in the training schema,
`unseen` where one does not."""


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
"""In a hundred steps 74 calls, 19 conclusions and 7 times giving up, as in
the paper's test set; half of the conclusions follow a call."""

_Excerpts = Mapping[Kind, list[Trajectory]]


def read_schema_guided(
    folder: Path,
    split: str,
    cut: Cut = FULL,
    part: Part = "all",
    mix: Mix | None = PAPER_MIX,
    limit: int | None = None,
) -> list[Trajectory]:
    """Trajectories of a part of the dataset, the same each time.

    Args:
        folder (`Path`):
            As it is published, or slimmed; see `read_dialogues`.
        split (`str`):
            `train`, `dev` or `test`.
        cut (`Cut`, optional):
            How much of a dialogue a trajectory has.
        part (`Part`, optional):
            Which dialogues.
        mix (`Mix | None`, optional):
            How often each kind comes; as many trajectories are taken as the
            rarest kind allows. None takes all.
        limit (`int | None`, optional):
            The most trajectories.

    Returns:
        `list[Trajectory]`: In a mixed order; the first ones are a fair
        sample.

    Raises:
        `DatasetError`: A file is missing or cannot be read.
    """
    services = read_services(folder, split)
    known = frozenset(read_services(folder, "train"))
    found: dict[Kind, list[Trajectory]] = {kind: [] for kind in Kind}
    for dialogue in read_dialogues(folder, split):
        if part != "all" and is_seen(dialogue, known) != (part == "seen"):
            continue
        with faults_named(dialogue.where, "dialogue of this schema", _FIX):
            for kind, one in excerpts(dialogue, services, cut):
                name = f"sgd {split} {one.name}"
                found[kind].append(replace(one, name=name))
    ordered = {kind: _mixed(found[kind]) for kind in Kind}
    chosen = _every(ordered) if mix is None else _chosen(ordered, mix, limit)
    # What was chosen stands at the front of its kind: mixed anew.
    return _mixed(chosen, "order")[:limit]


def is_seen(dialogue: Dialogue, known: frozenset[str]) -> bool:
    """Whether all services of a dialogue are among the known ones."""
    return known.issuperset(dialogue.services)


# -- which excerpts -------------------------------------------------------


def _mixed(
    trajectories: list[Trajectory],
    purpose: str = "choice",
) -> list[Trajectory]:
    return sorted(
        trajectories,
        key=lambda one: place_of(f"{purpose} {one.name}"),
    )


def _every(found: _Excerpts) -> list[Trajectory]:
    return [one for kind in Kind for one in found[kind]]


def _chosen(
    found: _Excerpts,
    mix: Mix,
    limit: int | None,
) -> list[Trajectory]:
    """As many of each kind as the weights say; answers that are too many
    are cut off and serve as calls."""
    failed, answered, called, said = (found[kind] for kind in Kind)
    calls = len(answered) + len(called)
    most = min(
        _ratio(len(failed), mix.failed),
        _ratio(len(answered), mix.answered),
        _ratio(calls, mix.answered + mix.called),
        _ratio(len(said), mix.said),
        *([] if limit is None else [_ratio(limit, mix.total)]),
    )
    kept = int(most * mix.answered)
    cut_off = [_without_answer(one) for one in answered[kept:]]
    return [
        *failed[: int(most * mix.failed)],
        *answered[:kept],
        *_mixed([*called, *cut_off])[: int(most * mix.called)],
        *said[: int(most * mix.said)],
    ]


def _ratio(available: int, weight: float) -> float:
    return available / weight if weight else float("inf")


def _without_answer(trajectory: Trajectory) -> Trajectory:
    said = trajectory.utterances
    end = 1 + max(i for i, one in enumerate(said) if one.speaker == "caller")
    return replace(trajectory, utterances=said[:end])


_FIX = "take dialogues and schema of the same part of the dataset"
