# -*- coding: utf-8 -*-
"""Turns the tokens of one reply into text as they come.

Text is held back while its last character is unfinished, or while it may be
the beginning of a stop string; so the parts together are the decoded reply, up
to the stop string. Knows no requests. Raises nothing.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_UNFINISHED_CHARACTER = "\ufffd"


class ReplyText:
    """The text of one reply.

    Args:
        tokenizer (`PreTrainedTokenizerBase`):
            Whose tokens they are.
        stop_strings (`Sequence[str]`, optional):
            Texts that end the reply.

    Attributes:
        is_stopped (`bool`):
            Whether a stop string has come; there is no more text then.
    """

    def __init__(
        self,
        tokenizer: "PreTrainedTokenizerBase",
        stop_strings: Sequence[str] = (),
    ) -> None:
        self.is_stopped = False
        self._tokenizer = tokenizer
        self._stop_strings = [one for one in stop_strings if one]
        self._ids: list[int] = []
        self._decoded_from = 0
        self._read_to = 0
        self._held = ""

    def add(self, token_id: int) -> str:
        """The text that is certain now and was not before."""
        self._ids.append(token_id)
        text = self._new_text()
        if not text or text.endswith(_UNFINISHED_CHARACTER):
            return ""
        self._decoded_from = self._read_to
        self._read_to = len(self._ids)
        return self._certain(text)

    def rest(self) -> str:
        """What is held back at the end of the reply."""
        text = self._certain(self._new_text())
        return text if self.is_stopped else text + self._held

    def _new_text(self) -> str:
        """What the tokens since the last text add.

        They are decoded together with those just before, because some
        tokenizers drop the space of a word that stands first.
        """
        before = self._decode(self._ids[self._decoded_from : self._read_to])
        after = self._decode(self._ids[self._decoded_from :])
        return after[len(before) :]

    def _certain(self, text: str) -> str:
        """What of the held and the new text is neither a stop string nor the
        possible beginning of one; the latter is held."""
        if self.is_stopped:
            return ""
        whole = self._held + text
        found = [whole.find(stop) for stop in self._stop_strings]
        self.is_stopped = any(at >= 0 for at in found)
        end = (
            min(at for at in found if at >= 0)
            if self.is_stopped
            else len(whole) - self._possible_beginning(whole)
        )
        self._held = whole[end:]
        return whole[:end]

    def _possible_beginning(self, text: str) -> int:
        """How many characters at the end of a text may be the first ones of
        a stop string."""
        longest = max(map(len, self._stop_strings), default=1) - 1
        for size in range(min(longest, len(text)), 0, -1):
            if any(one.startswith(text[-size:]) for one in self._stop_strings):
                return size
        return 0

    def _decode(self, ids: list[int]) -> str:
        return self._tokenizer.decode(
            ids,
            skip_special_tokens=True,
            clean_up_tokenization_spaces=False,
        )
