# -*- coding: utf-8 -*-
"""Intents become tools, and some foreign ones stand to choice with them."""

import json
from pathlib import Path

import jsonschema
import pytest
from guided_dialogues import (
    DIALOGUE,
    SHARED,
    needs_shared_data,
    write_dataset,
)

from alpha_umi.excerpts import Cut
from alpha_umi.protocol import Tool
from alpha_umi.roles import Role, role_prompt
from alpha_umi.schema_guided_dialogues import read_dialogues
from alpha_umi.schema_guided_services import (
    Services,
    offered,
    read_services,
    tool_of,
)
from local_llm.errors import DatasetError

SGD = SHARED / "sgd"


@pytest.fixture
def services(tmp_path: Path) -> Services:
    return read_services(write_dataset(tmp_path, DIALOGUE), "test")


def names(services: Services, others: list[str], **cut: int) -> list[str]:
    found = offered(services, "Taxis_1", others, "a", Cut(**cut))
    return [one.name for one in found]


def test_an_intent_is_a_tool_with_described_arguments(
    services: Services,
) -> None:
    tool = tool_of(services["Taxis_1"]["FindTaxi"], "described")
    assert tool == Tool(
        "FindTaxi",
        "Find a taxi",
        {
            "street": "string, The street",
            "riders": "string, optional, 1|2, The riders",
        },
        {
            "type": "object",
            "properties": {
                "street": {"type": "string"},
                "riders": {"type": "string", "enum": ["1", "2"]},
            },
            "required": ["street"],
            "additionalProperties": False,
        },
    )


def test_named_arguments_say_what_values_they_have_and_which_may_be_left_out(
    services: Services,
) -> None:
    named = tool_of(services["Taxis_1"]["FindTaxi"], "named")
    assert named.arguments == {"street": "", "riders": "1|2?"}


def test_named_arguments_stand_in_a_brief_prompt_with_what_is_said_of_them(
    services: Services,
) -> None:
    named = tool_of(services["Taxis_1"]["FindTaxi"], "named")
    prompt = role_prompt(Role.PLANNER, "brief", [named], [])
    assert "FindTaxi(street, riders: 1|2?) Find a taxi\n" in prompt


@pytest.mark.parametrize(
    ("arguments", "fits"),
    [
        ({"street": "Elm"}, True),
        ({"street": "Elm", "riders": "2"}, True),
        ({"street": "Elm", "riders": "3"}, False),
        ({"riders": "2"}, False),
        ({"street": "Elm", "fare": "7"}, False),
    ],
)
def test_what_an_intent_accepts_is_what_its_schema_accepts(
    services: Services,
    arguments: dict[str, str],
    fits: bool,
) -> None:
    intent = services["Taxis_1"]["FindTaxi"]
    schema = tool_of(intent, "named").schema
    validator = jsonschema.Draft202012Validator(schema)
    assert intent.accepts(arguments) == validator.is_valid(arguments) == fits


def test_the_own_service_and_some_foreign_intents_are_offered(
    services: Services,
) -> None:
    found = names(services, ["Taxis_1"], distractors=2)
    assert {"FindTaxi", "BookTaxi"} < set(found)
    assert set(found) < {
        *("FindTaxi", "BookTaxi"),
        *("PlaySong", "FindSong", "StopSong"),
    }
    assert len(found) == 4


def test_other_intents_of_the_dialogue_come_before_foreign_ones(
    services: Services,
) -> None:
    found = names(services, ["Taxis_1", "Music_1"], distractors=0)
    assert len(found) == 5


def test_a_service_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "dev_schema.json"
    path.write_text(json.dumps([{"service_name": "A"}]), encoding="utf-8")
    with pytest.raises(DatasetError, match="row 1: no service.*'slots'"):
        read_services(tmp_path, "dev")


@needs_shared_data
@pytest.mark.parametrize(
    ("split", "calls", "refused"),
    [("train", 33963, 18), ("dev", 6027, 0), ("test", 7658, 0)],
)
def test_every_call_of_the_dataset_is_judged_as_its_schema_judges_it(
    split: str,
    calls: int,
    refused: int,
) -> None:
    services = read_services(SGD, split)
    judges = {
        (service, name): jsonschema.Draft202012Validator(
            tool_of(intent, "named").schema,
        )
        for service, intents in services.items()
        for name, intent in intents.items()
    }
    verdicts = [
        (
            services[frame.service][frame.method].accepts(frame.arguments),
            judges[frame.service, frame.method].is_valid(frame.arguments),
        )
        for dialogue in read_dialogues(SGD, split)
        for turn in dialogue.turns
        for frame in turn.frames
        if frame.method
    ]
    assert len(verdicts) == calls
    assert verdicts.count((False, False)) == refused
    assert verdicts.count((True, True)) == calls - refused
