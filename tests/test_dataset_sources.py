# -*- coding: utf-8 -*-
"""Sources are mixed: found before any is read, told apart, and weighed."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import datasets
import pytest

from local_llm.chat_datasets import ChatData, SourceRows, load_chat_data
from local_llm.conversation_formats import FormatChoice
from local_llm.dataset_sources import HubAccess, open_sources
from local_llm.errors import ConfigError, DatasetError
from local_llm.settings_data import DataPath, DataSourceSettings


def write(path: Path, questions: list[str], answer: str = "yes") -> None:
    path.parent.mkdir(exist_ok=True)
    rows = [{"conversations": [one, answer]} for one in questions]
    path.write_text(json.dumps(rows), encoding="utf-8")


def load(folder: Path, data_path: DataPath, **more: Any) -> ChatData:
    return load_chat_data(data_path, base=folder, **more)


@pytest.fixture(name="two")
def fixture_two(tmp_path: Path) -> Path:
    """Two folders with a `data.json` of 100 rows each."""
    for name in ("a", "b"):
        questions = [f"{name} {number}" for number in range(100)]
        write(tmp_path / name / "data.json", questions)
    return tmp_path


def test_rows_of_files_of_one_name_are_told_apart(two: Path) -> None:
    write(two / "b" / "data.json", ["a 1", "b 1"])
    data = load(two, ["a/data.json", "b"], held_out_share=0.0)
    assert data.train[-1].where == "b/data.json row 2"
    assert data.drops[0].where == "b/data.json row 1"
    assert data.drops[0].reason == "duplicate conversation"
    assert data.source == "a/data.json, b"
    assert (data.rows_read, data.rows_kept) == (102, 101)


def test_weights_count_training_rows_and_leave_the_held_out_ones(
    two: Path,
) -> None:
    plain = load(two, ["a", "b"])
    sources: DataPath = [
        {"path": "a", "weight": 2},
        {"path": "b", "weight": 0.5},
    ]
    data = load(two, sources)
    assert data.held_out == plain.held_out
    of_a = [one for one in data.train if one.where.startswith("a")]
    of_b = [one for one in data.train if one.where.startswith("b")]
    assert len(of_a) == 2 * len(set(of_a))
    assert len(of_b) == len(set(of_b)) < len(plain.train) / 2
    assert set(of_a + of_b) < set(plain.train)
    a, b = data.sources
    assert a == SourceRows(
        name="a",
        origin=str(two / "a"),
        weight=2,
        rows=len(set(of_a)),
        in_epoch=len(of_a),
    )
    assert (b.weight, b.in_epoch) == (0.5, len(of_b))
    assert data.rows_kept == 200


@pytest.mark.parametrize("weights", [(1, 3), (3, 1)])
def test_a_row_of_two_sources_has_the_larger_weight(
    two: Path,
    weights: tuple[int, int],
) -> None:
    write(two / "b" / "data.json", ["a 1", "b 1"])
    sources: DataPath = [
        {"path": name, "weight": weight}
        for name, weight in zip("ab", weights, strict=True)
    ]
    data = load(two, sources, held_out_share=0.0)
    times = Counter(one.turns[0].text for one in data.train)
    assert times["a 1"] == 3
    assert (times["a 2"], times["b 1"]) == weights
    assert [one.where for one in data.drops] == ["b/data.json row 1"]
    counted = {one.weight: (one.rows, one.in_epoch) for one in data.sources}
    assert counted in (
        {1: (99, 99), 3: (2, 6)},
        {3: (100, 300), 1: (1, 1)},
    )


def test_a_weight_of_one_and_a_half_repeats_half(two: Path) -> None:
    data = load(two, [{"path": "a", "weight": 1.5}], held_out_share=0.0)
    once = data.train[:100]
    assert len(set(once)) == 100
    assert set(data.train[100:]) < set(once)
    assert 35 <= len(data.train[100:]) <= 65


def test_added_rows_move_no_choice_of_a_weight(two: Path) -> None:
    source: DataPath = [{"path": "a", "weight": 0.5}]
    before = {one.turns for one in load(two, source).train}
    write(two / "a" / "more.json", [f"more {n}" for n in range(100)])
    after = {one.turns for one in load(two, source).train}
    kept = {turns for turns in after if turns[0].text.startswith("a ")}
    assert kept == before


def test_the_summary_says_what_the_weights_make(two: Path) -> None:
    data = load(
        two,
        [{"path": "a", "weight": 3}, "b"],
        held_out_share=0.0,
    )
    assert data.summary() == (
        "200 rows (200 lima), 0 multi-turn, 0 dropped, in an epoch (a 100 x 3 "
        "= 300, b 100 x 1 = 100)"
    )


def test_the_weights_are_part_of_the_fingerprint(two: Path) -> None:
    prints = {
        load(two, [{"path": "a", "weight": weight}]).fingerprint
        for weight in (0.5, 1, 1.5, 2)
    }
    assert len(prints) == 4
    assert load(two, "a").fingerprint in prints


def test_weights_that_leave_nothing_are_an_error(tmp_path: Path) -> None:
    write(tmp_path / "data.json", ["one"])
    with pytest.raises(DatasetError, match="weights leave none of 1 rows"):
        load(tmp_path, [{"path": "data.json", "weight": 0.001}])


def test_one_question_is_never_on_both_sides_of_two_sources(
    two: Path,
) -> None:
    write(two / "b" / "data.json", [f"A {n}" for n in range(100)], "no")
    data = load(two, ["a", "b"], held_out_share=0.4)
    sides = [
        {one.turns[0].text.casefold() for one in part}
        for part in (data.train, data.held_out)
    ]
    assert all(sides)
    assert not sides[0] & sides[1]


def test_files_of_a_folder_that_are_not_read_are_named(two: Path) -> None:
    write(two / "a" / "my_test.json", ["a test"])
    write(two / "b" / "train.json", ["b train"])
    one, both = load(two, "a"), load(two, ["a", "b"])
    assert one.skipped_files == ("my_test.json",)
    assert one.summary().endswith(", not read: my_test.json")
    assert both.skipped_files == ("a/my_test.json", "b/data.json")
    assert both.rows_kept == 101


def test_each_source_has_its_format_and_columns(tmp_path: Path) -> None:
    (tmp_path / "q.csv").write_text("q,a\n1+1?,2\n")
    (tmp_path / "story.jsonl").write_text('{"story": "Once."}\n')
    write(tmp_path / "data.json", ["hi"])
    data = load(
        tmp_path,
        [
            {"path": "q.csv"},
            {"path": "story.jsonl", "columns": {"text": "story"}},
            {"path": "data.json", "columns": {}},
        ],
        held_out_share=0.0,
        columns={"prompt": "q", "completion": "a"},
    )
    assert data.formats == {"prompt_completion": 1, "text": 1, "lima": 1}


def test_a_name_in_columns_that_no_row_has_is_an_error(two: Path) -> None:
    with pytest.raises(DatasetError) as caught:
        load(two, "a", columns={"system": "persona"})
    assert caught.value.message == (
        f"no row of {two / 'a'} has a column 'persona', which `columns` names"
    )


def test_an_unknown_format_of_a_caller_is_an_error(two: Path) -> None:
    with pytest.raises(ConfigError, match="'csv', want one of messages, lima"):
        load(two, "a", data_format="csv")


@pytest.mark.parametrize("key", ["config", "split", "revision"])
def test_what_only_the_hub_has_is_refused_for_files(
    two: Path,
    key: str,
) -> None:
    with pytest.raises(ConfigError, match=f"{key}: is of datasets on the hub"):
        load(two, [{"path": "a/data.json", key: "x"}])


def test_a_missing_source_is_found_before_any_is_read(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(DatasetError, match="file does not exist"):
        load(tmp_path, ["bad.json", "missing.json"])


def test_a_saved_dataset_is_read_in_the_split_that_is_named(
    tmp_path: Path,
) -> None:
    splits = {
        name: datasets.Dataset.from_list([{"conversations": [name, "yes"]}])
        for name in ("train", "dev")
    }
    datasets.DatasetDict(splits).save_to_disk(tmp_path / "saved")
    data = load(tmp_path, [{"path": "saved", "split": "dev"}])
    assert data.train[0].turns[0].text == "dev"
    assert data.train[0].where == "saved row 1"
    assert load(tmp_path, "saved").train[0].turns[0].text == "train"


def test_a_hub_source_has_its_config_split_and_revision(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[str, Any, Any, Any]] = []

    def load_dataset(path: str, name: str | None, **more: Any) -> Any:
        asked.append((path, name, more["split"], more["revision"]))
        return datasets.Dataset.from_list([{"text": f"{path} {name}"}])

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    source = DataSourceSettings("o/n", "de", "validation", "v1")
    data = load_chat_data(["o/n", source], held_out_share=0.0)
    assert asked == [
        ("o/n", None, "train", None),
        ("o/n", "de", "validation", "v1"),
    ]
    assert data.source == "o/n, o/n@v1 (de, validation)"
    assert data.train[1].where == "o/n@v1 (de, validation) row 1"
    assert [(one.name, one.origin) for one in data.sources] == [
        ("o/n", "o/n"),
        ("o/n@v1 (de, validation)", "o/n"),
    ]


def test_the_token_is_not_in_the_text_form_of_the_access() -> None:
    assert "hf_secret" not in repr(HubAccess(token="hf_secret"))


def test_nothing_is_read_while_sources_are_opened(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("{")
    (source,) = open_sources(
        [DataSourceSettings("bad.json", weight=2)],
        tmp_path,
        HubAccess(),
        FormatChoice(),
    )
    assert (source.name, source.weight) == ("bad.json", 2)
    with pytest.raises(DatasetError, match="not JSON"):
        next(source.rows)
