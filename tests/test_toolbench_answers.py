# -*- coding: utf-8 -*-
"""Raw answers become tasks, and every file left out is counted."""

from pathlib import Path
from typing import Any

import pytest
from published_files import objects_of
from raw_answers import (
    CITY,
    INSTRUCTION,
    SOLVED,
    SYSTEM,
    TASK,
    answer,
    function,
    write,
)

from alpha_umi.protocol import Tool
from alpha_umi.toolbench_answers import (
    IN_TEST_SET,
    NO_MESSAGES,
    Answers,
    Chain,
    read_answer,
    read_answers,
    read_chain,
    read_test_ids,
)
from local_llm.errors import DatasetError

SKY = Tool("weather_for_sky", "Tells the weather.", {"city": "string, where"})


def only_tool(raw: dict[str, Any]) -> Tool:
    (tool,) = read_answer(answer(functions=[raw]), "here").tools
    return tool


# -- one answer -----------------------------------------------------------


def test_an_answer_is_its_tools_its_task_and_its_longest_chain() -> None:
    assert read_answer(answer(), "7_x.json") == Chain(
        (SKY,), INSTRUCTION, tuple(SOLVED), "7_x.json"
    )


def test_a_long_name_keeps_its_end_and_a_long_description_its_start() -> None:
    tool = only_tool(function("x" * 10 + "y" * 64, "a" * 256 + "b"))
    assert tool == Tool("y" * 64, "a" * 256)


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"type": "string", "description": ""}, "string, "),
        ({"type": "number"}, "number"),
        (
            {"type": "string", "description": "a" + "b" * 256},
            "string, " + "b" * 256,
        ),
        (CITY, "string, where"),
    ],
)
def test_an_argument_is_its_type_and_the_end_of_its_description(
    schema: dict[str, str],
    text: str,
) -> None:
    assert only_tool(function(x=schema)).arguments == {"x": text}


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        (["query"], None, "KeyError: 'query'"),
        (["function"], None, "KeyError: 'function'"),
        (["function", 0, "name"], None, "KeyError: 'name'"),
        (["function", 0, "parameters"], [], "no answer of ToolBench"),
        (["function", 0, "description"], 5, "no answer of ToolBench"),
        (["train_messages"], [], "IndexError"),
        (["train_messages"], 5, "no answer of ToolBench"),
        (["train_messages"], [["Hi"]], "message 1 has none of the roles"),
        (
            ["train_messages", 1, 3, "role"],
            "tool",
            "message 4 has none of the roles system, user, assistant, func",
        ),
    ],
)
def test_a_damaged_answer_is_an_error_that_names_the_file(
    path: list[str | int],
    value: object,
    problem: str,
) -> None:
    raw: Any = answer(*map(dict, SOLVED))
    inner = raw["answer_generation"]
    *parents, last = path
    for key in parents:
        inner = inner[key]
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    with pytest.raises(DatasetError) as caught:
        read_answer(raw, "7_x.json")
    assert caught.value.message.startswith("7_x.json")
    assert problem in caught.value.message and caught.value.fix


# -- files and folders ----------------------------------------------------


def test_a_folder_is_read_with_its_folders_in_order_of_names(
    tmp_path: Path,
) -> None:
    for name in ("G2_answer/1_a", "G1_answer/9_a", "G1_answer/10_a"):
        write(tmp_path / f"{name}.json", answer())
    found = read_answers(tmp_path)
    assert [Path(one.name).stem for one in found.chains] == [
        *("10_a", "9_a", "1_a"),
    ]
    assert found.skipped == {}


def test_more_than_twenty_answers_are_kept(tmp_path: Path) -> None:
    for number in range(21):
        write(tmp_path / f"{number}_x.json", answer())
    assert len(read_answers(tmp_path).chains) == 21


def test_every_file_that_is_left_out_is_counted_with_its_reason(
    tmp_path: Path,
) -> None:
    without = answer()
    del without["answer_generation"]["train_messages"]
    empty = answer()
    empty["answer_generation"]["train_messages"] = []
    for number, raw in enumerate([answer(), without, empty, {}, [], answer()]):
        write(tmp_path / f"{number}_ChatGPT_DFS.json", raw)
    found = read_answers(tmp_path, test_ids={"5", "77"})
    assert [Path(one.name).name[0] for one in found.chains] == ["0"]
    assert found.skipped == {NO_MESSAGES: 4, IN_TEST_SET: 1}


def test_a_file_of_a_test_set_is_not_even_opened(tmp_path: Path) -> None:
    (tmp_path / "5_x.json").write_text("not JSON")
    assert read_answers(tmp_path, {"5"}) == Answers((), {IN_TEST_SET: 1})


def test_one_file_can_be_read_alone(tmp_path: Path) -> None:
    path = write(tmp_path / "7_x.json", answer())
    assert read_answers(path) == Answers(
        (read_answer(answer(), str(path)),), {}
    )


def test_a_file_that_is_no_json_is_an_error_with_its_line(
    tmp_path: Path,
) -> None:
    (tmp_path / "5_x.json").write_text('{\n"a": }')
    with pytest.raises(DatasetError, match=r"5_x\.json:2:6: not JSON"):
        read_answers(tmp_path)


def test_a_folder_without_answers_is_an_error(tmp_path: Path) -> None:
    (tmp_path / ".hidden.json").write_text("{}")
    (tmp_path / "a.jsonl").write_text("{}")
    with pytest.raises(DatasetError, match="has no .json and no .json.gz"):
        read_answers(tmp_path)


# -- test sets ------------------------------------------------------------


def test_the_numbers_of_test_sets_are_list_items_or_keys(
    tmp_path: Path,
) -> None:
    write(tmp_path / "G1_tool.json", {"588": 0, "41": 1})
    write(tmp_path / "G3_instruction.json", ["41", 7])
    assert read_test_ids(tmp_path) == {"588", "41", "7"}
    assert read_test_ids(tmp_path / "G1_tool.json") == {"588", "41"}


def test_a_test_set_that_is_no_list_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "G1_tool.json", "588")
    with pytest.raises(DatasetError, match="no list of numbers of queries"):
        read_test_ids(path)


# -- the file of stage 1 --------------------------------------------------


def test_a_task_is_read_and_written_as_it_was() -> None:
    chain = read_answer(answer(), "here")
    assert read_chain(chain.as_dict(), "here") == chain


def test_the_published_tasks_are_read_and_written_as_they_were() -> None:
    raw = objects_of("raw_data_stage_1")
    assert [read_chain(one, "here").as_dict() for one in raw] == raw


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"chains": None}, "a.json row 2: no task of stage 1, TypeError"),
        ({"chains": [SYSTEM, TASK, {}]}, "row 2 message 3 has none of the"),
        ({"tools": [{}]}, "a.json row 2: no task of stage 1, KeyError"),
    ],
)
def test_what_is_no_task_is_an_error_with_its_place(
    changed: dict[str, Any],
    problem: str,
) -> None:
    raw = {**read_answer(answer(), "here").as_dict(), **changed}
    with pytest.raises(DatasetError) as caught:
        read_chain(raw, "a.json row 2")
    assert problem in caught.value.message and caught.value.fix
