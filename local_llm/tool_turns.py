# -*- coding: utf-8 -*-
"""The turns of a row that may use tools, put together one by one.

Writes schemas, calls and results as text through `tool_calls`; knows the
shapes in which data holds them. Raises DatasetError for a call that cannot be
written, RowDropped for a result that answers no call and for a call that the
assistant does not wait for.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .errors import DatasetError
from .row_values import (
    Row,
    RowDropped,
    WrittenTurn,
    decoded,
    describe,
    list_of,
    own_members,
    shown,
    wrong_type,
)
from .tool_calls import (
    CALL_START,
    ParseFailure,
    ToolCall,
    call_of,
    parse_calls,
    parse_results,
    render_call,
    render_result,
    render_tools,
    tool_problem,
)
from .turns import Role, Turn

RESULT_WITHOUT_CALL = "tool result without a call"
CALL_WITHOUT_RESULT = "tool call without a result"

ARGUMENTS = ("arguments", "parameters")
CALL_KEYS = ("name", *ARGUMENTS, "id", "type", "index")
WRAPPER_KEYS = ("function", "id", "type", "index")


@dataclass(frozen=True, slots=True)
class _OpenCall:
    """A call that waits for its result."""

    number: int
    call_id: str | None
    place: str


class TurnWriter:
    """Collects the turns of one row; calls and results become texts.

    Args:
        where (`str`):
            The place of the row, for messages.

    Attributes:
        where (`str`):
            The same.
        turns (`list[WrittenTurn]`):
            What was collected.
    """

    def __init__(self, where: str) -> None:
        self.where = where
        self.turns: list[WrittenTurn] = []
        self._open: list[_OpenCall] = []
        self._results: dict[int, str] = {}  # of the last turn, by their call

    def say(
        self,
        role: Role,
        text: str,
        place: str,
        learned: bool = True,
    ) -> None:
        """Adds a turn that is text already.

        A text of the assistant may hold calls, which then wait for results;
        any other turn ends the wait.

        Args:
            role (`Role`):
                Who speaks.
            text (`str`):
                What.
            place (`str`):
                Where it stands in the row.
            learned (`bool`, defaults to `True`):
                Whether it is learned, if the assistant speaks.
        """
        if role == "assistant":
            calls = parse_calls(text)
            count = 0 if isinstance(calls, ParseFailure) else len(calls)
            self._speak(text, [None] * count, place, learned)
        else:
            self._open = []
            self._add(role, text, place)

    def call(
        self,
        text: str,
        calls: Sequence[tuple[str | None, ToolCall]],
        place: str,
        learned: bool = True,
    ) -> None:
        """Adds an assistant's turn that calls tools.

        Args:
            text (`str`):
                What it says besides; may be blank.
            calls (`Sequence[tuple[str | None, ToolCall]]`):
                The calls, each with its id if it has one.
            place (`str`):
                Where it stands in the row.
            learned (`bool`, defaults to `True`):
                Whether it is learned.
        """
        rendered = [render_call(call) for _, call in calls]
        said = [text] if text.strip() else []
        ids = [call_id for call_id, _ in calls]
        self._speak("\n".join([*said, *rendered]), ids, place, learned)

    def answer(self, text: str, call_id: str | None, place: str) -> None:
        """Adds the result of a tool; several in a row are one user turn, in
        the order of their calls.

        Args:
            text (`str`):
                What the tool answered; if it is results already, those.
            call_id (`str | None`):
                The id of the call, if the result names one.
            place (`str`):
                Where it stands in the row.
        """
        results = dict(self._results)
        for one in parse_results(text) or (text,):
            results[self._close(call_id, place)] = render_result(one)
        if self._results:
            place = self.turns.pop().place
        ordered = [results[number] for number in sorted(results)]
        self._add("user", "\n".join(ordered), place)
        self._results = results

    def offer(self, tools: str) -> None:
        """Puts the tools' block into the system turn, or makes one.

        Args:
            tools (`str`):
                The block; nothing happens where it is empty.
        """
        if not tools:
            return
        first = self.turns[0] if self.turns else None
        if first is None or first.turn.role != "system":
            self.turns.insert(0, WrittenTurn(Turn("system", tools), "tools"))
        elif first.turn.text.strip():
            text = f"{first.turn.text}\n\n{tools}"
            self.turns[0] = WrittenTurn(Turn("system", text), first.place)

    def _speak(
        self,
        text: str,
        ids: Sequence[str | None],
        place: str,
        learned: bool,
    ) -> None:
        """Adds an assistant's turn with the ids of the calls in it."""
        calls_on = bool(ids) and text.lstrip().startswith(CALL_START)
        if not calls_on or self._results:
            self._require_results()
            self._open = []
        self._open += [
            _OpenCall(number, call_id, place)
            for number, call_id in enumerate(ids, start=len(self._open))
        ]
        self._add("assistant", text, place, learned)

    def _require_results(self) -> None:
        """Drops a row in which the assistant goes on without a result."""
        missing = self._open
        if self._results:
            # One result without id may hold the answers of several calls.
            missing = [one for one in missing if one.call_id is not None]
        if missing:
            where = f"{self.where}, {missing[0].place}"
            raise RowDropped(where, CALL_WITHOUT_RESULT)

    def _add(
        self,
        role: Role,
        text: str,
        place: str,
        learned: bool = True,
    ) -> None:
        self.turns.append(WrittenTurn(Turn(role, text, learned), place))
        self._results = {}

    def _close(self, call_id: str | None, place: str) -> int:
        """Strikes the call off that a result answers, and gives its number."""
        same = [one for one in self._open if one.call_id == call_id]
        unnamed = [one for one in self._open if one.call_id is None]
        any_call = self._open if call_id is None else []
        candidates = same or unnamed or any_call
        if not candidates:
            raise RowDropped(f"{self.where}, {place}", RESULT_WITHOUT_CALL)
        answered = candidates[0]
        self._open.remove(answered)
        return answered.number


