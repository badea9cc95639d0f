# -*- coding: utf-8 -*-
"""Files of trajectories are read, or refused with file and number."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from alpha_umi.protocol import Tool, Utterance, trajectory_as_dict
from alpha_umi.trajectory_files import read_trajectory_file
from local_llm.errors import DatasetError

OWN = Path(__file__).resolve().parents[1] / "data" / "tool_trajectories.json"


def said(*turns: tuple[str, str]) -> list[dict[str, str]]:
    return [{"from": speaker, "value": text} for speaker, text in turns]


ROW: dict[str, Any] = {
    "tools": [
        {"Name": "find", "function": "Find it", "input": {"a": "string"}},
    ],
    "instruction": "Find a.",
    "conversations": said(
        ("user", "Find a."),
        ("planner", "It wants a. Next: caller."),
        ("caller", 'Action: find\nAction Input: {"a": 1}'),
        ("observation", "7"),
        ("assistant", "Done. Next: conclusion."),
        ("conclusion", "It is 7."),
    ),
}


def write(path: Path, *rows: object) -> Path:
    content = json.dumps(rows).encode()
    packed = gzip.compress(content) if path.suffix == ".gz" else content
    path.write_bytes(packed)
    return path


def error_of(path: Path) -> str:
    with pytest.raises(DatasetError) as caught:
        read_trajectory_file(path)
    assert caught.value.fix
    return caught.value.message


@pytest.mark.parametrize("name", ["some.json", "some.json.gz"])
def test_a_trajectory_has_tools_instruction_and_utterances(
    tmp_path: Path,
    name: str,
) -> None:
    path = write(tmp_path / name, ROW)
    (one,) = read_trajectory_file(path)
    assert one.name == f"{path} row 1"
    assert one.instruction == "Find a."
    assert one.tools == (Tool("find", "Find it", {"a": "string"}),)
    assert len(one.utterances) == 6
    assert one.utterances[1] == Utterance(
        "assistant",
        "It wants a. Next: caller.",
    )


def test_what_is_written_reads_back(tmp_path: Path) -> None:
    (one,) = read_trajectory_file(write(tmp_path / "a.json", ROW))
    again = write(tmp_path / "b.json", trajectory_as_dict(one))
    (two,) = read_trajectory_file(again)
    assert (two.tools, two.utterances) == (one.tools, one.utterances)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"tools": None}, "row 2: no trajectory"),
        ({"tools": [{"Name": "find"}]}, "row 2: no trajectory"),
        ({"conversations": [{"from": "user"}]}, "row 2: no trajectory"),
        (
            {"conversations": said(("nobody", "Hi."))},
            "row 2: nobody is called 'nobody'",
        ),
        ({"conversations": []}, "row 2: it does not begin with a user's"),
        (
            {"conversations": said(("assistant", "Hi."))},
            "row 2: it does not begin with a user's turn",
        ),
        (
            {
                "conversations": said(
                    ("user", "Hi."),
                    ("caller", "Action: seek\nAction Input: {}"),
                ),
            },
            "row 2: it calls seek, which is not in its tools",
        ),
    ],
)
def test_a_fault_is_named_with_file_and_number(
    tmp_path: Path,
    change: dict[str, Any],
    problem: str,
) -> None:
    path = write(tmp_path / "a.json", ROW, {**ROW, **change})
    assert error_of(path).startswith(f"{path} {problem}")


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", ROW)
    assert error_of(path) == f"{path} is no file of trajectories"


def test_a_file_without_trajectories_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json")
    assert error_of(path) == f"{path} has no trajectory"


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert "No such file" in error_of(tmp_path / "a.json")


def test_the_trajectories_of_the_project_are_read() -> None:
    found = read_trajectory_file(OWN)
    assert len(found) == len(json.loads(OWN.read_text(encoding="utf-8")))
