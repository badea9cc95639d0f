# -*- coding: utf-8 -*-
"""Asks a tiny model a thousand times and looks at what is left behind.

    python benchmarks/soak.py

An agent asks 1,000 times, changes its adapter 20 times, and has everything
dropped and loaded anew 5 times. Memory, threads and open files are looked at
on the way. Writes reports/soak.json; exits with 1 where memory has grown by
5 % or more since the warm-up, or a model that was dropped is still there.
"""

import asyncio
import gc
import itertools
import json
import statistics
import sys
import tempfile
import threading
import time
import weakref
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
from embedded import REPORTS, describe_machine

PROJECT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(PROJECT / "tests"), str(PROJECT)]

from agentscope.message import UserMsg  # noqa: E402
from tiny_adapters import make_adapter  # noqa: E402
from tiny_agents import dialog_agent, entry, wrapper  # noqa: E402
from tiny_models import gemma, save_model  # noqa: E402

from finetune_dialog_agent import Finetune_DialogAgent  # noqa: E402
from huggingface_model import HuggingFaceWrapper  # noqa: E402

ADAPTERS = ("ada", "bob", "carol")
HIGHEST_GROWTH = 0.05
MEGABYTE = 2**20
_TRIES = 50


@dataclass(frozen=True)
class Plan:
    """How much is asked.

    Attributes:
        requests (`int`):
            Replies, one after the other.
        switches (`int`):
            Changes of the adapter, evenly among them.
        reloads (`int`):
            Times that all is dropped and loaded anew.
        samples (`int`):
            How often memory is looked at; the first fifth is warm-up.
    """

    requests: int = 1000
    switches: int = 20
    reloads: int = 5
    samples: int = 50

    def at(self, times: int) -> set[int]:
        """The requests before which something is done so many times."""
        step = self.requests / (times + 1)
        return {round(step * number) for number in range(1, times + 1)}


@dataclass(frozen=True)
class Sample:
    """What a process holds at one time."""

    memory_mb: float
    threads: int
    files: int


def main() -> int:
    """Measure and write the report."""
    with tempfile.TemporaryDirectory() as folder:
        figures = {
            "command": "python benchmarks/soak.py",
            "machine": describe_machine(),
            **soak(Path(folder), Plan()),
        }
    text = json.dumps(figures, indent=1)
    (REPORTS / "soak.json").write_text(text + "\n", encoding="utf-8")
    print(text)
    is_fine = figures["growth"] < HIGHEST_GROWTH and not figures["left"]
    return 0 if is_fine else 1


def soak(folder: Path, plan: Plan) -> dict[str, Any]:
    """Ask, switch and reload as planned.

    Args:
        folder (`Path`):
            For the model and its adapters.
        plan (`Plan`):
            How much.

    Returns:
        `dict[str, Any]`: What was found; `growth` is that of memory after the
            warm-up, `left` the dropped models that are still there.
    """
    save_model(folder / "model", gemma())
    start = time.perf_counter()
    agent = dialog_agent(_loaded(folder))
    dropped: list[weakref.ref] = []
    samples: list[Sample] = []
    switch_s: list[float] = []
    names = itertools.cycle([*ADAPTERS, None])
    reload_at, switch_at = plan.at(plan.reloads), plan.at(plan.switches)
    sample_at = plan.at(plan.samples)
    with asyncio.Runner() as runner:
        for number in range(plan.requests):
            if number in reload_at:
                dropped.append(_reload(agent, folder))
            if number in switch_at:
                switch_s.append(_timed(agent, next(names)))
            runner.run(_ask(agent, number))
            if number in sample_at:
                samples.append(_sample())
    return {
        "plan": asdict(plan),
        "seconds": round(time.perf_counter() - start, 1),
        "growth": round(_growth([one.memory_mb for one in samples]), 4),
        "left": _still_there(dropped),
        "switch_ms": round(statistics.median(switch_s) * 1000, 3),
        "after_warm_up": asdict(_after_warm_up(samples)[0]),
        "at_the_end": asdict(samples[-1]),
        "memory_mb": [one.memory_mb for one in samples],
    }


def _loaded(folder: Path) -> HuggingFaceWrapper:
    """The model with its adapters, which are made on the first call."""
    model = wrapper(folder, entry(local_model_path=str(folder / "model")))
    for seed, name in enumerate(ADAPTERS):
        place = folder / name
        if not place.exists():
            make_adapter(model.local.base, place, seed)
        model.load_adapter(name, place)
    return model


def _reload(agent: Finetune_DialogAgent, folder: Path) -> weakref.ref:
    """Drop the model, then load another one; the first is given weakly.

    As long as its worker holds it, it would be shared, not loaded.
    """
    for name in ADAPTERS:
        agent.model.unload_adapter(name)
    dropped = weakref.ref(agent.model.local.base)
    del agent.model
    _still_there([dropped])
    agent.model = _loaded(folder)
    return dropped


def _still_there(dropped: list[weakref.ref]) -> int:
    """How many models are left; a worker may take a moment to let go."""
    for _ in range(_TRIES):
        gc.collect()
        left = sum(base() is not None for base in dropped)
        if not left:
            break
        time.sleep(0.1)
    return left


def _timed(agent: Finetune_DialogAgent, name: str | None) -> float:
    """Seconds that a change of the adapter takes."""
    start = time.perf_counter()
    agent.use_adapter(name)
    return time.perf_counter() - start


async def _ask(agent: Finetune_DialogAgent, number: int) -> None:
    reply = await agent.reply(UserMsg("user", f"Question {number}?"))
    assert reply.finished_reason == "completed", reply
    agent.state.context.clear()


def _sample() -> Sample:
    process = psutil.Process()
    return Sample(
        round(process.memory_info().rss / MEGABYTE, 2),
        threading.active_count(),
        len(process.open_files()),
    )


def _after_warm_up(samples: list[Any]) -> list[Any]:
    return samples[len(samples) // 5 :]


def _growth(memory: list[float]) -> float:
    """The share by which memory grew; medians, since single values jump."""
    kept = _after_warm_up(memory)
    part = max(1, len(kept) // 5)
    first = statistics.median(kept[:part])
    return statistics.median(kept[-part:]) / first - 1


if __name__ == "__main__":
    sys.exit(main())
