# -*- coding: utf-8 -*-
"""Results as Markdown: tables of figures, and which orderings hold.

Figures are written as `value [low, high]`. Knows no models and writes no
files. Raises nothing.
"""

import math
from collections.abc import Mapping, Sequence

from local_llm.markdown_text import code, table

from .arm_names import ARM_NAMES
from .columns import STEP_COLUMNS, TITLES, Column
from .intervals import RESAMPLES, Estimate
from .orderings import SIMILAR, Finding, findings
from .paper_results import SOURCE, PaperRow
from .protocol import Decision
from .results import Figures, Part, Results

_UNKNOWN = "–"

_COUNTED = {
    Decision.CALL: "calls",
    Decision.CONCLUDE: "answers",
    Decision.GIVE_UP: "given up",
}

_DOMAINS = {True: " (in domain)", False: " (out of domain)", None: ""}

_NOTES = (
    "Shares are times 100, with 95 % intervals from {resamples:,} resamples "
    "of trajectories (all steps of one together) and of seeds. An interval "
    "of no width stands where every step is right, or none is: resampling "
    "cannot tell how sure that is."
)


def results_page(
    results: Results,
    columns: Sequence[Column] = STEP_COLUMNS,
    references: Mapping[str, Sequence[PaperRow]] | None = None,
    picture: str | None = None,
) -> str:
    """All results on one page.

    Args:
        results (`Results`):
            What was measured.
        columns (`Sequence[Column]`, defaults to `STEP_COLUMNS`):
            The columns of its tables.
        references (`Mapping[str, Sequence[PaperRow]] | None`, optional):
            Rows of the paper, such as `PAPER_ROWS`, by the name of the part
            that they belong to.
        picture (`str | None`, optional):
            The file name of the picture beside the page.
    """
    references = references or {}
    about = [f"- {key}: {code(text)}" for key, text in results.about.items()]
    blocks = ["# Results", "\n".join(about)]
    if picture:
        blocks.append(f"![Figures and intervals of every arm]({picture})")
    for part in results.parts:
        rows = references.get(part.name, ())
        blocks += [f"## {_title(part)}", figure_table(part, columns, rows)]
        if seeds := seed_table(part, columns):
            blocks += ["Lowest to highest figure of a seed:", seeds]
    blocks.append(_NOTES.format(resamples=RESAMPLES))
    if references:
        blocks.append(
            f"Rows of the paper: {SOURCE}, its own models on its whole test "
            "set.",
        )
    if lines := ordering_lines(results.parts):
        blocks += ["## Which orderings of the paper hold", "\n".join(lines)]
        blocks.append(_explanation())
    return "\n\n".join(block for block in blocks if block) + "\n"


def figure_table(
    part: Part,
    columns: Sequence[Column] = STEP_COLUMNS,
    references: Sequence[PaperRow] = (),
) -> str:
    """The figures of one part: floors, arms, and rows of the paper.

    Args:
        part (`Part`):
            What was measured.
        columns (`Sequence[Column]`, defaults to `STEP_COLUMNS`):
            Which metrics to show.
        references (`Sequence[PaperRow]`, optional):
            Rows to stand below.
    """
    floors = [
        _row(f"floor: {_name(key)}", columns, figures)
        for key, figures in part.floors.items()
    ]
    arms = [
        _row(_name(key), columns, figures)
        for key, figures in part.arms.items()
    ]
    below = [
        [row.name, *(_percent(row.values.get(one.metric)) for one in columns)]
        for row in references
    ]
    header = ["", *(column.heading for column in columns)]
    return table(header, [*floors, *arms, *below])


