# -*- coding: utf-8 -*-
"""What several processes get of a batch is together what one would get."""

from typing import Any

import pytest
from accelerate.data_loader import BatchSamplerShard
from torch.utils.data import BatchSampler, DataLoader, SequentialSampler

from local_llm.labelled_loss import IGNORED
from local_llm.shared_batches import (
    AlsoOfNothing,
    SharedBatches,
    share_batches,
)


def batches(rows: int, size: int, drop_last: bool = False) -> BatchSampler:
    return BatchSampler(SequentialSampler(range(rows)), size, drop_last)


def shares(rows: int, size: int, processes: int) -> list[list[list[int]]]:
    return [
        list(SharedBatches(batches(rows, size), processes, index))
        for index in range(processes)
    ]


@pytest.mark.parametrize("rows", [8, 9, 11, 13, 1])
@pytest.mark.parametrize("processes", [2, 3])
def test_each_batch_is_shared_out_and_no_row_repeated(
    rows: int,
    processes: int,
) -> None:
    size = 2
    found = shares(rows, size, processes)
    whole = list(batches(rows, size * processes))
    assert [
        sorted(row for share in parts for row in share)
        for parts in zip(*found, strict=True)
    ] == whole


def test_all_processes_have_as_many_batches() -> None:
    assert shares(5, 2, 2) == [[[0, 2], [4]], [[1, 3], []]]
    shared = SharedBatches(batches(5, 2), 2, 1)
    assert len(shared) == 2


def test_a_batch_that_is_not_full_is_left_out_where_that_is_wanted() -> None:
    shared = SharedBatches(batches(5, 2, drop_last=True), 2, 0)
    assert list(shared) == [[0, 2]]


def loader_of(shard: Any) -> DataLoader:
    return DataLoader(range(11), batch_sampler=shard, collate_fn=list)


def test_a_loader_of_accelerate_gives_the_shares() -> None:
    both = []
    for index in range(2):
        loader = loader_of(BatchSamplerShard(batches(11, 2), 2, index))
        share_batches(loader)
        assert len(loader) == 3
        both.append(list(loader))
    assert both == shares(11, 2, 2)


@pytest.mark.parametrize(
    "shard",
    [
        batches(11, 2),
        BatchSamplerShard(batches(12, 2), 2, 0, split_batches=True),
    ],
)
def test_a_loader_of_another_kind_is_left_alone(shard: Any) -> None:
    before = list(loader_of(shard))
    loader = loader_of(shard)
    share_batches(loader)
    assert list(loader) == before


class Collator:
    pad_token_id = 7

    def __call__(self, rows: list[dict]) -> dict[str, Any]:
        return {"rows": rows}


def test_a_process_without_a_row_gets_one_of_which_nothing_counts() -> None:
    collate = AlsoOfNothing(Collator())
    assert collate.pad_token_id == 7
    (row,) = collate([])["rows"]
    assert set(row["input_ids"]) == {7}
    assert set(row["labels"]) == {IGNORED}
    assert len(row["input_ids"]) == len(row["labels"]) > 1


def test_rows_are_put_together_as_ever() -> None:
    rows = [{"input_ids": [1], "labels": [1]}]
    assert AlsoOfNothing(Collator())(rows) == {"rows": rows}
