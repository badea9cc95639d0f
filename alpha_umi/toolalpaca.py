# -*- coding: utf-8 -*-
"""ToolAlpaca's evaluation tasks: simulated APIs, instructions, golden calls.

The files have no results of calls and no answers: an observation says what
the API's documentation promises, marked as simulated, and the last text is
the one that no role learns. Knows no models. Raises DatasetError with file
and row.

The data: Tang et al. 2023, Apache-2.0.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .openapi_tools import tools_of
from .protocol import (
    Decision,
    Tool,
    Trajectory,
    Utterance,
    write_call,
)
from .reading import LONGEST_OBSERVATION, faults_named, first_file, rows_of
from .records import NO_ANSWER
from .tool_texts import ArgumentTexts, call_rationale, rationale
from .toolalpaca_golden import ASK_USER, GoldenCall, read_golden

SIMULATED = "(simulated)"
"""What every observation begins with."""

_NAMES = ("eval_simulated.json.gz", "eval_simulated.json")

_ASK_TOOL = Tool(
    ASK_USER,
    "Ask the user for details that are missing",
    {"Question": "string, the question"},
    {
        "type": "object",
        "properties": {"Question": {"type": "string"}},
        "required": ["Question"],
        "additionalProperties": False,
    },
)
"""Stands beside the operations of every API, as in the paper of the data."""


@dataclass(frozen=True, slots=True)
class Task:
    """An instruction, what may be called, and what should be.

    Attributes:
        name (`str`):
            The API, and the number of the instruction.
        instruction (`str`):
            What the user wants.
        tools (`tuple[Tool, ...]`):
            What may be called.
        golden (`tuple[GoldenCall, ...]`):
            What a solution calls.
        outputs (`Mapping[str, str]`):
            By tool, what the documentation says that it returns.
    """

    name: str
    instruction: str
    tools: tuple[Tool, ...]
    golden: tuple[GoldenCall, ...]
    outputs: Mapping[str, str]

    @property
    def is_concrete(self) -> bool:
        """Whether every golden call is of a tool, lacks nothing that it
        requires, and has values that are known beforehand."""
        tools = {tool.name: tool for tool in self.tools}
        return all(
            call.is_concrete
            and call.name in tools
            and _has_arguments(call, tools[call.name])
            for call in self.golden
        )


def read_tasks(path: Path, texts: ArgumentTexts = "described") -> list[Task]:
    """All tasks of a file, in its order.

    Args:
        path (`Path`):
            `eval_simulated.json`, plain or gzip, or the folder that has it.
        texts (`ArgumentTexts`, optional):
            How arguments read.

    Raises:
        `DatasetError`: It cannot be read.
    """
    file = first_file(path, _NAMES) if path.is_dir() else path
    tasks: list[Task] = []
    for where, row in rows_of(file):
        with faults_named(where, "API with golden calls", _FIX):
            tasks += _tasks(row, texts)
    return tasks


def read_toolalpaca(
    path: Path,
    texts: ArgumentTexts = "described",
    limit: int | None = None,
) -> list[Trajectory]:
    """Trajectories of the tasks whose golden calls are all concrete.

    Args:
        path (`Path`):
            As for `read_tasks`.
        texts (`ArgumentTexts`, optional):
            How arguments read.
        limit (`int | None`, optional):
            The most trajectories.

    Raises:
        `DatasetError`: It cannot be read.
    """
    tasks = read_tasks(path, texts)
    return [_trajectory(one) for one in tasks if one.is_concrete][:limit]


def _tasks(row: Mapping[str, Any], texts: ArgumentTexts) -> Iterator[Task]:
    tools = (*tools_of(json.loads(row["Documentation"]), texts), _ASK_TOOL)
    outputs = {
        name: " ".join(text.partition("Output:")[2].split())
        for name, text in row["Function_Description"].items()
    }
    pairs = zip(row["Instructions"], row["Golden_Answers"], strict=True)
    for number, (instruction, golden) in enumerate(pairs, start=1):
        yield Task(
            f"toolalpaca {row['Name']} {number}",
            str(instruction),
            tools,
            tuple(read_golden(one) for one in golden),
            outputs,
        )


def _has_arguments(call: GoldenCall, tool: Tool) -> bool:
    schema = tool.schema or {}
    given, known = call.arguments.keys(), schema["properties"].keys()
    return given <= known and given >= set(schema["required"])


def _trajectory(task: Task) -> Trajectory:
    said = [Utterance("user", task.instruction)]
    for call in task.golden:
        said += _steps(call, task.outputs.get(call.name, ""))
    done = rationale("All calls are made", Decision.CONCLUDE)
    said += [Utterance("assistant", done), Utterance("conclusion", NO_ANSWER)]
    return Trajectory(task.tools, task.instruction, tuple(said), task.name)


def _steps(call: GoldenCall, output: str) -> list[Utterance]:
    known = {name: _word(value) for name, value in call.arguments.items()}
    shown = f"{SIMULATED} {output}"[:LONGEST_OBSERVATION]
    return [
        Utterance("assistant", call_rationale(call.name, known)),
        Utterance("caller", write_call(call.name, call.arguments).text),
        Utterance("observation", shown.rstrip()),
    ]


def _word(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


_FIX = (
    "give ToolAlpaca's eval_simulated.json: Documentation, "
    "Function_Description, Instructions and as many Golden_Answers"
)
