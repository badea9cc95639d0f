# -*- coding: utf-8 -*-
"""What `two_hosts.sh` trains, and what it found; see there.

    python benchmarks/two_hosts.py prepare FOLDER
    python benchmarks/two_hosts.py compare FOLDER

The second writes reports/two_hosts.json, and fails where the losses differ.
"""

import json
import sys
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
REPORT = PROJECT / "reports" / "two_hosts.json"

ROWS_AT_ONCE = 4
STEPS = 8
TOLERANCE = 1e-4


def entry(processes: int) -> dict[str, Any]:
    """A short run of the embedded model, with the same rows in each step."""
    return {
        "config_name": "two-hosts",
        "model_type": "huggingface",
        "pretrained_model_name_or_path": "embedded:gemma-3-270m",
        "data_path": str(PROJECT / "data" / "assistant_conversations.json"),
        "output_dir": "run",
        "fine_tune_config": {
            "held_out_rows": 8,
            # bfloat16 would round away what is compared
            "bnb_config": {
                "load_in_4bit": True,
                "bnb_4bit_quant_type": "nf4",
                "bnb_4bit_compute_dtype": "float32",
            },
            "lora_config": {"r": 16, "lora_alpha": 32, "lora_dropout": 0.0},
            "training_args": {
                "max_steps": STEPS,
                "per_device_train_batch_size": ROWS_AT_ONCE // processes,
                "save_strategy": "no",
            },
        },
    }


def prepare(folder: Path) -> None:
    """Write the config of each host, and of one process alone."""
    for name, processes in {"host-0": 2, "host-1": 2, "alone": 1}.items():
        (folder / name).mkdir(parents=True)
        configs = json.dumps([entry(processes)], indent=1)
        (folder / name / "configs.json").write_text(configs)


def compare(folder: Path) -> int:
    """Compare the losses; the exit code is returned."""
    together, alone = (
        json.loads((folder / name / "run" / "report.json").read_text())
        for name in ("host-0", "alone")
    )
    difference = max(
        abs(one - other)
        for (_, one), (_, other) in zip(
            together["losses"],
            alone["losses"],
            strict=True,
        )
    )
    figures = {
        "command": "benchmarks/two_hosts.sh",
        "two hosts": summary(together),
        "one process": summary(alone),
        "largest difference of a loss": difference,
        "the second host has written": sorted(
            path.name for path in (folder / "host-1").iterdir()
        ),
    }
    REPORT.write_text(json.dumps(figures, indent=1) + "\n")
    print(json.dumps(figures, indent=1))
    return int(difference > TOLERANCE)


def summary(report: dict[str, Any]) -> dict[str, Any]:
    """The part of a run's report that is compared."""
    names = ("losses", "held_out_before", "held_out_after", "tokens")
    return {name: report[name] for name in (*names, "seconds")}


if __name__ == "__main__":
    task = {"prepare": prepare, "compare": compare}[sys.argv[1]]
    sys.exit(task(Path(sys.argv[2])))
