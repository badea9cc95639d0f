# -*- coding: utf-8 -*-
"""A number that is none ends a run in its step and never reaches a file."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from child_runs import Attempt, run
from comparison import Unhurt, assert_equal_runs, leftovers
from kill_points import TRAINER
from safetensors.torch import load_file
from spots import Spot

from local_llm.chat_trainer import WEIGHTS_FILE
from local_llm.checkpoints import newest_committed

STEP_OF_BATCH = {
    1: 1,
    5: 3,
    8: 4,
    9: 5,
    11: 6,
    14: 8,
    17: 9,
    18: 10,
    20: 11,
    24: 13,
}
CASES = [
    (batch, what)
    for batch, what in zip(
        STEP_OF_BATCH,
        ["loss", "gradient"] * 5,
        strict=True,
    )
]


@pytest.mark.parametrize(("batch", "what"), CASES)
def test_what_is_no_number_ends_the_run_in_its_step_and_stays_out_of_files(
    unhurt: Callable[[str], Unhurt],
    place: Path,
    batch: int,
    what: str,
) -> None:
    step = STEP_OF_BATCH[batch]
    spot = Spot(f"{TRAINER}.training_step", call=batch)
    stopped = run(Attempt(place, not_finite=(spot, what)))
    assert stopped.code == 3
    kind, _, message = stopped.error.partition(": ")
    assert kind == "TrainingError"
    said = {
        "loss": f"the loss is nan at step {step}",
        "gradient": f"has values that are not finite at step {step}",
    }
    assert said[what] in message
    assert "fix: lower learning_rate" in message
    assert_finite(place / "run.unfinished", newest=(step - 1) // 3 * 3)
    outcome = run(Attempt(place))
    assert_equal_runs(place, outcome, unhurt("padding-free"))
    assert leftovers(place) == []


def assert_finite(folder: Path, newest: int) -> None:
    """See that every number of every checkpoint is one."""
    found = newest_committed(folder)
    assert (found and found.name) == (
        f"checkpoint-{newest}" if newest else None
    )
    for checkpoint in folder.glob("checkpoint-*"):
        for name, tensor in tensors_of(checkpoint):
            assert torch.isfinite(tensor).all(), (checkpoint.name, name)


def tensors_of(checkpoint: Path) -> list[tuple[str, torch.Tensor]]:
    """The weights, the best ones and the state of the optimizer."""
    files = sorted(checkpoint.glob("*.safetensors"))
    assert checkpoint / WEIGHTS_FILE in files
    found = [one for file in files for one in load_file(file).items()]
    moments = torch.load(checkpoint / "optimizer.pt", weights_only=True)
    assert moments["state"]
    for number, state in moments["state"].items():
        found += [(f"{number}.{name}", one) for name, one in state.items()]
    return found
