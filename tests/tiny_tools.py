# -*- coding: utf-8 -*-
"""The program of the tool agent on a tiny model: its place, config and data."""

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from guided_dialogues import DIALOGUE, write_dataset
from tiny_models import gemma, save_model
from tiny_teams import TRAJECTORIES, team_entry

from alpha_umi.protocol import trajectory_as_dict

NAME = "tiny-team"
QUESTIONS = ["What is 1+4?", "Is it [bold]five?"]
ROOM = 2048
"""Tokens of the model's context; fifteen tools have to fit in."""


def tools_entry(**changes: Any) -> dict[str, Any]:
    """A config whose trainings give the same bytes on a busy machine too, and
    whose first stage is long enough to be interrupted there."""
    entry = team_entry(
        demonstration_questions=QUESTIONS,
        max_steps=2,
        backbone={"num_train_epochs": 10, "learning_rate": 1e-2},
        **changes,
    )
    chosen = entry["model"]["fine_tune_config"]
    chosen["bnb_config"] = {
        "load_in_4bit": True,
        "bnb_4bit_compute_dtype": "float32",
    }
    return entry


def set_up_tools(place: Path) -> Path:
    """Write model, trajectories and config; the path of the latter."""
    save_model(place / "model", gemma(max_position_embeddings=ROOM))
    write_trajectories(place / "trajectories.json", TRAJECTORIES)
    foreign = {
        "config_name": "of-another-program",
        "model_type": "huggingface",
        "local_model_path": "model",
    }
    configs = place / "configs.json"
    configs.write_text(json.dumps([tools_entry(), foreign]))
    return configs


def write_trajectories(path: Path, trajectories: Sequence[Any]) -> Path:
    rows = [trajectory_as_dict(one) for one in trajectories]
    path.write_text(json.dumps(rows))
    return path


def copy_place(configs: Path, place: Path) -> Path:
    """The same place elsewhere, to be changed; the path of its config."""
    shutil.copytree(configs.parent, place, copy_function=os.link)
    # What is written anew has files of its own; this one tests write into.
    copied = place / configs.name
    text = copied.read_bytes()
    copied.unlink()
    copied.write_bytes(text)
    return copied


def typed(configs: Path, verb: str, *more: str, name: str = NAME) -> list[str]:
    """A command line."""
    flags = ["--model-configs", str(configs), "--config-name", name]
    return [verb, *flags, *more]


def write_guided(folder: Path, count: int = 16) -> Path:
    """Schema-Guided Dialogue of a few dialogues; every other one of the tests
    has a service that training does not know."""
    folder.mkdir()
    seen = [{**DIALOGUE, "id": f"{n}_00000"} for n in range(count)]
    write_dataset(folder, *seen)
    train = (folder / "train.jsonl.gz").read_bytes()
    services = ["Taxis_1", "Music_1"]
    unseen = [{**one, "services": services} for one in seen[1::2]]
    write_dataset(folder, *seen[::2], *unseen)
    (folder / "train.jsonl.gz").write_bytes(train)
    return folder
