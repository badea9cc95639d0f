# -*- coding: utf-8 -*-
"""The figures of a run follow from one another."""

from local_llm.training_result import TrainingResult
from local_llm.training_rows import TrainingRows

NOTHING = TrainingRows([], 0, [])


def result_of(tokens: int, seconds: float) -> TrainingResult:
    return TrainingResult(
        losses=[],
        held_out_before=None,
        held_out_after=None,
        steps=0,
        tokens_seen=tokens,
        seconds=seconds,
        peak_memory_bytes=0,
        train_rows=NOTHING,
        held_out_rows=NOTHING,
    )


def test_the_speed_is_that_of_the_steps() -> None:
    assert result_of(tokens=600, seconds=4.0).tokens_per_second == 150.0


def test_a_run_without_a_step_has_no_speed() -> None:
    assert result_of(tokens=0, seconds=0.0).tokens_per_second == 0.0
