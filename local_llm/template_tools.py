# -*- coding: utf-8 -*-
"""Tools, calls and results as a chat template shows them itself.

Finds out whether a template does, by what it writes and whether that can be
read back; turns, in which they are text, become its messages. Knows no weights
and no AgentScope. Raises nothing.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from .reply_parts import ReplyPart, ReplyReader
from .tool_calls import (
    ParseFailure,
    ToolCall,
    parse_offer,
    split_calls,
    split_results,
)
from .turns import Turn
from .wire_formats import THINK_START, WireFormat, own_format

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_SLOT = "\ue000{index}\ue001"  # private-use characters: no template has them
_SLOT_PATTERN = re.compile("\ue000(\\d+)\ue001")
_SLOT_START = "\ue000"

_CALL = ToolCall("tool_that_is_tried", {"argument_tried": "value tried"})
_TOOL = {
    "type": "function",
    "function": {
        "name": _CALL.name,
        "description": "Is tried.",
        "parameters": {
            "type": "object",
            "properties": {"argument_tried": {"type": "string"}},
        },
    },
}
_QUESTION = {"role": "user", "content": "Try it."}


class Slots:
    """Stands in for texts while a template is applied.

    Args:
        is_plain (`Callable[[str], bool]`, optional):
            Whether a text that stands in the template's own markup becomes no
            control token there.
    """

    def __init__(
        self,
        is_plain: Callable[[str], bool] = lambda text: True,
    ) -> None:
        self._is_plain = is_plain
        self._turns: list[Turn] = []

    def of(self, turn: Turn) -> str:
        """What a template is shown in the place of a turn's text."""
        self._turns.append(turn)
        return _SLOT.format(index=len(self._turns) - 1)

    def hide(self, value: Any) -> Any:
        """A value of JSON in which no text can become a control token."""
        if isinstance(value, Mapping):
            return {self.hide(k): self.hide(v) for k, v in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.hide(one) for one in value]
        if not isinstance(value, str):
            return value
        if _SLOT_START not in value and self._is_plain(value):
            return value
        escaped = json.dumps(value, ensure_ascii=False)[1:-1]
        return self.of(Turn("user", escaped))

    def are_in(self, markup: str) -> bool:
        """Whether a template has kept every text."""
        shown = {int(index) for index in _SLOT_PATTERN.findall(markup)}
        return len(shown) == len(self._turns)

    def split(self, markup: str) -> list[str | Turn]:
        """The template's own text and, between it, what it was shown."""
        return [
            self._turns[int(part)] if position % 2 else part
            for position, part in enumerate(_SLOT_PATTERN.split(markup))
            if part
        ]


@dataclass(frozen=True, slots=True)
class Message:
    """A message as a chat template takes it.

    Attributes:
        values (`dict[str, Any]`):
            Role, content and calls.
        opens (`Turn | None`):
            A turn that begins without words, so that nothing in the markup
            shows where.
    """

    values: dict[str, Any]
    opens: Turn | None = None


def native_messages(
    turns: Sequence[Turn],
    slots: Slots,
    one_call_each: bool,
) -> tuple[list[Message], list[dict[str, Any]] | None]:
    """Turns as messages in which tools are no text any more.

    Args:
        turns (`Sequence[Turn]`):
            The conversation; the first turn may offer tools.
        slots (`Slots`):
            Where texts are kept.
        one_call_each (`bool`):
            Whether words and every single call are messages of their own,
            each call before its result, as some templates demand.

    Returns:
        `tuple[list[Message], list[dict[str, Any]] | None]`:
            The messages, and the schemas of the tools that are offered.
    """
    if not turns:
        return [], None
    first, *rest = turns
    tools, text = parse_offer(first.text)
    if tools:
        first = replace(first, text=text)
    writer = _Writer(slots, one_call_each)
    for turn in ([first] if first.text.strip() else []) + rest:
        writer.add(turn)
    writer.flush()
    schemas = [
        {"type": "function", "function": slots.hide(one)} for one in tools
    ]
    return writer.messages, schemas or None


