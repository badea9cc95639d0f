# -*- coding: utf-8 -*-
"""Dialogues are read as published and slimmed, or refused with their row."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from guided_dialogues import (
    DIALOGUE,
    SHARED,
    needs_shared_data,
    write_dataset,
)

from alpha_umi.schema_guided_dialogues import Act, Dialogue, read_dialogues
from local_llm.errors import DatasetError

PUBLISHED: dict[str, Any] = {
    "dialogue_id": "1_00000",
    "services": ["Taxis_1"],
    "turns": [
        {
            "speaker": "USER",
            "utterance": "Elm street.",
            "frames": [
                {
                    "service": "Taxis_1",
                    "slots": [{"slot": "street", "start": 0}],
                    "actions": [
                        {
                            "act": "INFORM",
                            "slot": "street",
                            "values": ["Elm street"],
                            "canonical_values": ["Elm Street"],
                        },
                    ],
                    "state": {
                        "active_intent": "FindTaxi",
                        "requested_slots": [],
                        "slot_values": {"street": ["Elm street"]},
                    },
                },
            ],
        },
        {
            "speaker": "SYSTEM",
            "utterance": "There are 4.",
            "frames": [
                {
                    "service": "Taxis_1",
                    "slots": [],
                    "actions": [
                        {"act": "INFORM_COUNT", "slot": "", "values": ["4"]},
                    ],
                    "service_call": {
                        "method": "FindTaxi",
                        "parameters": {"street": "Elm Street"},
                    },
                    "service_results": [{"fare": str(n)} for n in range(4)],
                },
            ],
        },
    ],
}


def read_published(folder: Path, *rows: object) -> list[Dialogue]:
    (folder / "dev").mkdir()
    for number, row in enumerate(rows, start=1):
        path = folder / "dev" / f"dialogues_{number:03}.json"
        path.write_text(json.dumps([row]), encoding="utf-8")
    return list(read_dialogues(folder, "dev"))


def test_a_slimmed_dialogue_has_its_turns_and_frames(tmp_path: Path) -> None:
    write_dataset(tmp_path, DIALOGUE)
    (one,) = read_dialogues(tmp_path, "train")
    frame = one.turns[3].frames[0]
    assert (one.name, one.services, len(one.turns)) == (
        "1_00000",
        ("Taxis_1",),
        10,
    )
    assert frame.acts_of("OFFER") == (Act("OFFER", "fare", ("7",)),)
    assert (frame.method, frame.count) == ("FindTaxi", 3)
    assert one.turns[2].frames[0].state["street"] == (
        "elm street",
        "Elm street",
    )


def test_a_published_dialogue_reads_like_a_slimmed_one(
    tmp_path: Path,
) -> None:
    (one,) = read_published(tmp_path, PUBLISHED)
    user, system = (turn.frames[0] for turn in one.turns)
    assert [turn.text for turn in one.turns] == ["Elm street.", "There are 4."]
    assert user.intent == "FindTaxi"
    assert user.state == {"street": ("Elm street",)}
    assert user.acts == (Act("INFORM", "street", ("Elm street",)),)
    assert system.arguments == {"street": "Elm Street"}
    assert [result["fare"] for result in system.results] == ["0", "1", "2"]
    assert system.count == 4


def test_published_files_are_read_in_their_order(tmp_path: Path) -> None:
    second = {**PUBLISHED, "dialogue_id": "2"}
    found = read_published(tmp_path, PUBLISHED, second)
    assert [one.name for one in found] == ["1_00000", "2"]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"id": None, "services": 3}, "TypeError"),
        ({"turns": None}, "TypeError"),
        ({"turns": [{"speaker": "USER", "text": "Hi"}]}, "'frames'"),
        (
            {"turns": [{"speaker": "USER", "text": "Hi", "frames": []}]},
            "0 frames",
        ),
        (
            {"turns": [{"speaker": "BOT", "text": "", "frames": [{}]}]},
            "'acts'|'service'",
        ),
    ],
)
def test_a_row_that_is_no_dialogue_is_refused_with_file_and_row(
    tmp_path: Path,
    change: dict[str, Any],
    named: str,
) -> None:
    write_dataset(tmp_path, DIALOGUE, {**DIALOGUE, **change})
    with pytest.raises(
        DatasetError,
        match=rf"train\.jsonl\.gz row 2: no dialogue.*({named})",
    ) as caught:
        list(read_dialogues(tmp_path, "train"))
    assert caught.value.fix


def test_a_part_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no test.jsonl.gz and no"):
        list(read_dialogues(tmp_path, "test"))


@needs_shared_data
def test_the_parts_of_the_dataset_have_their_dialogues_and_calls() -> None:
    counts: Counter[str] = Counter()
    for one in read_dialogues(SHARED / "sgd", "test"):
        counts["dialogues"] += 1
        counts["calls"] += sum(bool(t.frames[0].method) for t in one.turns)
    assert counts == {"dialogues": 2921, "calls": 7658}
