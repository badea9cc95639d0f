# -*- coding: utf-8 -*-
"""Many requests at once against the same ones after another.

    python benchmarks/concurrency.py              a random and the embedded model
    python benchmarks/concurrency.py --tiny       the random one alone

64 requests over three adapters and the bare base, greedy and drawn with a
seed, in another order each time; how many replies differ from those of one
request after the other, in float32. Then the same with a quarter of them
abandoned in mid-stream, and how many tokens they still cost. Writes
reports/concurrency.json. What they cost in time, benchmarks/generation.py
measures.
"""

import argparse
import json
import random
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from embedded import PROJECT, REPORTS, describe_machine

sys.path.insert(0, str(PROJECT / "tests"))

REQUESTS = 64
REPETITIONS = 20
SYSTEM = (
    "You are one of several assistants who work on the same task. Answer in "
    "a few words, say what you know and what you do not, and be friendly. "
)
LIMIT_S = 3600


def main() -> None:
    """Measure all, and write the report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument(
        "--repetitions",
        type=int,
        default=REPETITIONS,
        help="of the embedded model, half a minute each",
    )
    chosen = parser.parse_args()
    figures = {
        "command": " ".join(["python", *sys.argv]),
        "machine": describe_machine(),
    }
    with tempfile.TemporaryDirectory() as place:
        for tiny in [True] if chosen.tiny else [True, False]:
            load = Loader(Path(place), tiny)
            repetitions = REPETITIONS if tiny else chosen.repetitions
            figures[load.name] = measure_exactness(load, repetitions)
    text = json.dumps(figures, indent=1)
    if not chosen.tiny:
        (REPORTS / "concurrency.json").write_text(f"{text}\n")
    print(text)


class Loader:
    """Loads the model that is measured, with four adapters.

    Args:
        place (`Path`):
            A folder for a random model.
        tiny (`bool`):
            Whether to take one.
    """

    def __init__(self, place: Path, tiny: bool) -> None:
        self.name = "random" if tiny else "embedded"
        self._place, self._tiny = place, tiny

    def __call__(self, **more: Any) -> tuple[Any, list[str]]:
        """The base, which never ends a reply, and its adapters."""
        import reply_listeners
        from generation import random_adapter
        from tiny_models import gemma3, request_for, save_model

        from local_llm.base_model import load_private_model
        from local_llm.model_sources import LoadRequest
        from local_llm.surroundings import cache_folder

        if self._tiny:
            folder = save_model(self._place / "gemma", gemma3())
            request = request_for(folder, **more)
        else:
            cache = cache_folder({})
            request = LoadRequest(
                "embedded:gemma-3-270m", cache, device="cpu", **more
            )
        base = load_private_model(request)
        reply_listeners.never_stop(base)
        return base, [random_adapter(base, seed) for seed in range(4)]


# -- exactness ------------------------------------------------------------


def measure_exactness(load: Loader, repetitions: int) -> dict[str, Any]:
    """How many replies of many at once differ from those one by one."""
    base, names = load(
        dtype="float32",
        quantization={"load_in_4bit": False},
        fast_head=False,
    )
    cases = _cases(base, [*names[:3], None])
    alone = [text for case in cases for text in _together(base, [case])]
    threads = threading.active_count()
    differ = [0, 0]
    wasted = []
    for repetition in range(repetitions):
        order = list(range(REQUESTS))
        random.Random(repetition).shuffle(order)
        for number, leaving in enumerate((frozenset(), {*order[::4]})):
            later: list[int] = []
            texts = _together(
                base,
                [cases[n] for n in order],
                {order.index(n) for n in leaving},
                later,
            )
            differ[number] += sum(
                text != alone[n]
                for n, text in zip(order, texts, strict=True)
                if n not in leaving
            )
            wasted += later
    return {
        "requests": REQUESTS,
        "repetitions": repetitions,
        "different_of_replies": [differ[0], REQUESTS * repetitions],
        "different_when_a_quarter_leaves": differ[1],
        "most_tokens_after_leaving": max(wasted, default=0),
        "threads_before_and_after": [threads, threading.active_count()],
    }


def _cases(base: Any, adapters: Sequence[str | None]) -> list[dict[str, Any]]:
    from local_llm.chat_format import Turn
    from local_llm.generation import Sampling

    def prompt(number: int) -> list[int]:
        text = SYSTEM * (number % 2) + f"What is {number} good for?"
        return base.chat_format.prompt_ids([Turn("user", text)])

    return [
        {
            "prompt_ids": prompt(number),
            "adapter": adapters[number % len(adapters)],
            "max_new_tokens": 12 + number % 9,
            "sampling": Sampling(
                do_sample=number % 3 > 0, temperature=1.0, seed=number
            ),
        }
        for number in range(REQUESTS)
    ]


def _together(
    base: Any,
    cases: Sequence[dict[str, Any]],
    leaving: Sequence[int] | frozenset[int] | set[int] = frozenset(),
    wasted: list[int] | None = None,
) -> list[str]:
    """The texts of requests that are all asked at once; some leave at their
    fifth token, and the tokens that they still got are noted."""
    from reply_listeners import Listener

    from local_llm.generation import Request, engine_of

    listeners = [Listener() for _ in cases]
    left_at: dict[Any, int] = {}
    for number, (case, listener) in enumerate(
        zip(cases, listeners, strict=True)
    ):
        request = Request(deliver=listener, timeout_s=LIMIT_S, **case)
        if number in leaving:
            request.deliver = _leaving(request, listener, left_at)
        engine_of(base).submit(request)
    for listener in listeners:
        if not listener.ended.wait(LIMIT_S):
            raise SystemExit("a request was not answered")
    if wasted is not None:
        wasted += [
            listener.deliveries[-1].output_tokens - tokens
            for listener, tokens in left_at.items()
        ]
    return [listener.text() for listener in listeners]


def _leaving(request: Any, listener: Any, left_at: dict[Any, int]) -> Any:
    def deliver(piece: Any) -> None:
        listener(piece)
        if piece.output_tokens >= 5:
            left_at.setdefault(listener, piece.output_tokens)
            request.cancelled.set()

    return deliver


if __name__ == "__main__":
    main()
