# -*- coding: utf-8 -*-
"""The toolkit answers everyday questions, the same way every time."""

import time

import pytest
from agentscope.tool import FunctionTool

from alpha_umi.local_tools import local_tools
from alpha_umi.protocol import write_call
from alpha_umi.python_tools import Run, runner_of, tools_of

TOOLS = tools_of(local_tools())


@pytest.fixture
def run() -> Run:
    return runner_of(local_tools())


def test_there_are_fifteen_tools() -> None:
    assert [tool.name for tool in TOOLS] == [
        "calculate",
        "convert_units",
        "days_between",
        "add_days",
        "day_of_week",
        "look_up",
        "find_names",
        "count_words",
        "count_letters",
        "reverse_text",
        "change_case",
        "sort_words",
        "add_to_do",
        "list_to_do",
        "finish_to_do",
    ]


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_what_a_model_reads_of_a_tool_is_short_and_whole(tool) -> None:
    assert 0 < len(tool.description) <= 60
    for text in tool.arguments.values():
        kind, _, meaning = text.partition(", ")
        assert kind in {"string", "number", "integer"} and meaning
        assert len(text) <= 45


@pytest.mark.parametrize("function", local_tools(), ids=lambda f: f.__name__)
def test_agentscope_reads_the_same_of_a_function(function) -> None:
    (ours,), theirs = tools_of([function]), FunctionTool(function)
    assert ours.schema is not None
    assert (ours.name, ours.description) == (theirs.name, theirs.description)
    for part in ("type", "properties", "required"):
        assert ours.schema.get(part) == theirs.input_schema.get(part)


@pytest.mark.parametrize(
    ("name", "arguments", "observation"),
    [
        ("calculate", {"expression": "84 - 68"}, "16"),
        ("calculate", {"expression": "20 / 3"}, "6.66667"),
        (
            "convert_units",
            {"value": 8849, "from_unit": "m", "to_unit": "feet"},
            "29032.15 feet",
        ),
        (
            "days_between",
            {"start": "2024-02-28", "end": "1 March 2024"},
            "2 days",
        ),
        (
            "days_between",
            {"start": "March 1, 2024", "end": "2024-02-29"},
            "-1 day",
        ),
        ("add_days", {"date": "2024-02-28", "days": 2}, "2024-03-01"),
        ("add_days", {"date": "2024-01-01", "days": -1}, "2023-12-31"),
        ("day_of_week", {"date": "20 July 1969"}, "Sunday"),
        ("look_up", {"name": "Kenya", "field": "capital"}, "Nairobi"),
        (
            "find_names",
            {"field": "mouth", "value": "north sea"},
            "Rhine, Elbe, Thames",
        ),
        ("count_words", {"text": "I don't know - a well-known fact!"}, "6"),
        ("count_words", {"text": " \n"}, "0"),
        ("count_letters", {"text": "Mississippi", "letter": "S"}, "4"),
        ("reverse_text", {"text": "stressed"}, "desserts"),
        ("change_case", {"text": "hello", "case": "upper"}, "HELLO"),
        ("change_case", {"text": "A Word", "case": "lower"}, "a word"),
        ("change_case", {"text": "i don't", "case": "title"}, "I Don't"),
        ("sort_words", {"text": "pear fig Apple"}, "Apple fig pear"),
        ("sort_words", {"text": "pear, dried fig"}, "dried fig, pear"),
        ("list_to_do", {}, "nothing to do"),
        ("add_to_do", {"item": " buy milk"}, "added buy milk, 1 item to do"),
    ],
)
def test_a_tool_gives_its_result(
    run: Run,
    name: str,
    arguments: dict,
    observation: str,
) -> None:
    assert run(write_call(name, arguments)) == observation


@pytest.mark.parametrize(
    ("name", "arguments", "reason"),
    [
        ("day_of_week", {"date": "25/12/2024"}, "25/12/2024 is no date, "),
        ("day_of_week", {"date": "2023-02-29"}, "2023-02-29 is no date, "),
        ("add_days", {"date": "2024-01-01", "days": 10**9}, "1000000000 "),
        ("add_days", {"date": "2024-01-01", "days": 10**99}, "1"),
        ("count_letters", {"text": "a", "letter": "ab"}, "ab is not one"),
        ("count_words", {"text": "a " * 6000}, "the text has more than"),
        ("finish_to_do", {"item": "x"}, "x is not on the list, there is no"),
        ("add_to_do", {"item": " "}, "the item is empty"),
        ("change_case", {"text": "a", "case": "odd"}, "case: Input should"),
    ],
)
def test_what_a_tool_cannot_do_it_says(
    run: Run,
    name: str,
    arguments: dict,
    reason: str,
) -> None:
    assert run(write_call(name, arguments)).startswith(f"Error: {reason}")


def test_the_to_do_list_is_kept_from_call_to_call(run: Run) -> None:
    calls = [
        ("add_to_do", {"item": "buy milk"}),
        ("add_to_do", {"item": "call the bank"}),
        ("add_to_do", {"item": "Buy milk"}),
        ("list_to_do", {}),
        ("finish_to_do", {"item": "BUY MILK"}),
        ("list_to_do", {}),
    ]
    assert [run(write_call(*call)) for call in calls] == [
        "added buy milk, 1 item to do",
        "added call the bank, 2 items to do",
        "Error: Buy milk is on the list already",
        "buy milk, call the bank",
        "finished buy milk, 1 item to do",
        "call the bank",
    ]


def test_two_toolkits_have_two_to_do_lists(run: Run) -> None:
    run(write_call("add_to_do", {"item": "buy milk"}))
    other = runner_of(local_tools())
    assert other(write_call("list_to_do", {})) == "nothing to do"


def test_the_to_do_list_has_an_end(run: Run) -> None:
    for number in range(100):
        run(write_call("add_to_do", {"item": f"item {number}"}))
    full = run(write_call("add_to_do", {"item": "one more"}))
    assert full == "Error: the list is full with 100 items"


def test_the_longest_texts_take_no_time(run: Run) -> None:
    text = "'-" * 5000
    started = time.perf_counter()
    for name in ("count_words", "reverse_text", "sort_words"):
        run(write_call(name, {"text": text}))
    run(write_call("change_case", {"text": text, "case": "title"}))
    assert time.perf_counter() - started < 1
