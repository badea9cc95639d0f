# -*- coding: utf-8 -*-
"""Facts are found by name and by value, and a table that is none is told."""

import json
from collections import Counter
from pathlib import Path

import pytest

from alpha_umi.knowledge import KNOWLEDGE, Knowledge, load_knowledge
from local_llm.errors import DatasetError

KINDS = json.loads(KNOWLEDGE.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def knowledge() -> Knowledge:
    return load_knowledge()


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("France", "capital", "Paris"),
        ("france", " Population", "68 million"),
        ("Mount Everest", "height", "8849 m"),
        ("Danube", "length", "2850 km"),
        ("gold", "symbol", "Au"),
        ("Mars", "moons", "2"),
        ("Saturn", "distance", "1430 million km"),
    ],
)
def test_a_fact_is_found_by_its_name(
    knowledge: Knowledge,
    name: str,
    field: str,
    value: str,
) -> None:
    assert knowledge.value(name, field) == value


@pytest.mark.parametrize(
    ("name", "field", "reason"),
    [
        ("Atlantis", "area", "unknown name Atlantis"),
        ("Narnia", "area", "unknown name Narnia"),
        ("Frence", "area", "unknown name Frence, did you mean France?"),
        ("cook", "height", "unknown name cook, did you mean Mount Cook?"),
        (
            "Mars",
            "capital",
            "Mars has no capital, it has diameter, distance, moons, year",
        ),
    ],
)
def test_what_is_not_known_is_said(
    knowledge: Knowledge,
    name: str,
    field: str,
    reason: str,
) -> None:
    with pytest.raises(ValueError) as caught:
        knowledge.value(name, field)
    assert str(caught.value) == reason


@pytest.mark.parametrize(
    ("field", "value", "names"),
    [
        ("currency", "US dollar", ["United States", "Ecuador"]),
        ("Capital", "oslo", ["Norway"]),
        ("mouth", "North Sea", ["Rhine", "Elbe", "Thames"]),
        ("symbol", "Fe", ["iron"]),
        ("moons", "0", ["Mercury", "Venus"]),
    ],
)
def test_names_are_found_by_a_fact(
    knowledge: Knowledge,
    field: str,
    value: str,
    names: list[str],
) -> None:
    assert knowledge.names(field, value) == names


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("president", "x", "unknown field president, use one of capital, "),
        ("currency", "mark", "unknown currency mark"),
        ("capital", "Pariss", "unknown capital Pariss, did you mean Paris?"),
    ],
)
def test_what_nobody_has_is_said(
    knowledge: Knowledge,
    field: str,
    value: str,
    reason: str,
) -> None:
    with pytest.raises(ValueError) as caught:
        knowledge.names(field, value)
    assert str(caught.value).startswith(reason)


def test_the_table_is_as_large_as_its_account_says() -> None:
    counts = {kind: len(one["rows"]) for kind, one in KINDS.items()}
    assert counts == {
        "country": 68,
        "planet": 8,
        "element": 23,
        "mountain": 14,
        "river": 16,
    }


def test_no_name_stands_for_two_things() -> None:
    names = Counter(
        name.casefold() for one in KINDS.values() for name in one["rows"]
    )
    assert max(names.values()) == 1


def test_capitals_symbols_and_numbers_belong_to_one_each() -> None:
    facts = load_knowledge().facts.values()
    for field in ("capital", "symbol", "number", "diameter"):
        values = [one[field] for one in facts if field in one]
        assert len(values) == len(set(values))


@pytest.mark.parametrize(
    "text",
    [
        "no JSON",
        "[]",
        '{"country": {"fields": {"capital": null}}}',
        '{"country": {"fields": {"area": "km2"}, "rows": {"X": []}}}',
    ],
)
def test_another_file_is_no_table(tmp_path: Path, text: str) -> None:
    path = tmp_path / "knowledge.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DatasetError, match="no table of facts"):
        load_knowledge(path)


def test_a_missing_table_is_told_with_where_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="project's repository"):
        load_knowledge(tmp_path / "knowledge.json")
