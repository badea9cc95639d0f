# -*- coding: utf-8 -*-
"""The page of a run shows every figure, and no text on it breaks it."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token
from report_examples import AFTER, BARE, REPORT, run_with, source_of

from local_llm.report_pages import as_markdown, write_pages
from local_llm.reports import Demonstration, Reply, RunReport

PLACE = "/work/runs/one"
HOSTILE = [
    "```\n# heading\n```\n~~~",
    "# heading\n\n| a | b |\n|---|---|\n| 1 | 2 |",
    "</details><script>x</script><!--",
    "a\x1b[2J\x00\x07\r\nb\rc\x85\u2028\u202e",
    "[x](y) ![z](w) **b** `c` ``d`` $e$",
    "",
    "\n\n\n",
    "half \ud83d",
]
HEADINGS = [
    "`gemma` fine-tuned on `data.json`",
    "Figures",
    "Held-out loss",
    "Before and after",
    "Prompt 1 of 1",
    "Data",
    "Course of the run",
    "How to use it",
    "Terms",
    "Settings",
    "Identity",
]


def page(report: RunReport = REPORT, picture: str | None = "loss.png") -> str:
    return as_markdown(report, PLACE, picture)


def parsed(text: str) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(text)


def headings(text: str) -> list[str]:
    tokens = parsed(text)
    return [
        tokens[place + 1].content
        for place, one in enumerate(tokens)
        if one.type == "heading_open"
    ]


def blocks(text: str) -> list[str]:
    return [one.content for one in parsed(text) if one.type == "fence"]


def data_of(**changes: Any) -> RunReport:
    return replace(REPORT, data={**REPORT.data, **changes})


# -- what is on it --------------------------------------------------------


def test_the_page_has_its_parts_in_order() -> None:
    assert headings(page()) == HEADINGS


def test_the_first_paragraph_says_what_came_out() -> None:
    assert (
        page()
        .split("\n\n")[1]
        .startswith(
            "The loss on held-out rows fell from 6.876 to 2.500 (63.6% lower)",
        )
    )


@pytest.mark.parametrize(
    "line",
    [
        "| optimizer steps | 2 |",
        "| tokens seen in training | 12,345 |",
        "| tokens under the loss | 500 of 2,000 in the training rows (25.0%) |",
        "| training time | 1 min 1 s |",
        "| speed | 201 tokens/s |",
        "| peak memory | 2.51 GB |",
        "| device | `cpu` |",
        "| data type | `bfloat16` |",
        "| longest row | 321 tokens |",
        "| first training loss | 6.500 at step 1 |",
        "| last training loss | 5.250 at step 2 |",
        "| 0 | 6.8761 | 969 |",
        "| 1 (kept) | 2.5000 | 12.2 |",
        "| 2 | 2.7500 | 15.6 |",
        "| source | `data.json` |",
        "| rows kept | 8 |",
        "| rows trained on | 6 |",
        "| rows held out | 2 |",
        "| rows with several turns of the user | 1 |",
        "| rows shortened to the longest length | 1 |",
        "| format: `lima` | 5 rows |",
        "| format: `messages` | 3 rows |",
        "| adjusted: `merged turns` | 2 rows |",
        "| dropped: `empty turn` | 3 rows: `data.json row 3, turn 1`, "
        "`data.json row 5` and 1 more |",
        "| dropped: `duplicate conversation` | 1 row: `data.json row 9` |",
        "| no answer left | `data.json row 7` |",
        "| held out, no answer left | `data.json row 8` |",
        "| held-out rows shortened to the longest length | 0 |",
        "| rows in an epoch | 6 |",
        "- `gradient checkpointing off: 2.1 GB needed, 14.0 GB free`",
        "- interrupted, and resumed from step 1",
        "- changed at a resume: `max_steps: 1 before, 2 now`",
        "**Before** (cut off after 160 tokens, 2.5 s):",
        "**After** (ended its turn after 6 tokens, 0.5 s):",
        'model.load_model(local_model_path="/work/runs/one")',
        "python -m local_llm.export /work/runs/one --merge",
        '  "max_seq_length": 512,',
        "| key of the run | `k1` |",
        "| fingerprint of the base model | `b1` |",
        "| fingerprint of the data | `d1` |",
        "| `torch` | `2.13.0` |",
        "![The losses over the steps](loss.png)",
    ],
)
def test_the_page_has_the_figure(line: str) -> None:
    assert line in page().splitlines()


def test_the_page_names_some_places_and_says_how_many_more_there_are() -> None:
    rows = [f"row {number}" for number in range(1, 10)]
    named = "`row 1`, `row 2`, `row 3`, `row 4`, `row 5` and 4 more"
    text = page(
        data_of(
            drops={"empty turn": 9},
            drop_places={"empty turn": rows},
            without_answer=rows,
            skipped_files=rows[:2],
        ),
    )
    assert f"| dropped: `empty turn` | 9 rows: {named} |" in text
    assert f"| no answer left | {named} |" in text
    assert "| files not read | `row 1`, `row 2` |" in text


def test_the_page_says_what_of_each_source_is_trained_on() -> None:
    sources = [
        source_of("a", rows=100, weight=3.0, in_epoch=300),
        source_of("b", licence="CC0 1.0", licence_found_in="/b/README.md"),
    ]
    text = page(data_of(sources=sources))
    assert "| trained on of `a` | 100 rows x 3 = 300 in an epoch |" in text
    assert "| trained on of `b` | 1 row x 1 = 1 in an epoch |" in text
    assert "- data `a`: no licence was found" in text
    assert "- data `b`: [CC0 1.0](" in text
    assert ", of `b` in `/b/README.md`.\n" in text
    assert "trained on of" not in page()


def test_the_terms_say_where_they_were_found() -> None:
    assert "Found: of the base model in `hub card of some/gemma`.\n" in page()


def test_a_prompt_and_its_replies_are_shown_whole() -> None:
    assert blocks(page())[:3] == [
        "What for breakfast?\n",
        "Breakfast is\n\nbreakfast is\n",
        "Oats with fruit.\n",
    ]


def test_a_long_reply_is_not_shortened() -> None:
    long = "word " * 5000
    one = Demonstration("p", Reply(long, "length", 5000, 1.0), AFTER)
    assert blocks(page(run_with(demonstrations=[one])))[1] == f"{long}\n"


def test_a_run_of_the_first_version_has_a_page_of_what_it_knows() -> None:
    text = page(BARE, None)
    assert headings(text) == [
        "`gemma` fine-tuned on `data.json`",
        "Figures",
        "Data",
        "How to use it",
        "Terms",
        "Settings",
        "Identity",
    ]
    assert "| in short | `8 rows, 2 held out` |" in text
    assert "loss.png" not in text


# -- nothing breaks it ----------------------------------------------------


@pytest.mark.parametrize("text", HOSTILE)
def test_no_prompt_or_reply_breaks_the_page(text: str) -> None:
    reply = Reply(text, "stop", 1, 1.0)
    report = replace(
        REPORT,
        demonstrations=[Demonstration(text, reply, reply)],
    )
    found = [one for one in headings(page(report)) if one in HEADINGS]
    assert found == HEADINGS
    assert len(blocks(page(report))) == len(blocks(page()))


@pytest.mark.parametrize("text", HOSTILE)
def test_no_name_reason_note_or_setting_breaks_the_page(text: str) -> None:
    report = data_of(
        source=text,
        sources=[source_of(text, licence=text, licence_found_in=text)] * 2,
        skipped_files=[text],
        formats={text: 1},
        drops={text: 2},
        drop_places={text: [text]},
        adjustments={text: 1},
        without_answer=[text],
        fingerprint=text,
    )
    report = replace(
        report,
        base={**REPORT.base, "name": text, "device": text, "dtype": text},
        notes=[text],
        changes=[text],
        settings={text: text},
        licences={key: text for key in REPORT.licences},
        versions={text: text},
        key=text,
    )
    found = headings(page(report))[1:]
    assert found == HEADINGS[1:]
    tables = [one for one in parsed(page(report)) if one.type == "table_open"]
    assert len(tables) == 4
    assert len(blocks(page(report))) == len(blocks(page()))
    assert not set(page(report)) & set(map(chr, [*range(9), 11, 12, 13, 27]))


@pytest.mark.parametrize("text", HOSTILE)
def test_every_page_can_be_written(tmp_path: Path, text: str) -> None:
    one = Demonstration(text, Reply(text, "stop", 1, 1.0), AFTER)
    report = replace(
        REPORT,
        demonstrations=[one],
        base={**REPORT.base, "name": text},
    )
    write_pages(tmp_path, report, Path(PLACE))
    assert (tmp_path / "report.md").read_text(encoding="utf-8") == page(report)


# -- files ----------------------------------------------------------------


def test_the_page_and_the_picture_are_written(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    write_pages(tmp_path, REPORT, Path(PLACE))
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["loss.png", "report.md"]
    assert (tmp_path / "report.md").read_text() == page()


def test_without_matplotlib_only_the_picture_is_missing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    write_pages(tmp_path, REPORT, Path(PLACE))
    assert [path.name for path in tmp_path.iterdir()] == ["report.md"]
    assert (tmp_path / "report.md").read_text() == page(picture=None)


def test_a_page_on_a_whole_model_speaks_of_no_adapter() -> None:
    text = as_markdown(replace(REPORT, is_whole_model=True), "run", None)
    for word in ("adapter", "LoRA", "peft"):
        assert word not in text
    assert "The model of step 1 was kept" in text
