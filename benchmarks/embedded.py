# -*- coding: utf-8 -*-
"""Measures the embedded example as a newcomer meets it.

    python benchmarks/embedded.py program     the two runs of `make chat`
    python benchmarks/embedded.py replies     24 unseen prompts, before and after
    python benchmarks/embedded.py speed       generation before and after training

Writes its figures to reports/embedded_<part>.json.
Nothing else should run on the machine meanwhile.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from local_llm.machine import describe_machine  # noqa: E402

PROMPTS = PROJECT / "benchmarks" / "embedded_prompts.json"
REPORTS = PROJECT / "reports"
CONFIG = "embedded"

SPEED_ROUNDS = 7
SPEED_TOKENS = 64
SPEED_STEPS = 8

LOOP_WORDS = 8
LOOP_TIMES = 3
"""A reply loops where some eight words in a row stand in it three times."""


def main() -> None:
    """Measure one part and write its report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("part", choices=MEASURES)
    part = parser.parse_args().part
    figures = {"command": f"python benchmarks/embedded.py {part}"}
    figures["machine"] = describe_machine()
    figures.update(MEASURES[part]())
    write_report(part, figures)


# -- the program -------------------------------------------------------------


def measure_program() -> dict[str, Any]:
    """Time `make chat` in a fresh clone, with an empty cache of models.

    pip's own cache is left as it is: the packages are downloaded already.
    """
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        subprocess.run(
            ["git", "clone", "-q", str(PROJECT), str(clone)],
            check=True,
        )
        environment = {
            **os.environ,
            "LOCAL_LLM_CACHE": str(Path(folder) / "cache"),
        }
        setup = _timed_make(clone, environment, "chat", "ARGS=--help")
        first = _timed_make(clone, environment, "chat")
        report = json.loads(
            (clone / "runs" / CONFIG / "report.json").read_text(),
        )
        second = _timed_make(clone, environment, "chat")
    return {
        "set_up_s": setup["seconds"],
        "first_run_s": first["seconds"],
        "second_run_s": second["seconds"],
        "training_s": round(report["seconds"], 1),
        "program_peak_gb": round(report["peak_memory_bytes"] / 1e9, 2),
        # Of the largest process: at first, the one that converts the weights.
        "first_run_peak_gb": first["peak_gb"],
        "second_run_peak_gb": second["peak_gb"],
        "exit_codes": [setup["code"], first["code"], second["code"]],
    }


def _timed_make(
    clone: Path,
    environment: Mapping[str, str],
    *arguments: str,
) -> dict[str, Any]:
    """Run make in a process of its own, whose peak memory is known."""
    script = (
        "import resource, subprocess, sys, json; "
        "code = subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL, "
        "stdout=sys.stderr).returncode; "
        "peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss; "
        "print(json.dumps([code, peak]))"
    )
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", script, "make", *arguments],
        cwd=clone,
        env=environment,
        stdout=subprocess.PIPE,
        check=True,
    )
    seconds = time.perf_counter() - start
    code, peak = json.loads(done.stdout)
    return {
        "seconds": round(seconds, 1),
        "code": code,
        "peak_gb": round(peak * 1024 / 1e9, 2),
    }


# -- the replies -------------------------------------------------------------


def measure_replies() -> dict[str, Any]:
    """Ask 24 prompts that no training conversation has, before and after."""
    model = embedded_model()
    prompts = json.loads(PROMPTS.read_text(encoding="utf-8"))
    data = model.read_data()
    check_unseen(prompts, [*data.train, *data.held_out])
    model.load_model()
    before = {prompt: model.reply(prompt) for prompt in prompts}
    with tempfile.TemporaryDirectory() as folder:
        report = model.fine_tune(data, Path(folder) / "run")
        after = {prompt: model.reply(prompt) for prompt in prompts}
    return {
        "before": judge(before.values()),
        "after": judge(after.values()),
        "held_out_loss": [report.held_out_before, report.held_out_after],
        "held_out_fall": 1 - report.held_out_after / report.held_out_before,
        "training_tokens_per_s": report.tokens_per_second,
        "training_s": report.seconds,
        "peak_gb": _peak_gb(),
        "replies": {
            prompt: {
                "before": before[prompt].text,
                "after": after[prompt].text,
            }
            for prompt in prompts
        },
    }


def embedded_model() -> Any:
    """The model of the embedded config, not loaded yet."""
    from local_llm.local_model import LocalModel
    from local_llm.settings import load_settings
    from local_llm.surroundings import Surroundings, cache_folder

    settings = load_settings(PROJECT / "configs/model_configs.json", CONFIG)
    surroundings = Surroundings(PROJECT, cache_folder(os.environ))
    return LocalModel(settings, surroundings)


