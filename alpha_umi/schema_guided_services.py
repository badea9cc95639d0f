# -*- coding: utf-8 -*-
"""The services of Schema-Guided Dialogue, whose intents are the tools.

Knows no dialogues. Raises DatasetError for a schema that cannot be read.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from .excerpts import Cut, offer
from .protocol import Tool
from .reading import faults_named, first_file, rows_of
from .tool_texts import ArgumentTexts, argument_text, description_text


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


def offered(
    services: Services,
    own: str,
    others: Iterable[str],
    seed: str,
    cut: Cut,
) -> list[Intent]:
    """The intents that stand to choice at one step, in a mixed order.

    Args:
        services (`Services`):
            All there are.
        own (`str`):
            The service of the step; all its intents are offered.
        others (`Iterable[str]`):
            The services of the dialogue; theirs come next.
        seed (`str`):
            What the choice depends on, the name of the dialogue.
        cut (`Cut`):
            How many are offered.

    Raises:
        `KeyError`: There is no such service.
    """
    dialogue = list(others)
    foreign = sorted(set(services) - {own, *dialogue})
    return offer(
        services[own].values(),
        _intents_of(services, dialogue),
        _intents_of(services, foreign),
        seed,
        cut,
    )


@cache
def tool_of(intent: Intent, texts: ArgumentTexts) -> Tool:
    """The tool that an intent becomes, with the schema of its arguments."""
    slots = intent.slots
    return Tool(
        intent.name,
        description_text(texts, intent.description),
        {
            name: argument_text(
                texts,
                "string",
                slot.values,
                slot.description,
                slot in intent.optional,
            )
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


def _intents_of(services: Services, names: Sequence[str]) -> Iterator[Intent]:
    for name in names:
        yield from services[name].values()


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


_FIX = (
    "give a schema of Schema-Guided Dialogue: service_name, slots and intents"
)
