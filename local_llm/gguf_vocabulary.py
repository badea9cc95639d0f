# -*- coding: utf-8 -*-
"""The vocabulary of a tokenizer, as a GGUF file wants it.

Two kinds: sentencepiece, whose pieces have scores, and byte-level BPE, which
has merges. A tokenizer that a runtime would not split text like is refused.
Writes no file. Raises WeightsError.
"""

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from gguf import GGUFWriter, TokenType

from .chat_format import ChatFormat
from .errors import WeightsError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_SPACE = "\u2581"  # how sentencepiece writes a space
_BYTE = re.compile(r"<0x[0-9A-F]{2}>")
_NOT_MERGED = -1000.0
_FOREIGN_MERGES = 0.01
"""Of all merges. A runtime merges any two pieces that make a third; for a
vocabulary made by sentencepiece that is what its merges say, but for rare
ties."""

LLAMA_3_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_TEKKEN_SPLIT = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*"
    r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+"
    r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

_SPLITS = {LLAMA_3_SPLIT: "llama-bpe", _TEKKEN_SPLIT: "tekken"}
"""The runtimes' names of the ways to split text before byte-level merging."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What a GGUF file says about tokens.

    Attributes:
        model (`Literal["llama", "gpt2"]`):
            Sentencepiece or byte-level BPE, by the names of the format.
        pre (`str`):
            How text is split before it is merged.
        tokens (`list[str]`), types (`list[TokenType]`):
            Every token by its id, as many as the embedding has rows.
        scores (`list[float]`):
            Of each token, the highest merged first; empty for byte-level BPE.
        merges (`list[str]`):
            The first one first; empty for sentencepiece.
        bos_id, eos_id, unknown_id, padding_id (`int | None`):
            The control tokens; `eos_id` is what ends a reply.
        adds_bos, adds_eos, adds_space (`bool`):
            What is put around a text, and before it.
        chat_template (`str | None`):
            The template, in Jinja.
    """

    model: Literal["llama", "gpt2"]
    pre: str
    tokens: list[str]
    types: list[TokenType]
    scores: list[float]
    merges: list[str]
    bos_id: int | None
    eos_id: int | None
    unknown_id: int | None
    padding_id: int | None
    adds_bos: bool
    adds_eos: bool
    adds_space: bool
    chat_template: str | None

    def describe(self, writer: GGUFWriter) -> None:
        """Write it into the head of a file."""
        writer.add_tokenizer_model(self.model)
        writer.add_tokenizer_pre(self.pre)
        writer.add_token_list(self.tokens)
        if self.scores:
            writer.add_token_scores(self.scores)
        writer.add_token_types(self.types)
        if self.merges:
            writer.add_token_merges(self.merges)
        self._describe_control_tokens(writer)
        writer.add_add_bos_token(self.adds_bos)
        writer.add_add_sep_token(False)
        writer.add_add_eos_token(self.adds_eos)
        writer.add_add_space_prefix(self.adds_space)
        if self.chat_template:
            writer.add_chat_template(self.chat_template)

    def _describe_control_tokens(self, writer: GGUFWriter) -> None:
        if self.bos_id is not None:
            writer.add_bos_token_id(self.bos_id)
        if self.eos_id is not None:
            writer.add_eos_token_id(self.eos_id)
            if self.chat_template:
                writer.add_eot_token_id(self.eos_id)
        if self.unknown_id is not None:
            writer.add_unk_token_id(self.unknown_id)
        if self.padding_id is not None:
            writer.add_pad_token_id(self.padding_id)


