# -*- coding: utf-8 -*-
"""Speed of replies of the embedded model, of loading it, of its adapters.

    python benchmarks/generation.py            everything, into reports/
    python benchmarks/generation.py --small    the same steps, quickly
    python benchmarks/generation.py --gpu      gemma-7b-shaped, on a GPU

Arms take turns in one process; the first round warms up and is not counted.
One request: the engine against transformers' `generate` in bfloat16 on the
same weights, and against the engine with an exact head. Agents: 8 requests of
4 adapters at once against the same one after the other. Loads: each in a
process of its own, from a cache without and with 4-bit weights. Writes
reports/generation.json and prints a table last. Nothing else should run on
the machine meanwhile.
"""

import argparse
import dataclasses
import itertools
import json
import queue
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from arms import in_turn, ratio, spread
from embedded import PROJECT, REPORTS, describe_machine
from loads import embedded_request, measure_loads

from local_llm.adapters import (
    adapter_parameters,
    add_adapter,
    use_weights_for_replies,
)
from local_llm.base_model import BaseModel, load_base_model
from local_llm.chat_format import Turn
from local_llm.cpu_threads import give_back_threads
from local_llm.generation import Failure, Piece, Request, engine_of
from local_llm.lora_rows import LoraRows
from local_llm.model_sources import LoadRequest, resolve

LORA = {
    "r": 16,
    "lora_alpha": 32,
    "lora_dropout": 0.0,
    "target_modules": "all-linear",
}
NOISE = 0.02
LIMIT_S = 600.0
SUBJECTS = (
    *("the sea", "a mountain", "bread", "the moon", "a train", "winter"),
    *("a garden", "music"),
)


@dataclasses.dataclass(frozen=True)
class Sizes:
    """How much is done."""

    rounds: int = 7
    tokens: int = 64
    adapters: int = 4
    loads: int = 3
    switches: int = 200


SMALL = Sizes(rounds=1, tokens=6, loads=1, switches=5)
WHOLE = Sizes()


