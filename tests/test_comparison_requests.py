# -*- coding: utf-8 -*-
"""A command line can say what data it wants before anything is loaded."""

from pathlib import Path

from fresh_process import loaded_after

from alpha_umi.comparison_requests import DataRequest


def test_what_is_not_asked_for_is_everything_of_the_dialogues_alone() -> None:
    request = DataRequest(Path("sgd"))
    assert (request.toolbench, request.learned_also) == (None, ())
    assert (request.train, request.test) == (None, None)


def test_a_request_loads_nothing_that_learns() -> None:
    code = "import alpha_umi.comparison_requests"
    assert loaded_after(code, "torch", "transformers", "numpy") == []
