# -*- coding: utf-8 -*-
"""The comparison of merged models with base and adapter apart."""

import json
import subprocess
import sys
from pathlib import Path

from finished_runs import finished_run

PROJECT = Path(__file__).resolve().parents[1]
PROGRAM = PROJECT / "benchmarks" / "merged_replies.py"
LIMIT_S = 600


def compared(run: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, PROGRAM, "--run", run, "--new-tokens", "24"],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )


def test_a_tiny_run_merged_in_float32_says_the_same(project: Path) -> None:
    done = compared(finished_run(project))
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout[done.stdout.index("{") :])
    found = figures["float32"]
    assert (found["same"], found["of"], found["apart_at"]) == (8, 8, {})
    assert found["largest_difference_of_logits"] < 1e-4
    rounded = figures["bfloat16"]
    assert rounded["same"] + len(rounded["apart_at"]) == 8
    assert 1e-4 < rounded["largest_difference_of_logits"] < 0.1


def test_without_a_run_one_is_told_so(tmp_path: Path) -> None:
    done = compared(tmp_path / "none")
    assert done.returncode == 1
    assert "does not exist" in done.stderr
    assert "Traceback" not in done.stderr
