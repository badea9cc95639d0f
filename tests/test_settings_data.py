# -*- coding: utf-8 -*-
"""The keys of the data are checked, each problem with its key path."""

from pathlib import Path
from typing import Any

import pytest

from local_llm.errors import ConfigError
from local_llm.settings import (
    DataSourceSettings,
    parse_fine_tune_config,
    parse_settings,
)
from local_llm.settings_data import DataPath, data_sources

ENTRY = {
    "config_name": "a",
    "model_type": "huggingface",
    "local_model_path": "model",
}


def problems_of(data_path: object) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_settings({**ENTRY, "data_path": data_path}, "here")
    return caught.value.problems


def test_one_source_stays_a_text() -> None:
    settings = parse_settings({**ENTRY, "data_path": "a.json"}, "here")
    assert settings.data_path == "a.json"


def test_a_list_holds_texts_and_sources() -> None:
    source = {
        "path": "owner/name",
        "config": "de",
        "split": "validation",
        "revision": "v1",
        "weight": 0.5,
        "data_format": "alpaca",
        "columns": {"instruction": "question"},
    }
    settings = parse_settings({**ENTRY, "data_path": ["a", source]}, "here")
    assert settings.data_path == ["a", DataSourceSettings(**source)]


@pytest.mark.parametrize(
    ("data_path", "problem"),
    [
        ([], "data_path: wanted at least one source, found an empty list"),
        ([" "], "data_path[0]: wanted text that is not blank, found the st"),
        ([5], "data_path: wanted text that is not blank or null, found a lis"),
        ({"path": "a"}, "data_path: wanted text that is not blank or null"),
        (["a", {}], "data_path[1].path: is missing"),
        ([{"path": ""}], "data_path[0].path: wanted text that is not blank"),
        (
            [{"path": "a", "weigth": 2}],
            "data_path[0].weigth: unknown key 'weigth', did you mean 'weight'",
        ),
        (
            [{"path": "a", "weight": 0}],
            "data_path[0].weight: wanted a number above 0 and at most 100",
        ),
        ([{"path": "a", "weight": True}], "data_path[0].weight: wanted a num"),
        (
            [{"path": "a", "data_format": "sharegtp"}],
            "data_path[0].data_format: wanted one of 'messages', 'lima', ",
        ),
        (
            [{"path": "a", "columns": {"instruction": 5}}],
            "data_path[0].columns: wanted an object of strings or null, found an object",
        ),
        (
            [{"path": "a", "columns": {"instructions": "q"}}],
            "data_path[0].columns.instructions: 'instructions' is no column "
            "that the formats read, did you mean 'instruction'?",
        ),
    ],
)
def test_a_wrong_source_is_named_by_its_key_path(
    data_path: object,
    problem: str,
) -> None:
    found = problems_of(data_path)
    assert len(found) == 1
    assert found[0].startswith(problem)


def test_all_problems_of_all_sources_come_at_once() -> None:
    found = problems_of([{"weight": 0}, "a", {"path": 5}])
    assert [one.partition(":")[0] for one in found] == [
        "data_path[0].weight",
        "data_path[0].path",
        "data_path[2].path",
    ]


def test_the_format_and_columns_of_all_sources_are_checked_too() -> None:
    given = {"data_format": "text", "columns": {"text": "story"}}
    settings = parse_fine_tune_config(given, "here")
    assert (settings.data_format, settings.columns) == (
        "text",
        {"text": "story"},
    )
    with pytest.raises(ConfigError) as caught:
        parse_fine_tune_config(
            {"data_format": "csv", "columns": {"story": "text"}},
            "here",
        )
    assert [one.partition(":")[0] for one in caught.value.problems] == [
        "fine_tune_config.data_format",
        "fine_tune_config.columns.story",
    ]


def test_a_caller_may_give_texts_objects_and_settings() -> None:
    source = DataSourceSettings("c")
    given: DataPath = ["a", {"path": "b", "weight": 2}, source]
    assert data_sources(given, "here") == (
        DataSourceSettings("a"),
        DataSourceSettings("b", weight=2),
        source,
    )
    for one in ("a", Path("a")):
        assert data_sources(one, "here") == (DataSourceSettings("a"),)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ([], "data_path: wanted text, or a list of at least one source"),
        ({"path": "a"}, "data_path: wanted text, or a list of at least one"),
        ([5], "data_path[0]: wanted an object, found 5"),
        ([{"path": "a", "weight": -1}], "data_path[0].weight: wanted"),
        ([{"path": "a", "token": "x"}], "data_path[0].token: a token does"),
        (["a", " "], "data_path[1]: wanted text that is not blank"),
    ],
)
def test_what_a_caller_gives_is_checked_like_an_entry(
    given: Any,
    problem: str,
) -> None:
    with pytest.raises(ConfigError) as caught:
        data_sources(given, "here")
    assert len(caught.value.problems) == 1
    assert caught.value.problems[0].startswith(problem)
