# -*- coding: utf-8 -*-
"""The dialogues of STAR: what user and wizard say, and the wizard's queries.

Knows no APIs and no roles. Raises DatasetError with file and row.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from .reading import faults_named, first_file, rows_of


@dataclass(frozen=True, slots=True)
class Event:
    """What happens in a dialogue.

    Attributes:
        kind (`Literal["user", "reply", "query"]`):
            Who speaks, or that the wizard queries an API.
        text (`str`):
            What is said.
        label (`str`):
            What a reply is for, where the wizard has picked it.
        api (`str`):
            What is queried.
        constraints (`Sequence[Mapping[str, str]]`):
            With what.
        item (`Mapping[str, Any] | None`):
            What the query returned, None for nothing.
        count (`int`):
            How many there were to return.
    """

    kind: Literal["user", "reply", "query"]
    text: str = ""
    label: str = ""
    api: str = ""
    constraints: Sequence[Mapping[str, str]] = field(default_factory=tuple)
    item: Mapping[str, Any] | None = None
    count: int = 0


@dataclass(frozen=True, slots=True)
class Dialogue:
    """A dialogue, the tasks that its wizard can do, and where it stands."""

    name: str
    tasks: tuple[str, ...]
    events: tuple[Event, ...]
    where: str


def read_dialogues(folder: Path) -> Iterator[Dialogue]:
    """All dialogues, in the order of the file.

    Args:
        folder (`Path`):
            With `dialogues.jsonl.gz` or `dialogues.jsonl`: a line for each
            of the published files.

    Raises:
        `DatasetError`: There is no such file, or a row is no dialogue.
    """
    path = first_file(folder, ("dialogues.jsonl.gz", "dialogues.jsonl"))
    for where, row in rows_of(path):
        with faults_named(where, "dialogue of STAR", _FIX):
            yield Dialogue(
                str(row["DialogueID"]),
                tuple(
                    one["Task"]
                    for one in row["Scenario"]["WizardCapabilities"]
                ),
                tuple(_events(row["Events"])),
                where,
            )


def _events(raw: Sequence[Mapping[str, Any]]) -> Iterator[Event]:
    """What both sides can see; a query together with what it returned."""
    for index, one in enumerate(raw):
        match one["Agent"], one["Action"]:
            case "User", "utter":
                yield Event("user", str(one["Text"]))
            case "Wizard", "utter" | "pick_suggestion":
                label = str(one.get("ActionLabel", ""))
                yield Event("reply", str(one["Text"]), label)
            case "Wizard", "query":
                yield _query(one, raw[index + 1])


def _query(query: Mapping[str, Any], result: Mapping[str, Any]) -> Event:
    if result["Action"] != "return_item":
        raise ValueError("a query that returns nothing")
    item = result.get("Item")
    shown = {key: one for key, one in (item or {}).items() if key != "APIName"}
    return Event(
        "query",
        api=str(query["APIName"]),
        constraints=tuple(dict(one) for one in query["Constraints"]),
        item=None if item is None else shown,
        count=max(int(result["TotalItems"]), int(item is not None)),
    )


_FIX = "give a dialogue a line, with DialogueID, Scenario and Events"
