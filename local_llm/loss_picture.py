# -*- coding: utf-8 -*-
"""Draws the losses of a fine-tuning run.

Takes figures, gives a picture; needs matplotlib, which is optional. Decides
nothing about the run. Raises nothing of its own.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .markdown_text import visible
from .reports import RunReport

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PICTURE_NAME = "loss.png"

MOST_RAW_POINTS = 30
"""With more, the training loss is smoothed and the points fade behind it."""

_WINDOWS = 15
"""How many windows of the moving mean stand side by side in a run."""

_LOGARITHMIC_FROM = 6.0
"""The ratio of the highest to the lowest loss from which a linear axis would
flatten the end of the curve."""

_LONGEST_NAME = 48

# Okabe and Ito, 2008: told apart with every common colour blindness.
_BLUE, _PALE_BLUE, _ORANGE, _GREEN = "#0072B2", "#56B4E9", "#D55E00", "#009E73"

Point = tuple[int, float]


def write_picture(folder: Path, report: RunReport) -> str | None:
    """Write `loss.png`.

    Args:
        folder (`Path`):
            The run's folder, not sealed yet.
        report (`RunReport`):
            The run.

    Returns:
        `str | None`: The name of the picture; None without matplotlib, and
            where no loss was logged.
    """
    training, held_out = _curves(report)
    if not training and not held_out:
        return None
    try:
        figure = draw_losses(report)
    except ImportError:
        return None
    figure.savefig(folder / PICTURE_NAME)
    return PICTURE_NAME


def draw_losses(report: RunReport) -> "Figure":
    """The training and held-out loss over the steps, the best step marked.

    Args:
        report (`RunReport`):
            The run.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), dpi=120, layout="constrained")
    axes = figure.subplots()
    training, held_out = _curves(report)
    _draw_training(axes, training)
    _draw_held_out(axes, held_out)
    _scale(axes, training, held_out)
    last = max(step for step, _ in [*training, *held_out])
    _number_steps(axes, max(last, report.steps))
    _mark_resumes(axes, report.resumed_at)
    _mark_best(axes, report.best_step, held_out)
    _label(axes, report)
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    return figure


