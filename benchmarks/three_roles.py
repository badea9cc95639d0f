# -*- coding: utf-8 -*-
"""Three roles on one base against one: memory, and speed of a task.

    python benchmarks/three_roles.py

Memory: of a process that has loaded the embedded model and as many adapters
as roles, and has let each reply once; its peak, which loading makes, and what
it holds afterwards. Speed: the same three prompts
of a planner, a caller and a summarizer, each with a reply of the same length,
asked of three adapters and of one in turn. Adapters are fresh ones of the
shape that `tools-embedded` trains: what they hold changes neither figure.
Writes reports/three_roles.json. Nothing else should run on the machine.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
from embedded import PROJECT, REPORTS, describe_machine

CONFIG = "tools-embedded"
ROUNDS = 9
TOKENS = 48
PEAK_UNIT = 1024 if sys.platform != "darwin" else 1
"""Of `ru_maxrss`, in bytes."""


def main() -> None:
    """Measure both, or the memory of this process where that is asked."""
    if len(sys.argv) > 1:
        print(json.dumps(measure_memory(int(sys.argv[1]))))
        return
    memory = {count: _in_own_process(count) for count in (1, 3)}
    speed = measure_speed()
    figures = {
        "command": "python benchmarks/three_roles.py",
        "machine": describe_machine(),
        "memory_gb": {
            "one_role": memory[1],
            "three_roles": memory[3],
        },
        "peak_three_to_one": memory[3]["peak"] / memory[1]["peak"],
        "held_three_to_one": memory[3]["held"] / memory[1]["held"],
        **speed,
    }
    text = json.dumps(figures, indent=1)
    (REPORTS / "three_roles.json").write_text(f"{text}\n", encoding="utf-8")
    print(text)


def measure_memory(roles: int) -> dict[str, float]:
    """What this process takes with so many roles, in GB."""
    model, adapters = _loaded(roles)
    for number, adapter in enumerate(adapters):
        _seconds(model, _prompts(model)[number], adapter)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * PEAK_UNIT
    held = psutil.Process().memory_info().rss
    return {"peak": peak / 1e9, "held": held / 1e9}


def measure_speed() -> dict[str, Any]:
    """Tokens per second of one task, by three adapters and by one, in turn;
    the first round warms up and is not counted."""
    model, adapters = _loaded(3)
    arms = {"three_roles": adapters, "one_role": adapters[:1] * 3}
    speeds: dict[str, list[float]] = {name: [] for name in arms}
    prompts = _prompts(model)
    for turn in range(ROUNDS + 1):
        for name, chosen in arms.items():
            seconds = sum(
                _seconds(model, prompt, adapter)
                for prompt, adapter in zip(prompts, chosen, strict=True)
            )
            if turn:
                speeds[name].append(len(prompts) * TOKENS / seconds)
    medians = {name: statistics.median(runs) for name, runs in speeds.items()}
    return {
        "prompt_tokens": [len(one) for one in prompts],
        "reply_tokens": TOKENS,
        "tokens_per_s": {
            name: {"median": medians[name], "min": min(runs), "max": max(runs)}
            for name, runs in speeds.items()
        },
        "speed_three_to_one": medians["three_roles"] / medians["one_role"],
    }


def _loaded(roles: int) -> tuple[Any, list[str]]:
    """The model of the roles, and the names of its adapters."""
    from alpha_umi.tool_agent_settings import load_tool_agent_settings
    from local_llm.adapters import add_adapter
    from local_llm.loaded_model import LoadedModel
    from local_llm.surroundings import Surroundings, cache_folder

    configs = PROJECT / "configs" / "model_configs.json"
    settings = load_tool_agent_settings(configs, CONFIG).model
    surroundings = Surroundings(PROJECT, cache_folder(os.environ))
    model = LoadedModel(settings, surroundings)
    model.load_model()
    base = model.base
    base.chat_format.stop_ids = (base.tokenizer.pad_token_id,)  # never drawn
    shape = settings.fine_tune_config.lora_config
    return model, [add_adapter(base, shape) for _ in range(roles)]


def _prompts(model: Any) -> Sequence[list[int]]:
    """Of planner, caller and summarizer at the first task that has a call."""
    from alpha_umi.records import records_of
    from alpha_umi.roles import TEAM
    from alpha_umi.trajectory_files import read_trajectory_file
    from local_llm.turns import Turn

    path = Path(PROJECT) / "data" / "tool_trajectories.json"
    for trajectory in read_trajectory_file(path):
        records = [records_of(trajectory, role, "brief") for role in TEAM]
        if all(records):
            return [
                model.base.chat_format.prompt_ids([Turn("user", one.input)])
                for one, *_ in records
            ]
    raise SystemExit(f"{path} has no task with a call and an answer")


def _seconds(model: Any, prompt_ids: list[int], adapter: str) -> float:
    from local_llm.generation import Request, engine_of

    request = Request(
        prompt_ids,
        lambda delivery: None,
        max_new_tokens=TOKENS,
        adapter=adapter,
    )
    start = time.perf_counter()
    pieces = list(engine_of(model.base).stream(request))
    assert pieces[-1].output_tokens == TOKENS
    return time.perf_counter() - start


def _in_own_process(roles: int) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, __file__, str(roles)],
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
