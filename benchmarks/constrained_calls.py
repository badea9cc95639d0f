# -*- coding: utf-8 -*-
"""What it costs to hold calls to their tools: tokens per second, validity.

    python benchmarks/constrained_calls.py

The embedded model, not trained, is the caller at ten questions that the
project's tools answer, ten of these tools at hand. Held to the grammar it says
a call; free, at the same prompt, as many tokens. The two arms take turns in one
process, and so that the number of tokens is equal, nothing ends a free reply.
Seconds of preparing the tokenizer, of a grammar and of a mask are apart from
that. Writes reports/constrained_calls.json. Nothing else should run on the
machine.
"""

import copy
import dataclasses
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from embedded import PROJECT, REPORTS, describe_machine

sys.path.insert(0, str(PROJECT))

from alpha_umi.call_grammar import call_grammar, longest_call_tokens
from alpha_umi.calls import fault_of
from alpha_umi.local_tools import local_tools
from alpha_umi.protocol import Tool, Utterance, read_call
from alpha_umi.python_tools import tools_of
from alpha_umi.roles import Role, role_prompt
from local_llm.base_model import BaseModel, LoadRequest, load_base_model
from local_llm.constrained import GrammarMask, grammar_mask
from local_llm.generation import Piece, Request, engine_of
from local_llm.surroundings import cache_folder
from local_llm.turns import Turn

TOOLS = 10
QUESTIONS = 10
ROUNDS = 5


def main() -> None:
    """Measure, and write the report."""
    base = load_base_model(
        LoadRequest(
            "embedded:gemma-3-270m",
            cache=cache_folder(os.environ),
            device="cpu",
        ),
    )
    tools = tools_of(local_tools())[:TOOLS]
    figures = {
        "command": "python benchmarks/constrained_calls.py",
        "machine": describe_machine(),
        **measure_preparation(base, tools),
        **measure_calls(base, tools),
    }
    text = json.dumps(figures, indent=1, ensure_ascii=False)
    path = REPORTS / "constrained_calls.json"
    path.write_text(f"{text}\n", encoding="utf-8")
    print(text)


def measure_preparation(
    base: BaseModel,
    tools: Sequence[Tool],
) -> dict[str, Any]:
    """What is paid once: for the tokenizer, and for each set of tools."""
    first = _seconds(lambda: grammar_mask(base, 'start: "a"'))
    written = _seconds(lambda: call_grammar(tools))
    grammar = call_grammar(tools)
    compiled = _seconds(lambda: grammar_mask(base, grammar))
    again = _seconds(lambda: grammar_mask(base, grammar))
    return {
        "vocabulary": base.model.config.vocab_size,
        "tools": len(tools),
        "longest_call_tokens": longest_call_tokens(tools),
        "tokenizer_s": first,
        "grammar_written_ms": written * 1e3,
        "grammar_compiled_ms": compiled * 1e3,
        "grammar_again_ms": again * 1e3,
    }


def measure_calls(base: BaseModel, tools: Sequence[Tool]) -> dict[str, Any]:
    """Ask all questions in each round, held and free in turn, each first in
    every other round; how long the calls are is known from a round before."""
    grammar, most = call_grammar(tools), longest_call_tokens(tools)
    endless = _endless(base)
    prompts = _prompts(base, tools)
    with _timed_masks() as mask_seconds:
        calls = [_reply(base, one, most, grammar) for one in prompts]
        lengths = [call[-1].output_tokens for call in calls]
        arms: dict[str, Callable[[], object]] = {
            "held": lambda: [
                _reply(base, one, length, grammar)
                for one, length in zip(prompts, lengths, strict=True)
            ],
            "free": lambda: [
                _reply(endless, one, length, None)
                for one, length in zip(prompts, lengths, strict=True)
            ],
        }
        speeds = _in_turn(arms, sum(lengths))
    medians = {name: statistics.median(runs) for name, runs in speeds.items()}
    texts = ["".join(piece.text for piece in call) for call in calls]
    valid = [fault_of(read_call(text), tools) is None for text in texts]
    return {
        "calls": len(texts),
        "valid": sum(valid),
        "cut": sum(call[-1].finish_reason != "stop" for call in calls),
        "tokens": sum(lengths),
        "tokens_per_s": {
            name: {"median": medians[name], "min": min(runs), "max": max(runs)}
            for name, runs in speeds.items()
        },
        "held_to_free": medians["held"] / medians["free"],
        "mask_ms": statistics.median(mask_seconds) * 1e3,
    }


def _in_turn(
    arms: dict[str, Callable[[], object]],
    tokens: int,
) -> dict[str, list[float]]:
    """Tokens per second of each arm in each round, prompts included."""
    arms["free"]()  # warms up; the other has been asked already
    speeds: dict[str, list[float]] = {name: [] for name in arms}
    for number in range(ROUNDS):
        names = sorted(arms, reverse=bool(number % 2))
        for name in names:
            speeds[name].append(tokens / _seconds(arms[name]))
    return speeds


def _reply(
    base: BaseModel,
    prompt_ids: list[int],
    tokens: int,
    grammar: str | None,
) -> list[Piece]:
    request = Request(prompt_ids, print, tokens, grammar=grammar)
    pieces = list(engine_of(base).stream(request))
    assert grammar or pieces[-1].output_tokens == tokens
    return pieces


def _endless(base: BaseModel) -> BaseModel:
    """The same weights, but no token of theirs ends a reply."""
    chat_format = copy.copy(base.chat_format)
    chat_format.stop_ids = (base.tokenizer.pad_token_id,)  # never drawn
    return dataclasses.replace(base, chat_format=chat_format, engine=None)


def _prompts(base: BaseModel, tools: Sequence[Tool]) -> list[list[int]]:
    """Of a caller at questions that these tools answer."""
    names = {tool.name for tool in tools}
    path = PROJECT / "data" / "tool_questions.json"
    questions = [
        one
        for one in json.loads(path.read_text(encoding="utf-8"))
        if all(call["name"] in names for call in one["calls"])
    ]
    histories = [
        [
            Utterance("user", one["instruction"]),
            Utterance(
                "assistant",
                f"To find that, use {one['calls'][0]['name']}. Next: caller.",
            ),
        ]
        for one in questions[:QUESTIONS]
    ]
    return [
        base.chat_format.prompt_ids(
            [Turn("user", role_prompt(Role.CALLER, "brief", tools, history))],
        )
        for history in histories
    ]


@contextmanager
def _timed_masks() -> Iterator[list[float]]:
    """Note how long each mask takes, in seconds."""
    found: list[float] = []
    call = GrammarMask.__call__

    def timed(self: GrammarMask, *arguments: Any) -> Any:
        start = time.perf_counter()
        scores = call(self, *arguments)
        found.append(time.perf_counter() - start)
        return scores

    GrammarMask.__call__ = timed  # type: ignore[method-assign]
    try:
        yield found
    finally:
        GrammarMask.__call__ = call  # type: ignore[method-assign]


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
