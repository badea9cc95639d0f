# -*- coding: utf-8 -*-
"""A report of a run that the tests of pages, pictures and files share."""

from dataclasses import replace
from typing import Any

from local_llm.reports import Demonstration, Reply, RunReport

BEFORE = Reply("Breakfast is\n\nbreakfast is", "length", 160, 2.5)
AFTER = Reply("Oats with fruit.", "stop", 6, 0.5)


def source_of(name: str, **more: Any) -> dict[str, Any]:
    """What a report says of a source of data."""
    return {
        "name": name,
        "hub_id": None,
        "licence": "unknown",
        "licence_found_in": "",
        "weight": 1.0,
        "rows": 1,
        "in_epoch": more.get("rows", 1),
        **more,
    }


REPORT = RunReport(
    key="k1",
    base={
        "name": "gemma",
        "fingerprint": "b1",
        "device": "cpu",
        "dtype": "torch.bfloat16",
        "end_of_turn": "<end_of_turn>",
    },
    data={
        "source": "data.json",
        "sources": [source_of("data.json", rows=6)],
        "fingerprint": "d1",
        "summary": "8 rows, 2 held out",
        "rows": 8,
        "multi_turn": 1,
        "train_rows": 6,
        "epoch_rows": 6,
        "held_out_rows": 2,
        "formats": {"lima": 5, "messages": 3},
        "drops": {"empty turn": 3, "duplicate conversation": 1},
        "drop_places": {
            "empty turn": ["data.json row 3, turn 1", "data.json row 5"],
            "duplicate conversation": ["data.json row 9"],
        },
        "adjustments": {"merged turns": 2},
        "tokens": 2000,
        "trained_tokens": 500,
        "trained_share": 0.25,
        "longest_row": 321,
        "shortened": 1,
        "without_answer": ["data.json row 7"],
        "held_out_shortened": 0,
        "held_out_without_answer": ["data.json row 8"],
        "skipped_files": [],
    },
    settings={"max_seq_length": 512, "training_args": {"max_steps": 2}},
    losses=[[1, 6.5], [2, 5.25]],
    held_out_before=6.8761,
    held_out_after=2.5,
    steps=2,
    tokens=12345,
    seconds=61.4,
    tokens_per_second=201.06,
    peak_memory_bytes=2_510_000_000,
    demonstrations=[Demonstration("What for breakfast?", BEFORE, AFTER)],
    versions={"python": "3.11.7", "torch": "2.13.0"},
    held_out_losses=[[0, 6.8761], [1, 2.5], [2, 2.75]],
    best_step=1,
    stopped_early=True,
    resumed_at=[1],
    notes=["gradient checkpointing off: 2.1 GB needed, 14.0 GB free"],
    licences={
        "base": "Gemma Terms of Use",
        "base_found_in": "hub card of some/gemma",
        "data": "unknown",
        "data_found_in": "",
    },
    changes=["max_steps: 1 before, 2 now"],
)
"""A run with everything that a run can have."""

BARE = RunReport(
    key="k0",
    base={"name": "gemma", "fingerprint": "b1", "device": "cpu"},
    data={"source": "data.json", "summary": "8 rows, 2 held out"},
    settings={},
    losses=[[1, 6.5], [2, 5.25]],
    held_out_before=None,
    held_out_after=None,
    steps=2,
    tokens=10,
    seconds=1.0,
    tokens_per_second=10.0,
    peak_memory_bytes=1,
)
"""A run with no more than the first version wrote."""


def run_with(**changes: Any) -> RunReport:
    """A bare run with some figures of its own."""
    return replace(BARE, **changes)
