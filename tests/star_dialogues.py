# -*- coding: utf-8 -*-
"""A small dataset of the form of STAR."""

import gzip
import io
import json
import tarfile
from pathlib import Path
from typing import Any


def argument(name: str, kind: str, *values: str) -> dict[str, Any]:
    raw = {"Name": name, "Type": kind, "ReadableName": f"The {name}"}
    return {**raw, "Categories": list(values)} if values else raw


RIDE = {
    "input": [
        argument("id", "Integer"),
        argument("Customer", "ShortString"),
        argument("City", "Categorical", "New York City", "Rome"),
        argument("Shared", "Boolean"),
        argument("Request", "RequestType", "Check", "Book"),
        argument("Note", "LongString"),
    ],
    "output": [argument("Price", "Integer")],
    "required": ["Customer"],
    "function": "ride_book",
}
WEATHER = {
    "input": [argument("Day", "ShortString")],
    "output": [],
    "required": [],
    "function": "generic_sample",
}


def user(text: str) -> dict[str, Any]:
    return {"Agent": "User", "Action": "utter", "Text": text}


def reply(text: str, label: str = "") -> dict[str, Any]:
    said = {"Agent": "Wizard", "Action": "utter", "Text": text}
    if not label:
        return said
    return {**said, "Action": "pick_suggestion", "ActionLabel": label}


def query(item: dict[str, Any] | None, **values: str) -> list[dict[str, Any]]:
    """A query for a ride, and what it returned."""
    result = {
        "Agent": "KnowledgeBase",
        "Action": "return_item",
        "APIName": "ride",
        "TotalItems": 0 if item is None else -1,
    }
    if item is not None:
        result["Item"] = {"APIName": "ride", **item}
    return [
        {
            "Agent": "Wizard",
            "Action": "query",
            "APIName": "ride",
            "Constraints": [{name: one} for name, one in values.items()],
        },
        result,
    ]


GUIDE = {"Agent": "UserGuide", "Action": "instruct", "Text": "Be kind."}
TYPED = {"Agent": "Wizard", "Action": "request_suggestions", "Text": "name"}

EVENTS = [
    GUIDE,
    user("A ride in New York, please."),
    TYPED,
    reply("Your name?", "ask_name"),
    user("I am Jo."),
    *query({"Price": 9}, Customer='"Jo"', City='"New York City"'),
    reply("That is 9 dollars."),
    user("Book it for Jo."),
    *query(None, Customer='"Jo"'),
    reply("Sorry."),
]


def dialogue(*events: dict[str, Any], name: int = 1) -> dict[str, Any]:
    return {
        "DialogueID": name,
        "Scenario": {"WizardCapabilities": [{"Task": "ride"}]},
        "Events": list(events),
    }


def write_star(folder: Path, *dialogues: dict[str, Any]) -> Path:
    with tarfile.open(folder / "apis_tasks.tar.gz", "w:gz") as archive:
        for name, api in (("ride", RIDE), ("weather", WEATHER)):
            content = json.dumps(api).encode()
            member = tarfile.TarInfo(f"./apis/apis/{name}.json")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    lines = "".join(f"{json.dumps(one)}\n" for one in dialogues)
    packed = gzip.compress(lines.encode())
    (folder / "dialogues.jsonl.gz").write_bytes(packed)
    return folder
