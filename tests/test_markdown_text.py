# -*- coding: utf-8 -*-
"""No text breaks out of where a page has put it.

The pages are read by a real Markdown parser.
"""

import re

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from local_llm.markdown_text import code, fenced, table, visible

HOSTILE = [
    "plain",
    "```\n# a heading\n```",
    "````\n```text\n~~~",
    "`", "``", "a`b", "`a`", "` a", "a\\", "\\", "\\`", "|", "a|b", "a\\|b",
    "| a | b |\n|---|---|",
    "<script>alert(1)</script>", "</code></table>", "&lt;&#124;", "<!--",
    "[x](javascript:1)", "![x](y)", "# h", "- item", "1. item", "> quote",
    "***", "---", "\n\n", "", " ", "  spaces  ", "\ta\tb", "$x$", "*a*_b_",
    "caf\u00e9 \U0001f642 \u4e2d\u6587 \u05d0", "https://example.org/a_b_c",
]  # fmt: skip


def parsed(page: str) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(page)


def inline(tokens: list[Token]) -> str:
    """What a browser shows of the inline parts, their markup taken off."""
    shown = ""
    for token in tokens:
        for part in token.children or []:
            if part.type == "html_inline":
                assert part.content in ("<code>", "</code>")
            else:
                shown += part.content
    return shown


# -- what a reader would not see ------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[2Jb", "a\\x1b[2Jb"),
        ("\x00\x7f\x9f", "\\x00\\x7f\\x9f"),
        ("a\u202eb\u2066c", "a\\u202eb\\u2066c"),
        ("a\u2028b\u2029c\ufeffd", "a\\u2028b\\u2029c\\ufeffd"),
        ("half \ud83d", "half \\ud83d"),
        ("a\r\nb\rc", "a\nb\\rc"),
    ],
)
def test_what_has_no_shape_is_shown_as_an_escape(
    text: str,
    shown: str,
) -> None:
    assert visible(text) == shown


def test_every_script_and_layout_stays_as_it_is() -> None:
    text = "caf\u00e9\t\u4e2d\n\u05d0\u200d\U0001f469\u200d\U0001f33e"
    assert visible(text) == text


# -- blocks ---------------------------------------------------------------


@pytest.mark.parametrize("text", HOSTILE)
def test_a_fenced_text_is_one_block_with_that_text(text: str) -> None:
    before, block, after = "before", fenced(text), "# after"
    tokens = parsed(f"{before}\n\n{block}\n\n{after}\n")
    (fence,) = [one for one in tokens if one.type == "fence"]
    assert fence.content == f"{text}\n"
    assert fence.info == "text"
    headings = [one for one in tokens if one.type == "heading_open"]
    assert len(headings) == 1


def test_a_fence_names_the_language() -> None:
    assert fenced("{}", "json") == "```json\n{}\n```"


# -- code on a line and in a table ----------------------------------------


@pytest.mark.parametrize("text", HOSTILE)
def test_code_in_a_sentence_shows_that_text(text: str) -> None:
    tokens = parsed(f"It is {code(text)} here.\n")
    kinds = [one.type for one in tokens]
    assert kinds == ["paragraph_open", "inline", "paragraph_close"]
    shown = text.replace("\n", "\\n") if text else "(empty)"
    assert inline(tokens) == f"It is {shown} here."


@pytest.mark.parametrize("text", HOSTILE)
def test_code_in_a_table_stays_in_its_cell(text: str) -> None:
    page = table(("name", "value"), [(code(text), "1"), ("x", code(text))])
    tokens = parsed(page + "\n")
    cells = [
        inline([tokens[place + 1]])
        for place, one in enumerate(tokens)
        if one.type == "td_open"
    ]
    shown = (text.replace("\n", "\\n") if text else "(empty)").strip()
    assert [one.strip() for one in cells] == [shown, "1", "x", shown]


def test_a_table_has_a_header_and_a_line_for_each_row() -> None:
    page = table(("a", "b"), [("1", "2"), ("3", "4")])
    assert page == "| a | b |\n| --- | --- |\n| 1 | 2 |\n| 3 | 4 |"


def test_harmless_text_is_code_that_can_be_read_without_a_parser() -> None:
    assert code("data/a_b (1).json row 3") == "`data/a_b (1).json row 3`"
    assert not re.search(r"[`|]", code("a`b|c"))
