# -*- coding: utf-8 -*-
"""Prompts have every field in its place, and texts go in as they are."""

import json

import pytest

from alpha_umi.prompts import render, templates
from alpha_umi.protocol import Tool, Utterance

TOOLS = (
    Tool("add", "Adds\n numbers.", {"a": "number, one", "b": "number, "}),
    Tool("now", "\u00e9"),
)
HISTORY = (
    Utterance("user", "2 + 3?"),
    Utterance("assistant", "I add. Next: caller."),
    Utterance("caller", "Action: add\nAction Input: {}"),
    Utterance("observation", "5"),
    Utterance("conclusion", "It is 5."),
)
FIELDS = "{doc}|{history}|{thought}|{tool_names}"


def line_of(tool: Tool) -> str:
    return render("{doc}", "brief", [tool], [])


# -- the style of the paper -----------------------------------------------


def test_a_tool_is_a_line_of_ascii_json() -> None:
    lines = render("{doc}", "paper", TOOLS, []).splitlines()
    assert [json.loads(line) for line in lines] == [
        tool.as_document() for tool in TOOLS
    ]
    assert lines[1] == '{"Name": "now", "function": "\\u00e9", "input": {}}'


def test_every_turn_but_an_observation_has_an_end() -> None:
    assert render("{history}", "paper", [], HISTORY) == (
        "user: 2 + 3?</s>"
        "assistant: I add. Next: caller.</s>"
        "caller: Action: add\nAction Input: {}</s>"
        "observation: 5"
        "conclusion: It is 5.</s>"
    )


# -- the brief style ------------------------------------------------------


def test_a_tool_is_a_line_with_its_arguments() -> None:
    assert render("{doc}", "brief", TOOLS, []) == (
        "add(a: number, one, b: number) Adds numbers.\nnow() \u00e9"
    )


def test_a_turn_is_a_line_with_its_speaker() -> None:
    text = render("{history}", "brief", [], HISTORY[:1] + HISTORY[3:4])
    assert text == "user: 2 + 3?\nobservation: 5"


@pytest.mark.parametrize(
    ("description", "read"),
    [
        (
            'This is the subfunction for tool "x", you can use this tool.'
            'The description of this function is: "Gives a "quote"."',
            'Gives a "quote".',
        ),
        (
            'This is the subfunction for tool "x", you can use this tool.'
            'The description of this function is: "Was cut\nhe',
            "Was cut he",
        ),
        ('This is the subfunction for tool "x", you can use this tool.', ""),
        ('Says "so"', 'Says "so"'),
    ],
)
def test_what_toolbench_puts_around_a_description_is_left_out(
    description: str,
    read: str,
) -> None:
    assert line_of(Tool("f", description)) == f"f() {read}".rstrip()


def test_a_long_description_is_cut_between_words() -> None:
    line = line_of(Tool("f", "word " * 30))
    assert line == "f() " + " ".join(["word"] * 15) + "..."


def test_a_long_description_without_spaces_is_cut_too() -> None:
    line = line_of(Tool("f", "\u5b57" * 300))
    assert line == "f() " + "\u5b57" * 77 + "..."


# -- both -----------------------------------------------------------------


@pytest.mark.parametrize("style", ["paper", "brief"])
def test_the_name_of_a_field_inside_a_text_stays_text(style) -> None:
    tools = [Tool("{history}", "{thought} {x}", {"{doc}": "{tool_names}"})]
    history = [Utterance("user", "{thought} {} { }} {0}")]
    text = render(FIELDS, style, tools, history, "{doc}")
    doc, said, thought, names = text.split("|")
    assert "{thought} {x}" in doc and "{tool_names}" in doc
    assert "user: {thought} {} { }} {0}" in said
    assert (thought, names) == ("{doc}", "{history}")


def test_the_names_of_the_tools_are_listed() -> None:
    assert render("{tool_names}", "paper", TOOLS, []) == "add, now"


@pytest.mark.parametrize("style", ["paper", "brief"])
@pytest.mark.parametrize("role", ["backbone", "planner", "caller"])
def test_who_plans_or_calls_sees_tools_and_history(style, role) -> None:
    text = render(getattr(templates(style), role), style, TOOLS, HISTORY)
    assert "add" in text and "user: 2 + 3?" in text


@pytest.mark.parametrize("style", ["paper", "brief"])
def test_the_summarizer_sees_no_tools(style) -> None:
    text = render(templates(style).summarizer, style, TOOLS, HISTORY[:1])
    assert "add" not in text and "user: 2 + 3?" in text


def test_the_brief_prompt_is_the_shorter_one() -> None:
    lengths = {
        style: len(render(templates(style).planner, style, TOOLS, HISTORY))
        for style in ("paper", "brief")
    }
    assert lengths["brief"] < lengths["paper"] * 0.6
