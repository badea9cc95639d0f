# -*- coding: utf-8 -*-
"""Dialogues of STAR are read as what both sides can see."""

from pathlib import Path
from typing import Any

import pytest
from guided_dialogues import SHARED, needs_shared_data
from star_dialogues import EVENTS, dialogue, query, user, write_star

from alpha_umi.star_dialogues import Event, read_dialogues
from local_llm.errors import DatasetError


def test_a_dialogue_has_what_is_said_and_what_is_queried(
    tmp_path: Path,
) -> None:
    (one,) = read_dialogues(write_star(tmp_path, dialogue(*EVENTS)))
    assert (one.name, one.tasks) == ("1", ("ride",))
    assert one.events[:4] == (
        Event("user", "A ride in New York, please."),
        Event("reply", "Your name?", "ask_name"),
        Event("user", "I am Jo."),
        Event(
            "query",
            api="ride",
            constraints=({"Customer": '"Jo"'}, {"City": '"New York City"'}),
            item={"Price": 9},
            count=1,
        ),
    )


def test_a_query_that_found_nothing_has_no_item(tmp_path: Path) -> None:
    (one,) = read_dialogues(write_star(tmp_path, dialogue(*EVENTS)))
    assert [(e.item, e.count) for e in one.events if e.kind == "query"] == [
        ({"Price": 9}, 1),
        (None, 0),
    ]


@pytest.mark.parametrize(
    "row",
    [
        {"DialogueID": 2},
        dialogue(user("Hi."), query(None)[0]),
        dialogue(*query(None)[:1], user("Hi.")),
        dialogue({"Agent": "User", "Action": "utter"}),
    ],
)
def test_a_row_that_is_no_dialogue_is_refused_with_file_and_row(
    tmp_path: Path,
    row: dict[str, Any],
) -> None:
    write_star(tmp_path, dialogue(*EVENTS), row)
    with pytest.raises(
        DatasetError,
        match=r"dialogues\.jsonl\.gz row 2: no dialogue of STAR",
    ) as caught:
        list(read_dialogues(tmp_path))
    assert caught.value.fix


@needs_shared_data
def test_the_dataset_has_its_dialogues_and_queries() -> None:
    dialogues, queries = 0, 0
    for one in read_dialogues(SHARED / "star"):
        dialogues += 1
        queries += sum(event.kind == "query" for event in one.events)
    assert (dialogues, queries) == (6652, 22169)