def check_unseen(prompts: Sequence[str], conversations: Sequence[Any]) -> None:
    """Stop where a prompt is a question of the training data."""
    seen = {
        _plain(turn.text)
        for conversation in conversations
        for turn in conversation.turns
    }
    known = [prompt for prompt in prompts if _plain(prompt) in seen]
    if known:
        raise SystemExit(f"in the training data: {known}")


def judge(replies: Any) -> dict[str, Any]:
    """Count how replies end, and which are blank or loop."""
    replies = list(replies)
    seconds = sum(reply.seconds for reply in replies)
    tokens = sum(reply.tokens for reply in replies)
    return {
        "replies": len(replies),
        "ended_by_end_of_turn": sum(
            reply.finish_reason == "stop" for reply in replies
        ),
        "blank": sum(not reply.text.strip() for reply in replies),
        "looping": sum(loops(reply.text) for reply in replies),
        "tokens_per_s": tokens / seconds,
    }


def loops(text: str) -> bool:
    """Whether some words in a row come again and again."""
    words = text.split()
    runs = Counter(
        tuple(words[start : start + LOOP_WORDS])
        for start in range(len(words) - LOOP_WORDS + 1)
    )
    return max(runs.values(), default=0) >= LOOP_TIMES


def _plain(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalnum() or c == " ")


# -- the speed -----------------------------------------------------------


def measure_speed() -> dict[str, Any]:
    """Generate with and without an adapter, before and after training.

    The arms take turns in one process. The adapter before is a fresh one of
    the same shape, so that the ratio shows what training leaves behind.
    """
    model = embedded_model()
    data = model.read_data()
    model.load_model()
    from local_llm.adapters import add_adapter

    base = model.base
    base.chat_format.stop_ids = (base.tokenizer.pad_token_id,)  # never drawn
    fresh = add_adapter(base, None)
    arms: dict[str, list[float]] = {}
    _generate_in_turn(base, {"bare": None, "adapter": fresh}, "before", arms)
    with tempfile.TemporaryDirectory() as folder:
        changes = {"training_args": {"max_steps": SPEED_STEPS}}
        model.fine_tune(data, Path(folder) / "run", changes)
    trained = model.request([], print).adapter
    _generate_in_turn(base, {"bare": None, "adapter": trained}, "after", arms)
    medians = {name: statistics.median(runs) for name, runs in arms.items()}
    return {
        "tokens_per_s": {
            name: {"median": medians[name], "min": min(runs), "max": max(runs)}
            for name, runs in arms.items()
        },
        "after_to_before_bare": medians["bare after"] / medians["bare before"],
        "after_to_before_adapter": medians["adapter after"]
        / medians["adapter before"],
        "adapter_to_bare_after": medians["adapter after"]
        / medians["bare after"],
    }


def _generate_in_turn(
    base: Any,
    adapters: Mapping[str, str | None],
    when: str,
    arms: dict[str, list[float]],
) -> None:
    """The first round warms up and is not counted."""
    for turn in range(SPEED_ROUNDS + 1):
        for name, adapter in adapters.items():
            speed = _tokens_per_second(base, adapter)
            if turn:
                arms.setdefault(f"{name} {when}", []).append(speed)


def _tokens_per_second(base: Any, adapter: str | None) -> float:
    from local_llm.generation import Request, engine_of
    from local_llm.turns import Turn

    turns = [Turn("user", "Tell me about the sea.")]
    request = Request(
        base.chat_format.prompt_ids(turns),
        print,
        max_new_tokens=SPEED_TOKENS,
        adapter=adapter,
    )
    start = time.perf_counter()
    pieces = list(engine_of(base).stream(request))
    return pieces[-1].output_tokens / (time.perf_counter() - start)


# -- the report --------------------------------------------------------------


def write_report(part: str, figures: Mapping[str, Any]) -> None:
    """Write the figures as JSON, and show them."""
    REPORTS.mkdir(exist_ok=True)
    text = json.dumps(figures, indent=1, ensure_ascii=False)
    path = REPORTS / f"embedded_{part}.json"
    path.write_text(text + "\n", encoding="utf-8")
    print(text)


def _peak_gb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return round(peak / 1e9, 2)


MEASURES = {
    "program": measure_program,
    "replies": measure_replies,
    "speed": measure_speed,
}

if __name__ == "__main__":
    main()
