# -*- coding: utf-8 -*-
"""A small dataset of the form of Schema-Guided Dialogue, and the real one."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"

needs_shared_data = pytest.mark.skipif(
    not SHARED.is_dir(),
    reason="the shared data are not at hand",
)


def slot(name: str, *values: str) -> dict[str, Any]:
    return {
        "name": name,
        "description": f"The {name}",
        "is_categorical": bool(values),
        "possible_values": list(values),
    }


TAXIS = {
    "service_name": "Taxis_1",
    "description": "Taxis",
    "slots": [slot("street"), slot("riders", "1", "2"), slot("fare")],
    "intents": [
        {
            "name": "FindTaxi",
            "description": "Find a taxi",
            "required_slots": ["street"],
            "optional_slots": {"riders": "1"},
        },
        {
            "name": "BookTaxi",
            "description": "Book a taxi",
            "required_slots": ["street", "riders"],
            "optional_slots": {},
        },
    ],
}
MUSIC = {
    "service_name": "Music_1",
    "description": "Music",
    "slots": [slot("song")],
    "intents": [
        {
            "name": name,
            "description": f"{name} it",
            "required_slots": ["song"],
            "optional_slots": {},
        }
        for name in ("PlaySong", "FindSong", "StopSong", "BookTaxi")
    ],
}
BANKS = {**MUSIC, "service_name": "Banks_1", "intents": []}


def user(text: str, state: dict[str, list[str]]) -> dict[str, Any]:
    frame = {
        "service": "Taxis_1",
        "acts": [["INFORM", "street", ["Elm Street"]]],
        "intent": "FindTaxi",
        "slots": state,
        "requested": [],
    }
    return {"speaker": "USER", "text": text, "frames": [frame]}


def system(text: str, *acts: list[Any], **call: Any) -> dict[str, Any]:
    frame = {"service": "Taxis_1", "acts": list(acts), **call}
    return {"speaker": "SYSTEM", "text": text, "frames": [frame]}


FOUND = {
    "call": {"method": "FindTaxi", "parameters": {"street": "Elm Street"}},
    "results": [{"fare": "7", "street": "Elm Street"}],
    "n_results": 3,
}
FAILED = {
    "call": {
        "method": "BookTaxi",
        "parameters": {"riders": "2", "street": "Elm Street"},
    },
    "results": [],
    "n_results": 0,
}
ELM = {"street": ["elm street", "Elm street"]}

DIALOGUE: dict[str, Any] = {
    "id": "1_00000",
    "services": ["Taxis_1"],
    "turns": [
        user("A taxi, please.", {}),
        system("Which street?", ["REQUEST", "street", []]),
        user("Elm street.", ELM),
        system(
            "One for 7 dollars?",
            ["OFFER", "fare", ["7"]],
            ["INFORM_COUNT", "count", ["3"]],
            **FOUND,
        ),
        user("Yes, for 2.", {**ELM, "riders": ["2"]}),
        system("Sorry, no.", ["NOTIFY_FAILURE", "", []], **FAILED),
        user("What was the fare?", {**ELM, "riders": ["2"]}),
        system("9 dollars.", ["INFORM", "fare", ["9"]]),
        user("Bye.", ELM),
        system("Bye!", ["GOODBYE", "", []]),
    ],
}


def write_dataset(folder: Path, *dialogues: dict[str, Any]) -> Path:
    """A dataset whose training part knows taxis, its test part music too."""
    for split, schema in (("train", [TAXIS]), ("test", [TAXIS, MUSIC, BANKS])):
        path = folder / f"{split}_schema.json"
        path.write_text(json.dumps(schema), encoding="utf-8")
        lines = "".join(f"{json.dumps(one)}\n" for one in dialogues)
        packed = gzip.compress(lines.encode())
        (folder / f"{split}.jsonl.gz").write_bytes(packed)
    return folder
