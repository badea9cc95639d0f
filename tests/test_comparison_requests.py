# -*- coding: utf-8 -*-
"""A command line can say what data it wants before anything is loaded."""

import subprocess
import sys
from pathlib import Path

from alpha_umi.comparison_requests import DataRequest

PROJECT = Path(__file__).resolve().parents[1]


def test_what_is_not_asked_for_is_everything_of_the_dialogues_alone() -> None:
    request = DataRequest(Path("sgd"))
    assert (request.toolbench, request.learned_also) == (None, ())
    assert (request.train, request.test) == (None, None)


def test_a_request_loads_nothing_that_learns() -> None:
    code = (
        "import sys, alpha_umi.comparison_requests;"
        "print({'torch', 'transformers', 'numpy'} & sys.modules.keys())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == "set()\n"
