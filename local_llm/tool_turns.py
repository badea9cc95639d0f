# -*- coding: utf-8 -*-
"""The turns of a row that may use tools, put together one by one.

Writes schemas, calls and results as text through `tool_calls`; knows the
shapes in which data holds them. Raises DatasetError for a call that cannot be
written, RowDropped for a result that answers no call.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from .chat_format import Role, Turn
from .errors import DatasetError
from .row_values import (
    Row,
    RowDropped,
    WrittenTurn,
    decoded,
    list_of,
    wrong_type,
)
from .tool_calls import (
    ParseFailure,
    ToolCall,
    call_of,
    render_call,
    render_result,
    render_tools,
    tool_problem,
)

RESULT_WITHOUT_CALL = "tool result without a call"


class TurnWriter:
    """Collects the turns of one row; calls and results become texts.

    Attributes:
        turns (`list[WrittenTurn]`):
            What was collected.
    """

    def __init__(self) -> None:
        self.turns: list[WrittenTurn] = []
        self._open: list[str | None] = []
        self._after_result = False

    def say(self, role: Role, text: str, place: str) -> None:
        """Adds a turn that is text already; it ends the wait for results.

        Args:
            role (`Role`):
                Who speaks.
            text (`str`):
                What.
            place (`str`):
                Where it stands in the row.
        """
        self._open = []
        self._add(role, text, place)

    def call(
        self,
        text: str,
        calls: Sequence[tuple[str | None, ToolCall]],
        place: str,
    ) -> None:
        """Adds an assistant's turn that calls tools.

        Args:
            text (`str`):
                What it says besides; may be blank.
            calls (`Sequence[tuple[str | None, ToolCall]]`):
                The calls, each with its id if it has one.
            place (`str`):
                Where it stands in the row.
        """
        rendered = [render_call(call) for _, call in calls]
        said = [text] if text.strip() else []
        self._add("assistant", "\n".join([*said, *rendered]), place)
        self._open += [call_id for call_id, _ in calls]

    def answer(
        self,
        text: str,
        call_id: str | None,
        where: str,
        place: str,
    ) -> None:
        """Adds the result of a tool; several in a row are one user turn.

        Args:
            text (`str`):
                What the tool answered.
            call_id (`str | None`):
                The id of the call, if the result names one.
            where (`str`):
                The place of the row, for messages.
            place (`str`):
                Where it stands in the row.
        """
        self._close(call_id, f"{where}, {place}")
        result = render_result(text)
        if self._after_result:
            before = self.turns.pop()
            result = f"{before.turn.text}\n{result}"
            place = before.place
        self._add("user", result, place)
        self._after_result = True

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

    def _add(self, role: Role, text: str, place: str) -> None:
        self.turns.append(WrittenTurn(Turn(role, text), place))
        self._after_result = False

    def _close(self, call_id: str | None, where: str) -> None:
        """Strikes the call off that a result answers."""
        answered = call_id if call_id in self._open else None
        if answered is None and None not in self._open:
            if call_id is not None or not self._open:
                raise RowDropped(where, RESULT_WITHOUT_CALL)
            answered = self._open[0]
        self._open.remove(answered)


def read_tools(row: Row, where: str) -> str:
    """Reads the column `tools`: a list of schemas, or JSON text of one.

    Args:
        row (`dict`):
            The row, by column.
        where (`str`):
            The place of the row, for messages.

    Returns:
        `str`:
            The block of the system text; empty without tools.
    """
    tools: list[Mapping[str, Any]] = []
    for number, one in enumerate(list_of(row, "tools", where), start=1):
        place = f"{where}, tool {number}"
        tool = decoded(one, place)
        problem = tool_problem(tool)
        if problem or not isinstance(tool, dict):
            raise DatasetError(
                f"{place}: {problem}",
                fix="write each tool as an object with name, description "
                "and parameters",
            )
        tools.append(tool)
    return render_tools(tools)


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
    return [
        (_id_of(call), read_call(call, f"{where}, tool call {number}"))
        for number, call in enumerate(calls, start=1)
    ]


def read_call(value: object, where: str) -> ToolCall:
    """Reads one call: bare or under `function`, its arguments an object or
    JSON text of one.

    Args:
        value (`object`):
            What the row holds.
        where (`str`):
            Its place, for messages.
    """
    value = decoded(value, where)
    if not isinstance(value, dict):
        raise wrong_type(where, value, "an object with name and arguments")
    function = value.get("function", value)
    if not isinstance(function, dict):
        raise wrong_type(f"{where}, function", function, "an object")
    arguments = function.get("arguments")
    if isinstance(arguments, str):
        arguments = _decoded_arguments(arguments, f"{where}, arguments")
    call = call_of(
        {
            "name": function.get("name"),
            "arguments": {} if arguments is None else arguments,
        },
    )
    if isinstance(call, ParseFailure):
        raise DatasetError(
            f"{where}: {call.reason}",
            fix='write it as {"name": "...", "arguments": {...}}',
        )
    return call


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
