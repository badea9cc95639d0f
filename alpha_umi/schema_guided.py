# -*- coding: utf-8 -*-
"""Schema-Guided Dialogue as trajectories of planner, caller and summarizer.

Each trajectory is an excerpt around one turn of the system, with what led to
it; rationales are written from templates, which makes the planner's task
easier than the free texts of the paper. Knows no models. Raises DatasetError
with file and row.

The data: Rastogi et al. 2020, CC BY-SA 4.0. A call's dates are as in the
data, where today is 1 March 2019.
"""

from dataclasses import replace
from pathlib import Path
from typing import Literal

from .excerpts import FULL, PAPER_MIX, SMALL, Cut, Kind, Mix, choose
from .protocol import Trajectory
from .reading import faults_named
from .schema_guided_dialogues import Dialogue, read_dialogues
from .schema_guided_excerpts import excerpts
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
    return choose(found, mix, limit)


def is_seen(dialogue: Dialogue, known: frozenset[str]) -> bool:
    """Whether all services of a dialogue are among the known ones."""
    return known.issuperset(dialogue.services)


_FIX = "take dialogues and schema of the same part of the dataset"
