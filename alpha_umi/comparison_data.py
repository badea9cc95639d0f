# -*- coding: utf-8 -*-
"""What the arms of a comparison learn and are asked.

Schema-Guided Dialogue gives what is learned and two parts to ask, with
services seen in training and unseen ones; files in the paper's format can be
learned and asked as well. Knows no models. Raises DatasetError.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from local_llm.errors import DatasetError

from .comparison import TestPart
from .comparison_requests import DataRequest
from .prompts import PromptStyle
from .protocol import Trajectory
from .records import records_of
from .roles import Role
from .schema_guided import SMALL, Part, read_schema_guided
from .toolbench import read_toolbench

TOOLBENCH = "toolbench"
"""The part in the paper's format; the paper has rows for it."""

_PARTS: dict[Part, bool] = {"seen": True, "unseen": False}


@dataclass(frozen=True)
class ComparisonData:
    """What a request gives.

    Attributes:
        train (`list[Trajectory]`):
            What all arms learn.
        parts (`list[TestPart]`):
            What all arms are asked.
        description (`str`):
            How much it is, for the results.
    """

    train: list[Trajectory]
    parts: list[TestPart]
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
        `DatasetError`: A file is missing or cannot be read, or nothing of
            it is short enough.
    """
    on_status("reading Schema-Guided Dialogue")
    guided = request.schema_guided
    train = read_schema_guided(guided, "train", SMALL, limit=request.train)
    words = [f"{len(train)} trajectories of Schema-Guided Dialogue"]
    if request.toolbench_train is not None:
        more = _short(request.toolbench_train, request)
        words.append(f"{len(more)} of ToolBench")
        train = _mixed(train, more)
    parts = [
        TestPart.of(
            name,
            is_in_domain,
            read_schema_guided(
                guided,
                "test",
                SMALL,
                name,
                limit=request.test,
            ),
        )
        for name, is_in_domain in _PARTS.items()
    ]
    if request.toolbench is not None:
        asked = _short(request.toolbench, request)[: request.test]
        parts.append(TestPart.of(TOOLBENCH, False, asked))
    return ComparisonData(train, parts, f"learned: {' and '.join(words)}")


def _short(path: Path, request: DataRequest) -> list[Trajectory]:
    """The trajectories of which every prompt is short enough."""
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
    return kept


def _longest_prompt(trajectory: Trajectory, style: PromptStyle) -> int:
    return max(
        (
            len(record.input)
            for role in Role
            for record in records_of(trajectory, role, style)
        ),
        default=0,
    )


def _mixed(
    many: Sequence[Trajectory],
    few: Sequence[Trajectory],
) -> list[Trajectory]:
    """The few spread evenly among the many, so that halves have their share
    of both."""
    gap = max(1, len(many) // max(1, len(few)))
    mixed: list[Trajectory] = []
    left = list(few)
    for number, one in enumerate(many):
        mixed.append(one)
        if left and number % gap == gap - 1:
            mixed.append(left.pop(0))
    return [*mixed, *left]
