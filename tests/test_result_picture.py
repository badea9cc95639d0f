# -*- coding: utf-8 -*-
"""The picture shows each arm, metric and part where it was measured."""

import struct
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from result_examples import RESULTS, SEEN, UNSEEN, figures

pytest.importorskip("matplotlib")

from matplotlib.collections import LineCollection  # noqa: E402

from alpha_umi.columns import TASK_COLUMNS  # noqa: E402
from alpha_umi.result_picture import draw_results, write_picture  # noqa: E402
from alpha_umi.results import Part, Results  # noqa: E402
from local_llm.errors import CheckpointError  # noqa: E402

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def panels(results: Results = RESULTS) -> "dict[str, Axes]":
    """The panels by their titles; the picture can be rendered."""
    figure = draw_results(results)
    figure.draw_without_rendering()
    return {axes.get_title(): axes for axes in figure.axes}


def points(axes: "Axes") -> list[float]:
    """Where the points are, from left to right."""
    found = [
        float(line.get_xdata()[0])  # type: ignore[index]
        for line in axes.lines
        if line.get_marker() not in ("None", "", None)
    ]
    return sorted(round(value, 6) for value in found)


def floors(axes: "Axes") -> list[float]:
    """Where the dashed lines are."""
    return sorted(
        round(float(line.get_xdata()[0]), 6)  # type: ignore[index]
        for line in axes.lines
        if line.is_dashed()
    )


def intervals(axes: "Axes") -> list[tuple[float, float]]:
    """From where to where the intervals reach."""
    return sorted(
        (round(float(start), 6), round(float(end), 6))
        for lines in axes.collections
        if isinstance(lines, LineCollection)
        for (start, _), (end, _) in np.array(lines.get_segments())
    )


def test_every_metric_has_a_panel_in_the_order_of_the_table() -> None:
    titles = ["Plan ACC", "Act. EM", "Hallu.", "Arg. F1", "Rouge-L"]
    assert list(panels()) == titles


def test_points_and_intervals_are_where_they_were_measured() -> None:
    axes = panels()["Plan ACC"]
    assert points(axes) == [80.0, 80.0, 90.0]
    assert intervals(axes) == [(75.0, 85.0), (75.0, 85.0), (85.0, 95.0)]


def test_a_figure_without_an_interval_is_a_point() -> None:
    axes = panels()["Act. EM"]
    assert points(axes) == [50.0, 50.0, 60.0]
    assert intervals(axes) == [(40.0, 60.0), (40.0, 60.0)]


def test_what_was_not_measured_is_not_drawn() -> None:
    assert points(panels()["Rouge-L"]) == [30.0, 30.0]
    assert points(panels()["Arg. F1"]) == [45.0, 45.0]


def test_the_best_floor_of_each_part_is_dashed() -> None:
    assert floors(panels()["Plan ACC"]) == [70.0, 75.0]
    assert floors(panels()["Act. EM"]) == [25.0]
    assert floors(panels()["Rouge-L"]) == []


def test_the_best_floor_is_the_lowest_where_less_is_better() -> None:
    part = Part(
        "x",
        True,
        floors={
            "a": figures(hallu_rate=(0.3, 0.2, 0.4)),
            "b": figures(hallu_rate=(0.1, 0.0, 0.2)),
        },
        arms={"single": figures(hallu_rate=(0.2, 0.1, 0.3))},
    )
    assert floors(panels(Results({}, (part,)))["Hallu."]) == [10.0]


def test_arms_are_named_once_from_the_top() -> None:
    axes = panels()["Plan ACC"]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == ["Single-LLM", "alpha-UMi w/ reuse"]
    bottom, top = axes.get_ylim()
    assert bottom > top


def test_parts_differ_in_colour_and_in_shape() -> None:
    looks = {
        (line.get_color(), line.get_marker())
        for line in panels()["Plan ACC"].lines
        if line.get_marker() != "None"
    }
    assert len(looks) == 2
    assert len({colour for colour, _ in looks}) == 2
    assert len({marker for _, marker in looks}) == 2


def test_the_legend_names_the_parts_and_the_floors() -> None:
    (legend,) = draw_results(RESULTS).legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "seen",
        "unseen",
        "95 % interval",
        "best trivial floor",
    ]


def test_which_way_is_better_stands_below_each_panel() -> None:
    labels = {title: axes.get_xlabel() for title, axes in panels().items()}
    assert labels["Hallu."] == "lower is better"
    assert labels["Plan ACC"] == "higher is better"


@pytest.mark.parametrize("name", [r"$\frac{$\x1b", "long\n" * 20])
def test_a_name_of_any_origin_can_be_drawn(name: str) -> None:
    part = Part(name, True, arms={name: figures(plan_em=(0.5, 0.4, 0.6))})
    axes = panels(Results({}, (part,)))["Plan ACC"]
    (label,) = axes.get_yticklabels()
    assert len(label.get_text()) < 50


def test_figures_of_tasks_can_be_drawn() -> None:
    part = Part("x", True, arms={"single": figures(steps=(2.5, 2.0, 3.0))})
    figure = draw_results(Results({}, (part,)), TASK_COLUMNS)
    assert points(figure.axes[1]) == [2.5]


@pytest.mark.parametrize("arms", [1, 12])
def test_the_picture_is_1200_pixels_wide(tmp_path: Path, arms: int) -> None:
    part = Part(
        "x",
        True,
        arms={str(one): SEEN.arms["single"] for one in range(arms)},
    )
    path = tmp_path / "results.png"
    assert write_picture(path, Results({}, (part, UNSEEN))) == path
    width, height = struct.unpack(">II", path.read_bytes()[16:24])
    assert width == 1200
    assert 200 < height < 1200
    assert list(tmp_path.iterdir()) == [path]


def test_without_an_arm_there_is_no_picture(tmp_path: Path) -> None:
    path = tmp_path / "results.png"
    assert write_picture(path, Results({}, (Part("x", True),))) is None
    assert not path.exists()


def test_without_matplotlib_there_is_no_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert write_picture(tmp_path / "results.png", RESULTS) is None


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="cannot write"):
        write_picture(tmp_path / "file" / "results.png", RESULTS)
