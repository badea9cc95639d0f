# -*- coding: utf-8 -*-
"""The page that people read of a finished run: `report.md`.

Lays out what the report holds; leaves nothing of it out but the training
losses, which are drawn. Computes nothing new. Raises CheckpointError.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from . import atomic_files
from .known_licences import UNKNOWN
from .loss_picture import write_picture
from .markdown_text import code, fenced, table
from .model_card import public_name, terms, usage_of
from .report_words import counted, duration, ending, outcome, perplexity
from .reports import Demonstration, RunReport

PAGE_NAME = "report.md"

PLACES = 5
"""How many places of rows a page names for each reason; the report has all."""

Rows = list[tuple[str, str]]


def write_pages(folder: Path, report: RunReport, place: Path) -> None:
    """Write `report.md`, and `loss.png` where matplotlib is installed.

    Args:
        folder (`Path`):
            The run's folder, not sealed yet.
        report (`RunReport`):
            The run.
        place (`Path`):
            Where the folder will stand.
    """
    picture = write_picture(folder, report)
    text = as_markdown(report, str(place), picture)
    atomic_files.write_text(folder / PAGE_NAME, text)


def as_markdown(
    report: RunReport,
    place: str | None,
    picture: str | None,
) -> str:
    """The page.

    Args:
        report (`RunReport`):
            The run.
        place (`str | None`):
            Where it stands, for the commands on the page; None leaves them
            out.
        picture (`str | None`):
            The name of the picture beside it.
    """
    base = public_name(report.base["name"])
    source = public_name(report.data["source"])
    parts = [
        f"# {code(base)} fine-tuned on {code(source)}",
        outcome(report),
        *([f"![The losses over the steps]({picture})"] if picture else []),
        *_section("Figures", table(("what", "figure"), _figures(report))),
        *_section("Held-out loss", _held_out_table(report)),
        *_section("Before and after", _demonstrations(report)),
        *_section("Data", table(("what", "found"), _data(report))),
        *_section("Course of the run", _course(report)),
        *_section("How to use it", _usage(report, place) if place else ""),
        *_section("Terms", _terms(report)),
        *_section("Settings", _settings(report.settings)),
        *_section("Identity", table(("what", "value"), _identity(report))),
    ]
    return "\n\n".join(parts) + "\n"


def _section(title: str, content: str) -> list[str]:
    return [f"## {title}", content] if content else []


def _figures(report: RunReport) -> Rows:
    data = report.data
    rows = [
        ("optimizer steps", f"{report.steps:,}"),
        ("tokens seen in training", f"{report.tokens:,}"),
        ("training time", duration(report.seconds)),
        ("speed", f"{report.tokens_per_second:,.0f} tokens/s"),
        ("peak memory", f"{report.peak_memory_bytes / 1e9:.2f} GB"),
        ("device", code(report.base.get("device", UNKNOWN))),
        ("data type", code(_short_dtype(report.base.get("dtype", UNKNOWN)))),
    ]
    if "trained_tokens" in data:
        rows.insert(2, ("tokens under the loss", _under_the_loss(data)))
    if "longest_row" in data:
        rows.append(("longest row", counted(data["longest_row"], "token")))
    if report.losses:
        first, last = report.losses[0], report.losses[-1]
        rows.append(("first training loss", _loss_at(first)))
        rows.append(("last training loss", _loss_at(last)))
    return rows


def _under_the_loss(data: Mapping[str, Any]) -> str:
    trained, tokens = data["trained_tokens"], data["tokens"]
    share = trained / tokens if tokens else 0.0
    return f"{trained:,} of {tokens:,} in the training rows ({share:.1%})"


def _short_dtype(dtype: str) -> str:
    return dtype.removeprefix("torch.")


def _loss_at(point: Sequence[float]) -> str:
    return f"{point[1]:.3f} at step {int(point[0]):,}"


def _held_out_table(report: RunReport) -> str:
    curve = report.held_out_curve
    if not curve:
        return ""
    rows = [
        (
            f"{step:,}" + (" (kept)" if step == report.best_step else ""),
            f"{loss:.4f}",
            perplexity(loss),
        )
        for step, loss in curve
    ]
    return table(("after step", "loss", "perplexity"), rows)


def _demonstrations(report: RunReport) -> str:
    total = len(report.demonstrations)
    return "\n\n".join(
        part
        for number, one in enumerate(report.demonstrations, start=1)
        for part in _demonstration(f"Prompt {number} of {total}", one)
    )


def _demonstration(title: str, one: Demonstration) -> Iterator[str]:
    yield f"### {title}"
    yield fenced(one.prompt)
    for when, reply in (("Before", one.before), ("After", one.after)):
        yield f"**{when}** ({ending(reply)}, {duration(reply.seconds)}):"
        yield fenced(reply.text)


def _data(report: RunReport) -> Rows:
    """What is known of the data; earlier versions wrote less."""
    data = report.data
    rows = [("source", code(data["source"]))]
    if "rows" not in data:
        rows.append(("in short", code(data["summary"])))
    counts = {
        "rows": "rows kept",
        "train_rows": "rows trained on",
        "epoch_rows": "rows in an epoch",
        "held_out_rows": "rows held out",
        "multi_turn": "rows with several turns of the user",
        "shortened": "rows shortened to the longest length",
        "held_out_shortened": "held-out rows shortened to the longest length",
    }
    rows += [(counts[key], f"{data[key]:,}") for key in counts if key in data]
    rows += _sources(data.get("sources", ()))
    rows += _counted_rows("format", data.get("formats", {}))
    rows += _counted_rows("adjusted", data.get("adjustments", {}))
    rows += _drops(data)
    lists = {
        "without_answer": "no answer left",
        "held_out_without_answer": "held out, no answer left",
        "skipped_files": "files not read",
    }
    rows += [
        (what, _places(data[key]))
        for key, what in lists.items()
        if data.get(key)
    ]
    return rows


def _sources(sources: Sequence[Mapping[str, Any]]) -> Rows:
    """What of each is trained on, where one figure does not say it."""
    if len(sources) < 2 and all(one["weight"] == 1 for one in sources):
        return []
    return [
        (
            f"trained on of {code(one['name'])}",
            f"{counted(one['rows'], 'row')} x {one['weight']:g} = "
            f"{one['in_epoch']:,} in an epoch",
        )
        for one in sources
    ]


def _counted_rows(what: str, counts: Mapping[str, int]) -> Rows:
    return [
        (f"{what}: {code(name)}", counted(number, "row"))
        for name, number in counts.items()
    ]


def _drops(data: Mapping[str, Any]) -> Rows:
    """Each reason, how often, and the first places."""
    places = data.get("drop_places", {})
    rows = []
    for reason, number in data.get("drops", {}).items():
        known = places.get(reason, [])
        shown = f": {_places(known, number)}" if known else ""
        found = f"{counted(number, 'row')}{shown}"
        rows.append((f"dropped: {code(reason)}", found))
    return rows


def _places(places: Sequence[str], number: int = 0) -> str:
    """The first of them, and how many more there are of so many at least."""
    first = places[:PLACES]
    named = ", ".join(code(place) for place in first)
    more = max(number, len(places)) - len(first)
    return f"{named} and {more:,} more" if more > 0 else named


def _course(report: RunReport) -> str:
    """What was chosen, changed and survived, a line each."""
    lines = [code(note) for note in report.notes]
    lines += [
        f"interrupted, and resumed from step {step:,}"
        for step in report.resumed_at
    ]
    lines += [f"changed at a resume: {code(one)}" for one in report.changes]
    return "\n".join(f"- {line}" for line in lines)


def _usage(report: RunReport, place: str) -> str:
    return usage_of(report, report.base["name"], place)


def _terms(report: RunReport) -> str:
    """The terms, and what says so, since it may be wrong."""
    places = [
        ("the base model", report.licences.get("base_found_in")),
        *_data_places(report),
    ]
    found = [f"of {what} in {code(place)}" for what, place in places if place]
    if not found:
        return terms(report)
    return f"{terms(report)} Found: {', '.join(found)}."


def _data_places(report: RunReport) -> list[tuple[str, str | None]]:
    sources = report.data.get("sources", ())
    if len(sources) < 2:
        return [("the data", report.licences.get("data_found_in"))]
    return [(code(one["name"]), one["licence_found_in"]) for one in sources]


def _settings(settings: Mapping[str, Any]) -> str:
    text = json.dumps(settings, indent=2, default=str, ensure_ascii=False)
    return fenced(text, "json")


def _identity(report: RunReport) -> Rows:
    return [
        ("key of the run", code(report.key)),
        (
            "fingerprint of the base model",
            code(report.base.get("fingerprint", UNKNOWN)),
        ),
        (
            "fingerprint of the data",
            code(report.data.get("fingerprint", UNKNOWN)),
        ),
        *(
            (code(name), code(version))
            for name, version in report.versions.items()
        ),
    ]
