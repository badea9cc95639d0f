# -*- coding: utf-8 -*-
"""Rows that name who speaks: OpenAI messages, ShareGPT, prompt/completion.

Reads one row of a known format; tools become text through `tool_turns`.
Raises DatasetError for a row that is wrong, RowDropped for one left out.
"""

import json
from collections.abc import Sequence
from difflib import get_close_matches

from .errors import DatasetError
from .row_values import (
    TURN_WITHOUT_TEXT,
    Row,
    RowDropped,
    WrittenTurn,
    decoded,
    describe,
    list_of,
    names_of,
    optional_text,
    shown,
    text_of,
    wrong_type,
)
from .tool_turns import TurnWriter, read_call, read_calls, read_tools
from .turns import Role

ROLES: tuple[Role, ...] = ("system", "user", "assistant")
TOOL_ROLES = ("tool", "function")
CALLS = ("tool_calls", "function_call")
SPEAKERS: dict[str, Role] = {
    "system": "system",
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "chatgpt": "assistant",
}
CALL_SPEAKERS = ("function_call",)
RESULT_SPEAKERS = ("tool", "observation", "function_response")


def read_messages(row: Row, where: str) -> list[WrittenTurn]:
    """Reads `messages`, and `tools` if there are any.

    Args:
        row (`dict`):
            The row, by column.
        where (`str`):
            The place of the row, for messages.
    """
    writer = TurnWriter(where)
    _add_messages(writer, list_of(row, "messages", where), "turn")
    writer.offer(read_tools(row, where))
    return writer.turns


def read_sharegpt(row: Row, where: str) -> list[WrittenTurn]:
    """Reads `conversations` of from and value, `system` and `tools`.

    Args:
        row (`dict`):
            The row, by column.
        where (`str`):
            The place of the row, for messages.
    """
    writer = TurnWriter(where)
    system = optional_text(row, "system", where)
    if system:
        writer.say("system", system, "system")
    turns = list_of(row, "conversations", where)
    for number, turn in enumerate(turns, start=1):
        _add_sharegpt_turn(writer, turn, f"turn {number}")
    writer.offer(read_tools(row, where))
    return writer.turns


def read_prompt_completion(row: Row, where: str) -> list[WrittenTurn]:
    """Reads `prompt` and `completion`: two texts, or two lists of messages.

    Nothing of a prompt is learned, though the assistant may speak in it. The
    lists may be JSON text, as tables hold them.

    Args:
        row (`dict`):
            The row, by column.
        where (`str`):
            The place of the row, for messages.
    """
    writer = TurnWriter(where)
    prompt = _as_messages(row["prompt"])
    completion = _as_messages(row["completion"])
    if prompt is not None and completion is not None:
        _add_messages(writer, prompt, "prompt turn", learned=False)
        _add_messages(writer, completion, "completion turn")
    else:
        _add_prompt_and_completion(writer, row["prompt"], row["completion"])
    writer.offer(read_tools(row, where))
    return writer.turns


def _as_messages(value: object) -> list[object] | None:
    """A list, or the list of messages in a text; None for other texts, which
    may begin like JSON."""
    if isinstance(value, list):
        return value
    if not isinstance(value, str) or not value.lstrip().startswith("["):
        return None
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return None
    speaks = [isinstance(one, dict) and "role" in one for one in found]
    return found if speaks and all(speaks) else None


def _add_prompt_and_completion(
    writer: TurnWriter,
    prompt: object,
    completion: object,
) -> None:
    columns = {
        "prompt": (prompt, completion),
        "completion": (completion, prompt),
    }
    for column, (value, other) in columns.items():
        if isinstance(value, list) and other is not None:
            raise DatasetError(
                f"{writer.where}, {column} is a list and the other is "
                f"{describe(other)}, want both as texts or both as lists",
                fix="write prompt and completion in the same form",
            )
    asked = text_of(prompt, f"{writer.where}, prompt")
    writer.say("user", asked, "prompt")
    completed = text_of(completion, f"{writer.where}, completion")
    writer.say("assistant", completed, "completion")


