# -*- coding: utf-8 -*-
"""Text as token ids, none of which is a control token.

Where a text stands decides its ids: some tokenizers put a space before a text,
some of these also after a control token, none in the middle of a text. Knows
no turns and no files. Raises WeightsError for a tokenizer that makes control
tokens of text.
"""

import re
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from .errors import WeightsError

if TYPE_CHECKING:
    from tokenizers import AddedToken
    from transformers import PreTrainedTokenizerBase

Place = Literal["start", "after control", "inside"]
"""Where a text stands: alone, after a control token, or after other text."""

_BEFORE = "\n"  # merges with nothing where tokenizers put spaces
_PROBE = "a"
_HALF_CHARACTER = re.compile("[\ud800-\udfff]")
_HTML_TAG = re.compile(r"</?[A-Za-z][A-Za-z0-9]*>")
_NEVER = r"(?!)"
_MARKUPS = 256
"""Texts of a template that are kept, split: it has a few."""

_MARKUP = re.compile(r"[<\[]\S*[>\]]")


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a text.

    Attributes:
        text (`str`):
            Its characters.
        is_own (`bool`):
            Whether it is a template's own; else nobody knows what is in it.
    """

    text: str
    is_own: bool = False


class TextEncoder:
    """Encodes text with one tokenizer.

    Args:
        tokenizer (`PreTrainedTokenizerBase`):
            The tokenizer.

    Attributes:
        control_ids (`frozenset[int]`):
            Every id that text never becomes.
        split_markup (`Callable[[str], tuple[str | int, ...]]`):
            Splits a template's own text into control tokens and what is
            between them.

    Raises:
        `WeightsError`: The tokenizer turns plain text into control tokens.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerBase") -> None:
        self._tokenizer = tokenizer
        self._choice = threading.Lock()
        unflagged = _unflagged_markers(tokenizer)
        self._unflagged = _any_of(unflagged)
        self.control_ids = _control_ids(tokenizer, unflagged)
        names = tokenizer.convert_ids_to_tokens(sorted(self.control_ids))
        self._ids = dict(zip(names, sorted(self.control_ids), strict=True))
        self.split_markup = lru_cache(_MARKUPS)(self._split_markup)
        self._before_ids = self._run(_BEFORE)
        self._bare_places = self._find_bare_places(names[0])
        self._check_text_stays_text(names)

    def encode(
        self,
        parts: Sequence[Part],
        place: Place = "start",
    ) -> list[int]:
        """Encode parts as the one text that they are.

        Half a character (a lone surrogate), which no tokenizer takes, is
        encoded as U+FFFD.

        Args:
            parts (`Sequence[Part]`):
                The text; no own part has control tokens in it.
            place (`Place`, optional):
                Where it stands.

        Returns:
            `list[int]`: Token ids, shape (tokens,); no control token.
        """
        ids = self._encode_pieces(self._cut_markers(parts), place)
        if self.control_ids.isdisjoint(ids):
            return ids
        # Normalisation has made a mark of look-alikes, as NFKC does of "＜".
        pieces = [
            piece
            for part in parts
            for piece in ([part.text] if part.is_own else _whole(part.text))
        ]
        return self._encode_pieces(pieces, place)

    def encode_markup(self, markup: str) -> list[int]:
        """Encode text in which control strings are control tokens."""
        return self._run(markup, split_special_tokens=False)

    def _split_markup(self, markup: str) -> tuple[str | int, ...]:
        added = self._tokenizer.added_tokens_decoder
        marks = [name for name in self._ids if name in markup]
        pattern = "|".join(
            _pattern_of(mark, added.get(self._ids[mark]))
            for mark in sorted(marks, key=len, reverse=True)
        )
        pattern = pattern or _NEVER
        return tuple(
            self._ids[bit.strip()] if position % 2 else bit
            for position, bit in enumerate(re.split(f"({pattern})", markup))
            if bit
        )

    def _encode_pieces(self, pieces: Iterable[str], place: Place) -> list[int]:
        ids: list[int] = []
        for piece in filter(None, pieces):
            ids += self._encode_piece(piece, place)
            place = "inside"
        return ids

    def _encode_piece(self, piece: str, place: Place) -> list[int]:
        """Encode with the space that belongs there, or without one."""
        if place in self._bare_places:
            ids = self._run(_BEFORE + piece)
            length = len(self._before_ids)
            if ids[:length] == self._before_ids:
                return ids[length:]
        return self._run(piece)

    def _run(
        self,
        text: str,
        *,
        split_special_tokens: bool = True,
    ) -> list[int]:
        # The choice is a state of the tokenizer: without the lock, text that
        # one thread encodes would become control tokens by another's choice.
        with self._choice:
            return self._tokenizer.encode(
                text,
                add_special_tokens=False,
                split_special_tokens=split_special_tokens,
            )

    def _cut_markers(self, parts: Iterable[Part]) -> list[str]:
        """Join parts, cut after the first character of each marker that the
        tokenizer would join although it does not call it special."""
        pieces = [""]
        for part in parts:
            if part.is_own:
                pieces[-1] += part.text
                continue
            text = _whole(part.text)
            found = self._unflagged.finditer(text)
            cuts = [0, *(match.start() + 1 for match in found), len(text)]
            first, *rest = (text[a:b] for a, b in pairwise(cuts))
            pieces[-1] += first
            pieces += rest
        return pieces

    def _check_text_stays_text(self, marks: Sequence[str]) -> None:
        pieces = self._cut_markers([Part(" ".join(marks))])
        if not self.control_ids.isdisjoint(
            self._encode_pieces(pieces, "start")
        ):
            raise WeightsError(
                f"the tokenizer of {self._tokenizer.name_or_path!r} turns "
                f"plain text into control tokens",
                fix="use the model's fast tokenizer (tokenizer.json)",
            )

    def _find_bare_places(self, mark: str) -> frozenset[Place]:
        """Where no space goes before a text that gets one at the start."""
        inside = self._run(_BEFORE + _PROBE)[len(self._before_ids) :]
        if self._run(_PROBE) == inside:
            return frozenset()
        if self.encode_markup(mark + _PROBE)[1:] == inside:
            return frozenset(["after control", "inside"])
        return frozenset(["inside"])


def _whole(text: str) -> str:
    """The text without halves of characters."""
    return _HALF_CHARACTER.sub("\ufffd", text)


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
    any_marker = "|".join(map(re.escape, markers)) or _NEVER
    return re.compile(f"(?={any_marker})")


def _pattern_of(mark: str, token: "AddedToken | None") -> str:
    """Of a control token, with the white space that it takes along."""
    left = r"\s*" if token and token.lstrip else ""
    right = r"\s*" if token and token.rstrip else ""
    return f"{left}{re.escape(mark)}{right}"
