# -*- coding: utf-8 -*-
"""Draws the results of a comparison: every arm, metric and part with its
interval.

Takes figures, gives a picture; needs matplotlib, which is optional. Decides
nothing. Raises CheckpointError where the file cannot be written.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from local_llm.atomic_files import whole_file
from local_llm.markdown_text import visible

from .arm_names import ARM_NAMES
from .columns import STEP_COLUMNS, Column
from .intervals import Estimate
from .results import Part, Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
"""Of the parts; Okabe and Ito, 2008: told apart with every common colour
blindness, and in the order of their lightness."""

_MARKERS = ("o", "s", "D", "^")
"""Of the parts, for who sees no colours."""

_INCHES_WIDE, _DPI = 10.0, 120
_INCHES_AROUND, _INCHES_OF_AN_ARM = 1.5, 0.55
_SPREAD = 0.5
"""How much of an arm's height its parts share."""

_DASH, _DASH_AND_GAP = 4, 7
_LONGEST_NAME = 36
_LONGEST_LEGEND = 80
"""In characters, on one line."""


def write_picture(
    path: Path,
    results: Results,
    columns: Sequence[Column] = STEP_COLUMNS,
) -> Path | None:
    """Write the picture as PNG, 1,200 pixels wide, in one step.

    Args:
        path (`Path`):
            Where to.
        results (`Results`):
            What was measured.
        columns (`Sequence[Column]`, defaults to `STEP_COLUMNS`):
            A panel each.

    Returns:
        `Path | None`: The path; None without matplotlib, and where no arm
            was measured.

    Raises:
        `CheckpointError`: The file cannot be written.
    """
    if not _arms(results):
        return None
    try:
        figure = draw_results(results, columns)
    except ImportError:
        return None
    with whole_file(path) as partial:
        figure.savefig(partial, format="png")
    return path


def draw_results(
    results: Results,
    columns: Sequence[Column] = STEP_COLUMNS,
) -> "Figure":
    """A panel for each metric, a line for each arm, a point with its 95 %
    interval for each part, and the best floor of a part as a dashed line.

    Args:
        results (`Results`):
            What was measured.
        columns (`Sequence[Column]`, defaults to `STEP_COLUMNS`):
            A panel each.
    """
    from matplotlib.figure import Figure

    arms = _arms(results)
    height = _INCHES_AROUND + _INCHES_OF_AN_ARM * len(arms)
    figure = Figure((_INCHES_WIDE, height), dpi=_DPI, layout="constrained")
    panels = figure.subplots(1, len(columns), sharey=True, squeeze=False)[0]
    for axes, column in zip(panels, columns, strict=True):
        for number, part in enumerate(results.parts):
            _draw_part(axes, column, part, arms, number, len(results.parts))
        _draw_floors(axes, column, results.parts)
        _style(axes, column, len(arms))
    panels[0].set_yticks(range(len(arms)), [*map(_arm_name, arms)])
    panels[0].tick_params(axis="y", labelsize=12, length=0)
    _add_legend(figure, results)
    return figure


def _draw_part(
    axes: "Axes",
    column: Column,
    part: Part,
    arms: Sequence[str],
    number: int,
    parts: int,
) -> None:
    offset = _SPREAD * ((number + 0.5) / parts - 0.5)
    for place, arm in enumerate(arms):
        figure = part.arms.get(arm, {}).get(column.metric)
        if figure is None or math.isnan(figure.value):
            continue
        axes.errorbar(
            column.scale * figure.value,
            place + offset,
            xerr=_reach(column, figure),
            color=_COLOURS[number % len(_COLOURS)],
            marker=_MARKERS[number % len(_MARKERS)],
            markersize=6.5,
            elinewidth=2.0,
            capsize=0,
            zorder=3,
        )


def _reach(
    column: Column,
    figure: Estimate,
) -> list[list[float]] | None:
    """How far the interval goes to both sides of the point."""
    if math.isnan(figure.low):
        return None
    below = max(0.0, column.scale * (figure.value - figure.low))
    above = max(0.0, column.scale * (figure.high - figure.value))
    return [[below], [above]]


def _draw_floors(
    axes: "Axes",
    column: Column,
    parts: Sequence[Part],
) -> None:
    floors = [_best_floor(column, part) for part in parts]
    for number, floor in enumerate(floors):
        if floor is None:
            continue
        # Of floors that are as good as equal each shows in the others' gaps.
        equal = [
            place
            for place, other in enumerate(floors)
            if other is not None and abs(other - floor) < 1
        ]
        shift = _DASH_AND_GAP * equal.index(number)
        gap = _DASH_AND_GAP * len(equal) - _DASH
        axes.axvline(
            floor,
            color=_COLOURS[number % len(_COLOURS)],
            linestyle=(shift, (_DASH, gap)),
            linewidth=1.2,
            zorder=1,
        )


def _best_floor(column: Column, part: Part) -> float | None:
    """What deciding without reading comes to at best."""
    found = [
        column.scale * figures[column.metric].value
        for figures in part.floors.values()
        if column.metric in figures
    ]
    known = [value for value in found if not math.isnan(value)]
    if not known:
        return None
    return min(known) if column.is_low_good else max(known)


def _style(axes: "Axes", column: Column, arms: int) -> None:
    from matplotlib import ticker

    better = "lower" if column.is_low_good else "higher"
    axes.set_title(column.title, fontsize=13, fontweight="bold")
    axes.set_xlabel(f"{better} is better", fontsize=11)
    axes.set_ylim(arms - 0.5, -0.5)  # the first arm on top
    for place in range(1, arms):
        axes.axhline(place - 0.5, color="0.9", linewidth=0.8, zorder=0)
    axes.grid(axis="x", color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.margins(x=0.08)
    places = ticker.MaxNLocator(nbins=4, steps=[1, 2, 2.5, 5, 10])
    axes.xaxis.set_major_locator(places)
    axes.xaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
    axes.tick_params(axis="x", labelsize=11)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)


def _add_legend(figure: "Figure", results: Results) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D(
            [],
            [],
            color=_COLOURS[number % len(_COLOURS)],
            marker=_MARKERS[number % len(_MARKERS)],
            markersize=6.5,
            linestyle="none",
            label=_plain(part.name),
        )
        for number, part in enumerate(results.parts)
    ]
    handles.append(Line2D([], [], color="0.35", linewidth=2.0))
    handles[-1].set_label("95 % interval")
    if any(part.floors for part in results.parts):
        dashes = (0, (_DASH, _DASH_AND_GAP - _DASH))
        handles.append(Line2D([], [], color="0.35", linestyle=dashes))
        handles[-1].set_label("best trivial floor")
    length = sum(len(str(one.get_label())) for one in handles)
    lines = math.ceil(length / _LONGEST_LEGEND)
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=math.ceil(len(handles) / lines),
        frameon=False,
        fontsize=12,
    )


def _arms(results: Results) -> list[str]:
    """The arms of all parts, each once, in their order."""
    return [*dict.fromkeys(arm for part in results.parts for arm in part.arms)]


def _arm_name(arm: str) -> str:
    return _plain(ARM_NAMES.get(arm, arm))


def _plain(text: str) -> str:
    """A name on one line; a "$" in it begins no formula."""
    shown = visible(text).replace("\n", " ")
    if len(shown) > _LONGEST_NAME:
        shown = f"…{shown[1 - _LONGEST_NAME :]}"
    return shown.replace("$", r"\$")
