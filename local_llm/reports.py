# -*- coding: utf-8 -*-
"""What a fine-tuning run was, in figures, and how it is found again.

Writes `report.json` into a run's folder and reads it back, of earlier
versions too. Knows no weights, no training and no pages. Raises
CheckpointError.
"""

import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from . import atomic_files
from .errors import CheckpointError

CARD_NAME = "README.md"
REPORT_NAME = "report.json"

When = Literal["before", "after"]
ENDS: tuple[When, When] = ("before", "after")

_LIBRARIES = (
    "agentscope",
    "torch",
    "transformers",
    "trl",
    "peft",
    "bitsandbytes",
    "datasets",
    "accelerate",
)

_KEY_VERSION = 1
"""Raised when the same settings no longer give the same adapter."""


@dataclass(frozen=True)
class Reply:
    """An answer to a demonstration prompt.

    Attributes:
        text (`str`):
            What the model said.
        finish_reason (`str`):
            `stop` where it ended its turn itself.
        tokens (`int`):
            Its length.
        seconds (`float`):
            The time it took, from the prompt on.
    """

    text: str
    finish_reason: str
    tokens: int
    seconds: float

    @property
    def ended_its_turn(self) -> bool:
        """Whether the model stopped by itself."""
        return self.finish_reason == "stop"


@dataclass(frozen=True)
class Demonstration:
    """One prompt, answered before and after fine-tuning."""

    prompt: str
    before: Reply
    after: Reply


@dataclass(frozen=True)
class RunReport:
    """A finished fine-tuning run, in figures.

    Attributes:
        key (`str`):
            Equal for runs of the same base, data and settings.
        base (`Mapping[str, Any]`):
            Name, fingerprint and device of the base model, and how it ends
            a turn.
        data (`Mapping[str, Any]`):
            Sources with their licences, fingerprint, counts and drops of
            the data.
        settings (`Mapping[str, Any]`):
            The fine-tuning settings, as given.
        losses (`Sequence[Sequence[float]]`):
            Step and training loss, as logged.
        held_out_before, held_out_after (`float | None`):
            Mean loss of the held-out tokens under the loss, without the
            adapter and with the one that was kept.
        steps, tokens (`int`):
            Optimizer steps, and tokens they saw.
        seconds, tokens_per_second (`float`):
            Of the optimizer steps.
        peak_memory_bytes (`int`):
            Of the GPU, or of the process on a CPU.
        demonstrations (`Sequence[Demonstration]`):
            Prompts answered before and after.
        versions (`Mapping[str, str]`):
            Of Python and the libraries.
        held_out_losses (`Sequence[Sequence[float]]`):
            Step and held-out loss, step 0 first.
        best_step (`int | None`):
            The step whose adapter was kept; None for the last one.
        stopped_early (`bool`):
            Whether the held-out loss ended the run before its last step.
        resumed_at (`Sequence[int]`):
            The steps from which it went on after an interruption.
        notes (`Sequence[str]`):
            What was chosen for the machine, a line each.
        licences (`Mapping[str, str]`):
            Of `base` and `data`, "unknown" where nothing was found, those
            of several sources with semicolons between; what says so is under
            `base_found_in` and `data_found_in`.
        changes (`Sequence[str]`):
            What was changed where the run was resumed, a line each.
        is_whole_model (`bool`):
            Whether all weights were trained, not an adapter.
    """

    key: str
    base: Mapping[str, Any]
    data: Mapping[str, Any]
    settings: Mapping[str, Any]
    losses: Sequence[Sequence[float]]
    held_out_before: float | None
    held_out_after: float | None
    steps: int
    tokens: int
    seconds: float
    tokens_per_second: float
    peak_memory_bytes: int
    demonstrations: Sequence[Demonstration] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    held_out_losses: Sequence[Sequence[float]] = ()
    best_step: int | None = None
    stopped_early: bool = False
    resumed_at: Sequence[int] = ()
    notes: Sequence[str] = ()
    licences: Mapping[str, str] = field(default_factory=dict)
    changes: Sequence[str] = ()
    is_whole_model: bool = False

    @property
    def held_out_curve(self) -> list[tuple[int, float]]:
        """Step and held-out loss; its ends where only those are known."""
        if self.held_out_losses:
            return [(int(step), loss) for step, loss in self.held_out_losses]
        last = self.steps if self.best_step is None else self.best_step
        ends = [(0, self.held_out_before), (last, self.held_out_after)]
        return [(step, loss) for step, loss in ends if loss is not None]

    def ended_turns(self, when: When) -> int:
        """How many demonstration prompts got a reply that ended by itself."""
        return sum(
            getattr(one, when).ended_its_turn for one in self.demonstrations
        )

    def end_of_turn_share(self, when: When) -> float | None:
        """The same as a share; None without demonstrations."""
        if not self.demonstrations:
            return None
        return self.ended_turns(when) / len(self.demonstrations)


def run_key(**parts: Any) -> str:
    """A name for a run that follows from what goes into it."""
    parts["key_version"] = _KEY_VERSION
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def library_versions() -> dict[str, str]:
    """The versions that a run depends on."""
    versions = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions


def write_report(folder: Path, report: RunReport) -> None:
    """Write `report.json`.

    Args:
        folder (`Path`):
            The run's folder, not sealed yet.
        report (`RunReport`):
            What to write.
    """
    atomic_files.write_json(folder / REPORT_NAME, values_of(report))


def values_of(report: RunReport) -> dict[str, Any]:
    """A report as `report.json` has it."""
    shares = {when: report.end_of_turn_share(when) for when in ENDS}
    return {**asdict(report), "end_of_turn_share": shares}


def read_report(folder: Path) -> RunReport:
    """Read the report of a finished run.

    What an earlier version did not write has its default.

    Raises:
        `CheckpointError`: The folder has none that can be read.
    """
    path = folder / REPORT_NAME
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        values["demonstrations"] = [
            Demonstration(
                one["prompt"],
                Reply(**one["before"]),
                Reply(**one["after"]),
            )
            for one in values["demonstrations"]
        ]
        known = {one.name for one in fields(RunReport)}
        return RunReport(
            **{name: one for name, one in values.items() if name in known},
        )
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise CheckpointError(
            f"{path.absolute()} is not a report of a finished run: {error}",
            fix="choose another output_dir, or train again",
        ) from error


def finished_run(folder: Path, key: str) -> RunReport | None:
    """The report of a run that needs no repeating.

    Args:
        folder (`Path`):
            Where it would be.
        key (`str`):
            What it must have been made of, see `run_key`.

    Returns:
        `RunReport | None`: None where there is no run or one of something
            else.

    Raises:
        `CheckpointError`: It is that run, but a file was changed or lost.
    """
    if not atomic_files.is_sealed(folder):
        return None
    try:
        report = read_report(folder)
    except CheckpointError:
        return None
    if report.key != key:
        return None
    check_run(folder)
    return report


def check_run(folder: Path) -> None:
    """Compare a finished run with its manifest, but for its card, which
    people may edit.

    Raises:
        `CheckpointError`: A file was changed or lost.
    """
    atomic_files.check_manifest(folder, but=(CARD_NAME,))
