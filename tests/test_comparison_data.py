# -*- coding: utf-8 -*-
"""All that is learned and asked is what was wanted of it, and counted."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from guided_dialogues import DIALOGUE, write_dataset
from tiny_teams import trajectory

from alpha_umi.comparison_data import (
    TOOLBENCH,
    ComparisonData,
    read_comparison_data,
    spread,
)
from alpha_umi.comparison_requests import DataRequest, Source
from alpha_umi.protocol import Trajectory, trajectory_as_dict
from alpha_umi.records import records_of
from alpha_umi.roles import Role
from alpha_umi.trajectory_files import read_trajectory_file
from local_llm.errors import DatasetError

EXAMPLE = Path(__file__).parents[1] / "data" / "tool_trajectories.json"
BOTH = ["Taxis_1", "Music_1"]
SHORT = [trajectory(n, 1) for n in range(1, 7)]
LONG = [trajectory(10**500, n) for n in range(3)]


def dialogue(name: str, services: list[str]) -> dict[str, Any]:
    return {**DIALOGUE, "id": name, "services": services}


@pytest.fixture(name="guided")
def fixture_guided(tmp_path: Path) -> Path:
    """Twelve dialogues of a service seen in training; in the tests twelve
    more that have an unseen one too."""
    known = [dialogue(f"seen-{n}", ["Taxis_1"]) for n in range(12)]
    new = [dialogue(f"new-{n}", BOTH) for n in range(12)]
    write_dataset(tmp_path, *known)
    train = (tmp_path / "train.jsonl.gz").read_bytes()
    write_dataset(tmp_path, *known, *new)
    (tmp_path / "train.jsonl.gz").write_bytes(train)
    return tmp_path


def write_toolbench(folder: Path, trajectories: list[Trajectory]) -> Path:
    path = folder / "toolbench.json"
    raw = [trajectory_as_dict(one) for one in trajectories]
    path.write_text(json.dumps(raw))
    return path


def names_of(data: ComparisonData) -> dict[str, list[str]]:
    """The trajectories of each part, in the order in which they are asked."""
    return {
        part.name: list(
            dict.fromkeys(step.trajectory.name for step in part.steps)
        )
        for part in data.parts
    }


# -- Schema-Guided Dialogue ------------------------------------------------------


def test_parts_have_services_seen_in_training_and_unseen_ones(
    guided: Path,
) -> None:
    data = read_comparison_data(DataRequest(guided))
    assert [(one.name, one.is_in_domain) for one in data.parts] == [
        ("seen", True),
        ("unseen", False),
    ]
    names = names_of(data)
    assert all(one.startswith("sgd test seen-") for one in names["seen"])
    assert all(one.startswith("sgd test new-") for one in names["unseen"])
    assert all(one.name.startswith("sgd train ") for one in data.train)


def test_no_more_is_read_than_is_wanted(
    guided: Path,
) -> None:
    every = read_comparison_data(DataRequest(guided))
    some = read_comparison_data(DataRequest(guided, train=10, test=5))
    assert 0 < len(some.train) <= 10 < len(every.train)
    for part, names in names_of(some).items():
        assert 0 < len(names) <= 5 < len(names_of(every)[part])


def test_what_is_learned_is_counted(guided: Path) -> None:
    data = read_comparison_data(DataRequest(guided))
    assert data.description == (
        f"learned: {len(data.train)} trajectories of Schema-Guided Dialogue"
    )


@pytest.mark.parametrize(
    ("wanted", "message", "option"),
    [
        ({"train": 1}, "no trajectories to learn", "--train"),
        ({"test": 1}, "no trajectories in part seen", "--test"),
    ],
)
def test_so_few_that_there_are_none_are_refused(
    guided: Path,
    wanted: dict[str, int],
    message: str,
    option: str,
) -> None:
    with pytest.raises(DatasetError, match=message) as raised:
        read_comparison_data(DataRequest(guided, **wanted))
    assert str(guided) in raised.value.message
    assert option in (raised.value.fix or "")


def test_a_dataset_without_unseen_services_is_refused(tmp_path: Path) -> None:
    known = [dialogue(f"seen-{n}", ["Taxis_1"]) for n in range(12)]
    write_dataset(tmp_path, *known)
    with pytest.raises(DatasetError, match="in part unseen"):
        read_comparison_data(DataRequest(tmp_path))


def test_it_is_told_what_is_read(guided: Path) -> None:
    path = write_toolbench(guided, SHORT)
    told: list[str] = []
    read_comparison_data(DataRequest(guided, toolbench=path), told.append)
    assert told == ["reading Schema-Guided Dialogue", f"reading {path}"]


# -- ToolBench -------------------------------------------------------------------


def test_trajectories_of_toolbench_are_a_part_out_of_domain(
    guided: Path,
) -> None:
    path = write_toolbench(guided, SHORT)
    data = read_comparison_data(DataRequest(guided, toolbench=path, test=50))
    *_, part = data.parts
    assert (part.name, part.is_in_domain) == (TOOLBENCH, False)
    assert len(part.steps) == 2 * len(SHORT)
    data = read_comparison_data(DataRequest(guided, toolbench=path, test=5))
    asked = [step.trajectory.instruction for step in data.parts[-1].steps[::2]]
    assert asked == [one.instruction for one in SHORT[:5]]


def test_those_with_long_prompts_are_left_out_and_counted(
    guided: Path,
) -> None:
    path = write_toolbench(guided, [*LONG, *SHORT])
    also = (Source(TOOLBENCH, path),)
    request = DataRequest(guided, path, also, longest=400)
    data = read_comparison_data(request)
    words = (
        "6 of 9 trajectories of toolbench.json, with prompts of at most 400 "
        "characters"
    )
    own = len(data.train) - len(SHORT)
    assert data.description == (
        f"learned: {own} trajectories of Schema-Guided Dialogue and {words}; "
        f"asked: {words}"
    )
    asked = {step.trajectory.instruction for step in data.parts[-1].steps}
    assert asked == {one.instruction for one in SHORT}
    assert asked <= {one.instruction for one in data.train}


def test_a_prompt_counts_as_long_by_its_style(guided: Path) -> None:
    path = write_toolbench(guided, SHORT)
    longest = max(
        len(record.input)
        for one in SHORT
        for role in Role
        for record in records_of(one, role, "brief")
    )
    request = DataRequest(guided, path, longest=longest)
    assert len(read_comparison_data(request).parts[-1].steps) == 12
    for other in (
        DataRequest(guided, path, longest=longest - 1),
        DataRequest(guided, path, longest=longest, style="paper"),
    ):
        with pytest.raises(DatasetError, match="none of 6"):
            read_comparison_data(other)


def test_a_file_of_long_prompts_alone_is_refused(guided: Path) -> None:
    path = write_toolbench(guided, LONG)
    with pytest.raises(DatasetError) as raised:
        read_comparison_data(DataRequest(guided, path, longest=400))
    assert raised.value.message == (
        f"{path}: none of 3 trajectories has only prompts of 400 characters "
        "or less"
    )
    assert raised.value.fix == "raise --longest"


# -- several kinds ---------------------------------------------------------------


def test_other_data_are_learned_by_their_readers_as_many_of_each(
    guided: Path,
) -> None:
    path = write_toolbench(guided, SHORT)
    also = (Source(TOOLBENCH, path), Source("trajectories", EXAMPLE))
    request = DataRequest(guided, learned_also=also, train=4, longest=10**4)
    data = read_comparison_data(request)
    own = read_comparison_data(DataRequest(guided, train=4)).train
    others = [one for one in data.train if one not in own]
    examples = read_trajectory_file(EXAMPLE)
    assert len(data.train) == len(own) + 8
    assert [one for one in others if one in examples] == examples[:4]
    assert data.description.endswith(
        "and 4 of 6 trajectories of toolbench.json, with prompts of at most "
        f"10000 characters and 4 of {len(examples)} trajectories of "
        "tool_trajectories.json, with prompts of at most 10000 characters",
    )


@pytest.mark.parametrize(
    ("many", "few"),
    [(6, 6), (9, 3), (10, 3), (11, 5), (8, 1), (100, 7), (3, 10), (5, 0)],
)
def test_both_halves_have_their_share_of_both_kinds(
    many: int,
    few: int,
) -> None:
    kinds = {"many": many, "few": few}
    mixed = spread(*(of_kind(name, count) for name, count in kinds.items()))
    assert len(mixed) == many + few
    for half in (mixed[::2], mixed[1::2]):
        found = Counter(one.name.split()[0] for one in half)
        for name, count in kinds.items():
            assert abs(found[name] - count / 2) <= 0.5


def test_each_kind_keeps_its_order_and_is_spread_evenly() -> None:
    mixed = [one.name for one in spread(of_kind("many", 8), of_kind("few", 4))]
    assert mixed == [
        *("many 0", "many 1", "few 0", "few 1", "many 2", "many 3"),
        *("many 4", "many 5", "few 2", "few 3", "many 6", "many 7"),
    ]


def of_kind(name: str, count: int) -> list[Trajectory]:
    return [Trajectory((), "", (), f"{name} {n}") for n in range(count)]
