# -*- coding: utf-8 -*-
"""ToolBench's tasks as conversations of planner, caller and summarizer.

Stage 2 of alpha-UMi's preparation, and the files of its stages. Rules and
files are those of the released code (X-PLUG/Multi-LLM-Agent, folder
GLPFT/process_data/toolbench), but for its faults: `KNOWN_FAULTS`. Knows no
prompts. Raises DatasetError with file and number.
"""

import gzip
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from local_llm.atomic_files import whole_file
from local_llm.dataset_files import read_document
from local_llm.errors import DatasetError

from .protocol import (
    NO_ANSWER,
    Call,
    Decision,
    Trajectory,
    Utterance,
    read_trajectory,
)
from .toolbench_answers import (
    FINISH,
    Chain,
    read_answer,
    read_answers,
    read_chain,
)

_OPENING_MESSAGES = 2  # the system's prompt, and the task in other words
_GIVE_UP = "give_up_and_restart"
_ANSWER_KEY, _RESPONSE_KEY = '"final_answer": ', '"response":'


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of the released code that shows in data.

    Attributes:
        released (`str`):
            What the released code does.
        ours (`str`):
            What is done here.
    """

    released: str
    ours: str


KNOWN_FAULTS: Mapping[str, Fault] = MappingProxyType(
    {
        "stale prompt": Fault(
            "a backbone record that gives up has the input of the record "
            "before it, of another step and perhaps of another task",
            "every record has the prompt of its own step",
        ),
        "first twenty": Fault(
            "stage 1 saves the first 20 answers and drops all others",
            "all are kept",
        ),
        "order of the disk": Fault(
            "answer files come in the order in which the disk lists them, "
            "which is another on each machine",
            "they are read in order of their names",
        ),
        "two names of the planner": Fault(
            "caller and summarizer are trained on a history in which the "
            "planner is called assistant, and evaluated on one in which it "
            "is called planner",
            "it is called assistant everywhere; planner is read as that",
        ),
        "prefix of training": Fault(
            "records are trained on behind the words 'system: ', and "
            "evaluated without them",
            "one function makes the prompt of training and of use",
        ),
        "misspelt keys": Fault(
            "files of predictions spell a key dispath and a speaker asssitant",
            "both are read as the speaker assistant, and never written",
        ),
        "fields inside fields": Fault(
            "a history or a tool that has {thought} or {history} in its text "
            "gets a thought or a history put there",
            "fields are filled at once, and texts are left alone",
        ),
        "invented tools": Fault(
            "the backbone learns to call the tool that stands for a made-up "
            "one; planner and caller do not",
            "no role learns it",
        ),
        "missing answers": Fault(
            "the backbone learns to answer 'none' where the data have no "
            "answer; the summarizer does not",
            "no role learns it",
        ),
        "history without its input": Fault(
            "the field history of a caller's record has calls of made-up "
            "tools that its input leaves out",
            "both leave them out",
        ),
        "end without a decision": Fault(
            "a conversation that ends with a planner's text without a "
            "decision stops the making of records",
            "the text is history that nobody learns",
        ),
        "answer with a quote": Fault(
            "an answer out of broken JSON keeps a quote and a line break "
            "where the last brace stands on a line of its own",
            "they are taken off",
        ),
        "objects for texts": Fault(
            "arguments, answers and responses that are objects in place of "
            "texts, and responses without the field, stop stage 2 or the "
            "making of records",
            "objects are written as JSON; a missing response is empty",
        ),
    }
)
"""By name; the records made here differ from the published ones by these and
by nothing else."""


def read_toolbench(path: Path) -> list[Trajectory]:
    """Read trajectories, whichever stage of the data holds them.

    Args:
        path (`Path`):
            A `.json` or `.json.gz` file of stage 1, of stage 2 or of the
            test set, one raw answer, or a folder of raw answers;
            `read_answers` also says what it leaves out of these.

    Raises:
        `DatasetError`: It cannot be read, or an element is none of these.
    """
    if path.is_dir():
        return [trajectory_of(one) for one in read_answers(path).chains]
    document = read_document(path)
    rows = document if isinstance(document, list) else [document]
    return [
        _read_row(row, f"{path} row {number}")
        for number, row in enumerate(rows, start=1)
    ]


def trajectory_of(chain: Chain) -> Trajectory:
    """Stage 2: what planner, caller and summarizer would have said.

    A message of the assistant without a call is left out, as in the published
    records of training; the published test set has them, without a decision.

    Args:
        chain (`Chain`):
            A task of stage 1.

    Raises:
        `DatasetError`: A message cannot be read.
    """
    said = [Utterance("user", chain.instruction)]
    for index in range(_OPENING_MESSAGES, len(chain.messages)):
        message = chain.messages[index]
        try:
            said += _UTTERANCES[message["role"]](message)
        except (KeyError, TypeError) as error:
            raise DatasetError(
                f"{chain.name} message {index + 1} cannot be read, "
                f"{type(error).__name__}: {error}",
                fix="correct the message, or take the task out",
            ) from error
    return Trajectory(chain.tools, chain.instruction, tuple(said), chain.name)


def write_objects(path: Path, objects: Iterable[Mapping[str, Any]]) -> Path:
    """Write a file as the published ones are written.

    Args:
        path (`Path`):
            Where; compressed where it ends in `.gz`.
        objects (`Iterable[Mapping[str, Any]]`):
            Of `Chain.as_dict`, `trajectory_as_dict` or `Record.as_dict`.

    Raises:
        `CheckpointError`: It cannot be written.
    """
    content = json.dumps([*objects], indent=2).encode()
    if path.name.endswith(".gz"):
        content = gzip.compress(content, mtime=0)
    with whole_file(path) as partial:
        partial.write_bytes(content)
    return path


# -- reading --------------------------------------------------------------

_STAGES: dict[str, Callable[[Any, str], Trajectory]] = {
    "conversations": read_trajectory,
    "chains": lambda raw, where: trajectory_of(read_chain(raw, where)),
    "answer_generation": (
        lambda raw, where: trajectory_of(read_answer(raw, where))
    ),
}
"""How an object is read, by a key that only its stage has."""


def _read_row(row: object, where: str) -> Trajectory:
    for key, read in _STAGES.items():
        if isinstance(row, dict) and key in row:
            return read(row, where)
    raise DatasetError(
        f"{where} is of no stage of ToolBench",
        fix=f"give objects that have one of {', '.join(_STAGES)}",
    )


# -- stage 2 --------------------------------------------------------------

Message = Mapping[str, Any]


def _from_assistant(message: Message) -> list[Utterance]:
    function = message.get("function_call")
    if function is None:
        return []
    content = message.get("content")
    name, arguments = function["name"], function["arguments"]
    if not isinstance(name, str):
        raise TypeError("the function that is called has no name")
    if name != FINISH:
        call = Call(name, _as_text(arguments))
        return [
            _plan(content, Decision.CALL),
            Utterance("caller", call.text),
        ]
    answer = _final_answer(arguments, content)
    if answer is None:
        return [_plan(content, Decision.GIVE_UP)]
    return [
        _plan(content, Decision.CONCLUDE),
        Utterance("conclusion", answer),
    ]


def _from_user(message: Message) -> list[Utterance]:
    return [Utterance("user", _as_text(message["content"]))]


def _from_tool(message: Message) -> list[Utterance]:
    content = message["content"]
    result = _decoded(content)
    if isinstance(result, dict) and "response" in result:
        response = _as_text(result["response"])
    else:
        response = _as_text(content).partition(_RESPONSE_KEY)[2]
    return [Utterance("observation", response)]


def _from_system(_message: Message) -> list[Utterance]:
    return []


_UTTERANCES: dict[str, Callable[[Message], list[Utterance]]] = {
    "system": _from_system,
    "user": _from_user,
    "assistant": _from_assistant,
    "function": _from_tool,
}


def _plan(content: object, decision: Decision) -> Utterance:
    rationale = "" if content is None else f"{_as_text(content)}\n"
    return Utterance("assistant", f"{rationale} {decision.phrase}.")


def _final_answer(arguments: object, content: object) -> str | None:
    """What the user is told; None where the assistant gives up."""
    given = _decoded(arguments)
    if isinstance(given, dict) and "return_type" in given:
        if given["return_type"] == _GIVE_UP:
            return None
        answer = given.get("final_answer")
        return NO_ANSWER if answer is None else _as_text(answer)
    return _repaired_answer(_as_text(arguments), content)


def _repaired_answer(arguments: str, content: object) -> str | None:
    """The same of arguments that are no JSON."""
    if _GIVE_UP in arguments:
        return None
    _, key, rest = arguments.partition(_ANSWER_KEY)
    if key:
        # Without the second strip, a brace on a line of its own would leave
        # the quote before it in the answer.
        return rest.strip().strip("}").strip().strip('"')
    return NO_ANSWER if content is None else _as_text(content)


def _decoded(value: object) -> object:
    """The value of a JSON text, None where it is none."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None


def _as_text(value: object) -> str:
    """A text as it is, anything else as JSON, nothing as an empty text."""
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)
