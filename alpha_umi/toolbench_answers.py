# -*- coding: utf-8 -*-
"""ToolBench's raw answers as tasks: tools, instruction and chain of messages.

Stage 1 of alpha-UMi's preparation, after its released code. Knows nothing of
planners and callers. Raises DatasetError with the file, and the number of
element and message where there is one.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_llm.dataset_files import read_document
from local_llm.errors import DatasetError

from .protocol import Tool, read_tool

FINISH = "Finish"
"""The function that ends a task; no tool."""

LONGEST_NAME = 64
"""Of a tool: its last characters. As the next, from the released code."""

LONGEST_DESCRIPTION = 256
"""Of a tool: its first characters. Of an argument: its last ones."""

IN_TEST_SET = "in a test set"
NO_MESSAGES = "without messages"
"""Why a file is left out, in `Answers.skipped`; as the one before."""

_ENDINGS = (".json", ".json.gz")
_ROLES = ("system", "user", "assistant", "function")


@dataclass(frozen=True, slots=True)
class Chain:
    """A task of stage 1.

    Attributes:
        tools (`tuple[Tool, ...]`):
            What may be called, without the function that finishes.
        instruction (`str`):
            The task.
        messages (`tuple[Mapping[str, Any], ...]`):
            All that was said, as messages of OpenAI's functions.
        name (`str`):
            Where it comes from, for messages and tables.
    """

    tools: tuple[Tool, ...]
    instruction: str
    messages: tuple[Mapping[str, Any], ...]
    name: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The object of a task in the published file of stage 1."""
        return {
            "tools": [tool.as_document() for tool in self.tools],
            "instruction": self.instruction,
            "chains": list(self.messages),
        }


@dataclass(frozen=True, slots=True)
class Answers:
    """What the answer files come to.

    Attributes:
        chains (`tuple[Chain, ...]`):
            The tasks, in order of the files' names.
        skipped (`Mapping[str, int]`):
            How many files were left out, by reason.
    """

    chains: tuple[Chain, ...]
    skipped: Mapping[str, int]


def read_answers(
    path: Path,
    test_ids: Collection[str] = frozenset(),
) -> Answers:
    """Read raw answers.

    Args:
        path (`Path`):
            An answer file, or a folder that has them in it or in its folders
            (`answer` of ToolBench).
        test_ids (`Collection[str]`, optional):
            Numbers of queries that are left out; `read_test_ids` reads them.

    Raises:
        `DatasetError`: There is no answer file, or one cannot be read.
    """
    chains, skipped = [], Counter[str]()
    for file in _json_files(path):
        # <number of the query>_<method>.json
        if file.name.partition("_")[0] in test_ids:
            skipped[IN_TEST_SET] += 1
            continue
        raw = read_document(file)
        if _has_messages(raw):
            chains.append(read_answer(raw, str(file)))
        else:
            skipped[NO_MESSAGES] += 1
    return Answers(tuple(chains), dict(skipped))


def read_test_ids(path: Path) -> frozenset[str]:
    """Read the numbers of the queries of test sets.

    Args:
        path (`Path`):
            A file, or a folder of files (`test_query_ids` of ToolBench), each
            a JSON list of numbers or an object that has them as keys.

    Raises:
        `DatasetError`: There is no file, or one holds something else.
    """
    found: set[str] = set()
    for file in _json_files(path):
        listed = read_document(file)
        if not isinstance(listed, list | dict):
            raise DatasetError(
                f"{file} is no list of numbers of queries",
                fix="give the files of ToolBench's test_query_ids",
            )
        found.update(map(str, listed))
    return frozenset(found)


def read_answer(raw: Any, where: str) -> Chain:
    """Stage 1: the task of one raw answer.

    Args:
        raw (`Any`):
            The object of the answer file.
        where (`str`):
            The file, for messages.

    Raises:
        `DatasetError`: It is no answer; says what is missing.
    """
    try:
        answer = raw["answer_generation"]
        return Chain(
            tools=tuple(
                _tool_of(one)
                for one in answer["function"]
                if one["name"] != FINISH
            ),
            instruction=str(answer["query"]),
            # Each list is as long as the model had got; the last has it all.
            messages=_messages(answer["train_messages"][-1], where),
            name=where,
        )
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise DatasetError(
            f"{where}: no answer of ToolBench, "
            f"{type(error).__name__}: {error}",
            fix="take the file out, or fetch it again",
        ) from error


def read_chain(raw: Any, where: str) -> Chain:
    """A task from its object in a file of stage 1.

    Args:
        raw (`Any`):
            One element of the file's list.
        where (`str`):
            File and number of it, for messages.

    Raises:
        `DatasetError`: It is none; says what is missing.
    """
    try:
        return Chain(
            tools=tuple(map(read_tool, raw["tools"])),
            instruction=str(raw["instruction"]),
            messages=_messages(raw["chains"], where),
            name=where,
        )
    except (AttributeError, KeyError, TypeError) as error:
        raise DatasetError(
            f"{where}: no task of stage 1, {type(error).__name__}: {error}",
            fix="give tools, instruction and chains as stage 1 writes them",
        ) from error


def _json_files(path: Path) -> list[Path]:
    """The file itself, or all of a folder, in order of their names."""
    if not path.is_dir():
        return [path]
    files = sorted(
        file
        for file in path.rglob("*.json*")
        if file.name.endswith(_ENDINGS) and not file.name.startswith(".")
    )
    if not files:
        raise DatasetError(
            f"{path} has no {' and no '.join(_ENDINGS)} file",
            fix="give the folder that has ToolBench's files",
        )
    return files


def _has_messages(raw: object) -> bool:
    answer = raw.get("answer_generation") if isinstance(raw, dict) else None
    return isinstance(answer, dict) and bool(answer.get("train_messages"))


def _tool_of(function: Mapping[str, Any]) -> Tool:
    arguments = function["parameters"]["properties"].items()
    return Tool(
        name=function["name"][-LONGEST_NAME:],
        description=function["description"][:LONGEST_DESCRIPTION],
        arguments={name: _argument(schema) for name, schema in arguments},
    )


def _argument(schema: Mapping[str, Any]) -> str:
    if "description" not in schema:
        return schema["type"]
    return f"{schema['type']}, {schema['description'][-LONGEST_DESCRIPTION:]}"


def _messages(raw: Any, where: str) -> tuple[Mapping[str, Any], ...]:
    for number, message in enumerate(raw, start=1):
        if not isinstance(message, dict) or message.get("role") not in _ROLES:
            raise DatasetError(
                f"{where} message {number} has none of the roles "
                f"{', '.join(_ROLES)}",
                fix="correct the message, or take the task out",
            )
    return tuple(raw)
