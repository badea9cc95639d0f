# -*- coding: utf-8 -*-
"""GSM8K's word problems as trajectories with a calculator.

Each calculation that a worked answer marks becomes a call, the words before it
the planner's rationale. Knows no models. Raises DatasetError with file and
row; problems whose calculations do not hold are left out, with a reason.

The data: Cobbe et al. 2021, MIT licence.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from .arithmetic import evaluate
from .protocol import (
    Decision,
    Tool,
    Trajectory,
    Utterance,
    write_call,
)
from .reading import faults_named, first_file, rows_of
from .tool_texts import rationale

CALCULATOR = Tool(
    "calculate",
    "Work out an arithmetic expression",
    {"expression": "string, numbers and + - * / ( )"},
    {
        "type": "object",
        "properties": {"expression": {"type": "string"}},
        "required": ["expression"],
        "additionalProperties": False,
    },
)
"""The one tool of all problems."""

_MARK = re.compile(r"<<([^<>=]*)=([^<>=]*)>>")
"""A calculation and its result, as a worked answer marks them."""

_ANY_MARK = re.compile(r"<<.*?>>")
_ANSWER = "####"

_ROUNDED = 0.01
_PART_ROUNDED = 0.001
"""What a result may differ by: the answers have rounded ones, 33.33."""


def read_gsm8k(
    folder: Path,
    split: str,
    limit: int | None = None,
) -> list[Trajectory]:
    """Trajectories of a part of the dataset, in the order of the file.

    Args:
        folder (`Path`):
            With `train.jsonl.gz` or `train.jsonl`, and so on.
        split (`str`):
            `train` or `test`.
        limit (`int | None`, optional):
            The most trajectories.

    Raises:
        `DatasetError`: A file is missing or cannot be read.
    """
    problems = (one for _, one in _problems(folder, split))
    found = [one for one in problems if isinstance(one, Trajectory)]
    return found[:limit]


def unusable_problems(folder: Path, split: str) -> dict[str, str]:
    """What `read_gsm8k` leaves out: reasons by file and row.

    Args:
        folder (`Path`):
            The dataset.
        split (`str`):
            `train` or `test`.

    Raises:
        `DatasetError`: A file is missing or cannot be read.
    """
    return {
        where: one
        for where, one in _problems(folder, split)
        if isinstance(one, str)
    }


def _problems(
    folder: Path,
    split: str,
) -> Iterator[tuple[str, Trajectory | str]]:
    """Where each problem stands, and its trajectory or what is wrong."""
    path = first_file(folder, (f"{split}.jsonl.gz", f"{split}.jsonl"))
    for number, (where, row) in enumerate(rows_of(path), start=1):
        with faults_named(where, "problem", "give question and answer"):
            question, answer = str(row["question"]), str(row["answer"])
        fault = _fault(answer)
        name = f"gsm8k {split} {number}"
        yield where, fault or _trajectory(question, answer, name)


def _fault(answer: str) -> str:
    work, has_answer, result = answer.partition(_ANSWER)
    marks = _MARK.findall(work)
    if not has_answer or not result.strip():
        return "it has no answer"
    if not marks:
        return "it marks no calculation"
    if len(marks) != len(_ANY_MARK.findall(work)):
        return "it marks what is no calculation"
    for expression, value in marks:
        if not _holds(_plain(expression), _plain(value)):
            return f"{expression}={value} does not hold"
    return ""


def _holds(expression: str, value: str) -> bool:
    try:
        wanted = float(value)
        difference = abs(evaluate(expression) - wanted)
    except ValueError:
        return False
    return difference <= _ROUNDED + _PART_ROUNDED * abs(wanted)


def _plain(text: str) -> str:
    """Without the commas of thousands."""
    return text.replace(",", "").strip()


def _trajectory(question: str, answer: str, name: str) -> Trajectory:
    work, _, result = answer.partition(_ANSWER)
    said = [Utterance("user", question.strip())]
    for line in work.splitlines():
        said += _steps(line)
    sentence = _ANY_MARK.sub("", work.strip().splitlines()[-1]).strip()
    sentence += "" if sentence.endswith((".", "!", "?")) else "."
    said += [
        Utterance(
            "assistant",
            rationale("All is worked out", Decision.CONCLUDE),
        ),
        Utterance("conclusion", f"{sentence} The answer is {_plain(result)}."),
    ]
    return Trajectory((CALCULATOR,), said[0].text, tuple(said), name)


def _steps(line: str) -> Iterator[Utterance]:
    start, previous = 0, ""
    for mark in _MARK.finditer(line):
        expression, value = _plain(mark[1]), _plain(mark[2])
        # A result is written once more behind its mark.
        words = line[start : mark.start()].strip().removeprefix(previous)
        words = words.strip(" .,;=$€£") or f"Work out {expression}"
        yield Utterance("assistant", rationale(words))
        call = write_call(CALCULATOR.name, {"expression": expression})
        yield Utterance("caller", call.text)
        yield Utterance("observation", value)
        start, previous = mark.end(), mark[2]
