# -*- coding: utf-8 -*-
"""The dialogues of Schema-Guided Dialogue, as they stand in its files.

Knows no roles and no prompts. Raises DatasetError with file and row.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .reading import faults_named, first_file, rows_of

_MOST_RESULTS = 3
"""Of a call, from the published files; the slimmed ones have no more."""


@dataclass(frozen=True, slots=True)
class Act:
    """What a speaker does in a turn: an offer of this slot's values."""

    name: str
    slot: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Frame:
    """What a turn has to do with one service.

    Attributes:
        service (`str`):
            Its name.
        acts (`tuple[Act, ...]`):
            What the speaker does.
        intent (`str`):
            What the user wants, in a user's turn.
        state (`Mapping[str, tuple[str, ...]]`):
            The values known up to a user's turn, in all their wordings.
        method (`str`):
            What the system calls, empty where it calls nothing.
        arguments (`Mapping[str, str]`):
            Of that call.
        results (`tuple[Mapping[str, str], ...]`):
            The first ones it returned.
        count (`int`):
            How many it returned.
    """

    service: str
    acts: tuple[Act, ...]
    intent: str = ""
    state: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    method: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict)
    results: tuple[Mapping[str, str], ...] = ()
    count: int = 0

    def acts_of(self, name: str) -> tuple[Act, ...]:
        """The acts of one kind."""
        return tuple(act for act in self.acts if act.name == name)


@dataclass(frozen=True, slots=True)
class Turn:
    """What one speaker says, with a frame for each service."""

    speaker: str
    text: str
    frames: tuple[Frame, ...]


@dataclass(frozen=True, slots=True)
class Dialogue:
    """A dialogue, the names of its services, and where it stands."""

    name: str
    services: tuple[str, ...]
    turns: tuple[Turn, ...]
    where: str


def read_dialogues(folder: Path, split: str) -> Iterator[Dialogue]:
    """The dialogues of a part of the data, in the order of the files.

    Args:
        folder (`Path`):
            The dataset as it is published, with `train/dialogues_001.json`
            and so on. Or slimmed to one `train.jsonl.gz`, a dialogue a line:
            `id`, `services`, and `turns` with `speaker`, `text` and
            `frames`; a frame has `service` and `acts`, a user's also
            `intent` and `slots`, a system's with a call also `call`,
            `results` and `n_results`.
        split (`str`):
            `train`, `dev` or `test`.

    Raises:
        `DatasetError`: There is no such file, or a row is no dialogue.
    """
    for path in _files(folder, split):
        for where, row in rows_of(path):
            with faults_named(where, "dialogue", _FIX):
                slim = _slimmed(row) if "dialogue_id" in row else row
                yield Dialogue(
                    str(slim["id"]),
                    tuple(slim["services"]),
                    tuple(_turn(raw) for raw in slim["turns"]),
                    where,
                )


def _files(folder: Path, split: str) -> list[Path]:
    published = sorted((folder / split).glob("dialogues_*.json"))
    slim = (f"{split}.jsonl.gz", f"{split}.jsonl")
    return published or [first_file(folder, slim)]


def _turn(raw: Mapping[str, Any]) -> Turn:
    frames = tuple(_frame(one) for one in raw["frames"])
    if not frames or raw["speaker"] not in ("USER", "SYSTEM"):
        raise ValueError(
            f"a turn of {raw['speaker']} with {len(frames)} frames"
        )
    return Turn(raw["speaker"], str(raw["text"]), frames)


def _frame(raw: Mapping[str, Any]) -> Frame:
    call = raw.get("call", {"method": "", "parameters": {}})
    return Frame(
        service=str(raw["service"]),
        acts=tuple(
            Act(name, slot, tuple(map(str, values)))
            for name, slot, values in raw["acts"]
        ),
        intent=str(raw.get("intent", "")),
        state={
            slot: tuple(map(str, values))
            for slot, values in raw.get("slots", {}).items()
        },
        method=str(call["method"]),
        arguments={
            name: str(value) for name, value in call["parameters"].items()
        },
        results=tuple(dict(one) for one in raw.get("results", ())),
        count=int(raw.get("n_results", 0)),
    )


# -- the published form ---------------------------------------------------


def _slimmed(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": row["dialogue_id"],
        "services": row["services"],
        "turns": [
            {
                "speaker": turn["speaker"],
                "text": turn["utterance"],
                "frames": [_slim_frame(one) for one in turn["frames"]],
            }
            for turn in row["turns"]
        ],
    }


def _slim_frame(raw: Mapping[str, Any]) -> dict[str, Any]:
    slim: dict[str, Any] = {
        "service": raw["service"],
        "acts": [
            (one["act"], one["slot"], one["values"]) for one in raw["actions"]
        ],
    }
    if "state" in raw:
        slim["intent"] = raw["state"]["active_intent"]
        slim["slots"] = raw["state"]["slot_values"]
    if "service_call" in raw:
        slim["call"] = raw["service_call"]
        slim["results"] = raw["service_results"][:_MOST_RESULTS]
        slim["n_results"] = len(raw["service_results"])
    return slim


_FIX = (
    "give the files of Schema-Guided Dialogue as published, or a dialogue a "
    "line with id, services and turns"
)
