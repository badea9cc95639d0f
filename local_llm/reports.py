# -*- coding: utf-8 -*-
"""What a fine-tuning run leaves to read, and how it is found again.

Writes `report.json`, `report.md`, the model card and, where matplotlib is
installed, `loss.png` into a run's folder; reads the report back. Knows no
weights and no training. Raises CheckpointError.
"""

import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from . import atomic_files
from .errors import CheckpointError

REPORT_NAME = "report.json"
_PICTURE_NAME = "loss.png"

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
            Name, fingerprint and device of the base model.
        data (`Mapping[str, Any]`):
            Source, fingerprint, counts and drops of the data.
        settings (`Mapping[str, Any]`):
            The fine-tuning settings, as given.
        losses (`Sequence[Sequence[float]]`):
            Step and training loss, as logged.
        held_out_before, held_out_after (`float | None`):
            Mean loss of the held-out tokens under the loss.
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
    """Write the report, its readable form, the model card and the picture.

    Args:
        folder (`Path`):
            The run's folder, not sealed yet.
        report (`RunReport`):
            What to write.
    """
    atomic_files.write_json(folder / REPORT_NAME, asdict(report))
    atomic_files.write_text(folder / "README.md", _model_card(report))
    picture = _draw_losses(folder, report)
    text = _as_markdown(report, picture)
    atomic_files.write_text(folder / "report.md", text)


def read_report(folder: Path) -> RunReport:
    """Read the report of a finished run.

    Raises:
        `CheckpointError`: The folder has none, or not one of this version.
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
        return RunReport(**values)
    except (OSError, ValueError, TypeError, KeyError) as error:
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
    atomic_files.check_manifest(folder)
    return report


def _as_markdown(report: RunReport, picture: str | None) -> str:
    lines = [
        f"# Fine-tuning {report.base['name']}",
        "",
        f"- data: {report.data['source']}, {report.data['summary']}",
        f"- held-out loss: {_loss(report.held_out_before)} before, "
        f"{_loss(report.held_out_after)} after",
        f"- {report.steps} steps, {report.tokens:,} tokens in "
        f"{report.seconds:.0f} s ({report.tokens_per_second:.0f} tokens/s)",
        f"- peak memory: {report.peak_memory_bytes / 1e9:.2f} GB on "
        f"{report.base['device']}",
        "",
        *([f"![training loss]({picture})", ""] if picture else []),
        "## Before and after",
        "",
    ]
    for one in report.demonstrations:
        lines += [
            f"**{one.prompt}**",
            "",
            f"- before ({_ending(one.before)}): {_one_line(one.before.text)}",
            f"- after ({_ending(one.after)}): {_one_line(one.after.text)}",
            "",
        ]
    lines += ["## Settings", "", "```json"]
    lines += [json.dumps(report.settings, indent=2, default=str), "```", ""]
    lines += ["## Versions", ""]
    lines += [f"- {name} {found}" for name, found in report.versions.items()]
    return "\n".join(lines) + "\n"


def _model_card(report: RunReport) -> str:
    return "\n".join(
        [
            "---",
            "library_name: peft",
            "pipeline_tag: text-generation",
            "tags:",
            "- lora",
            "---",
            "",
            f"# A LoRA adapter for {report.base['name']}",
            "",
            f"Fine-tuned on {report.data['source']} "
            f"({report.data['summary']}). What was done and what came out is "
            "in `report.md`. The terms of the base model and of the data "
            "apply to this adapter.",
            "",
        ],
    )


def _draw_losses(folder: Path, report: RunReport) -> str | None:
    """Training loss over the steps, held-out loss before and after.

    Returns:
        `str | None`: The name of the picture, None without matplotlib.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return None
    figure = Figure(figsize=(7, 4), dpi=110, layout="constrained")
    axes = figure.subplots()
    steps = [point[0] for point in report.losses]
    axes.plot(steps, [point[1] for point in report.losses], label="training")
    if report.held_out_before is not None:
        held_out = [report.held_out_before, report.held_out_after]
        axes.plot([0, report.steps], held_out, "o", label="held out")
    axes.set_xlabel("optimizer step")
    axes.set_ylabel("loss of an assistant token (nats)")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(folder / _PICTURE_NAME)
    return _PICTURE_NAME


def _loss(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.3f}"


def _ending(reply: Reply) -> str:
    if reply.finish_reason == "stop":
        return f"ended its turn after {reply.tokens} tokens"
    return f"cut off after {reply.tokens} tokens"


def _one_line(text: str) -> str:
    return " ".join(text.split())