def read_tools(row: Row, where: str) -> str:
    """Reads the column `tools`, or `functions` as OpenAI once called it: a
    list of schemas, or JSON text of one.

    Args:
        row (`dict`):
            The row, by column.
        where (`str`):
            The place of the row, for messages.

    Returns:
        `str`:
            The block of the system text; empty without tools.
    """
    _refuse_call_beside_turns(row, where)
    tools: list[Mapping[str, Any]] = []
    listed = list_of(row, "tools", where) or list_of(row, "functions", where)
    for number, one in enumerate(listed, start=1):
        place = f"{where}, tool {number}"
        tool = own_members(decoded(one, place), place)
        problem = tool_problem(tool)
        if problem or not isinstance(tool, dict):
            raise DatasetError(
                f"{place}: {problem}",
                fix="write each tool as an object with name, description "
                "and parameters",
            )
        tools.append(tool)
    return render_tools(tools)


def _refuse_call_beside_turns(row: Row, where: str) -> None:
    call = row.get("function_call")
    if call not in (None, "", "auto", "none"):
        raise DatasetError(
            f"{where}, function_call is {describe(call)} beside the turns, "
            "where nothing reads it",
            fix="put the call into the turn of the assistant that makes it, "
            "or take the column out",
        )


def read_calls(
    message: Row,
    where: str,
) -> list[tuple[str | None, ToolCall]]:
    """Reads `tool_calls` or `function_call` of a message, with their ids.

    Args:
        message (`dict`):
            The message.
        where (`str`):
            The place of the turn, for messages.
    """
    calls = list_of(message, "tool_calls", where)
    if not calls and message.get("function_call"):
        calls = [message["function_call"]]
    read = []
    for number, call in enumerate(calls, start=1):
        here = f"{where}, tool call {number}"
        value = decoded(call, here)
        read.append((_id_of(value), read_call(value, here)))
    return read


def read_call(value: object, where: str) -> ToolCall:
    """Reads one call: bare or under `function`, its arguments (which data
    also calls parameters) an object or JSON text of one.

    Args:
        value (`object`):
            What the row holds.
        where (`str`):
            Its place, for messages.
    """
    value = own_members(decoded(value, where), where)
    if not isinstance(value, dict):
        raise wrong_type(where, value, "an object with name and arguments")
    function = value
    if value.get("function") is not None:
        _refuse_other_keys(value, WRAPPER_KEYS, where)
        function = value["function"]
    if not isinstance(function, dict):
        raise wrong_type(f"{where}, function", function, "an object")
    _refuse_other_keys(function, CALL_KEYS, where)
    call = call_of(
        {
            "name": function.get("name"),
            "arguments": _arguments_of(function, where),
        },
    )
    if isinstance(call, ParseFailure):
        raise _broken_call(where, call.reason)
    return call


def _refuse_other_keys(value: Row, known: Sequence[str], where: str) -> None:
    """Arguments under a key that nobody reads would be lost in silence."""
    for key, member in value.items():
        if key not in known and member is not None:
            problem = f"a call has the unknown key {shown(key)}"
            raise _broken_call(where, problem)


def _broken_call(where: str, problem: str) -> DatasetError:
    return DatasetError(
        f"{where}: {problem}",
        fix='write it as {"name": "...", "arguments": {...}}, bare or under '
        "the key function",
    )


def _arguments_of(function: Row, where: str) -> object:
    given = [key for key in ARGUMENTS if function.get(key) is not None]
    if len(given) > 1:
        raise _broken_call(where, f"a call has both {' and '.join(given)}")
    if not given:
        return {}
    value = function[given[0]]
    if isinstance(value, str):
        return _decoded_arguments(value, f"{where}, {given[0]}")
    return value


def _decoded_arguments(text: str, where: str) -> object:
    if not text.strip():
        return {}
    value = decoded(text, where)
    if isinstance(value, str):
        raise DatasetError(
            f"{where} is text that is no JSON object: {json.dumps(text[:60])}",
            fix='write the arguments as JSON, such as {"city": "Paris"}',
        )
    return value


def _id_of(call: object) -> str | None:
    found = call.get("id") if isinstance(call, dict) else None
    return found if isinstance(found, str) else None
