# -*- coding: utf-8 -*-
"""Trajectories of a few words, and teams of the tiny models that learn them."""

from pathlib import Path
from typing import Any

from alpha_umi.arms import find_arm
from alpha_umi.glpft import GLPFT
from alpha_umi.protocol import Tool, Trajectory, Utterance, write_call
from alpha_umi.tool_agent_settings import (
    ToolAgentSettings,
    parse_tool_agent_settings,
)
from alpha_umi.trained_team import TeamRecord, TrainedTeam, write_team
from local_llm.surroundings import Surroundings

TOOLS = (Tool("add", "adds", {"a": "integer", "b": "integer"}),)


def trajectory(a: int, b: int) -> Trajectory:
    """A task with one call: three records, one of each role."""
    question = f"{a}+{b}?"
    said = (
        Utterance("user", question),
        Utterance("assistant", "Add. Next: caller."),
        Utterance("caller", write_call("add", {"a": a, "b": b}).text),
        Utterance("observation", str(a + b)),
        Utterance("assistant", "Done. Next: conclusion."),
        Utterance("conclusion", f"It is {a + b}."),
    )
    return Trajectory(TOOLS, question, said, f"{a} and {b}")


TRAJECTORIES = [trajectory(a, b) for a in (1, 2, 3) for b in (4, 5)]


def team_entry(**changes: Any) -> dict[str, Any]:
    """The config of a team on a project's model."""
    return {
        "config_name": "tiny-team",
        "model_type": "alpha_umi",
        "model": {
            "local_model_path": "model",
            "device": "cpu",
            "max_length": 8,
            "fine_tune_config": {
                "held_out_share": 0.0,
                "lora_config": {"r": 4, "lora_alpha": 8},
                "training_args": {"per_device_train_batch_size": 4},
            },
        },
        "data_path": "trajectories.json",
        "output_dir": "team",
        "prompt_style": "brief",
        "backbone": {"num_train_epochs": 2, "learning_rate": 5e-2},
        "planner": {"num_train_epochs": 1, "learning_rate": 1e-2},
        "caller": {"num_train_epochs": 1, "learning_rate": 1e-2},
        "summarizer": {"num_train_epochs": 2, "learning_rate": 1e-2},
        **changes,
    }


def team_settings(**changes: Any) -> ToolAgentSettings:
    """The same, checked."""
    return parse_tool_agent_settings(team_entry(**changes), "the test")


def surroundings_of(project: Path) -> Surroundings:
    """Of a project's folder, with a cache of its own."""
    return Surroundings(folder=project, cache=project / "cache")


def train_team(project: Path, arm_name: str = "alpha-umi") -> GLPFT:
    """Train an arm in a project's folder `team`."""
    job = GLPFT(
        settings=team_settings(),
        surroundings=surroundings_of(project),
        trajectories=TRAJECTORIES,
        output=project / "team",
        seed=1,
    )
    arm = find_arm(arm_name)
    job.train([arm])
    write_team(job.output, TeamRecord(arm, "brief"))
    return job


def load_team(job: GLPFT, arm_name: str = "alpha-umi") -> TrainedTeam:
    """Load what `train_team` has trained."""
    return TrainedTeam.load(
        job.output,
        arm_name,
        job.settings.model,
        job.surroundings,
    )
