# -*- coding: utf-8 -*-
"""Formats of replies: our own, and those of template families."""

import pytest

from local_llm.tool_calls import ToolCall, parse_calls, render_call
from local_llm.wire_formats import (
    own_format,
    with_raw_calls,
    without_calls,
)


@pytest.mark.parametrize("name", ["weather", 'a "quoted" \u00fc', "<x>"])
def test_a_call_in_our_form_is_what_fine_tuning_data_has(name: str) -> None:
    wire = own_format(False)
    text = f'{wire.before_arguments(name)}{{"a": 1}}{wire.after}'
    call = ToolCall(name, {"a": 1})
    assert text == render_call(call)
    assert parse_calls(text) == (call,)


def test_thoughts_may_have_begun_in_the_prompt() -> None:
    assert own_format(True, "<start>model\n<think>\n").prefix == "<think>"
    assert own_format(True, "<start>model\n").prefix == ""
    fields = own_format(False, "<think>").response_template["fields"]
    assert "reasoning_content" not in fields


def test_without_tools_nothing_is_read_as_a_call() -> None:
    template = own_format(True).response_template
    assert {*without_calls(template)["fields"]} == {
        "content",
        "reasoning_content",
    }


def test_json_of_calls_is_left_to_us_and_other_forms_to_the_library() -> None:
    json_calls = {"fields": {"tool_calls": {"content": "json"}}}
    raw = with_raw_calls(json_calls)
    assert raw["fields"]["tool_calls"]["content"] == "text"
    odd = {"fields": {"tool_calls": {"content": "xml-inline"}}}
    assert with_raw_calls(odd) == odd
