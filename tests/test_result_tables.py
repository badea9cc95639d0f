# -*- coding: utf-8 -*-
"""Tables show what was measured, and nothing that was not."""

import pytest
from result_examples import RESULTS, SEEN, UNSEEN, figures, part_with

from alpha_umi.arm_names import ArmName
from alpha_umi.columns import ARGUMENT_COLUMNS, TASK_COLUMNS
from alpha_umi.intervals import Estimate
from alpha_umi.paper_results import PAPER_ROWS, SOURCE
from alpha_umi.result_tables import (
    figure_table,
    ordering_lines,
    results_page,
    seed_table,
)
from alpha_umi.results import Part


def rows(table: str) -> list[list[str]]:
    """The cells of a table without its line of dashes."""
    lines = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in table.splitlines()
    ]
    return [lines[0], *lines[2:]]


def test_floors_stand_above_the_arms() -> None:
    assert rows(figure_table(SEEN)) == [
        ["", "Plan ACC ↑", "Act. EM ↑", "Hallu. ↓", "Arg. F1 ↑", "Rouge-L ↑"],
        [
            "floor: always call",
            "75.0 [70.0, 80.0]",
            "0.0 [0.0, 0.0]",
            "0.0 [0.0, 0.0]",
            "–",
            "–",
        ],
        [
            "floor: first tool",
            "75.0 [70.0, 80.0]",
            "25.0 [20.0, 30.0]",
            "0.0 [0.0, 0.0]",
            "–",
            "–",
        ],
        [
            "Single-LLM",
            "80.0 [75.0, 85.0]",
            "50.0 [40.0, 60.0]",
            "2.0 [1.0, 4.0]",
            "45.0 [40.0, 50.0]",
            "30.0 [25.0, 40.0]",
        ],
        # An interval that is not known, a figure that is not, and one that
        # was not measured.
        [
            "alpha-UMi w/ reuse",
            "90.0 [85.0, 95.0]",
            "60.0",
            "0.0 [0.0, 0.0]",
            "–",
            "–",
        ],
    ]


def test_rows_of_the_paper_stand_below_as_printed() -> None:
    table = rows(figure_table(SEEN, references=PAPER_ROWS))
    assert table[-1] == [
        "paper, 13B: alpha-UMi w/ reuse",
        "88.73",
        "64.21",
        "0.24",
        "57.38",
        "42.50",
    ]
    assert len(table) == 1 + 2 + 2 + 10


def test_other_columns_can_be_shown() -> None:
    part = Part(
        "tasks",
        True,
        arms={"mine": figures(solved=(0.5, 0.4, 0.6), steps=(2.5, 2.0, 3.0))},
    )
    header, row = rows(figure_table(part, TASK_COLUMNS))
    assert header[1:] == ["Solved ↑", "Steps ↓", "Calls ↓", "Invalid calls ↓"]
    assert row[1:] == ["50.0 [40.0, 60.0]", "2.5 [2.0, 3.0]", "–", "–"]
    assert rows(figure_table(SEEN, ARGUMENT_COLUMNS))[0][1:] == [
        "easy Arg. F1 ↑",
        "hard Arg. F1 ↑",
    ]


def test_a_name_of_any_origin_breaks_no_table() -> None:
    part = Part("x", True, arms={"a|b\n`c`": figures(plan_em=(0.5, 0.4, 0.6))})
    assert len(rows(figure_table(part))) == 2
    assert all(len(row) == 6 for row in rows(figure_table(part)))


def test_nothing_is_less_than_nothing() -> None:
    nearly = Estimate(-0.0001, -0.0002, -0.0, (0.0,))
    part = Part("x", True, arms={"a": {"plan_em": nearly}})
    assert rows(figure_table(part))[1][1] == "0.0 [0.0, 0.0]"


def test_the_range_over_the_seeds_is_shown_where_there_are_several() -> None:
    table = seed_table(SEEN)
    assert table is not None
    assert rows(table)[1][:3] == ["Single-LLM", "0", "80.0 to 80.0"]
    assert rows(table)[2] == [
        "alpha-UMi w/ reuse",
        "0, 1",
        "88.0 to 92.0",
        "60.0 to 60.0",
        "0.0 to 0.0",
        "–",
        "–",
    ]
    assert seed_table(UNSEEN) is None


# -- orderings ------------------------------------------------------------


def test_each_ordering_is_a_line_below_its_point() -> None:
    part = part_with(
        {
            (ArmName.WITH_REUSE, ArmName.SINGLE): figures(
                plan_em=(0.05, 0.01, 0.09),
                rouge=(-0.002, -0.03, 0.02),
            ),
            (ArmName.MULTI_TASK, ArmName.WITH_REUSE): figures(
                plan_em=(0.01, -0.01, 0.03)
            ),
        },
    )
    assert ordering_lines([part]) == [
        "**1. alpha-UMi with reuse plans and calls best**",
        "",
        "- seen, Plan ACC: alpha-UMi w/ reuse above Single-LLM "
        "+5.0 [+1.0, +9.0]; Single-LLM multi-task -1.0 [-3.0, +1.0]: "
        "**not decided**",
        "",
        "**4. Rouge-L is the exception: out of domain Single-LLM is above**",
        "",
        "- seen, Rouge-L: alpha-UMi w/ reuse above Single-LLM "
        "-0.2 [-3.0, +2.0]: **not decided**",
    ]


def test_where_no_arms_were_compared_nothing_is_said_of_orderings() -> None:
    assert ordering_lines([UNSEEN]) == []


# -- the page -------------------------------------------------------------


def test_the_page_has_a_table_for_each_part() -> None:
    page = results_page(
        RESULTS, references={"unseen": PAPER_ROWS}, picture="results.png"
    )
    assert "- command: `compare`" in page
    assert "- machine: <code>a&#124;b</code>" in page
    assert "](results.png)" in page
    assert (
        "## seen (in domain): 1,200 steps of 20 trajectories "
        "(900 calls, 200 answers, 100 given up)" in page
    )
    assert "## unseen (out of domain)\n" in page
    assert figure_table(SEEN) in page
    assert figure_table(UNSEEN, references=PAPER_ROWS) in page


def test_rows_of_the_paper_are_out_of_domain_and_name_their_source() -> None:
    page = results_page(RESULTS, references={"unseen": PAPER_ROWS})
    assert page.count("paper, 7B: Single-LLM |") == 1
    assert SOURCE in page
    assert SOURCE not in results_page(RESULTS)


def test_the_page_ends_with_the_orderings_of_the_paper() -> None:
    page = results_page(RESULTS)
    _, _, orderings = page.partition("## Which orderings of the paper hold")
    assert "Single-LLM +10.0 [+5.0, +15.0]: **holds**" in orderings


@pytest.mark.parametrize("picture", [None, "results.png"])
def test_the_page_has_a_picture_where_there_is_one(
    picture: str | None,
) -> None:
    assert ("![" in results_page(RESULTS, picture=picture)) == bool(picture)