def _add_messages(
    writer: TurnWriter,
    messages: Sequence[object],
    place: str,
    learned: bool = True,
) -> None:
    for number, message in enumerate(messages, start=1):
        _add_message(writer, message, f"{place} {number}", learned)


def _add_message(
    writer: TurnWriter,
    message: object,
    place: str,
    learned: bool,
) -> None:
    here = f"{writer.where}, {place}"
    message = decoded(message, here)
    if not isinstance(message, dict):
        raise wrong_type(here, message, "an object with role and content")
    role = message.get("role")
    calls = read_calls(message, here)
    if calls and role != "assistant":
        raise DatasetError(
            f"{here}: a tool is called by the role {shown(role)}",
            fix="only turns of the role assistant may have tool calls",
        )
    learned = learned and _has_weight(message)
    if calls:
        said = optional_text(message, "content", here)
        writer.call(said, calls, place, learned)
    elif role in TOOL_ROLES:
        call_id = message.get("tool_call_id")
        named = call_id if isinstance(call_id, str) else None
        writer.answer(_content(message, here), named, place)
    else:
        speaker = _role(message, here)
        writer.say(speaker, _content(message, here), place, learned)


def _has_weight(turn: Row) -> bool:
    """Whether a turn is to be learned, as OpenAI's data says."""
    return turn.get("weight") != 0


def _role(message: Row, where: str) -> Role:
    role = message.get("role")
    for known in ROLES:
        if role == known:
            return known
    raise _unknown_speaker(message, "role", where, (*ROLES, "tool"))


def _content(message: Row, where: str) -> str:
    if "content" not in message:
        if any(key in message for key in CALLS):
            raise RowDropped(where, TURN_WITHOUT_TEXT)
        raise DatasetError(
            f"{where} has no content; its keys: {names_of(message)}",
            fix="put the text of the turn under the key content",
        )
    return text_of(message["content"], where)


def _add_sharegpt_turn(writer: TurnWriter, turn: object, place: str) -> None:
    here = f"{writer.where}, {place}"
    turn = decoded(turn, here)
    if not isinstance(turn, dict):
        raise wrong_type(here, turn, "an object with from and value")
    speaker = turn.get("from")
    names = (*SPEAKERS, *CALL_SPEAKERS, *RESULT_SPEAKERS)
    if not isinstance(speaker, str) or speaker not in names:
        raise _unknown_speaker(turn, "from", here, names)
    if "value" not in turn:
        raise DatasetError(
            f"{here} has no value; its keys: {names_of(turn)}",
            fix="put the text of the turn under the key value",
        )
    if speaker in CALL_SPEAKERS:
        value = decoded(turn["value"], here)
        calls = value if isinstance(value, list) else [value]
        if value is None or not calls:
            raise RowDropped(here, TURN_WITHOUT_TEXT)
        read = [(None, read_call(call, here)) for call in calls]
        writer.call("", read, place, _has_weight(turn))
        return
    text = text_of(turn["value"], here)
    if speaker in RESULT_SPEAKERS:
        writer.answer(text, None, place)
    else:
        writer.say(SPEAKERS[speaker], text, place, _has_weight(turn))


def _unknown_speaker(
    turn: Row,
    key: str,
    where: str,
    known: tuple[str, ...],
) -> DatasetError:
    if key not in turn:
        return DatasetError(
            f"{where} has no {key}; its keys: {names_of(turn)}",
            fix=_key_hint(turn, key) or f"give it one of: {', '.join(known)}",
        )
    value = turn[key]
    text = value.lower()[:64] if isinstance(value, str) else ""
    near = get_close_matches(text, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return DatasetError(
        f"{where}: unknown {key} {shown(value)}{hint}",
        fix=f"use one of: {', '.join(known)}",
    )


def _key_hint(turn: Row, key: str) -> str:
    """What to set where a list is of the other kind than its column says."""
    if key == "from" and "role" in turn:
        return 'set columns to {"messages": "conversations"}'
    if key == "role" and "from" in turn:
        return 'set columns to {"conversations": "messages"}'
    return ""
