# -*- coding: utf-8 -*-
"""The stored part of the paper's own test set, where it is at hand."""

import gzip
import json
from pathlib import Path

import pytest

from alpha_umi.protocol import Trajectory, read_trajectory

_FILE = (
    Path(__file__).resolve().parents[2]
    / "shared/data/alpha_umi_toolbench/out_of_domain_dev.json.gz"
)

needs_stored_steps = pytest.mark.skipif(
    not _FILE.is_file(), reason="the data are not here"
)


def stored_trajectories() -> list[Trajectory]:
    """182 of the 400 trajectories out of domain."""
    with gzip.open(_FILE) as file:
        return [
            read_trajectory(one, f"record {number}")
            for number, one in enumerate(json.load(file))
        ]
