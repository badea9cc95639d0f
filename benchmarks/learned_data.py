# -*- coding: utf-8 -*-
"""What other data to learn change in the answers of the same arms.

    python benchmarks/learned_data.py --pair runs/one runs/other

Takes the output folders of `small_llms.py compare`, of two that learned other
data and were asked the same. Each arm of both is compared with itself, paired
over trajectories and seeds, with 95 % intervals as in a comparison. Needs no
model. Writes reports/learned_data.json.
"""

import argparse
import itertools
import json
import math
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from embedded import REPORTS

from alpha_umi.columns import STEP_COLUMNS
from alpha_umi.intervals import Resamples, difference, draw

Rows = list[dict[str, Any]]
"""An answer each: what was right, and how it scores."""

Answers = tuple[Rows, Rows]
"""Of the two, to the same steps."""


@dataclass(frozen=True)
class Pair:
    """Two comparisons.

    Attributes:
        one, other (`Path`):
            Their output folders.
        part (`str`):
            What both were asked.
    """

    one: Path
    other: Path
    part: str

    def differences(self) -> dict[str, dict[str, Any]]:
        """By arm, how far the other one is above the first, by metric."""
        return {
            arm: _differences(seeds) for arm, seeds in self._answers().items()
        }

    def _answers(self) -> dict[str, list[Answers]]:
        """By arm that both have, the answers of each seed that both have."""
        found: dict[str, list[Answers]] = {}
        ending = f", {self.part}.json"
        for path in sorted(self.one.glob(f"seed-*/answers/*{ending}")):
            twin = self.other / path.relative_to(self.one)
            if twin.exists():
                arm = path.name.removesuffix(ending)
                found.setdefault(arm, []).append((_rows(path), _rows(twin)))
        return found


def main() -> None:
    """Compare every pair, write and show."""
    arguments = _arguments()
    pairs = [Pair(*map(Path, one), arguments.part) for one in arguments.pair]
    figures = {
        "command": shlex.join(["python", *sys.argv]),
        "unit": "points; the second folder less the first",
        "part": arguments.part,
        "pairs": [
            {
                "one": str(pair.one),
                "other": str(pair.other),
                "arms": pair.differences(),
            }
            for pair in pairs
        ],
    }
    text = json.dumps(figures, indent=1)
    (REPORTS / "learned_data.json").write_text(f"{text}\n", encoding="utf-8")
    print(text)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--pair",
        nargs=2,
        action="append",
        required=True,
        metavar="FOLDER",
        help="two output folders of `compare`; may be repeated",
    )
    parser.add_argument("--part", default="toolbench", help="what was asked")
    return parser.parse_args()


def _rows(path: Path) -> Rows:
    rows: Rows = json.loads(path.read_text(encoding="utf-8"))["steps"]
    return rows


def _differences(seeds: Sequence[Answers]) -> dict[str, Any]:
    """How many seeds there are, and by metric mean and interval in points."""
    resamples = _drawn(seeds)
    figures: dict[str, Any] = {"seeds": len(seeds)}
    for column in STEP_COLUMNS:
        found = difference(
            resamples,
            [_values(other, column.metric) for _, other in seeds],
            [_values(one, column.metric) for one, _ in seeds],
        )
        shown = (found.value, found.low, found.high)
        figures[column.title] = [round(column.scale * x, 1) for x in shown]
    return figures


def _drawn(seeds: Sequence[Answers]) -> Resamples:
    """The draws of the trajectories, which all must have been asked."""
    first = seeds[0][0]
    asked = [row["reference"] for row in first]
    for rows in itertools.chain(*seeds):
        if [row["reference"] for row in rows] != asked:
            sys.exit("the two folders were not asked the same")
    return draw([row["trajectory"] for row in first])


def _values(rows: Rows, metric: str) -> np.ndarray:
    scores = (row["scores"][metric] for row in rows)
    return np.array([math.nan if one is None else one for one in scores])


if __name__ == "__main__":
    main()
