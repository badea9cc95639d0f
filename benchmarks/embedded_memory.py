# -*- coding: utf-8 -*-
"""Compares the estimate of memory with what the embedded config really takes.

    python benchmarks/embedded_memory.py              all arms, into reports/
    python benchmarks/embedded_memory.py --arm plain  one arm, printed

Each arm plans a run in one process and trains a few steps on the longest rows
in another, whose peak is measured. Other work on the machine does no harm.
"""

import argparse
import dataclasses
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from embedded import describe_machine, embedded_model, write_report

STEPS = 4
ARMS: dict[str, dict[str, Any]] = {
    "plain": {},
    "gradient checkpointing": {"gradient_checkpointing": True},
    "one row at a time": {"per_device_train_batch_size": 1},
    "padded rows": {"padding_free": False},
}
"""Changes of the embedded config's training arguments."""


def main() -> None:
    """Compare, or be one of the two processes of an arm."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--arm", choices=ARMS)
    parser.add_argument("--part", choices=PARTS)
    arguments = parser.parse_args()
    if arguments.part:
        print(json.dumps(PARTS[arguments.part](ARMS[arguments.arm])))
    elif arguments.arm:
        print(json.dumps(compare(arguments.arm)))
    else:
        figures = {
            "command": "python benchmarks/embedded_memory.py",
            "machine": describe_machine(),
            "arms": {arm: compare(arm) for arm in ARMS},
        }
        write_report("memory", figures)


def compare(arm: str) -> dict[str, Any]:
    """The estimate of an arm, its measured peak, and their ratio."""
    estimate = _in_own_process(arm, "estimate")
    measured = _in_own_process(arm, "train")
    return {
        "estimate_gb": {
            name: round(count / 1e9, 3)
            for name, count in estimate["parts"].items()
        },
        "estimated_peak_gb": round(estimate["total"] / 1e9, 3),
        "measured_peak_gb": round(measured["peak"] / 1e9, 3),
        "estimate_to_measured": round(
            estimate["total"] / measured["peak"],
            3,
        ),
    }


def estimate_peak(changes: Mapping[str, Any]) -> dict[str, Any]:
    """What the dry run says."""
    model = embedded_model()
    from local_llm.planning import plan_run

    settings = _changed(model.settings, changes)
    memory = plan_run(settings, model.surroundings).memory
    return {"parts": memory.parts(), "total": memory.total}


def measure_peak(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Reply, then train some steps, each on the longest rows there are."""
    model = embedded_model()
    data = model.read_data()
    model.load_model()
    model.settings = _changed(model.settings, {**changes, "max_steps": STEPS})
    rows = model.settings.fine_tune_config.training_args
    at_once = rows["per_device_train_batch_size"]
    longest = sorted(
        data.train,
        key=lambda one: -len(model.base.chat_format.render(one.turns).ids),
    )
    data = dataclasses.replace(
        data,
        train=tuple(longest[:at_once]),
        held_out=data.held_out[:at_once],
    )
    model.settings = dataclasses.replace(model.settings, max_length=8)
    model.reply("What is a healthy breakfast?")
    with tempfile.TemporaryDirectory() as folder:
        report = model.fine_tune(data, Path(folder) / "run")
    return {"peak": report.peak_memory_bytes}


def _changed(settings: Any, changes: Mapping[str, Any]) -> Any:
    fine_tune = settings.fine_tune_config
    arguments = {**fine_tune.training_args, **changes}
    fine_tune = dataclasses.replace(fine_tune, training_args=arguments)
    return dataclasses.replace(settings, fine_tune_config=fine_tune)


def _in_own_process(arm: str, part: str) -> dict[str, Any]:
    command = [sys.executable, __file__, "--arm", arm, "--part", part]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout.splitlines()[-1])


PARTS = {"estimate": estimate_peak, "train": measure_peak}

if __name__ == "__main__":
    main()