def read_vocabulary(
    tokenizer: "PreTrainedTokenizerBase",
    rows: int,
) -> Vocabulary:
    """The vocabulary of a tokenizer.

    Args:
        tokenizer (`PreTrainedTokenizerBase`):
            A fast tokenizer.
        rows (`int`):
            How many rows the embedding has; ids without a token are filled.

    Raises:
        `WeightsError`: The tokenizer is of another kind, splits text in a way
            that runtimes do not know, or has more tokens than `rows`.
    """
    state = _backend_state(tokenizer)
    tokens = _tokens_by_id(tokenizer, rows)
    is_byte_level = _is_byte_level(state)
    types = _types(tokenizer, tokens, has_bytes=not is_byte_level)
    if is_byte_level:
        pre, scores = _split_of(tokenizer, state), []
        merges = [" ".join(pair) for pair in state["model"]["merges"]]
    else:
        pairs = [tuple(pair) for pair in state["model"]["merges"]]
        _check_pieces(tokenizer, tokens, types, pairs)
        pre, scores, merges = "default", _scores(tokens, types, pairs), []
    return Vocabulary(
        model="gpt2" if is_byte_level else "llama",
        pre=pre,
        tokens=[
            _spelled(one, kind)
            for one, kind in zip(tokens, types, strict=True)
        ],
        types=types,
        scores=scores,
        merges=merges,
        bos_id=tokenizer.bos_token_id,
        eos_id=_end_of_reply(tokenizer),
        unknown_id=tokenizer.unk_token_id,
        padding_id=tokenizer.pad_token_id,
        adds_bos=_adds_bos(tokenizer),
        adds_eos=tokenizer.encode("a")[-1] == tokenizer.eos_token_id,
        adds_space=not is_byte_level and _adds_space(tokenizer),
        chat_template=tokenizer.chat_template,
    )


def _backend_state(tokenizer: "PreTrainedTokenizerBase") -> dict[str, Any]:
    if not tokenizer.is_fast:
        raise _refused(tokenizer, "is no fast tokenizer (tokenizer.json)")
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    if state["model"]["type"] != "BPE":
        raise _refused(tokenizer, f"is a {state['model']['type']} tokenizer")
    return state


def _is_byte_level(state: dict[str, Any]) -> bool:
    return any(one["type"] == "ByteLevel" for one in _pre_tokenizers(state))


def _pre_tokenizers(state: dict[str, Any]) -> list[dict[str, Any]]:
    """The steps before merging, as a flat list."""
    one = state["pre_tokenizer"]
    if one is None:
        return []
    return one["pretokenizers"] if one["type"] == "Sequence" else [one]


def _tokens_by_id(
    tokenizer: "PreTrainedTokenizerBase",
    rows: int,
) -> list[str]:
    by_id = {index: one for one, index in tokenizer.get_vocab().items()}
    if max(by_id) >= rows:
        raise _refused(
            tokenizer,
            f"has the token {max(by_id)}, the weights only {rows} rows",
        )
    return [by_id.get(index, f"[PAD{index}]") for index in range(rows)]


def _types(
    tokenizer: "PreTrainedTokenizerBase",
    tokens: list[str],
    *,
    has_bytes: bool,
) -> list[TokenType]:
    added = tokenizer.added_tokens_decoder
    known = set(tokenizer.get_vocab().values())

    def type_of(index: int, token: str) -> TokenType:
        if index not in known:
            return TokenType.UNUSED
        if index in added:
            is_control = added[index].special
            return TokenType.CONTROL if is_control else TokenType.USER_DEFINED
        if has_bytes and _BYTE.fullmatch(token):
            return TokenType.BYTE
        return TokenType.NORMAL

    return [type_of(index, token) for index, token in enumerate(tokens)]


def _spelled(token: str, kind: TokenType) -> str:
    """Runtimes look for these in the text itself, where a space is a space."""
    if kind != TokenType.USER_DEFINED:
        return token
    return token.replace(_SPACE, " ")


