# -*- coding: utf-8 -*-
"""Turns of a conversation, and their token ids with the loss mask.

The one place where text becomes ids, for training, for chat and for counting.
Control tokens come from the model's chat template alone: text of users, files
or tools is encoded apart from it and can never produce one. Knows no weights,
no files and no AgentScope. Raises WeightsError for a tokenizer that cannot
keep this promise.
"""

import re
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from .errors import WeightsError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Role = Literal["system", "user", "assistant", "text"]

PLAIN_TEXT: Role = "text"
"""The role of a text without speakers; it is the only turn then."""

OPENING_TEXT = "Please begin."
"""What the user says where a conversation would start with the assistant."""

CONTINUE_TEXT = "Please continue."
"""What the user says where the assistant is asked after its own turn."""

_SLOT = "\ue000{index}\ue001"  # private-use characters: no template has them
_SLOT_PATTERN = re.compile("\ue000(\\d+)\ue001")
_HALF_CHARACTER = re.compile("[\ud800-\udfff]")
_HTML_TAG = re.compile(r"</?[A-Za-z][A-Za-z0-9]*>")
_MARKUP = re.compile(r"[<\[]\S*[>\]]")


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a conversation.

    Attributes:
        role (`Role`):
            Who speaks.
        text (`str`):
            What.
        learned (`bool`):
            Whether training learns it, where the assistant speaks; a turn
            that is not learned is read only.
    """

    role: Role
    text: str
    learned: bool = True


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


def merge_same_role(turns: Iterable[Turn]) -> list[Turn]:
    """Join consecutive turns of one role with a blank line between.

    Of the joined turn nothing is learned where a part is not to be.
    """
    merged: list[Turn] = []
    for turn in turns:
        if merged and merged[-1].role == turn.role:
            text = f"{merged[-1].text}\n\n{turn.text}"
            learned = merged[-1].learned and turn.learned
            merged[-1] = Turn(turn.role, text, learned)
        else:
            merged.append(turn)
    return merged


def fold_system(turns: Sequence[Turn]) -> list[Turn]:
    """Put the text of system turns before the first user turn.

    Without a user turn the system text becomes one.
    """
    system = [turn.text for turn in turns if turn.role == "system"]
    rest = [turn for turn in turns if turn.role != "system"]
    if not system:
        return rest
    return merge_same_role([Turn("user", "\n\n".join(system)), *rest])


def starting_with_the_user(turns: Sequence[Turn]) -> list[Turn]:
    """Let the user open a conversation that the assistant would begin."""
    started = list(turns)
    spoken = [turn for turn in turns if turn.role != "system"]
    if spoken and spoken[0].role == "assistant":
        started.insert(started.index(spoken[0]), Turn("user", OPENING_TEXT))
    return started


def ending_with_the_user(turns: Sequence[Turn]) -> list[Turn]:
    """Let the user ask for the reply where nobody has."""
    if turns and turns[-1].role != "assistant":
        return list(turns)
    text = CONTINUE_TEXT if turns else OPENING_TEXT
    return [*turns, Turn("user", text)]


class ChatFormat:
    """Renders turns through the chat template of one tokenizer.

    Args:
        tokenizer (`PreTrainedTokenizerBase`):
            A tokenizer with a chat template.

    Attributes:
        end_of_turn_id (`int`):
            The token that ends an assistant turn; it is trained.
        stop_ids (`tuple[int, ...]`):
            The tokens that end a reply: end-of-turn and end-of-sequence.

    Raises:
        `WeightsError`:
            The tokenizer has no template, its template never ends a turn, or
            it turns plain text into control tokens.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerBase") -> None:
        if not tokenizer.chat_template:
            raise WeightsError(
                f"the tokenizer of {tokenizer.name_or_path!r} has no chat "
                f"template",
                fix="use a tokenizer with a chat template",
            )
        self.tokenizer = tokenizer
        self._encoding = threading.Lock()
        unflagged = _unflagged_markers(tokenizer)
        self._unflagged = _any_of(unflagged)
        self.control_ids = _control_ids(tokenizer, unflagged)
        self._check_text_stays_text()
        self.folds_system = not self._template_shows_system()
        self.end_of_turn_id = self._find_end_of_turn()
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
                each, are under the loss, nothing else is; of a plain text all
                but its first mark.
        """
        if [turn.role for turn in turns] == [PLAIN_TEXT]:
            return self._render_text(turns[0].text)
        turns = self.normalise(turns)
        ids: list[int] = []
        mask: list[int] = []
        is_learned = False
        for piece in self._pieces(turns, asks_for_reply=False):
            if isinstance(piece, Turn):
                new_ids = self.encode_text(piece.text.strip())
                is_learned = piece.role == "assistant" and piece.learned
                learned = len(new_ids) if is_learned else 0
            else:
                new_ids = self._encode_markup(piece)
                learned = self._end_length(new_ids) if is_learned else 0
                is_learned = False
            ids += new_ids
            mask += [1] * learned + [0] * (len(new_ids) - learned)
        return RenderedChat(ids, mask)

    def prompt_ids(self, turns: Sequence[Turn]) -> list[int]:
        """Render a conversation up to where the assistant begins to speak.

        Returns:
            `list[int]`: Token ids, shape (tokens,).
        """
        turns = ending_with_the_user(self.normalise(turns))
        ids: list[int] = []
        for piece in self._pieces(turns, asks_for_reply=True):
            if isinstance(piece, Turn):
                ids += self.encode_text(piece.text.strip())
            else:
                ids += self._encode_markup(piece)
        return ids

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
        """Encode text; no id of the result is a control token.

        Half a character (a lone surrogate), which no tokenizer takes, is
        encoded as U+FFFD.
        """
        text = _HALF_CHARACTER.sub("\ufffd", text)
        ids = self._encode_pieces(self._cut_markers(text))
        if self.control_ids.isdisjoint(ids):
            return ids
        # Normalisation has made a mark of look-alikes, as NFKC does of "＜".
        return self._encode_pieces(text)

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
        messages = [
            {"role": turn.role, "content": _SLOT.format(index=index)}
            for index, turn in enumerate(turns)
        ]
        markup = self.tokenizer.apply_chat_template(
            messages,
            tokenize=False,
            add_generation_prompt=asks_for_reply,
        )
        parts = _SLOT_PATTERN.split(markup)
        return [
            turns[int(part)] if position % 2 else part
            for position, part in enumerate(parts)
            if part
        ]

    def _encode_pieces(self, pieces: Iterable[str]) -> list[int]:
        """Encode text piece by piece; a string is its characters."""
        return [
            token_id
            for piece in pieces
            for token_id in self._encode(piece, split_special_tokens=True)
        ]

    def _encode_markup(self, markup: str) -> list[int]:
        return self._encode(markup, split_special_tokens=False)

    def _encode(self, text: str, *, split_special_tokens: bool) -> list[int]:
        # The choice is a state of the tokenizer: without the lock, text that
        # one thread encodes would become control tokens by another's choice.
        with self._encoding:
            return self.tokenizer.encode(
                text,
                add_special_tokens=False,
                split_special_tokens=split_special_tokens,
            )

    def _cut_markers(self, text: str) -> list[str]:
        """Cut after the first character of each marker that the tokenizer
        would join although it does not call it special."""
        cuts = [match.start() + 1 for match in self._unflagged.finditer(text)]
        edges = [0, *cuts, len(text)]
        return [text[a:b] for a, b in zip(edges, edges[1:], strict=False)]

    def _end_length(self, ids: list[int]) -> int:
        """How many tokens after an assistant's text belong to its end."""
        return ids.index(self.end_of_turn_id) + 1

    def _check_text_stays_text(self) -> None:
        marks = " ".join(
            self.tokenizer.convert_ids_to_tokens(sorted(self.control_ids)),
        )
        ids = self._encode_pieces(self._cut_markers(marks))
        if not self.control_ids.isdisjoint(ids):
            raise WeightsError(
                f"the tokenizer of {self.tokenizer.name_or_path!r} turns "
                f"plain text into control tokens",
                fix="use the model's fast tokenizer (tokenizer.json)",
            )

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
            token_id
            for piece in tail
            if isinstance(piece, str)
            for token_id in self._encode_markup(piece)
            if token_id in self.control_ids
        ]
        if not ends:
            raise WeightsError(
                f"the chat template of {self.tokenizer.name_or_path!r} does "
                f"not end an assistant turn with a control token",
                fix="use a template that ends turns, for example with "
                "{{ eos_token }}",
            )
        return ends[0]


def _unflagged_markers(tokenizer: "PreTrainedTokenizerBase") -> list[str]:
    """Added tokens that look like control marks but are not flagged special.

    Tags of HTML are ordinary text and stay whole; Gemma's vocabulary has them.
    """
    return [
        token.content
        for token in tokenizer.added_tokens_decoder.values()
        if not token.special
        and _MARKUP.fullmatch(token.content)
        and not _HTML_TAG.fullmatch(token.content)
    ]


def _control_ids(
    tokenizer: "PreTrainedTokenizerBase",
    unflagged: list[str],
) -> frozenset[int]:
    """Every id that text must never produce."""
    flagged = [
        token_id
        for token_id, token in tokenizer.added_tokens_decoder.items()
        if token.special
    ]
    return frozenset(
        [
            *tokenizer.all_special_ids,
            *flagged,
            *tokenizer.convert_tokens_to_ids(unflagged),
        ],
    )


def _any_of(markers: list[str]) -> re.Pattern[str]:
    """A pattern that matches, without width, where any marker begins; one
    may begin inside another."""
    never = r"(?!)"
    return re.compile(f"(?={'|'.join(map(re.escape, markers)) or never})")
