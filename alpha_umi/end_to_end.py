# -*- coding: utf-8 -*-
"""How whole tasks went on simulated tools: solved, steps, calls, invalid ones.

Reads what was said and how it ended; runs no tool and knows no models. Raises
nothing.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from referencing import Registry
from referencing.exceptions import Unresolvable

from .protocol import Call, Tool, Utterance, read_call
from .scores import Scores, collected

ANSWERED = "answered"
"""The outcome of a task that ends in an answer."""


class TaskMetric(StrEnum):
    """What is measured of a task."""

    SOLVED = "solved"
    STEPS = "steps"
    CALLS = "calls"
    INVALID = "invalid_calls"


@dataclass(frozen=True, slots=True)
class Expected:
    """What solves a task.

    Attributes:
        calls (`tuple[Call, ...]`):
            To be made in this order, others may stand between them; one is
            made where its tool is called with all of its arguments, and
            perhaps more.
        facts (`tuple[tuple[str, ...], ...]`):
            What the answer must have: of each fact one of its wordings, as
            whole words; case, spaces and commas in numbers do not count.
    """

    calls: tuple[Call, ...] = ()
    facts: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class TaskFigures:
    """How one task went.

    Attributes:
        outcome (`str`):
            How it ended.
        steps (`int`):
            Turns of the planner.
        calls (`int`):
            Calls that were written, valid or not.
        faults (`tuple[str, ...]`):
            What is wrong with each invalid call.
        has_calls (`bool`):
            Whether all expected calls were made.
        has_facts (`bool`):
            Whether the answer has all expected facts.
    """

    outcome: str
    steps: int
    calls: int
    faults: tuple[str, ...]
    has_calls: bool
    has_facts: bool

    @property
    def solved(self) -> bool:
        """Whether it ended in an answer that is right, on the right way."""
        is_answered = self.outcome == ANSWERED
        return is_answered and self.has_calls and self.has_facts

    def as_dict(self) -> dict[str, Any]:
        """As values of JSON."""
        return {**asdict(self), "solved": self.solved}


def task_figures(
    tools: Sequence[Tool],
    utterances: Sequence[Utterance],
    outcome: str,
    answer: str,
    expected: Expected,
) -> TaskFigures:
    """How a task went.

    Args:
        tools (`Sequence[Tool]`):
            What could be called.
        utterances (`Sequence[Utterance]`):
            All that was said.
        outcome (`str`):
            How it ended; `ANSWERED` where there is an answer.
        answer (`str`):
            What the user was told, empty where nothing.
        expected (`Expected`):
            What solves it.
    """
    made = [read_call(u.text) for u in utterances if u.speaker == "caller"]
    faults = [fault for call in made if (fault := call_fault(tools, call))]
    return TaskFigures(
        outcome,
        sum(one.speaker == "assistant" for one in utterances),
        len(made),
        tuple(faults),
        _are_made(expected.calls, made),
        all(_is_told(fact, answer) for fact in expected.facts),
    )


def call_fault(tools: Sequence[Tool], call: Call) -> str | None:
    """What is wrong with a call; None for a valid one.

    Args:
        tools (`Sequence[Tool]`):
            What may be called. Arguments of a tool without a JSON schema
            need only be an object.
        call (`Call`):
            As the caller writes it.
    """
    tool = next((one for one in tools if one.name == call.name), None)
    if tool is None:
        return f"there is no tool {call.name!r}"
    arguments = _object_of(call.arguments)
    if arguments is None:
        return f"{call.name}: the arguments are no JSON object"
    if tool.schema is None:
        return None
    fault = _schema_fault(tool.schema, arguments)
    return fault and f"{call.name}: {fault}"


def task_scores(figures: Sequence[TaskFigures]) -> Scores:
    """The figures of one run, each task a unit of its own.

    Args:
        figures (`Sequence[TaskFigures]`):
            Of all tasks, in the same order in every run.
    """
    rows = [
        {
            TaskMetric.SOLVED: float(one.solved),
            TaskMetric.STEPS: float(one.steps),
            TaskMetric.CALLS: float(one.calls),
            TaskMetric.INVALID: float(len(one.faults)),
        }
        for one in figures
    ]
    return collected(range(len(rows)), rows, list(TaskMetric))


def _are_made(expected: Sequence[Call], made: Sequence[Call]) -> bool:
    """Whether the calls are among those that were made, in their order."""
    rest = iter(made)
    return all(any(_fulfils(one, call) for one in rest) for call in expected)


def _fulfils(made: Call, expected: Call) -> bool:
    given, wanted = map(_object_of, (made.arguments, expected.arguments))
    if made.name != expected.name or given is None or wanted is None:
        return False
    return all(k in given and given[k] == v for k, v in wanted.items())


def _object_of(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _schema_fault(
    schema: Mapping[str, Any],
    arguments: dict[str, Any],
) -> str | None:
    """The first fault by the schema's order; a schema that cannot be followed
    faults no call."""
    # An empty registry: nothing is fetched from where a schema points to.
    try:
        validator = Draft202012Validator(dict(schema), registry=Registry())
        validator.check_schema(dict(schema))
        error = next(validator.iter_errors(arguments), None)
    except (SchemaError, Unresolvable, RecursionError):
        return None
    return None if error is None else _worded(error)


def _worded(error: ValidationError) -> str:
    place = ".".join(map(str, error.absolute_path))
    return f"{place}: {error.message}" if place else error.message


def _is_told(wordings: Sequence[str], answer: str) -> bool:
    return any(_stands_in(one, answer) for one in wordings)


def _stands_in(wording: str, answer: str) -> bool:
    """Whether a wording stands in an answer as words of its own: 3 is in
    neither of 13, 3.5 and -3."""
    wanted, told = map(_normal, (wording, answer))
    before = r"(?<!\w)(?<!\d\.)(?<!\s-)(?<!^-)"
    pattern = rf"{before}{re.escape(wanted)}(?!\w|\.\d)"
    return re.search(pattern, told) is not None


def _normal(text: str) -> str:
    without_commas = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text)
    return " ".join(without_commas.casefold().split())