def seed_table(
    part: Part,
    columns: Sequence[Column] = STEP_COLUMNS,
) -> str | None:
    """The lowest and highest figure of a seed, of each arm.

    Args:
        part (`Part`):
            What was measured.
        columns (`Sequence[Column]`, defaults to `STEP_COLUMNS`):
            Which metrics to show.

    Returns:
        `str | None`: None where no arm has several seeds.
    """
    rows = [
        [
            _name(key),
            ", ".join(map(str, part.seeds.get(key, ()))),
            *(
                _range(column, figures.get(column.metric))
                for column in columns
            ),
        ]
        for key, figures in part.arms.items()
    ]
    if all(len(part.seeds.get(key, ())) < 2 for key in part.arms):
        return None
    header = ["", "seeds", *(column.heading for column in columns)]
    return table(header, rows)


def ordering_lines(parts: Sequence[Part]) -> list[str]:
    """What became of the paper's orderings, a line of Markdown each, below
    the point that they belong to; those without a measured arm are left out.

    Args:
        parts (`Sequence[Part]`):
            What was measured.
    """
    lines: list[str] = []
    point = None
    for found in findings(parts):
        if not found.differences:
            continue
        if found.ordering.point != point:
            point = found.ordering.point
            # A blank line ends the list of the point before.
            lines += [*([""] if lines else []), f"**{point}**", ""]
        lines.append(f"- {ordering_sentence(found)}")
    return lines


def ordering_sentence(finding: Finding) -> str:
    """A finding in words, its differences in points."""
    ordering = finding.ordering
    compared = "; ".join(
        f"{ARM_NAMES[other]} {_points(difference)}"
        for other, difference in finding.differences.items()
    )
    return (
        f"{_name(finding.part)}, {TITLES[ordering.metric]}: "
        f"{ARM_NAMES[ordering.arm]} {ordering.relation} {compared}: "
        f"**{finding.verdict}**"
    )


def _explanation() -> str:
    return (
        "Behind each arm stands the difference to it, paired over the same "
        "trajectories and seeds, in points. An ordering holds, or is "
        "reversed, where the whole interval lies on that side of 0, and is "
        "not decided where it covers 0; `like` is within "
        f"{100 * SIMILAR:g} points. Intervals are not widened for being many."
    )


def _title(part: Part) -> str:
    name = f"{_name(part.name)}{_DOMAINS[part.is_in_domain]}"
    counts = part.counts
    if "steps" not in counts:
        return name
    decisions = ", ".join(
        f"{counts.get(decision, 0):,} {word}"
        for decision, word in _COUNTED.items()
    )
    return (
        f"{name}: {counts['steps']:,} steps of "
        f"{counts.get('trajectories', 0):,} trajectories ({decisions})"
    )


def _row(
    name: str,
    columns: Sequence[Column],
    figures: Figures,
) -> list[str]:
    cells = [_cell(one, figures.get(one.metric)) for one in columns]
    return [name, *cells]


def _cell(column: Column, figure: Estimate | None) -> str:
    if figure is None or math.isnan(figure.value):
        return _UNKNOWN
    value, low, high = (
        f"{_rounded(column.scale * one):.1f}"
        for one in (figure.value, figure.low, figure.high)
    )
    return value if math.isnan(figure.low) else f"{value} [{low}, {high}]"


def _range(column: Column, figure: Estimate | None) -> str:
    if figure is None or math.isnan(figure.value):
        return _UNKNOWN
    low, high = column.scale * figure.lowest, column.scale * figure.highest
    return f"{low:.1f} to {high:.1f}"


def _points(difference: Estimate) -> str:
    value, low, high = (
        f"{_rounded(100 * one):+.1f}"
        for one in (difference.value, difference.low, difference.high)
    )
    if math.isnan(difference.low):
        return value
    return f"{value} [{low}, {high}]"


def _rounded(figure: float) -> float:
    """To one digit; nothing is -0."""
    return round(figure, 1) + 0.0


def _percent(share: float | None) -> str:
    return _UNKNOWN if share is None else f"{100 * share:.2f}"


def _name(text: str) -> str:
    """An arm by its name, other text as it may stand in a table."""
    if text in ARM_NAMES:
        return ARM_NAMES[text]
    is_plain = text.replace("-", "").replace(" ", "").isalnum()
    return text if is_plain else code(text)
