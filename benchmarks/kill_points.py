# -*- coding: utf-8 -*-
"""Kills fine-tunings of a tiny model at points drawn by chance, resumes them.

    python benchmarks/kill_points.py

For each of three seeds twenty points are drawn among all calls of the
functions that compute, save, rotate and publish; those that everybody would
think of are in tests/faults. A point counts only if the process was killed
there. Writes reports/kill_points.json; exits with 1 if a resumed run differs
from the one that was not killed. Takes some five minutes.
"""

import json
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from embedded import REPORTS, describe_machine

PROJECT = Path(__file__).resolve().parents[1]
HELPERS = [str(PROJECT / "tests" / "faults"), str(PROJECT / "tests")]
sys.path[:0] = [*HELPERS, str(PROJECT)]

from child_runs import (  # noqa: E402
    PUBLISHED,
    VARIANTS,
    Attempt,
    make_place,
    run,
)
from comparison import (  # noqa: E402
    TOLERANCE,
    Unhurt,
    adapter_of,
    difference,
    leftovers,
)
from kill_points import DRAWN, draw  # noqa: E402
from spots import Spot  # noqa: E402
from tiny_models import gemma, save_model  # noqa: E402

SEEDS = (1, 2, 3)
POINTS = 20


def main() -> int:
    """Measure and write the report."""
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path[:3])
    multiprocessing.set_forkserver_preload(["preloaded"])
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        points = measure(Path(folder))
    figures = {
        "command": "python benchmarks/kill_points.py",
        "machine": describe_machine(),
        "seeds": SEEDS,
        "published_weights": PUBLISHED,
        "seconds": round(time.perf_counter() - start),
        **summary(points),
        "points": points,
    }
    text = json.dumps(figures, indent=1)
    (REPORTS / "kill_points.json").write_text(text + "\n", encoding="utf-8")
    print(text)
    return 0 if figures["equal"] == figures["killed"] == len(points) else 1


def measure(folder: Path) -> list[dict[str, Any]]:
    """Kill and resume at every point of every seed."""
    model = save_model(folder / "model", gemma())
    unhurt = {name: train_unhurt(folder, model, name) for name in VARIANTS}
    points = []
    for seed in SEEDS:
        for number, variant in enumerate(islice(cycle(VARIANTS), POINTS)):
            calls = unhurt[variant].outcome.calls
            spot = draw(calls, POINTS, seed)[number]
            place = make_place(folder / f"{seed}-{number}", model)
            found = kill_and_resume(place, variant, spot, unhurt[variant])
            points.append({"seed": seed, "variant": variant, **found})
            print(points[-1], file=sys.stderr)
    return points


def train_unhurt(folder: Path, model: Path, variant: str) -> Unhurt:
    """The run to compare with."""
    place = make_place(folder / variant, model)
    return Unhurt(place, run(Attempt(place, variant, counted=DRAWN)))


def kill_and_resume(
    place: Path,
    variant: str,
    spot: Spot,
    unhurt: Unhurt,
) -> dict[str, Any]:
    """What a kill at a spot has cost, if it was one."""
    code = run(Attempt(place, variant, dies_at=spot)).code
    outcome = run(Attempt(place, variant))
    return {
        "spot": asdict(spot),
        "killed": code == -signal.SIGKILL,
        "resumed_at": outcome.resumed_at,
        "largest_difference": difference(place, outcome, unhurt),
        "same_bytes": adapter_of(place) == adapter_of(unhurt.place),
        "left_over": leftovers(place),
    }


def summary(points: list[dict[str, Any]]) -> Mapping[str, Any]:
    """The points in a few numbers."""
    equal = [
        point
        for point in points
        if point["same_bytes"] and point["largest_difference"] <= TOLERANCE
    ]
    differences = [point["largest_difference"] for point in points]
    return {
        "killed": sum(point["killed"] for point in points),
        "equal": len(equal),
        "largest_difference": max(differences),
        "left_over": sum(bool(point["left_over"]) for point in points),
    }


if __name__ == "__main__":
    sys.exit(main())
