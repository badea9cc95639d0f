# -*- coding: utf-8 -*-
"""Turns of a conversation, and their token ids with the loss mask.

The one place where turns become ids, for training, for chat and for counting.
Control tokens come from the model's chat template alone: text of users, files
or tools can never produce one. All other ids are those that the tokenizer gives
its own template. Knows no weights, no files and no AgentScope. Raises
WeightsError for a tokenizer that cannot keep these promises, GenerationError
where thinking cannot be switched.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from .errors import GenerationError, WeightsError
from .template_thinking import thinking_switch
from .template_tools import Slots, native_messages, wire_format_of
from .text_encoding import Part, Place, TextEncoder
from .turns import (
    PLAIN_TEXT,
    Turn,
    ending_with_the_user,
    fold_system,
    merge_same_role,
    starting_with_the_user,
)
from .wire_formats import own_format

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True)
class RenderedChat:
    """A conversation as the model sees it.

    Attributes:
        ids (`list[int]`):
            The token ids, shape (tokens,).
        mask (`list[int]`):
            1 where the token is under the loss, shape (tokens,).
    """

    ids: list[int]
    mask: list[int]


_ASKED = (Turn("user", "Who are you?"),)
_TALK = (*_ASKED, Turn("assistant", "A model. Why?"), Turn("user", "So."))
"""The conversations on which a tokenizer is compared with its template."""


class ChatFormat:
    """Renders turns through the chat template of one tokenizer.

    Args:
        tokenizer (`PreTrainedTokenizerBase`):
            A tokenizer with a chat template.
        template_values (`Mapping[str, Any] | None`, optional):
            What the template is told beside the conversation.

    Attributes:
        end_of_turn_id (`int`):
            The token that ends an assistant turn; it is trained.
        stop_ids (`tuple[int, ...]`):
            The tokens that end a reply: end-of-turn and end-of-sequence.
        wire (`WireFormat`):
            How replies are written. Where it is the template's own, tools,
            calls and results in the turns are shown as the template does it,
            else as the text that they are.

    Raises:
        `WeightsError`:
            The tokenizer has no template, its template never ends a turn, it
            turns plain text into control tokens, or gives its template
            other tokens than those here.
    """

    def __init__(
        self,
        tokenizer: "PreTrainedTokenizerBase",
        template_values: Mapping[str, Any] | None = None,
    ) -> None:
        if not tokenizer.chat_template:
            raise WeightsError(
                f"the tokenizer of {tokenizer.name_or_path!r} has no chat "
                f"template",
                fix="use a tokenizer with a chat template",
            )
        self.tokenizer = tokenizer
        self._template_values = dict(template_values or {})
        self._switched: dict[bool, ChatFormat] = {}
        self._encoder = TextEncoder(tokenizer)
        self.control_ids = self._encoder.control_ids
        self.wire = own_format(False)
        self.folds_system = not self._template_shows_system()
        self.end_of_turn_id = self._find_end_of_turn()
        self._asks_for_reply = self._pieces(_ASKED, asks_for_reply=True)[-1]
        self._check_template()
        asks = self._asks_for_reply
        self.wire = wire_format_of(
            tokenizer,
            asks if isinstance(asks, str) else "",
            tokenizer.convert_ids_to_tokens(self.end_of_turn_id),
            self._template_values,
        )
        # Read once: while a trainer runs, the tokenizer's end is another.
        self._sequence_start = tokenizer.bos_token_id
        self._sequence_end = tokenizer.eos_token_id
        if self._sequence_end is None:
            self._sequence_end = self.end_of_turn_id
        stop_ids = [self.end_of_turn_id, tokenizer.eos_token_id]
        self.stop_ids = tuple(
            dict.fromkeys(i for i in stop_ids if i is not None),
        )

    # -- what callers use ------------------------------------------------

    def render(self, turns: Sequence[Turn]) -> RenderedChat:
        """Render a conversation for training.

        Args:
            turns (`Sequence[Turn]`):
                The conversation; it ends with an assistant turn. Or one turn
                of the role "text".

        Returns:
            `RenderedChat`:
                Assistant turns that are learned, and the token that ends
                each, are under the loss, nothing else is but what white space
                stands before one and a prompt ends without; of a plain text
                all but its first mark.
        """
        if [turn.role for turn in turns] == [PLAIN_TEXT]:
            return self._render_text(turns[0].text)
        ids: list[int] = []
        mask: list[int] = []
        pieces = self._pieces(self.normalise(turns), asks_for_reply=False)
        for new_ids, is_learned in self._stretches(pieces):
            ids += new_ids
            mask += [int(is_learned)] * len(new_ids)
        return RenderedChat(ids, mask)

    def prompt_ids(self, turns: Sequence[Turn]) -> list[int]:
        """Render a conversation up to where the assistant begins to speak.

        Returns:
            `list[int]`: Token ids, shape (tokens,).
        """
        turns = ending_with_the_user(self.normalise(turns))
        pieces = self._pieces(turns, asks_for_reply=True)
        return [one for ids, _ in self._stretches(pieces) for one in ids]

    def normalise(self, turns: Sequence[Turn]) -> list[Turn]:
        """Make turns fit the template: alternating, the user first.

        Empty turns go, a system turn is folded into the first user turn where
        the template shows none, turns of one role in a row become one.
        """
        turns = [turn for turn in turns if turn.text.strip()]
        if self.folds_system:
            turns = fold_system(turns)
        return starting_with_the_user(merge_same_role(turns))

    def encode_text(self, text: str) -> list[int]:
        """Encode a text that stands alone; no id is a control token."""
        return self._encoder.encode([Part(text)])

    @cached_property
    def thinking_switch(self) -> str | None:
        """What the template calls the switch of thinking, if it has one."""
        return thinking_switch(self.tokenizer)

    def with_thinking(self, wanted: bool | None) -> "ChatFormat":
        """The format of prompts after which the model thinks, or does not.

        Args:
            wanted (`bool | None`):
                Whether it thinks; None for what the template does by itself.

        Raises:
            `GenerationError`: It does the other, and has no switch.
        """
        if wanted is None:
            return self
        if self.thinking_switch is None:
            wire = self.wire
            if wire.thinks if wanted else not wire.before_words:
                return self
            raise GenerationError(
                f"thinking_enable is {wanted}, and the chat template of "
                f"{self.tokenizer.name_or_path!r} has no switch for thinking",
                fix="leave thinking_enable empty",
            )
        if wanted not in self._switched:
            self._switched[wanted] = ChatFormat(
                self.tokenizer,
                {self.thinking_switch: wanted},
            )
        return self._switched[wanted]

    # -- steps -----------------------------------------------------------

    def _render_text(self, text: str) -> RenderedChat:
        """A text as it is, between the marks of the vocabulary."""
        start = [i for i in (self._sequence_start,) if i is not None]
        learned = [*self.encode_text(text), self._sequence_end]
        mask = [0] * len(start) + [1] * len(learned)
        return RenderedChat([*start, *learned], mask)

    def _pieces(
        self,
        turns: Sequence[Turn],
        *,
        asks_for_reply: bool,
    ) -> list[str | Turn]:
        """The template's own text and, between it, the turns' texts."""
        if self.wire.is_native:
            for one_call_each in (False, True):
                slots = Slots(self._is_plain)
                markup = self._native(
                    turns, slots, one_call_each, asks_for_reply
                )
                if markup and slots.are_in(markup):
                    return slots.split(markup)
        slots = Slots()
        messages = [
            {"role": turn.role, "content": slots.of(turn)} for turn in turns
        ]
        return slots.split(self._markup(messages, None, asks_for_reply))

    def _native(
        self,
        turns: Sequence[Turn],
        slots: Slots,
        one_call_each: bool,
        asks_for_reply: bool,
    ) -> str:
        """What the template makes of tools; empty where it refuses."""
        from jinja2.exceptions import TemplateError

        messages, tools = native_messages(turns, slots, one_call_each)
        values = [one.values for one in messages]
        try:
            markup = self._markup(values, tools, asks_for_reply)
            for index, message in reversed([*enumerate(messages)]):
                if message.opens is not None:
                    before = self._markup(values[:index], tools, True)
                    if markup.startswith(before):
                        start = before + slots.of(message.opens)
                        markup = start + markup[len(before) :]
        except (TemplateError, TypeError):
            return ""
        return markup

    def _markup(
        self,
        messages: list[dict[str, Any]],
        tools: list[dict[str, Any]] | None,
        asks_for_reply: bool,
    ) -> str:
        return self.tokenizer.apply_chat_template(
            messages,
            tools=tools,
            tokenize=False,
            add_generation_prompt=asks_for_reply,
            **self._template_values,
        )

    def _is_plain(self, text: str) -> bool:
        return self.control_ids.isdisjoint(self._encoder.encode_markup(text))

    def _stretches(
        self,
        pieces: Sequence[str | Turn],
    ) -> Iterator[tuple[list[int], bool]]:
        """The ids of a conversation, and which of them are learned.

        What stands between two control tokens is encoded as one text, as
        the tokenizer does it, whether it is the template's or a turn's. A
        reply is one of its own: its prompt is encoded without it.
        """
        parts: list[Part] = []
        place: Place = "start"
        is_learned = False
        for item in [*self._items(pieces), None]:
            if isinstance(item, Part):
                parts.append(item)
                continue
            ids = self._encoder.encode(parts, place)
            if ids:
                yield ids, is_learned
                parts, place = [], "inside"
            if isinstance(item, Turn):
                is_learned = item.learned
            elif item is not None:
                yield [item], is_learned
                is_learned = is_learned and item != self.end_of_turn_id
                place = "after control"

    def _items(
        self,
        pieces: Sequence[str | Turn],
    ) -> Iterator[Part | Turn | int]:
        """Parts of text, control tokens, and turns where replies begin."""
        before: str | Turn = ""
        for piece, after in zip(pieces, [*pieces[1:], ""], strict=True):
            if isinstance(piece, str):
                lead = self._lead(piece) if _is_reply(after) else ""
                own = piece[: len(piece) - len(lead)]
                for bit in self._encoder.split_markup(own):
                    yield Part(bit, True) if isinstance(bit, str) else bit
            else:
                if _is_reply(piece):
                    yield piece
                    yield Part(self._lead(before), True)
                yield Part(piece.text.strip())
            before = piece

    def _lead(self, markup: str | Turn) -> str:
        """White space before a reply that its prompt ends without: the model
        has to say it."""
        asks = self._asks_for_reply
        if not (isinstance(markup, str) and isinstance(asks, str)):
            return ""
        rest = markup.removeprefix(asks)
        return rest if rest != markup and rest.isspace() else ""

    def _check_template(self) -> None:
        """Compare with what the tokenizer makes of its own template.

        Only as far as a template is of one mind: if the tokens of a prompt
        are not those that it has in a longer conversation, ours are.
        """
        prompt, longer = (self._official(one) for one in (_ASKED, _TALK))
        same = self.prompt_ids(_ASKED) == prompt
        if longer[: len(prompt)] == prompt:
            same = same and self.prompt_ids(_TALK) == longer
        if not same:
            raise WeightsError(
                f"the tokenizer of {self.tokenizer.name_or_path!r} gives its "
                f"own chat template other tokens than this program, which "
                f"keeps text apart from control tokens",
                fix="use the model's fast tokenizer (tokenizer.json), or "
                "another chat_template",
            )

    def _official(self, turns: Sequence[Turn]) -> list[int]:
        text = self.tokenizer.apply_chat_template(
            [{"role": turn.role, "content": turn.text} for turn in turns],
            tokenize=False,
            add_generation_prompt=True,
            **self._template_values,
        )
        return self._encoder.encode_markup(text)

    def _template_shows_system(self) -> bool:
        from jinja2.exceptions import TemplateError

        turns = [Turn("system", "s"), Turn("user", "u")]
        try:
            pieces = self._pieces(turns, asks_for_reply=False)
        except TemplateError:
            return False
        return turns[0] in pieces

    def _find_end_of_turn(self) -> int:
        """The first control token that the template puts after an
        assistant's text, else the end-of-sequence token."""
        turns = [Turn("user", "u"), Turn("assistant", "a")]
        pieces = self._pieces(turns, asks_for_reply=False)
        tail = pieces[pieces.index(turns[1]) + 1 :]
        ends = [
            bit
            for piece in tail
            if isinstance(piece, str)
            for bit in self._encoder.split_markup(piece)
            if isinstance(bit, int)
        ]
        if not ends:
            raise WeightsError(
                f"the chat template of {self.tokenizer.name_or_path!r} does "
                f"not end an assistant turn with a control token",
                fix="use a template that ends turns, for example with "
                "{{ eos_token }}",
            )
        return ends[0]


def _is_reply(piece: str | Turn) -> bool:
    return isinstance(piece, Turn) and piece.role == "assistant"
