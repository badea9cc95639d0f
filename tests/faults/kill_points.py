# -*- coding: utf-8 -*-
"""Where a fine-tuning is killed, and where it goes on afterwards.

Steps 3, 6, 9, 12 and 13 are committed, 0, 4, 8, 12 and 13 evaluated; a step
has two batches, the fifth and the tenth one.
"""

import itertools
import random
from collections.abc import Mapping
from dataclasses import dataclass

from child_runs import VARIANTS
from spots import Spot, When

FILES = "local_llm.atomic_files"
CHECKPOINTS = "local_llm.checkpoints"
TRAINER = "local_llm.chat_trainer:ChatTrainer"
PROGRESS = "local_llm.training_progress:Progress"
FINISHED = "finished"


@dataclass(frozen=True)
class KillPoint:
    """A spot, and what a resume finds after a kill there.

    Attributes:
        spot (`Spot`):
            Where the process kills itself.
        goes_on (`int | str`):
            The step of the newest checkpoint, 0 for none; or that the run
            is finished.
    """

    spot: Spot
    goes_on: int | str


def _step(number: int, when: When = "after") -> Spot:
    return Spot(f"{PROGRESS}.on_step_end", when, number)


def _batch(number: int, when: When = "after") -> Spot:
    return Spot(f"{TRAINER}.training_step", when, number)


def _rename(path: str, when: When) -> Spot:
    return Spot("os:rename", when, about=path)


POINTS: Mapping[str, KillPoint] = {
    # the beginning
    "before the run's folder": KillPoint(Spot(f"{CHECKPOINTS}:begin"), 0),
    "before the rename of the run's folder": KillPoint(
        Spot(f"{FILES}:_place", about="run.unfinished"),
        0,
    ),
    "before the lock of the run": KillPoint(
        Spot(f"{CHECKPOINTS}:claimed"),
        0,
    ),
    "in the evaluation before the first step": KillPoint(
        Spot(f"{TRAINER}.compute_loss", "after", 1),
        0,
    ),
    "before the first batch": KillPoint(_batch(1, "before"), 0),
    "before the first checkpoint": KillPoint(_step(2), 0),
    # steps
    "in the middle of a step": KillPoint(_batch(7), 3),
    "before the optimizer": KillPoint(
        Spot(f"{PROGRESS}.on_pre_optimizer_step", call=4),
        3,
    ),
    "after the optimizer": KillPoint(_step(7, "before"), 6),
    "at the end of an epoch": KillPoint(_step(5), 3),
    "in the middle of a step of another epoch": KillPoint(_batch(14), 6),
    "before the last step": KillPoint(_batch(23, "before"), 12),
    # evaluation
    "before an evaluation": KillPoint(_step(8), 6),
    "in the middle of an evaluation": KillPoint(
        # 2 batches in the evaluation of step 0, 7 in 4 steps
        Spot(f"{TRAINER}._prepare_inputs", "after", 11),
        3,
    ),
    "between an evaluation and its account": KillPoint(
        Spot(f"{TRAINER}.mean_loss", "after", 3),
        6,
    ),
    "after the evaluation of a step that is saved": KillPoint(
        Spot(f"{TRAINER}.evaluate", "after", 4),
        9,
    ),
    # saving
    "before the first file": KillPoint(
        Spot(f"{TRAINER}._write_checkpoint", call=2),
        3,
    ),
    "in the middle of the weights": KillPoint(
        Spot(
            "local_llm.trained_weights:save_file",
            "halfway",
            about=".checkpoint-6.partial",
        ),
        3,
    ),
    "between the weights and the best weights": KillPoint(
        Spot(
            "local_llm.chat_trainer:write_tensors",
            "before",
            call=2,
            about=".checkpoint-6.partial",
        ),
        3,
    ),
    "after the optimizer's file": KillPoint(
        Spot(f"{TRAINER}._save_optimizer_and_scheduler", "after", 3),
        6,
    ),
    "between the history and the state": KillPoint(
        Spot("local_llm.training_history:TrainingHistory.write", "after", 1),
        0,
    ),
    "before the manifest": KillPoint(
        Spot(f"{FILES}:_write_manifest", call=4),
        9,
    ),
    "in the middle of the manifest": KillPoint(
        Spot("os:replace", about="manifest.json", call=2),
        3,
    ),
    "before the checkpoint is on the disk": KillPoint(
        Spot(f"{FILES}:_flush_tree", about=".checkpoint-9.partial"),
        6,
    ),
    "before the rename": KillPoint(_rename("checkpoint-6", "before"), 3),
    "after the rename": KillPoint(_rename("checkpoint-6", "after"), 6),
    # rotation
    "before pruning": KillPoint(Spot(f"{CHECKPOINTS}:prune", call=3), 9),
    "before a checkpoint is out of the way": KillPoint(
        _rename(".checkpoint-3.deleted", "before"),
        9,
    ),
    "in the middle of a deletion": KillPoint(
        Spot("os:unlink", "after", about="history.json", call=1),
        9,
    ),
    "after pruning": KillPoint(Spot(f"{CHECKPOINTS}:prune", "after", 4), 12),
    # the end
    "after the last step": KillPoint(_step(13), 12),
    "after the last checkpoint": KillPoint(
        _rename("checkpoint-13", "after"),
        13,
    ),
    "before the replies": KillPoint(
        Spot("local_llm.fine_tuning:FineTuning.train", "after"),
        13,
    ),
    "before publishing": KillPoint(Spot("local_llm.runs:publish"), 13),
    "in the middle of publishing": KillPoint(
        Spot("local_llm.reports:write_report"),
        13,
    ),
    "before the rename of the finished run": KillPoint(
        Spot(f"{FILES}:_place", "before", about=".run.partial"),
        13,
    ),
    "after the rename of the finished run": KillPoint(
        Spot(f"{FILES}:_place", "after", about=".run.partial"),
        FINISHED,
    ),
    "before discarding": KillPoint(Spot(f"{CHECKPOINTS}:discard"), FINISHED),
    "in the middle of discarding": KillPoint(
        Spot("os:unlink", "after", about="history.json", call=4),
        FINISHED,
    ),
    "after discarding": KillPoint(
        Spot(f"{CHECKPOINTS}:discard", "after"),
        FINISHED,
    ),
}

VARIANT_OF: Mapping[str, str] = {
    **dict(zip(POINTS, itertools.cycle(VARIANTS), strict=False)),
    # The only one that writes the best weights.
    "between the weights and the best weights": "length-grouped",
}
"""One of the three layouts of batches for each point, in turn."""

DRAWN = (
    f"{TRAINER}.training_step",
    f"{TRAINER}._prepare_inputs",
    f"{TRAINER}.mean_loss",
    f"{PROGRESS}.on_pre_optimizer_step",
    f"{PROGRESS}.on_step_end",
    "local_llm.chat_trainer:write_tensors",
    f"{FILES}:_flush",
    "os:replace",
    "os:rename",
    "os:unlink",
    f"{CHECKPOINTS}:prune",
    "local_llm.runs:publish",
)
"""Functions among whose calls points are drawn."""


def draw(calls: Mapping[str, int], count: int, seed: int) -> list[Spot]:
    """Spots that follow from a seed.

    Args:
        calls (`Mapping[str, int]`):
            How often a whole run comes to each function.
        count (`int`):
            How many to draw.
        seed (`int`):
            For the choice.
    """
    chance = random.Random(seed)
    names = [name for name in calls if calls[name]]
    return [
        Spot(
            name := chance.choice(names),
            chance.choice(("before", "after")),
            chance.randint(1, calls[name]),
        )
        for _ in range(count)
    ]
