# -*- coding: utf-8 -*-
"""The picture of the losses shows what was measured, at every size of run."""

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from report_examples import REPORT, run_with

pytest.importorskip("matplotlib")

from local_llm.loss_picture import (  # noqa: E402
    draw_losses,
    smoothed,
    write_picture,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NOISE = (0.3, -0.2, 0.1, -0.4, 0.2)


def falling(number: int, high: float = 4.0, low: float = 1.0) -> list:
    """A loss that falls, with some noise."""
    return [
        [step, low + (high - low) * 0.98**step + NOISE[step % 5] / 4]
        for step in range(1, number + 1)
    ]


def drawn(**changes: Any) -> "Axes":
    """The axes of the picture of a run; it can be rendered."""
    figure = draw_losses(run_with(**changes))
    figure.draw_without_rendering()
    return figure.axes[0]


def lines(axes: "Axes") -> dict[str, list[tuple[float, float]]]:
    """The points of each line by its label."""
    return {
        str(line.get_label()): [
            (float(x), float(y))
            for x, y in zip(
                line.get_xdata(),  # type: ignore[arg-type]
                line.get_ydata(),  # type: ignore[arg-type]
                strict=True,
            )
        ]
        for line in axes.lines
    }


def legend(axes: "Axes") -> list[str]:
    (found,) = axes.figure.legends
    return [text.get_text() for text in found.get_texts()]


# -- what is drawn --------------------------------------------------------


def test_a_few_points_are_drawn_as_they_are_with_markers() -> None:
    axes = drawn(losses=[[1, 6.5], [2, 5.25]], steps=2)
    assert lines(axes) == {"training": [(1, 6.5), (2, 5.25)]}
    assert axes.lines[0].get_marker() == "o"
    assert legend(axes) == ["training"]


def test_one_point_can_be_seen() -> None:
    axes = drawn(losses=[[1, 2.5]], steps=1)
    low, high = axes.get_ylim()
    assert low < 2.5 < high
    assert axes.lines[0].get_marker() == "o"
    left, right = axes.get_xlim()
    assert left < 0 and 1 < right


def test_many_points_fade_behind_a_smoothed_line() -> None:
    axes = drawn(losses=falling(130), steps=130)
    found = lines(axes)
    assert list(found) == [
        "training, as logged",
        "training, smoothed over 9 points",
    ]
    raw, smooth = axes.lines
    assert raw.get_linewidth() < 1 < smooth.get_linewidth()
    assert len(found["training, as logged"]) == 130


@pytest.mark.parametrize(("points", "is_smoothed"), [(30, False), (31, True)])
def test_the_line_is_smoothed_from_31_points_on(
    points: int,
    is_smoothed: bool,
) -> None:
    axes = drawn(losses=falling(points), steps=points)
    assert len(axes.lines) == 1 + is_smoothed


def test_every_measured_held_out_loss_has_a_marker() -> None:
    held_out = [[step, 2 + 1 / (step + 1)] for step in range(0, 131, 10)]
    axes = drawn(losses=falling(130), steps=130, held_out_losses=held_out)
    assert lines(axes)["held out"] == [(s, loss) for s, loss in held_out]
    assert axes.lines[-1].get_marker() == "o"


def test_of_a_report_without_them_the_ends_are_drawn_dashed() -> None:
    axes = drawn(steps=2, held_out_before=6.5, held_out_after=2.5)
    assert lines(axes)["held out"] == [(0, 6.5), (2, 2.5)]
    assert axes.lines[-1].get_linestyle() == "--"


@pytest.mark.parametrize(
    ("best", "side"),
    [(10, "left"), (90, "right"), (100, "right"), (0, "left")],
)
def test_the_step_that_was_kept_is_marked_with_its_loss(
    best: int,
    side: str,
) -> None:
    held_out = [[0, 3.0], [10, 1.23456], [90, 1.23456], [100, 1.23456]]
    axes = drawn(steps=100, held_out_losses=held_out, best_step=best)
    assert lines(axes)["best step, kept"] == [(best, 0), (best, 1)]
    (label,) = axes.texts
    value = "3.000" if best == 0 else "1.235"
    assert label.get_text() == f"step {best}: {value}"
    assert label.get_horizontalalignment() == side


def test_no_line_crosses_the_words_beside_the_step_that_was_kept() -> None:
    held_out = [[0, 3.0], [90, 1.2]]
    axes = drawn(
        steps=100, held_out_losses=held_out, best_step=90, resumed_at=[85]
    )
    (label,) = axes.texts
    behind = label.get_bbox_patch()
    assert behind is not None
    assert behind.get_facecolor() == (1, 1, 1, 1)
    assert label.get_zorder() > max(one.get_zorder() for one in axes.lines)


def test_a_kept_step_that_was_not_measured_is_marked_without_a_loss() -> None:
    axes = drawn(steps=1000, held_out_losses=[[0, 3.0]], best_step=1000)
    assert axes.texts[0].get_text() == "step 1,000"


def test_a_run_without_held_out_rows_has_no_mark() -> None:
    axes = drawn(losses=falling(5), steps=5)
    assert legend(axes) == ["training"]
    assert not axes.texts


def test_resumes_are_marked_and_named_once() -> None:
    axes = drawn(losses=falling(9), steps=9, resumed_at=[3, 6])
    marks = [one for one in axes.lines if one.get_linestyle() == ":"]
    assert [one.get_xdata()[0] for one in marks] == [3, 6]
    assert legend(axes) == ["training", "resumed"]


# -- axes and titles ------------------------------------------------------


def test_a_wide_range_gets_a_logarithmic_axis_with_plain_numbers() -> None:
    axes = drawn(losses=falling(200, high=12, low=0.4), steps=200)
    assert axes.get_yscale() == "log"
    low, high = axes.get_ylim()
    shown = [
        label.get_text()
        for place, label in zip(
            axes.get_yticks(), axes.get_yticklabels(), strict=True
        )
        if low <= place <= high
    ]
    assert shown == ["0.5", "1", "2", "5", "10"]


def test_a_common_range_fills_the_height_of_a_linear_axis() -> None:
    axes = drawn(losses=falling(20, high=4, low=2), steps=20)
    assert axes.get_yscale() == "linear"
    low, high = axes.get_ylim()
    losses = [loss for _, loss in falling(20, high=4, low=2)]
    assert (max(losses) - min(losses)) / (high - low) > 0.8


@pytest.mark.parametrize("loss", [0.0, 2.0, -1.0])
def test_losses_that_are_all_alike_have_an_axis(loss: float) -> None:
    axes = drawn(losses=[[1, loss], [2, loss]], steps=2)
    low, high = axes.get_ylim()
    assert low < loss < high


def test_one_spike_of_many_points_does_not_flatten_the_rest() -> None:
    losses = falling(200)
    losses[120][1] = 90.0
    axes = drawn(losses=losses, steps=200)
    assert axes.get_ylim()[1] < 20


def test_steps_are_whole_numbers_with_separators() -> None:
    axes = drawn(losses=falling(5), steps=5)
    places = axes.get_xticks()
    assert all(float(one).is_integer() for one in places)
    axes = drawn(losses=[[20000, 2.0]], steps=20000)
    assert "10,000" in [one.get_text() for one in axes.get_xticklabels()]


def test_a_point_after_the_last_step_is_on_the_picture() -> None:
    assert drawn(losses=[[9, 2.0]], steps=2).get_xlim()[1] > 9


def test_the_axes_say_what_they_are() -> None:
    axes = drawn()
    assert axes.get_xlabel() == "optimizer step"
    assert axes.get_ylabel() == "loss of an assistant token (nats)"
    assert axes.get_title(loc="left") == "Loss while fine-tuning gemma"


def test_the_title_says_where_training_stopped_early() -> None:
    axes = drawn(stopped_early=True, steps=1200)
    assert axes.get_title(loc="left") == (
        "Loss while fine-tuning gemma, stopped early after step 1,200"
    )


@pytest.mark.parametrize(
    "name", ["a$b$c", "$\\frac{$", "a\nb\x1b[2J", "x_1^2"]
)
def test_a_name_is_text_not_a_formula(name: str) -> None:
    axes = drawn(base={"name": name})
    shown = name.replace("\n", " ").replace("\x1b", "\\x1b")
    assert axes.get_title(loc="left") == f"Loss while fine-tuning {shown}"


def test_of_a_long_name_the_end_is_shown() -> None:
    axes = drawn(base={"name": "/folder" * 30 + "/gemma"})
    title = axes.get_title(loc="left")
    assert len(title) < 75
    assert title.endswith("/folder/gemma")


# -- smoothing ------------------------------------------------------------


def test_the_trend_of_a_straight_line_is_that_line() -> None:
    line = [(step, 5 - 0.01 * step) for step in range(100)]
    trend, width = smoothed(line)
    assert width == 7
    assert [step for step, _ in trend] == list(range(100))
    for (_, found), (_, wanted) in zip(trend, line, strict=True):
        assert math.isclose(found, wanted, abs_tol=1e-9)


def test_the_trend_does_not_follow_the_last_point() -> None:
    flat = [(step, 2.0) for step in range(99)] + [(99, 0.0)]
    assert smoothed(flat)[0][-1][1] > 1.0


# -- the file -------------------------------------------------------------


def test_the_picture_is_written_whole(tmp_path: Path) -> None:
    assert write_picture(tmp_path, REPORT) == "loss.png"
    picture = (tmp_path / "loss.png").read_bytes()
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    assert picture.endswith(b"IEND\xaeB`\x82")


def test_losses_that_are_no_numbers_are_left_out() -> None:
    axes = drawn(losses=[[1, 2.0], [2, math.nan], [3, math.inf], [4, 1.0]])
    assert lines(axes)["training"] == [(1, 2.0), (4, 1.0)]


def test_without_any_loss_there_is_no_picture(tmp_path: Path) -> None:
    assert write_picture(tmp_path, run_with(losses=[])) is None
    assert write_picture(tmp_path, run_with(losses=[[1, math.nan]])) is None
    assert list(tmp_path.iterdir()) == []


def test_without_matplotlib_there_is_no_picture(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert write_picture(tmp_path, REPORT) is None
    assert list(tmp_path.iterdir()) == []
