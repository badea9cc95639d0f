# -*- coding: utf-8 -*-
"""The APIs of STAR become tools, its queries their arguments."""

import json
from pathlib import Path

import jsonschema
import pytest
from guided_dialogues import SHARED, needs_shared_data
from star_dialogues import RIDE, write_star

from alpha_umi.protocol import Tool
from alpha_umi.star_apis import Api, read_apis
from alpha_umi.star_dialogues import read_dialogues
from local_llm.errors import DatasetError


@pytest.fixture
def ride(tmp_path: Path) -> Api:
    return read_apis(write_star(tmp_path))["ride"]


def test_an_api_is_a_tool_with_its_schema(ride: Api) -> None:
    assert ride.as_tool("named") == Tool(
        "ride",
        "ride book",
        {
            "id": "?",
            "Customer": "",
            "City": "?",
            "Shared": "?",
            "Request": "Check|Book?",
            "Note": "?",
        },
        {
            "type": "object",
            "properties": {
                "id": {"type": "integer"},
                "Customer": {"type": "string"},
                "City": {"type": "string", "enum": ["New York City", "Rome"]},
                "Shared": {"type": "boolean"},
                "Request": {"type": "string", "enum": ["Check", "Book"]},
                "Note": {"type": "string"},
            },
            "required": ["Customer"],
            "additionalProperties": False,
        },
    )


def test_a_tool_says_what_it_gives(ride: Api, tmp_path: Path) -> None:
    assert ride.description == "ride book. Gives The Price"
    assert read_apis(tmp_path)["weather"].description == "weather"
    described = ride.as_tool("described").arguments
    assert described["Customer"] == "string, The Customer"


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("id", "7", 7),
        ("id", "api.is_equal_to(7)", 7),
        ("Note", '" a \\"b\\" "', 'a "b"'),
        ("Note", "0314", "0314"),
        ("City", '"Rome"', "Rome"),
        ("City", 'api.is_equal_to(["Rome"])', "Rome"),
        ("City", 'api.contains("Rome")', "Rome"),
        ("Shared", "True", True),
    ],
)
def test_a_value_is_read_by_the_type_of_its_argument(
    ride: Api,
    name: str,
    text: str,
    value: object,
) -> None:
    query = ride.read_query([{"Customer": '"Jo"'}, {name: text}])
    assert query == {"Customer": "Jo", name: value}


@pytest.mark.parametrize(
    "constraints",
    [
        [{"id": "api.is_at_most(7)"}],
        [{"id": '"7"'}],
        [{"id": "null"}],
        [{"id": "True"}],
        [{"City": '"Paris"'}],
        [{"City": 'api.is_one_of(["Rome","Paris"])'}],
        [{"City": 'api.is_equal_to(["Rome","Paris"])'}],
        [{"Shared": "1"}],
        [{"id": "7"}, {"id": "8"}],
        [{"Customer": '"Jo'}],
    ],
)
def test_a_query_that_is_not_plain_is_a_fault(
    ride: Api,
    constraints: list[dict[str, str]],
) -> None:
    given = [] if "Customer" in constraints[0] else [{"Customer": '"Jo"'}]
    with pytest.raises(ValueError):
        ride.read_query([*given, *constraints])


def test_a_query_without_what_is_required_is_a_fault(ride: Api) -> None:
    with pytest.raises(ValueError, match="lacks"):
        ride.read_query([{"id": "7"}])


def test_published_files_are_read_too(tmp_path: Path) -> None:
    folder = tmp_path / "apis" / "apis"
    folder.mkdir(parents=True)
    (folder / "ride.json").write_text(json.dumps(RIDE), encoding="utf-8")
    assert list(read_apis(tmp_path)) == ["ride"]


def test_a_folder_without_apis_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no apis_tasks.tar.gz"):
        read_apis(tmp_path)


def test_a_broken_archive_is_named(tmp_path: Path) -> None:
    archive = write_star(tmp_path) / "apis_tasks.tar.gz"
    archive.write_bytes(archive.read_bytes()[:60])
    with pytest.raises(DatasetError, match="no complete archive"):
        read_apis(tmp_path)


def test_a_broken_api_is_named_with_its_file(tmp_path: Path) -> None:
    folder = tmp_path / "apis" / "apis"
    folder.mkdir(parents=True)
    (folder / "ride.json").write_text("{}", encoding="utf-8")
    with pytest.raises(DatasetError, match="ride.json: no API of STAR"):
        read_apis(tmp_path)


@needs_shared_data
def test_plain_queries_of_the_dataset_fit_the_schema_of_their_tool() -> None:
    folder = SHARED / "star"
    apis = read_apis(folder)
    judges = {
        name: jsonschema.Draft202012Validator(api.as_tool("named").schema)
        for name, api in apis.items()
    }
    plain, others = 0, 0
    for dialogue in read_dialogues(folder):
        for event in dialogue.events:
            if event.kind != "query":
                continue
            try:
                query = apis[event.api].read_query(event.constraints)
            except ValueError:
                others += 1
                continue
            plain += 1
            assert judges[event.api].is_valid(query)
    assert (len(apis), plain, others) == (25, 20254, 1915)
