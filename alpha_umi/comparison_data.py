# -*- coding: utf-8 -*-
"""What the arms of a comparison learn and are asked.

Schema-Guided Dialogue gives what is learned and two parts to ask, with
services seen in training and unseen ones; data of any reader can be learned
as well, and a file in the paper's format asked. Knows no models. Raises
DatasetError.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from local_llm.errors import DatasetError

from .comparison import AskedPart
from .comparison_requests import DataRequest, Source
from .protocol import Trajectory
from .readers import read_trajectories
from .records import records_of
from .roles import Role
from .schema_guided import SMALL, Part, read_schema_guided

TOOLBENCH = "toolbench"
"""The part in the paper's format, and its reader; the paper has rows for it."""

_IN_DOMAIN: dict[Part, bool] = {"seen": True, "unseen": False}


@dataclass(frozen=True)
class ComparisonData:
    """What a request gives.

    Attributes:
        train (`list[Trajectory]`):
            What all arms learn.
        parts (`list[AskedPart]`):
            What all arms are asked.
        description (`str`):
            How much it is, for the results.
    """

    train: list[Trajectory]
    parts: list[AskedPart]
    description: str


def read_comparison_data(
    request: DataRequest,
    on_status: Callable[[str], None] = lambda text: None,
) -> ComparisonData:
    """Read what a comparison needs.

    Args:
        request (`DataRequest`):
            Which files, and how much of them.
        on_status (`Callable[[str], None]`, optional):
            Told what is read.

    Raises:
        `DatasetError`: A file is missing or cannot be read, nothing of it is
            short enough, or so few are wanted that a part has none.
    """
    on_status("reading Schema-Guided Dialogue")
    guided = _guided_to_learn(request)
    parts = list(_guided_to_ask(request))
    others: list[_Short] = []
    for source in request.learned_also:
        on_status(f"reading {source.path}")
        others.append(_short(source, request, request.train))
    train = spread(guided, *(one.kept for one in others))
    learned = [
        f"{len(guided)} trajectories of Schema-Guided Dialogue",
        *(one.described for one in others),
    ]
    description = f"learned: {' and '.join(learned)}"
    if request.toolbench is not None:
        on_status(f"reading {request.toolbench}")
        source = Source(TOOLBENCH, request.toolbench)
        short = _short(source, request, request.test)
        parts.append(AskedPart.of(TOOLBENCH, False, short.kept))
        description += f"; asked: {short.described}"
    return ComparisonData(train, parts, description)


def spread(*kinds: Sequence[Trajectory]) -> list[Trajectory]:
    """Trajectories of several kinds among each other, each kind evenly.

    Two of a kind stand side by side, so that every other one, which is what a
    half of the training has, is of each kind as often as the others are.

    Args:
        kinds (`Sequence[Trajectory]`):
            The trajectories of each, which keep their order.
    """
    placed = [
        ((number // 2 + 0.5) / len(kind), one)
        for kind in kinds
        for number, one in enumerate(kind)
    ]
    return [one for _, one in sorted(placed, key=lambda pair: pair[0])]


def _guided_to_learn(request: DataRequest) -> list[Trajectory]:
    found = read_schema_guided(
        request.schema_guided,
        "train",
        SMALL,
        limit=request.train,
    )
    return _some(found, request, "to learn", "--train")


def _guided_to_ask(request: DataRequest) -> Iterator[AskedPart]:
    for name, is_in_domain in _IN_DOMAIN.items():
        found = read_schema_guided(
            request.schema_guided,
            "test",
            SMALL,
            name,
            limit=request.test,
        )
        asked = _some(found, request, f"in part {name}", "--test")
        yield AskedPart.of(name, is_in_domain, asked)


def _some(
    found: list[Trajectory],
    request: DataRequest,
    what: str,
    option: str,
) -> list[Trajectory]:
    if not found:
        raise DatasetError(
            f"{request.schema_guided.absolute()} gives no trajectories {what}",
            fix=f"give it whole, and raise {option}: each kind of step has "
            "its share of that",
        )
    return found


@dataclass(frozen=True)
class _Short:
    """Trajectories of which every prompt is short enough."""

    kept: list[Trajectory]
    described: str


def _short(source: Source, request: DataRequest, most: int | None) -> _Short:
    found = read_trajectories(source.reader, source.path)
    short = (one for one in found if _is_short(one, request))
    kept = list(itertools.islice(short, most))
    if not kept:
        raise DatasetError(
            f"{source.path.absolute()}: none of {len(found)} trajectories has "
            f"only prompts of {request.longest} characters or less",
            fix="raise --longest",
        )
    return _Short(
        kept,
        f"{len(kept)} of {len(found)} trajectories of {source.path.name}, "
        f"with prompts of at most {request.longest} characters",
    )


def _is_short(trajectory: Trajectory, request: DataRequest) -> bool:
    return all(
        len(record.input) <= request.longest
        for role in Role
        for record in records_of(trajectory, role, request.style)
    )
