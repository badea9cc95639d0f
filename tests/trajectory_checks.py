# -*- coding: utf-8 -*-
"""What trajectories of every dataset have to keep."""

import json
from collections import Counter
from collections.abc import Sequence

import jsonschema

from alpha_umi.protocol import (
    Decision,
    Trajectory,
    decides,
    read_call,
    read_plan,
)


def assert_calls_fit(found: Sequence[Trajectory]) -> None:
    """Each call is of a tool of its trajectory and fits its schema."""
    for one in found:
        tools = {tool.name: tool.schema for tool in one.tools}
        assert len(tools) == len(one.tools)
        for said in one.utterances:
            if said.speaker == "caller":
                call = read_call(said.text)
                arguments = json.loads(call.arguments)
                jsonschema.validate(arguments, tools[call.name])


def shares(found: Sequence[Trajectory]) -> dict[Decision, float]:
    """How often each decision comes, with two decimals; all are stated."""
    plans = [
        read_plan(said.text)
        for one in found
        for said in one.utterances
        if decides(said)
    ]
    assert all(plan.is_stated for plan in plans)
    counts = Counter(plan.decision for plan in plans)
    return {key: round(counts[key] / len(plans), 2) for key in counts}
