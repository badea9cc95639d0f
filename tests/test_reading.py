# -*- coding: utf-8 -*-
"""Rows, faults and results are read and written the same by all readers."""

import json
from pathlib import Path

import pytest

from alpha_umi.reading import (
    LONGEST_OBSERVATION,
    faults_named,
    first_file,
    place_of,
    rows_of,
    write_results,
)
from local_llm.errors import DatasetError


def test_a_broken_line_is_named_with_its_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": 1}\n{"a" 2}\n', encoding="utf-8")
    with pytest.raises(DatasetError, match=r"rows\.jsonl:2"):
        list(rows_of(path))


def test_a_row_comes_with_file_and_number(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text('[{"a": 1}, {"a": 2}]', encoding="utf-8")
    assert list(rows_of(path))[1] == (f"{path} row 2", {"a": 2})


def test_the_first_file_that_is_there_is_taken(tmp_path: Path) -> None:
    (tmp_path / "b").touch()
    assert first_file(tmp_path, ("a", "b")) == tmp_path / "b"


@pytest.mark.parametrize(
    "fault",
    [AttributeError, IndexError, KeyError, TypeError, ValueError],
)
def test_what_a_row_lacks_becomes_an_error_with_its_place(
    fault: type[Exception],
) -> None:
    with pytest.raises(DatasetError) as caught:
        with faults_named("a.json row 3", "dialogue", "write one"):
            raise fault("turns")
    assert caught.value.message.startswith("a.json row 3: no dialogue")
    assert caught.value.fix == "write one"


def test_a_name_has_one_place_and_places_spread() -> None:
    places = [place_of(str(number)) for number in range(1000)]
    assert places == [place_of(str(number)) for number in range(1000)]
    assert 0 <= min(places) and max(places) < 1
    assert 450 < sum(place < 0.5 for place in places) < 550


def test_results_are_written_short() -> None:
    assert (
        write_results([{"a": "é"}], 7) == '{"count":7,"results":[{"a":"é"}]}'
    )


def test_results_that_are_too_long_lose_the_last_ones_first() -> None:
    results = [{"a": "x" * 500}, {"a": "y" * 500}, {"a": "z"}]
    text = write_results(results, 3)
    assert len(text) <= LONGEST_OBSERVATION
    assert json.loads(text) == {"count": 3, "results": results[:1]}


def test_a_result_that_is_too_long_loses_its_last_fields() -> None:
    text = write_results([{"a": "1", "b": "x" * 60, "c": "2"}], 1, 50)
    assert json.loads(text) == {"count": 1, "results": [{"a": "1"}]}


def test_the_only_text_of_a_result_is_cut() -> None:
    text = write_results([{"a": "x" * 99}], 1, 40)
    assert text == '{"count":1,"results":[{"a":"xxxxxxxx"}]}'


def test_what_cannot_be_cut_leaves_the_count() -> None:
    assert write_results([{"a": list(range(9))}], 1, 30) == (
        '{"count":1,"results":[{}]}'
    )


def test_a_limit_below_all_is_passed_by_the_count_alone() -> None:
    assert write_results([{"a": "x"}], 1, 5) == '{"count":1,"results":[{}]}'