@dataclass
class _Writer:
    """Collects messages."""

    slots: Slots
    one_call_each: bool
    messages: list[Message] = field(default_factory=list)
    _open: list[tuple[str, ToolCall, Turn]] = field(default_factory=list)
    _count: int = 0

    def add(self, turn: Turn) -> None:
        if turn.role == "assistant":
            self._answer(turn)
            return
        results, rest = split_results(turn.text)
        if turn.role == "user" and 0 < len(results) <= len(self._open):
            for text in results:
                self._result(text)
            if rest.strip():
                self._say(replace(turn, text=rest))
            return
        self._say(turn)

    def flush(self) -> None:
        """Write calls that have no result."""
        if self.one_call_each:
            for call_id, call, turn in self._open:
                self._call([(call_id, call)], turn, "")
        self._open = []

    def _answer(self, turn: Turn) -> None:
        found = split_calls(turn.text)
        if isinstance(found, ParseFailure) or not found[1]:
            self._say(turn)
            return
        said, calls = found
        words = replace(turn, text=said)
        self.flush()
        self._open = [(self._new_id(), call, turn) for call in calls]
        if self.one_call_each:
            if said:
                self._say(words, closes=False)
            return
        text = self.slots.of(words) if said else ""
        self._call([one[:2] for one in self._open], turn, text)

    def _result(self, text: str) -> None:
        call_id, call, turn = self._open.pop(0)
        if self.one_call_each:
            self._call([(call_id, call)], turn, "")
        values = {
            "role": "tool",
            "tool_call_id": call_id,
            "name": self.slots.hide(call.name),
            "content": self.slots.of(Turn("user", text)),
        }
        self.messages.append(Message(values))

    def _say(self, turn: Turn, closes: bool = True) -> None:
        if closes:
            self.flush()
        values = {"role": turn.role, "content": self.slots.of(turn)}
        self.messages.append(Message(values))

    def _call(
        self,
        calls: Sequence[tuple[str, ToolCall]],
        turn: Turn,
        text: str,
    ) -> None:
        written = [
            {
                "type": "function",
                "id": call_id,
                "function": {
                    "name": self.slots.hide(call.name),
                    "arguments": self.slots.hide(call.arguments),
                },
            }
            for call_id, call in calls
        ]
        values = {"role": "assistant", "content": text, "tool_calls": written}
        opens = None if text else replace(turn, text="")
        self.messages.append(Message(values, opens))

    def _new_id(self) -> str:
        self._count += 1
        return f"call{self._count:05}"  # nine letters or digits, as some want


def wire_format_of(
    tokenizer: "PreTrainedTokenizerBase",
    asks: str,
    end: str,
    template_values: Mapping[str, Any],
) -> WireFormat:
    """How the replies of a model are written.

    A chat template shows tools itself where trl says so and a call that it
    writes can be read back; else tools are text, as in fine-tuning data.

    Args:
        tokenizer (`PreTrainedTokenizerBase`):
            With a chat template.
        asks (`str`):
            How the template asks for a reply.
        end (`str`):
            The control token that ends a reply.
        template_values (`Mapping[str, Any]`):
            What the template is told beside the conversation.
    """
    template = tokenizer.chat_template
    if not isinstance(template, str):
        return own_format(False)
    own = own_format(THINK_START in template, asks)
    if "tools" not in template:
        return own
    written = _written_call(tokenizer, template_values)
    for candidate in _candidates(tokenizer, own, asks, end):
        if written and _reads_back(candidate, written):
            return _with_call_form(candidate, written)
    return own


def _candidates(
    tokenizer: "PreTrainedTokenizerBase",
    own: WireFormat,
    asks: str,
    end: str,
) -> Iterator[WireFormat]:
    """What may read the calls of a template that writes them."""
    from trl.chat_template_utils import supports_tool_calling

    if not supports_tool_calling(tokenizer):
        return
    known = getattr(tokenizer, "response_template", None)
    known = known or _known_to_trl(tokenizer.chat_template)
    if known:
        yield WireFormat(known, asks, end, is_native=True)
    yield replace(own, is_native=True)


def _known_to_trl(chat_template: str) -> dict[str, Any] | None:
    from trl.chat_template_utils import add_response_schema

    # Not the tokenizer: what is added to that is saved with it.
    holder = SimpleNamespace(chat_template=chat_template)
    try:
        return add_response_schema(holder).response_template
    except ValueError:
        return None


def _written_call(
    tokenizer: "PreTrainedTokenizerBase",
    template_values: Mapping[str, Any],
) -> str:
    """A call as the model would write it; empty where that is not clear."""
    from jinja2.exceptions import TemplateError

    call = {"name": _CALL.name, "arguments": _CALL.arguments}
    answer = {
        "role": "assistant",
        "content": "",
        "tool_calls": [
            {"type": "function", "id": "call00001", "function": call},
        ],
    }
    try:
        prompt, whole = (
            tokenizer.apply_chat_template(
                messages,
                tools=[_TOOL],
                tokenize=False,
                add_generation_prompt=asks,
                **template_values,
            )
            for messages, asks in (
                ([_QUESTION], True),
                ([_QUESTION, answer], False),
            )
        )
    except (TemplateError, TypeError):
        return ""
    if _CALL.name not in prompt or not whole.startswith(prompt):
        return ""
    ids = tokenizer.encode(whole[len(prompt) :], add_special_tokens=False)
    return tokenizer.decode(ids, skip_special_tokens=True).rstrip()


def _reads_back(wire: WireFormat, written: str) -> bool:
    reader = ReplyReader(wire, [_TOOL])
    parts = [*reader.feed(written), *reader.end(True)]
    arguments = json.dumps(_CALL.arguments)
    calls = [one for one in parts if one.kind not in ("thinking", "text")]
    return calls == [ReplyPart("call", arguments, _CALL.name)]


def _with_call_form(wire: WireFormat, written: str) -> WireFormat:
    """The format, with the text around a call where that is JSON."""
    start, found, after = written.partition(json.dumps(_CALL.arguments))
    before, named, between = start.rpartition(_CALL.name)
    if not (found and named):
        return wire
    return replace(wire, before=before, between=between, after=after)
