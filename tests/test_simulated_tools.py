# -*- coding: utf-8 -*-
"""A trajectory becomes a task whose tools bring what they brought there."""

import asyncio
import gzip
import json
from pathlib import Path

import pytest
from scripted_team import CALL, CONCLUDE, GIVE_UP, TOOLS, call_of, solved
from scripted_team import team_of as team

from alpha_umi.calls import call_key
from alpha_umi.limits import Limits, Outcome
from alpha_umi.protocol import (
    Call,
    Trajectory,
    Utterance,
    read_trajectory,
)
from alpha_umi.simulated_tools import (
    SimulatedTask,
    SimulatedTools,
    task_of,
)

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
PUBLISHED = DATA / "alpha_umi_toolbench" / "out_of_domain_dev.json.gz"


def trajectory_of(*said: tuple[str, str]) -> Trajectory:
    return Trajectory(
        TOOLS,
        "How is Rome?",
        (
            Utterance("user", "How is Rome?"),
            *(Utterance(speaker, text) for speaker, text in said),
        ),
        "example 1",
    )


def called(arguments: str, brings: str, tool: str = "time"):
    return (
        ("assistant", CALL),
        ("caller", call_of(tool, arguments)),
        ("observation", brings),
    )


ANSWER = (("assistant", CONCLUDE), ("conclusion", "Noon."))


def asked(task: SimulatedTask, *arguments: str) -> list[str]:
    """What one call after the other brings."""
    tools = SimulatedTools(task.expected)

    async def ask() -> list[str]:
        return [await tools.run(Call("time", one)) for one in arguments]

    return asyncio.run(ask())


def test_a_task_has_the_calls_and_the_answer_of_its_trajectory() -> None:
    said = [*called('{"zone": 1}', "noon"), *called("{}", "dusk"), *ANSWER]
    task = task_of(trajectory_of(*said))
    assert (task.name, task.instruction) == ("example 1", "How is Rome?")
    assert [(one.call, one.observation) for one in task.expected] == [
        (Call("time", '{"zone": 1}'), "noon"),
        (Call("time", "{}"), "dusk"),
    ]
    assert task.answer == "Noon."


def test_a_trajectory_that_gave_up_has_no_answer() -> None:
    assert task_of(trajectory_of(("assistant", GIVE_UP))).answer is None


def test_calls_that_cannot_be_made_are_not_expected() -> None:
    said = [
        *called("{}", "?", tool="invalid_hallucination_function_name"),
        *called("{broken", "?"),
        *called("{}", "?", tool="weather"),
        *called("{}", "noon"),
    ]
    (only,) = task_of(trajectory_of(*said)).expected
    assert only.observation == "noon"


def test_equal_arguments_bring_what_the_trajectory_saw() -> None:
    task = task_of(trajectory_of(*called('{"a": 1, "b": 2}', "noon")))
    assert asked(task, '{"b": 2.0, "a": 1}', '{"a": 1}', "{}") == [
        "noon",
        "Error: time has no result for these arguments.",
        "Error: time has no result for these arguments.",
    ]


def test_a_call_made_twice_brings_one_result_after_the_other() -> None:
    said = [*called("{}", "busy"), *called("{}", "noon")]
    task = task_of(trajectory_of(*said))
    assert asked(task, "{}", "{}", "{}") == ["busy", "noon", "noon"]
    assert asked(task, "{}") == ["busy"]


@pytest.mark.skipif(not PUBLISHED.exists(), reason="no published records")
def test_who_says_what_published_trajectories_say_misses_no_call() -> None:
    raw = json.loads(gzip.decompress(PUBLISHED.read_bytes()))
    outcomes = [_replayed(one) for one in raw[:60]]
    assert outcomes.count(Outcome.MODEL_ERROR) == 0
    assert set(outcomes) <= {Outcome.ANSWERED, Outcome.GAVE_UP}


def _replayed(raw: dict) -> Outcome:
    """Solve a task by the texts of its own trajectory."""
    trajectory = read_trajectory(raw, "published")
    task = task_of(trajectory)
    by_speaker = {
        speaker: [
            one.text
            for one in trajectory.utterances
            if one.speaker == speaker
            and (speaker != "assistant" or "Next: " in one.text)
        ]
        or [""]
        for speaker in ("assistant", "caller", "conclusion")
    }
    solution = solved(
        team(*by_speaker.values(), style="paper"),
        SimulatedTools(task.expected).run,
        Limits(repeats=12),  # some make the same call again and again
        tools=task.tools,
    )
    made = {call_key(one.call) for one in solution.calls}
    assert {call_key(one.call) for one in task.expected} <= made
    return solution.outcome
