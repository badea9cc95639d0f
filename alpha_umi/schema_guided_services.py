# -*- coding: utf-8 -*-
"""The services of Schema-Guided Dialogue, whose intents are the tools.

Knows no dialogues. Raises DatasetError for a schema that cannot be read.
"""

import random
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal

from .protocol import Tool
from .reading import faults_named, first_file, rows_of

ArgumentTexts = Literal["described", "named"]
"""How an argument reads: with type and description; or with its name alone, a
few values where it has no others, and a question mark where it is optional."""

_MOST_VALUES = 40
"""Of the values of an argument, where it is described, in characters."""

_SHORT_VALUES = 16
"""Of the same, where it is named alone."""

_SHORT_DESCRIPTION = 28
"""Of a tool whose arguments are named alone, in characters."""


@dataclass(frozen=True, slots=True)
class Slot:
    """An argument: what it is, and its values where they are limited."""

    name: str
    description: str
    values: tuple[str, ...] = ()

    def accepts(self, value: str) -> bool:
        """Whether a call may have this value."""
        return not self.values or value in self.values


@dataclass(frozen=True)
class Intent:
    """What a service can do.

    Attributes:
        name, description (`str`):
            Of the tool that it becomes.
        required, optional (`tuple[Slot, ...]`):
            The arguments.
    """

    name: str
    description: str
    required: tuple[Slot, ...]
    optional: tuple[Slot, ...]

    @cached_property
    def slots(self) -> Mapping[str, Slot]:
        """All arguments by name, the required ones first."""
        return {one.name: one for one in (*self.required, *self.optional)}

    def accepts(self, arguments: Mapping[str, str]) -> bool:
        """Whether a call with these arguments fits the schema."""
        slots = self.slots
        return all(one.name in arguments for one in self.required) and all(
            name in slots and slots[name].accepts(value)
            for name, value in arguments.items()
        )


Services = Mapping[str, Mapping[str, Intent]]
"""By the name of the service and that of the intent."""


def read_services(folder: Path, split: str) -> Services:
    """The services that a part of the data has.

    Args:
        folder (`Path`):
            The dataset.
        split (`str`):
            `train`, `dev` or `test`.

    Raises:
        `DatasetError`: There is no such schema, or it cannot be read.
    """
    names = (f"{split}_schema.json", f"{split}/schema.json")
    services = {}
    for where, row in rows_of(first_file(folder, names)):
        with faults_named(where, "service", _FIX):
            services[str(row["service_name"])] = {
                intent.name: intent for intent in _intents(row)
            }
    return services


def offer(
    services: Services,
    own: str,
    others: Iterable[str],
    seed: str,
    distractors: int,
    most: int,
) -> list[Intent]:
    """The intents that stand to choice at one step, in a mixed order.

    Args:
        services (`Services`):
            All there are.
        own (`str`):
            The service of the step; all its intents are offered.
        others (`Iterable[str]`):
            The other services of the dialogue; theirs come next.
        seed (`str`):
            What the choice depends on, the name of the dialogue.
        distractors (`int`):
            How many intents of services foreign to the dialogue are added.
        most (`int`):
            How many are offered at most, the intents of `own` apart.

    Raises:
        `KeyError`: There is no such service.
    """
    dialogue = [own, *(name for name in others if name != own)]
    chance = random.Random(seed)
    chosen = _by_name(services, [own])
    theirs = _by_name(services, dialogue)
    foreign = _by_name(services, sorted(set(services) - set(dialogue)))
    strange = [name for name in foreign if name not in theirs]
    chance.shuffle(strange)
    wanted = [name for name in theirs if name not in chosen]
    wanted += strange[:distractors]
    for name in wanted[: max(0, most - len(chosen))]:
        chosen[name] = theirs.get(name) or foreign[name]
    offered = list(chosen.values())
    chance.shuffle(offered)
    return offered


@cache
def tool_of(intent: Intent, texts: ArgumentTexts) -> Tool:
    """The tool that an intent becomes, with the schema of its arguments."""
    slots = intent.slots
    return Tool(
        intent.name,
        _DESCRIPTIONS[texts](intent.description),
        {
            name: _TEXTS[texts](slot, slot in intent.optional)
            for name, slot in slots.items()
        },
        {
            "type": "object",
            "properties": {
                name: _value_schema(slot) for name, slot in slots.items()
            },
            "required": [slot.name for slot in intent.required],
            "additionalProperties": False,
        },
    )


def _by_name(services: Services, names: Sequence[str]) -> dict[str, Intent]:
    """Their intents; of two that share a name the first service's."""
    intents: dict[str, Intent] = {}
    for service in names:
        for name, intent in services[service].items():
            intents.setdefault(name, intent)
    return intents


def _intents(row: Mapping[str, Any]) -> Iterator[Intent]:
    slots = {
        str(raw["name"]): Slot(
            str(raw["name"]),
            str(raw["description"]),
            tuple(raw["possible_values"]) if raw["is_categorical"] else (),
        )
        for raw in row["slots"]
    }
    for raw in row["intents"]:
        yield Intent(
            str(raw["name"]),
            str(raw["description"]),
            tuple(slots[name] for name in raw["required_slots"]),
            tuple(slots[name] for name in raw["optional_slots"]),
        )


def _value_schema(slot: Slot) -> dict[str, Any]:
    values = {"enum": list(slot.values)} if slot.values else {}
    return {"type": "string", **values}


def _described(slot: Slot, is_optional: bool) -> str:
    values = "|".join(slot.values)
    parts = (
        "string",
        "optional" if is_optional else "",
        values if len(values) <= _MOST_VALUES else "",
        slot.description,
    )
    return ", ".join(filter(None, parts))


def _named(slot: Slot, is_optional: bool) -> str:
    values = "|".join(slot.values)
    shown = values if len(values) <= _SHORT_VALUES else ""
    return f"{shown}?" if is_optional else shown


def _first_words(text: str) -> str:
    return textwrap.shorten(text, _SHORT_DESCRIPTION, placeholder="")


_TEXTS = {"described": _described, "named": _named}
_DESCRIPTIONS = {"described": str, "named": _first_words}

_FIX = (
    "give a schema of Schema-Guided Dialogue: service_name, slots and intents"
)
