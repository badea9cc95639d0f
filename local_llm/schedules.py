# -*- coding: utf-8 -*-
"""How many steps a run takes, and what passes through the model at a time.

Follows from the lengths of the rows and the training arguments; counts as the
trainer counts. Knows no model. Raises nothing.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .training_rows import TrainingRows

PADDED_TO = 32
"""On a CPU batches are as long as a multiple of this."""

_CHECKPOINTS_KEPT = 2


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """What passes through the model at a time.

    Attributes:
        tokens (`int`), labelled (`int`):
            All, padding included, and those under the loss.
        mask_elements (`int`):
            Of the attention mask; 0 where none is needed.
    """

    tokens: int
    labelled: int
    mask_elements: int


@dataclass(frozen=True, slots=True)
class Schedule:
    """A run in numbers.

    Attributes:
        steps (`int`):
            Optimizer steps.
        epochs (`float`):
            How often each row is seen.
        rows_at_once (`int`), accumulation (`int`), processes (`int`):
            Their product is the rows of an optimizer step.
        tokens (`int`), labelled (`int`):
            Of the whole run and all processes, padding not counted.
        longest (`MicroBatch`):
            The largest that can come.
    """

    steps: int
    epochs: float
    rows_at_once: int
    accumulation: int
    processes: int
    tokens: int
    labelled: int
    longest: MicroBatch

    @property
    def micro_batches(self) -> int:
        """Of the whole run, in one process."""
        return self.steps * self.accumulation


def make_schedule(
    rows: TrainingRows,
    arguments: Mapping[str, Any],
    max_tokens: int,
    processes: int,
    padded_to: int,
) -> Schedule:
    """Count the steps of a run.

    Args:
        rows (`TrainingRows`):
            What is trained on; at least one row.
        arguments (`Mapping[str, Any]`):
            Training arguments, with the package's defaults.
        max_tokens (`int`):
            The longest row; packed rows are filled up to it.
        processes (`int`):
            How many train together.
        padded_to (`int`):
            Batches are as long as a multiple of this.
    """
    rows_at_once = arguments.get("per_device_train_batch_size", 8)
    accumulation = arguments.get("gradient_accumulation_steps", 1)
    packed = bool(arguments.get("packing"))
    lengths = [len(row["input_ids"]) for row in rows.rows]
    count = len(_packed(lengths, max_tokens)) if packed else len(lengths)
    micro_batches = count / (rows_at_once * processes)
    if not arguments.get("dataloader_drop_last"):
        micro_batches = math.ceil(micro_batches)
    of_an_epoch = max(1, math.ceil(int(micro_batches) / accumulation))
    steps = arguments.get("max_steps", -1)
    if steps <= 0:
        epochs = arguments.get("num_train_epochs", 3)
        steps = math.ceil(epochs * of_an_epoch)
    epochs = steps / of_an_epoch
    return Schedule(
        steps=steps,
        epochs=epochs,
        rows_at_once=rows_at_once,
        accumulation=accumulation,
        processes=processes,
        tokens=round(rows.tokens * epochs),
        labelled=round(rows.trained_tokens * epochs),
        longest=_longest_batch(rows, arguments, max_tokens, padded_to),
    )


def checkpoints_at_once(arguments: Mapping[str, Any]) -> int:
    """How many checkpoints can be on the disk, one being written."""
    if arguments.get("save_strategy") == "no":
        return 0
    kept = arguments.get("save_total_limit") or _CHECKPOINTS_KEPT
    return max(kept, _CHECKPOINTS_KEPT) + 1


def keeps_best(arguments: Mapping[str, Any]) -> bool:
    """Whether the weights with the lowest held-out loss are kept, besides
    the last ones in each checkpoint."""
    evaluates = arguments.get("eval_strategy", "no") != "no"
    return bool(arguments.get("load_best_model_at_end", evaluates))


def _longest_batch(
    rows: TrainingRows,
    arguments: Mapping[str, Any],
    max_tokens: int,
    padded_to: int,
) -> MicroBatch:
    """The longest rows together: sorted by length they do meet, and in a
    random order they may."""
    at_once = min(
        arguments.get("per_device_train_batch_size", 8),
        len(rows.rows),
    )
    lengths = sorted((len(row["input_ids"]) for row in rows.rows))[-at_once:]
    labelled = sorted(_labelled(row["labels"]) for row in rows.rows)
    share = rows.trained_tokens / rows.tokens
    if arguments.get("packing"):
        tokens = min(max_tokens * at_once, rows.tokens)
        return MicroBatch(tokens, round(tokens * share), tokens**2)
    if arguments.get("padding_free", at_once > 1):
        tokens = _rounded_up(sum(lengths), padded_to)
        mask_elements = tokens**2 if at_once > 1 else 0
    else:
        row = _rounded_up(lengths[-1], padded_to)
        tokens = at_once * row
        mask_elements = at_once * row**2 if at_once > 1 else 0
    return MicroBatch(tokens, sum(labelled[-at_once:]), mask_elements)


def _labelled(labels: Sequence[int]) -> int:
    return sum(label >= 0 for label in labels)


def _rounded_up(number: int, to: int) -> int:
    return math.ceil(number / to) * to


def _packed(lengths: Sequence[int], size: int) -> list[int]:
    """The room left in each bin, each row put where it fits best, the longest
    first."""
    from datasets import Dataset
    from trl import pack_dataset

    rows = Dataset.from_dict({"input_ids": [[0] * one for one in lengths]})
    packed = pack_dataset(rows, size, map_kwargs={"keep_in_memory": True})
    return [size - len(ids) for ids in packed["input_ids"]]