def smoothed(points: Sequence[Point]) -> tuple[list[Point], int]:
    """The trend of a curve, and over how many points it is taken.

    A moving mean; at both ends the straight line that fits the outermost
    window best, which neither lags nor follows the last point.

    Args:
        points (`Sequence[Point]`):
            Steps and losses, at least five.
    """
    import numpy as np

    reach = max(2, len(points) // _WINDOWS // 2)
    width = 2 * reach + 1
    losses = np.array([loss for _, loss in points])
    places = np.arange(width)
    first = np.polyfit(places, losses[:width], 1)
    last = np.polyfit(places, losses[-width:], 1)
    trend = [
        *np.polyval(first, places[:reach]),
        *np.convolve(losses, np.full(width, 1 / width), "valid"),
        *np.polyval(last, places[-reach:]),
    ]
    steps = [step for step, _ in points]
    return [*zip(steps, map(float, trend), strict=True)], width


def _curves(report: RunReport) -> tuple[list[Point], list[Point]]:
    """The training and the held-out points that can be drawn."""
    training = [(int(step), loss) for step, loss in report.losses]
    curves = (training, report.held_out_curve)
    finite = [
        [point for point in curve if math.isfinite(point[1])]
        for curve in curves
    ]
    return finite[0], finite[1]


def _draw_training(axes: "Axes", points: Sequence[Point]) -> None:
    if not points:
        return
    if len(points) <= MOST_RAW_POINTS:
        axes.plot(
            *zip(*points, strict=True),
            "o-",
            color=_BLUE,
            linewidth=1.4,
            markersize=4,
            label="training",
        )
        return
    trend, width = smoothed(points)
    axes.plot(
        *zip(*points, strict=True),
        color=_PALE_BLUE,
        linewidth=0.7,
        alpha=0.6,
        label="training, as logged",
    )
    axes.plot(
        *zip(*trend, strict=True),
        color=_BLUE,
        linewidth=2.0,
        label=f"training, smoothed over {width} points",
    )


def _draw_held_out(axes: "Axes", points: Sequence[Point]) -> None:
    if not points:
        return
    axes.plot(
        *zip(*points, strict=True),
        # Between two points nothing is known of the way.
        "o--" if len(points) == 2 else "o-",
        color=_ORANGE,
        linewidth=1.4,
        markersize=5,
        label="held out",
    )


def _scale(
    axes: "Axes",
    training: Sequence[Point],
    held_out: Sequence[Point],
) -> None:
    """Fill the height with the curves; a wide range gets a logarithmic axis
    with plain numbers. A few outliers of many points may leave the picture.
    """
    low, high = _bounds(training, held_out)
    if low > 0 and high / low >= _LOGARITHMIC_FROM:
        _scale_logarithmically(axes)
        axes.set_ylim(low / 1.2, high * 1.2)
        return
    room = 0.08 * (high - low) or 0.1 * abs(high) or 0.1
    axes.set_ylim(low - room, high + room)


def _bounds(
    training: Sequence[Point],
    held_out: Sequence[Point],
) -> tuple[float, float]:
    """The lowest and highest loss to show."""
    logged = sorted(loss for _, loss in training)
    losses = [loss for _, loss in held_out]
    if len(logged) > MOST_RAW_POINTS:
        losses += [loss for _, loss in smoothed(training)[0]]
        # The one in a hundred that is furthest out.
        logged = logged[len(logged) // 100 : -(len(logged) // 100) or None]
    return min(losses + logged), max(losses + logged)


def _scale_logarithmically(axes: "Axes") -> None:
    from matplotlib import ticker

    axes.set_yscale("log")
    axes.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
    axes.yaxis.set_minor_formatter(ticker.NullFormatter())


def _number_steps(axes: "Axes", steps: int) -> None:
    from matplotlib import ticker

    axes.set_xlim(-0.02 * max(steps, 1), 1.03 * max(steps, 1))
    places = ticker.MaxNLocator(integer=True, steps=[1, 2, 5, 10])
    axes.xaxis.set_major_locator(places)
    axes.xaxis.set_major_formatter(ticker.StrMethodFormatter("{x:,.0f}"))


def _mark_resumes(axes: "Axes", steps: Sequence[int]) -> None:
    for number, step in enumerate(steps):
        label = "_nolegend_" if number else "resumed"
        axes.axvline(step, color="0.5", linestyle=":", zorder=0, label=label)


def _mark_best(
    axes: "Axes",
    best: int | None,
    held_out: Sequence[Point],
) -> None:
    """A line at the step that was kept, and its held-out loss beside it."""
    if best is None:
        return
    axes.axvline(
        best,
        color=_GREEN,
        linestyle="--",
        linewidth=1.3,
        zorder=1,
        label="best step, kept",
    )
    loss = dict(held_out).get(best)
    value = "" if loss is None else f": {loss:.3f}"
    left, right = axes.get_xlim()
    is_right = best > (left + right) / 2
    axes.annotate(
        f"step {best:,}{value}",
        (best, 0.98),
        xycoords=axes.get_xaxis_transform(),
        xytext=(-6 if is_right else 6, 0),
        textcoords="offset points",
        horizontalalignment="right" if is_right else "left",
        verticalalignment="top",
        color=_GREEN,
        fontweight="bold",
        # A line behind it would cross its digits.
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 2},
    )


def _label(axes: "Axes", report: RunReport) -> None:
    name = visible(report.base.get("name", "")).replace("\n", " ")
    if len(name) > _LONGEST_NAME:
        name = f"…{name[1 - _LONGEST_NAME :]}"
    title = f"Loss while fine-tuning {name}"
    if report.stopped_early:
        title += f", stopped early after step {report.steps:,}"
    # A "$" in the name of a folder is no formula.
    axes.set_title(title, loc="left", fontsize=11, parse_math=False)
    axes.set_xlabel("optimizer step")
    axes.set_ylabel("loss of an assistant token (nats)")
    axes.grid(alpha=0.25, which="major")
    axes.spines[["top", "right"]].set_visible(False)
