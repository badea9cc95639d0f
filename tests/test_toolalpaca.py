# -*- coding: utf-8 -*-
"""ToolAlpaca's tasks are read with their tools and golden calls."""

import json
from pathlib import Path
from typing import Any

import pytest
from guided_dialogues import SHARED, needs_shared_data
from trajectory_checks import assert_calls_fit, shares

from alpha_umi.protocol import write_call
from alpha_umi.records import records_of
from alpha_umi.roles import Role
from alpha_umi.toolalpaca import read_tasks, read_toolalpaca
from alpha_umi.toolalpaca_golden import exact_match
from local_llm.errors import DatasetError

ALPACA = SHARED / "toolalpaca"

DOCUMENT = {
    "paths": {
        "/pens": {
            "get": {
                "operationId": "findPens",
                "description": "Find pens",
                "parameters": [
                    {
                        "name": "color",
                        "required": True,
                        "schema": {"type": "string"},
                    },
                ],
            },
        },
    },
}
API: dict[str, Any] = {
    "Name": "Pens",
    "Documentation": json.dumps(DOCUMENT),
    "Function_Description": {
        "findPens": "Find pens\nParameters: {}\nOutput: The pens.\n - Array",
        "components": "",
    },
    "Instructions": ["Red pens?", "My pens?", "Pens?"],
    "Golden_Answers": [
        [{"Action": "findPens", "Action_Input": '{"color": "red"}'}],
        [{"Action": "findPens", "Action_Input": '{"color": ${mine}}'}],
        [{"Action": "findPens", "Action_Input": "{}"}],
    ],
}


def write(folder: Path, *apis: dict[str, Any]) -> Path:
    path = folder / "eval_simulated.json"
    path.write_text(json.dumps(apis), encoding="utf-8")
    return folder


def test_a_task_is_plans_and_golden_calls_with_simulated_results(
    tmp_path: Path,
) -> None:
    (one,) = read_toolalpaca(write(tmp_path, API))
    assert one.name == "toolalpaca Pens 1"
    assert [(said.speaker, said.text) for said in one.utterances] == [
        ("user", "Red pens?"),
        (
            "assistant",
            "The user wants findPens; known: color red. Next: caller.",
        ),
        ("caller", 'Action: findPens\nAction Input: {"color": "red"}'),
        ("observation", "(simulated) The pens. - Array"),
        ("assistant", "All calls are made. Next: conclusion."),
        ("conclusion", "none"),
    ]


def test_the_answer_that_is_not_known_is_learned_by_nobody(
    tmp_path: Path,
) -> None:
    (one,) = read_toolalpaca(write(tmp_path, API))
    assert records_of(one, Role.SUMMARIZER) == []
    assert len(records_of(one, Role.PLANNER)) == 2


def test_tasks_keep_the_golden_calls_that_are_not_concrete(
    tmp_path: Path,
) -> None:
    tasks = read_tasks(write(tmp_path, API))
    assert [one.is_concrete for one in tasks] == [True, False, False]
    assert [tool.name for tool in tasks[0].tools] == ["findPens", "getDetails"]


def test_an_api_with_too_few_golden_answers_is_refused(
    tmp_path: Path,
) -> None:
    write(tmp_path, API, {**API, "Golden_Answers": []})
    with pytest.raises(DatasetError, match="row 2: no API with") as caught:
        read_tasks(tmp_path)
    assert caught.value.fix


def test_a_file_can_be_named_itself(tmp_path: Path) -> None:
    path = write(tmp_path, API) / "eval_simulated.json"
    assert len(read_tasks(path)) == 3


def test_a_limit_keeps_the_first_tasks(tmp_path: Path) -> None:
    write(tmp_path, API, API)
    assert len(read_toolalpaca(tmp_path, limit=1)) == 1


# -- the whole file -------------------------------------------------------


@needs_shared_data
def test_the_file_has_a_hundred_tasks_68_of_them_concrete() -> None:
    tasks = read_tasks(ALPACA)
    assert len(tasks) == 100
    assert sum(one.is_concrete for one in tasks) == 68
    assert sum(len(one.golden) for one in tasks) == 154


@needs_shared_data
def test_the_golden_calls_of_the_file_match_themselves() -> None:
    for one in read_tasks(ALPACA):
        made = [write_call(call.name, call.arguments) for call in one.golden]
        assert exact_match(made, one.golden)
        assert not exact_match(made[1:], one.golden)


@needs_shared_data
def test_calls_of_the_file_fit_the_schema_of_their_tool() -> None:
    found = read_toolalpaca(ALPACA)
    assert_calls_fit(found)
    assert sum(shares(found).values()) == 1