def _scores(
    tokens: list[str],
    types: list[TokenType],
    pairs: list[tuple[str, str]],
) -> list[float]:
    """The earlier a piece is merged, the higher; what is never merged last."""
    order = dict.fromkeys(left + right for left, right in pairs)
    score = {piece: -float(rank) for rank, piece in enumerate(order)}
    fixed = {
        TokenType.NORMAL: -float(len(order)),
        TokenType.BYTE: 0.0,
    }
    return [
        (
            score.get(token, fixed[kind])
            if kind == TokenType.NORMAL
            else fixed.get(kind, _NOT_MERGED)
        )
        for token, kind in zip(tokens, types, strict=True)
    ]


def _check_pieces(
    tokenizer: "PreTrainedTokenizerBase",
    tokens: list[str],
    types: list[TokenType],
    pairs: list[tuple[str, str]],
) -> None:
    """Refuse merges that a runtime cannot guess from the pieces."""
    normal = {
        token
        for token, kind in zip(tokens, types, strict=True)
        if kind == TokenType.NORMAL
    }
    known = set(pairs)
    foreign = sum(
        (piece[:at], piece[at:]) not in known
        for piece in normal
        for at in range(1, len(piece))
        if piece[:at] in normal and piece[at:] in normal
    )
    if foreign > _FOREIGN_MERGES * len(known):
        raise _refused(
            tokenizer,
            f"lacks {foreign} merges that a sentencepiece vocabulary of its "
            f"pieces has",
        )


def _split_of(
    tokenizer: "PreTrainedTokenizerBase",
    state: dict[str, Any],
) -> str:
    """The runtimes' name of how byte-level BPE splits text."""
    steps = _pre_tokenizers(state)
    byte_level = steps[-1]
    plain = state["normalizer"] is None and not byte_level.get(
        "add_prefix_space",
    )
    if plain and len(steps) == 1 and byte_level.get("use_regex", True):
        return "gpt-2"
    if plain and len(steps) == 2:
        split = _split_before(steps[0], byte_level.get("use_regex", True))
        if split:
            return split
    raise _refused(tokenizer, "splits text in a way that runtimes do not know")


def _split_before(step: dict[str, Any], uses_gpt_2_too: bool) -> str | None:
    """The runtimes' name of a step before byte-level BPE."""
    if step["type"] == "Digits" and step["individual_digits"]:
        return "smollm" if uses_gpt_2_too else None
    if step["type"] == "Split" and not uses_gpt_2_too:
        return _SPLITS.get(step["pattern"].get("Regex"))
    return None


def _end_of_reply(tokenizer: "PreTrainedTokenizerBase") -> int | None:
    """What ends a turn where there are turns, else a text."""
    if tokenizer.chat_template:
        return ChatFormat(tokenizer).end_of_turn_id
    return tokenizer.eos_token_id


def _adds_bos(tokenizer: "PreTrainedTokenizerBase") -> bool:
    """Whether a prompt begins with the beginning of a sequence.

    Runtimes put it before whatever they are given. A template that has none
    was trained without, so it decides where there is one.
    """
    if not tokenizer.chat_template:
        return tokenizer.encode("a")[0] == tokenizer.bos_token_id
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": "a"}],
        tokenize=False,
    )
    return bool(tokenizer.bos_token) and text.startswith(tokenizer.bos_token)


def _adds_space(tokenizer: "PreTrainedTokenizerBase") -> bool:
    """Whether text gets a space before it, where it follows a control token;
    in a conversation all text does."""
    if tokenizer.bos_token is None:
        ids = tokenizer.encode("a", add_special_tokens=False)
    else:
        text = f"{tokenizer.bos_token}a"
        ids = tokenizer.encode(text, add_special_tokens=False)[1:]
    return tokenizer.convert_ids_to_tokens(ids)[0].startswith(_SPACE)


def _refused(tokenizer: "PreTrainedTokenizerBase", what: str) -> WeightsError:
    return WeightsError(
        f"the tokenizer of {tokenizer.name_or_path!r} {what}; a GGUF file of "
        f"it would read text in another way",
        fix="use the tokenizer.json that belongs to the model, or convert "
        "the model with the tools of llama.cpp",
    )
