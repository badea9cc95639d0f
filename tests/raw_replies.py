# -*- coding: utf-8 -*-
"""Replies as a broken model may write them, for tests that draw them."""

from hypothesis import strategies as st

fragments = st.sampled_from(
    [
        "<tool_call>",
        "</tool_call>",
        "<think>",
        "</think>",
        '{"name": "now", "arguments": {}}',
        '{"name": "weather", "arguments": {"city": "Paris"}}',
        '"parameters": ',
        "[TOOL_CALLS]",
        "```json\n",
        "{",
        "}",
        "[",
        '"',
        "\\",
        " \n",
    ],
)
replies = st.lists(fragments | st.text(max_size=4), max_size=8).map("".join)
