# -*- coding: utf-8 -*-
"""What the arms of a comparison learn and are asked.

Schema-Guided Dialogue gives what is learned and two parts to ask, with
services seen in training and unseen ones; files in the paper's format can be
learned and asked as well. Knows no models. Raises DatasetError.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from local_llm.errors import DatasetError

from .comparison import AskedPart
from .comparison_requests import DataRequest
from .prompts import PromptStyle
from .protocol import Trajectory
from .records import records_of
from .roles import Role
from .schema_guided import SMALL, Part, read_schema_guided
from .toolbench import read_toolbench

TOOLBENCH = "toolbench"
"""The part in the paper's format; the paper has rows for it."""

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
    words: list[str] = []
    on_status("reading Schema-Guided Dialogue")
    train = _guided_to_learn(request)
    parts = list(_guided_to_ask(request))
    words.append(f"{len(train)} trajectories of Schema-Guided Dialogue")
    if request.toolbench_train is not None:
        on_status(f"reading {request.toolbench_train}")
        short = _short(request.toolbench_train, request)
        words.append(short.described("ToolBench"))
        train = spread(train, short.kept)
    words = [f"learned: {' and '.join(words)}"]
    if request.toolbench is not None:
        on_status(f"reading {request.toolbench}")
        short = _short(request.toolbench, request)
        words.append(f"asked: {short.described('ToolBench')}")
        asked = short.kept[: request.test]
        parts.append(AskedPart.of(TOOLBENCH, False, asked))
    return ComparisonData(train, parts, "; ".join(words))


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
    """The trajectories of a file of which every prompt is short enough."""

    kept: list[Trajectory]
    found: int
    longest: int

    def described(self, name: str) -> str:
        return (
            f"{len(self.kept)} of {self.found} trajectories of {name}, those "
            f"with prompts of at most {self.longest} characters"
        )


def _short(path: Path, request: DataRequest) -> _Short:
    found = read_toolbench(path)
    kept = [
        one
        for one in found
        if _longest_prompt(one, request.style) <= request.longest
    ]
    if not kept:
        raise DatasetError(
            f"{path.absolute()}: none of {len(found)} trajectories has only "
            f"prompts of {request.longest} characters or less",
            fix="raise --longest",
        )
    return _Short(kept, len(found), request.longest)


def _longest_prompt(trajectory: Trajectory, style: PromptStyle) -> int:
    return max(
        (
            len(record.input)
            for role in Role
            for record in records_of(trajectory, role, style)
        ),
        default=0,
    )
