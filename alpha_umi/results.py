# -*- coding: utf-8 -*-
"""The results of a comparison: figures with intervals, in one JSON file.

Holds all that tables and pictures show, so that these are made again without
models: the figures of floors and arms on each part of the test data, and the
paired differences between arms. Knows no metric by name. Raises
CheckpointError for a file that cannot be written or read.
"""

import itertools
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BeforeValidator, TypeAdapter, ValidationError

from local_llm import atomic_files
from local_llm.errors import CheckpointError

from .decision_steps import Step
from .intervals import Estimate, Resamples, difference, draw, estimate
from .protocol import Decision
from .scores import Scores

Figures = dict[str, Estimate]
"""By metric."""

Runs = Mapping[int, Scores]
"""The scores of one arm on one part, by the seed of training."""

_DIGITS = 6
"""After the point, in files."""


@dataclass(frozen=True, slots=True)
class Difference:
    """How far one arm is above another, on the same trajectories and seeds.

    Attributes:
        arm (`str`):
            The one.
        other (`str`):
            What is taken off.
        seeds (`tuple[int, ...]`):
            Those that both have.
        figures (`Figures`):
            By metric.
    """

    arm: str
    other: str
    seeds: tuple[int, ...]
    figures: Figures


def _known(value: Any) -> Any:
    """What is null in a file and is no figure."""
    return None if isinstance(value, float) else value


@dataclass(frozen=True, slots=True)
class Part:
    """What was measured on one part of the test data.

    Attributes:
        name (`str`):
            Such as `seen`.
        is_in_domain (`bool | None`):
            Whether training has seen the tools of this part; None where that
            is not known.
        counts (`dict[str, int]`):
            How large it is: trajectories, and steps of each decision.
        floors (`dict[str, Figures]`):
            Of deciding without reading, by name.
        arms (`dict[str, Figures]`):
            By key, in the order of tables.
        seeds (`dict[str, tuple[int, ...]]`):
            Of each arm's runs, as in `Estimate.by_seed`.
        differences (`tuple[Difference, ...]`):
            Each two arms once.
    """

    name: str
    is_in_domain: Annotated[bool | None, BeforeValidator(_known)]
    counts: dict[str, int] = field(default_factory=dict)
    floors: dict[str, Figures] = field(default_factory=dict)
    arms: dict[str, Figures] = field(default_factory=dict)
    seeds: dict[str, tuple[int, ...]] = field(default_factory=dict)
    differences: tuple[Difference, ...] = ()

    def difference(self, arm: str, other: str, metric: str) -> Estimate | None:
        """How far an arm is above another; None where it is not known."""
        for one in self.differences:
            found = one.figures.get(metric)
            if found and (one.arm, one.other) == (arm, other):
                return found
            if found and (one.arm, one.other) == (other, arm):
                return _turned(found)
        return None


@dataclass(frozen=True, slots=True)
class Results:
    """A comparison.

    Attributes:
        about (`dict[str, str]`):
            How it was made: command, machine, data, base.
        parts (`tuple[Part, ...]`):
            The parts of the test data.
    """

    about: dict[str, str]
    parts: tuple[Part, ...]


def measure_part(
    name: str,
    is_in_domain: bool | None,
    arms: Mapping[str, Runs],
    floors: Mapping[str, Scores] | None = None,
    counts: Mapping[str, int] | None = None,
) -> Part:
    """The figures and differences of one part, with intervals.

    Args:
        name (`str`):
            Of the part.
        is_in_domain (`bool | None`):
            Whether training has seen its tools; None where that is not known.
        arms (`Mapping[str, Runs]`):
            Each arm's scores of every seed, all of the same units.
        floors (`Mapping[str, Scores] | None`, optional):
            What `floor_scores` gives for the same units.
        counts (`Mapping[str, int] | None`, optional):
            What `counts_of` gives.

    Raises:
        `ValueError`: The scores are not of the same units.
    """
    floors = floors or {}
    runs = [run for seeds in arms.values() for run in seeds.values()]
    resamples = draw(_common_trajectories([*floors.values(), *runs]))
    return Part(
        name,
        is_in_domain,
        dict(counts or {}),
        {key: _figures(resamples, [one]) for key, one in floors.items()},
        {
            key: _figures(resamples, list(seeds.values()))
            for key, seeds in arms.items()
        },
        {key: tuple(seeds) for key, seeds in arms.items()},
        tuple(_differences(resamples, arms)),
    )


def counts_of(steps: Sequence[Step]) -> dict[str, int]:
    """How many trajectories and steps there are, the steps by decision."""
    decisions = [step.reference.decision for step in steps]
    return {
        "trajectories": len({step.number for step in steps}),
        "steps": len(steps),
        **{str(one): decisions.count(one) for one in Decision},
    }


def write_results(path: Path, results: Results) -> Path:
    """Write results as JSON, in one step; what is not known is null.

    Raises:
        `CheckpointError`: The file cannot be written.
    """
    return atomic_files.write_json(path, _mapped(asdict(results), _rounded))


def read_results(path: Path) -> Results:
    """Read results that `write_results` has written.

    Raises:
        `CheckpointError`: The file cannot be read, or is no such file.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        known = _mapped(raw, lambda one: math.nan if one is None else one)
        return TypeAdapter(Results).validate_python(known)
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{path.absolute()} has no results: {_shortly(error)}",
            fix="name a results file of a comparison, or make it again",
        ) from error


def _common_trajectories(runs: Sequence[Scores]) -> np.ndarray:
    if not runs:
        raise ValueError("no scores to measure")
    for run in runs:
        if not np.array_equal(run.trajectories, runs[0].trajectories):
            raise ValueError("the scores of one part are of different units")
    return runs[0].trajectories


def _figures(resamples: Resamples, runs: Sequence[Scores]) -> Figures:
    return {
        metric: estimate(resamples, [run.values[metric] for run in runs])
        for metric in runs[0].values
    }


def _differences(
    resamples: Resamples,
    arms: Mapping[str, Runs],
) -> list[Difference]:
    """Of each two arms that have a seed in common."""
    return [
        Difference(
            arm,
            other,
            seeds,
            {
                metric: difference(
                    resamples,
                    [arms[arm][seed].values[metric] for seed in seeds],
                    [arms[other][seed].values[metric] for seed in seeds],
                )
                for metric in arms[arm][seeds[0]].values
            },
        )
        for arm, other in itertools.combinations(arms, 2)
        if (seeds := tuple(one for one in arms[arm] if one in arms[other]))
    ]


def _turned(one: Estimate) -> Estimate:
    """The same difference, seen from the other arm."""
    by_seed = tuple(-value for value in one.by_seed)
    return Estimate(-one.value, -one.high, -one.low, by_seed)


def _mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    """A value of JSON with its leaves changed."""
    if isinstance(value, dict):
        return {str(key): _mapped(one, change) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_mapped(one, change) for one in value]
    return change(value)


def _rounded(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    return round(value, _DIGITS) if math.isfinite(value) else None


def _shortly(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return f"{type(error).__name__}: {error}"
