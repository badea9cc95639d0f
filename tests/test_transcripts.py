# -*- coding: utf-8 -*-
"""A transcript has all that was said, and harms no terminal and no file."""

import json

from scripted_team import CALL, CONCLUDE, GIVE_UP, ROME, solved, team_of

from alpha_umi.protocol import Call
from alpha_umi.transcripts import as_json_lines, as_text
from local_llm.errors import GenerationError


def test_a_text_names_who_speaks_and_how_it_ended() -> None:
    solution = solved(team_of([f"Think. {CALL}", CONCLUDE], [ROME], ["Sun."]))
    assert as_text(solution) == (
        "user: How is Rome?\n"
        "planner: Think. Next: caller.\n"
        "caller: Action: weather\n"
        '  Action Input: {"city": "Rome"}\n'
        'observation: sunny, {"city": "Rome"}\n'
        "planner: Next: conclusion.\n"
        "summarizer: Sun.\n"
        "-- answered: 2 steps, 1 call, 4 queries, 26 tokens\n"
    )


def test_a_text_says_which_model_failed() -> None:
    solution = solved(team_of([CALL], [GenerationError("gone")]))
    assert as_text(solution) == (
        "user: How is Rome?\n"
        "unfinished planner: Next: caller.\n"
        "unfinished caller: half\n"
        "error: caller: gone\n"
        "-- model error: 0 steps, 0 calls, 2 queries, 5 tokens\n"
    )


def test_what_moves_a_cursor_is_written_out() -> None:
    async def tool(call: Call) -> str:
        return "\x1b[2J\u202e sun"

    text = as_text(solved(team_of([CALL, CONCLUDE]), tool))
    assert "observation: \\x1b[2J\\u202e sun" in text


def test_lines_of_json_have_the_end_first_and_then_what_was_said() -> None:
    head, *said = [
        json.loads(line)
        for line in as_json_lines(
            solved(team_of([CALL, GIVE_UP], [ROME]))
        ).splitlines()
    ]
    assert head == {
        "outcome": "gave_up",
        "answer": None,
        "steps": 2,
        "queries": 3,
        "tokens": 20,
        "calls": ["returned"],
        "error": None,
    }
    assert [one["from"] for one in said] == [
        "user",
        "assistant",
        "caller",
        "observation",
        "assistant",
    ]
    assert said[2] == {"from": "caller", "value": ROME}


def test_lines_of_json_fit_into_any_file() -> None:
    team = team_of([CONCLUDE], summarizer=["天気\u2028\ud800"])
    lines = as_json_lines(solved(team))
    assert lines.isascii()
    assert len(lines.splitlines()) == 4
