# -*- coding: utf-8 -*-
"""The batches of several processes: together they are those of a single one.

accelerate gives whole batches in turn and repeats rows until all processes
have equally many, so that a run depends on their number. Here every batch is
shared out instead, and no row is repeated. Raises nothing.
"""

from collections.abc import Iterator
from typing import Any

from accelerate.data_loader import BatchSamplerShard
from torch.utils.data import BatchSampler, DataLoader

from .labelled_loss import IGNORED

Row = dict[str, list[int]]

_BLANK_TOKENS = 2  # a prediction needs one token before it


class SharedBatches(BatchSampler):
    """A process's part of every batch, empty where a batch has fewer rows
    than there are processes.

    Args:
        batches (`BatchSampler`):
            Batches of the size that one process takes; their order is taken.
        processes (`int`):
            How many share them.
        index (`int`):
            The number of this one.
    """

    def __init__(
        self,
        batches: BatchSampler,
        processes: int,
        index: int,
    ) -> None:
        size = batches.batch_size * processes
        super().__init__(batches.sampler, size, batches.drop_last)
        self._processes = processes
        self._index = index

    def __iter__(self) -> Iterator[list[int]]:
        for batch in super().__iter__():
            yield batch[self._index :: self._processes]


def share_batches(loader: DataLoader) -> None:
    """Let a loader that accelerate has prepared share out its batches.

    One that works in another way, as the user's arguments may ask, is left
    as it is.

    Args:
        loader (`DataLoader`):
            Of a process among several.
    """
    shard = loader.batch_sampler
    if not isinstance(shard, BatchSamplerShard) or shard.split_batches:
        return
    if type(shard.batch_sampler) is not BatchSampler:
        return
    shared = SharedBatches(
        shard.batch_sampler,
        shard.num_processes,
        shard.process_index,
    )
    # What is left hands on what it gets. accelerate looks for the sampler of
    # an epoch on it, also where a resumed run skips batches.
    shard.batch_sampler, shard.sampler = shared, shared.sampler
    shard.num_processes, shard.process_index = 1, 0
    shard.batch_size = None


class AlsoOfNothing:
    """Lets a process without a row take part, with a row of which nothing
    counts.

    Args:
        collate (`Any`):
            A collator of trl, for batches with rows.
    """

    def __init__(self, collate: Any) -> None:
        self.pad_token_id: int = collate.pad_token_id
        self._collate = collate

    def __call__(self, rows: list[Row]) -> dict[str, Any]:
        """Put rows together, if there are any."""
        blank = {
            "input_ids": [self.pad_token_id] * _BLANK_TOKENS,
            "labels": [IGNORED] * _BLANK_TOKENS,
        }
        batch: dict[str, Any] = self._collate(rows or [blank])
        return batch