def main() -> None:
    """Measure, write, show."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--gpu", action="store_true")
    chosen = parser.parse_args()
    if chosen.gpu:
        import generation_gpu

        generation_gpu.measure(tiny=chosen.small)
    else:
        figures = measure(SMALL if chosen.small else WHOLE)
        if not chosen.small:
            text = json.dumps(figures, indent=1)
            path = REPORTS / "generation.json"
            path.write_text(text + "\n", encoding="utf-8")
        print(table(figures))


def measure(sizes: Sizes) -> dict[str, Any]:
    """All arms, on one base and on the same with an exact head."""
    request = embedded_request()
    loads = measure_loads(request, sizes.loads)
    base = load_base_model(request)
    exact = load_base_model(dataclasses.replace(request, fast_head=False))
    for one in (base, exact):
        # Never drawn, so that every reply has the same length.
        one.chat_format.stop_ids = (one.tokenizer.pad_token_id,)
    return {
        "command": "python benchmarks/generation.py",
        "machine": describe_machine(),
        "threads": torch.get_num_threads(),
        "sizes": dataclasses.asdict(sizes),
        "load": loads,
        "one_request": measure_one_request(base, exact, request, sizes),
        "head": measure_head(base, sizes),
        "agents": measure_agents(base, sizes),
    }


# -- one request ---------------------------------------------------------------


def measure_one_request(
    base: BaseModel,
    exact: BaseModel,
    request: LoadRequest,
    sizes: Sizes,
) -> dict[str, Any]:
    """Tokens per second of one greedy reply, and whether replies agree."""
    from transformers import AutoModelForCausalLM

    folder = resolve(request, print)
    plain = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    prompt = prompts_of(base, 1)[0]
    arms: dict[str, Callable[[], Any]] = {
        "ours": lambda: replies(base, [prompt], [None], sizes.tokens),
        "ours_exact_head": lambda: replies(
            exact, [prompt], [None], sizes.tokens
        ),
        "transformers_bf16": lambda: plain_reply(
            plain.eval(), prompt, sizes.tokens
        ),
    }
    speeds = in_turn(arms, sizes.rounds, sizes.tokens)
    prompts = prompts_of(base, len(SUBJECTS))
    pairs = [
        [replies(one, [ids], [None], sizes.tokens)[0] for one in (base, exact)]
        for ids in prompts
    ]
    return {
        "tokens_per_s": speeds,
        "ours_to_transformers": ratio(speeds, "ours", "transformers_bf16"),
        "ours_to_exact_head": ratio(speeds, "ours", "ours_exact_head"),
        "greedy_replies": len(pairs),
        "equal_to_exact_head": sum(one == other for one, other in pairs),
    }


def plain_reply(model: Any, prompt: Sequence[int], tokens: int) -> None:
    """What transformers does by itself."""
    ids = torch.tensor([prompt])
    with torch.inference_mode():
        model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            min_new_tokens=tokens,
            max_new_tokens=tokens,
        )
    # As if each arm had the process for itself.
    give_back_threads()


# -- the head ------------------------------------------------------------------


def measure_head(base: BaseModel, sizes: Sizes) -> dict[str, Any]:
    """Error of its logits on hidden states of real text, and its time."""
    head = base.model.get_output_embeddings()
    text = (PROJECT / "README.md").read_text(encoding="utf-8")
    ids = base.tokenizer(text, return_tensors="pt").input_ids[:, :512]
    use_weights_for_replies(base, None)
    with torch.inference_mode():
        hidden = base.model.model(ids).last_hidden_state[0, :, None]
        # Several positions at once have the exact head.
        exact = head(hidden.transpose(0, 1))[0].float()
        fast = torch.cat([head(one) for one in hidden.split(32)])[:, 0].float()
        times = {
            f"{rows}_rows": in_turn(
                {
                    "fast": lambda rows=rows: head(hidden[:rows]),
                    "exact": lambda rows=rows: torch.nn.functional.linear(
                        hidden[:rows], head.weight
                    ),
                },
                3 * sizes.rounds,
            )
            for rows in (1, 8)
        }
    shares = exact.log_softmax(-1)
    divergence = (shares.exp() * (shares - fast.log_softmax(-1))).sum(-1)
    return {
        "tokens": len(hidden),
        "relative_error": float((fast - exact).norm() / exact.norm()),
        "equal_argmax": float(
            (fast.argmax(-1) == exact.argmax(-1)).float().mean()
        ),
        "mean_divergence_nats": float(divergence.mean()),
        "seconds": times,
    }


# -- several agents ------------------------------------------------------------


def measure_agents(base: BaseModel, sizes: Sizes) -> dict[str, Any]:
    """Requests of several adapters, at once and one after the other."""
    names = [random_adapter(base, seed) for seed in range(sizes.adapters)]
    prompts = prompts_of(base, len(SUBJECTS))
    adapters = list(itertools.islice(itertools.cycle(names), len(prompts)))
    found: dict[str, list[str]] = {}

    def at_once() -> None:
        found["at_once"] = replies(base, prompts, adapters, sizes.tokens)

    def one_by_one() -> None:
        found["one_by_one"] = [
            replies(base, [prompt], [adapter], sizes.tokens)[0]
            for prompt, adapter in zip(prompts, adapters, strict=True)
        ]

    speeds = in_turn(
        {"at_once": at_once, "one_by_one": one_by_one},
        sizes.rounds,
        sizes.tokens * len(prompts),
    )
    equal = zip(found["at_once"], found["one_by_one"], strict=True)
    return {
        "agents": len(prompts),
        "adapters": len(names),
        "tokens_per_s": speeds,
        "at_once_to_one_by_one": ratio(speeds, "at_once", "one_by_one"),
        "equal_greedy_replies": sum(one == other for one, other in equal),
        **measure_switch(base, names, prompts[0], sizes),
    }


def random_adapter(base: BaseModel, seed: int) -> str:
    """An adapter that changes replies: a fresh one, with noise on it."""
    name = add_adapter(base, LORA, seed)
    generator = torch.Generator().manual_seed(seed)
    for parameter in adapter_parameters(base, name).values():
        noise = torch.randn(parameter.shape, generator=generator)
        parameter.data += (noise * NOISE).to(parameter.dtype)
    return name


def measure_switch(
    base: BaseModel,
    names: Sequence[str],
    prompt: Sequence[int],
    sizes: Sizes,
) -> dict[str, Any]:
    """From one adapter to the next, as between two replies: what the engine
    does for it, and a reply of one token with another adapter than before,
    next to one with the same."""
    rows, times = LoraRows(base.model), []
    for name in itertools.islice(itertools.cycle(names), sizes.switches):
        start = time.perf_counter()
        use_weights_for_replies(base, None)
        with rows.attached():
            rows.use([name])
            times.append(1000 * (time.perf_counter() - start))
    others = itertools.cycle(names)
    return {
        # Afterwards its matrices are at hand.
        "first_use_ms": spread(times[: len(names)]),
        "switch_ms": spread(times[len(names) :]),
        "reply_of_one_token_s": in_turn(
            {
                "same": lambda: replies(base, [prompt], [names[-1]], 1),
                "other": lambda: replies(base, [prompt], [next(others)], 1),
            },
            3 * sizes.rounds,
        ),
    }


# -- what they share -----------------------------------------------------------


def prompts_of(base: BaseModel, count: int) -> list[list[int]]:
    """Questions of one length or nearly so."""
    return [
        base.chat_format.prompt_ids(
            [Turn("user", f"Tell me about {subject}.")]
        )
        for subject in SUBJECTS[:count]
    ]


def replies(
    base: BaseModel,
    prompts: Sequence[Sequence[int]],
    adapters: Sequence[str | None],
    tokens: int,
) -> list[str]:
    """Submit requests at once, and wait for all their texts."""
    inboxes: list[queue.SimpleQueue] = []
    for prompt, adapter in zip(prompts, adapters, strict=True):
        inboxes.append(queue.SimpleQueue())
        engine_of(base).submit(
            Request(
                list(prompt),
                inboxes[-1].put,
                max_new_tokens=tokens,
                adapter=adapter,
                timeout_s=LIMIT_S,
            ),
        )
    return [_whole_text(inbox) for inbox in inboxes]


def _whole_text(inbox: queue.SimpleQueue) -> str:
    text = ""
    while True:
        piece: Piece | Failure = inbox.get(timeout=LIMIT_S)
        if isinstance(piece, Failure):
            raise piece.error
        text += piece.text
        if piece.finish_reason is not None:
            return text


def table(figures: Mapping[str, Any]) -> str:
    """The figures that have a goal, as Markdown."""
    one, agents = figures["one_request"], figures["agents"]
    head, load = figures["head"], figures["load"]
    rows = [
        ("tokens/s, one request", one["tokens_per_s"]["ours"]["median"], ""),
        ("times transformers in bf16", one["ours_to_transformers"], ">= 2.2"),
        ("times ours with the exact head", one["ours_to_exact_head"], ""),
        (
            "8 agents at once, times one by one",
            agents["at_once_to_one_by_one"],
            ">= 2.5",
        ),
        (
            "weights, first load / second",
            load["second_to_first_weights_s"],
            ">= 3",
        ),
        ("with the tokenizer", load["second_to_first_whole_s"], ""),
        ("adapter switch, ms", agents["switch_ms"]["median"], "<= 5"),
        ("head: relative error of logits", head["relative_error"], ""),
        ("head: share of equal argmax", head["equal_argmax"], ""),
    ]
    lines = ["| what | figure | goal |", "|---|---|---|"]
    lines += [
        f"| {what} | {value:.3g} | {goal} |" for what, value, goal in rows
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
