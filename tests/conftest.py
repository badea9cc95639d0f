# -*- coding: utf-8 -*-
"""The tiny models that the tests of the local model share."""

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from fake_hub import fixture_hub  # noqa: F401
from tiny_agents import write_rows
from tiny_models import conversation, gemma, load_own, save_model

from local_llm.base_model import BaseModel
from local_llm.chat_datasets import Conversation

if TYPE_CHECKING:
    from alpha_umi.glpft import GLPFT

# So small a product takes microseconds, and the meeting of two threads after
# it milliseconds where the cores have other work to do.
torch.set_num_threads(1)

# Who starts the tests in the background, or under nohup, ignores some signals
# for all that they start; a terminal does not.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved Gemma of the first generation; not to be changed."""
    return save_model(tmp_path_factory.mktemp("models") / "gemma", gemma())


@pytest.fixture(scope="session")
def roomy_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with room for tools and schemas; not to be changed."""
    model = gemma(max_position_embeddings=8192)
    return save_model(tmp_path_factory.mktemp("models") / "roomy", model)


@pytest.fixture
def tiny(tiny_folder: Path, tmp_path: Path) -> BaseModel:
    """A base model in 4-bit that no other test has used."""
    return load_own(tiny_folder, tmp_path)


@pytest.fixture(scope="session")
def lima_like_rows() -> list[Conversation]:
    """Short conversations, one of them with several turns."""
    return [
        conversation("What is the capital of France?", "Paris.", where="1"),
        conversation("Say hello.", "Hello, user.", where="2"),
        conversation("And now?", "Now goodbye.", "Sure?", "Yes.", where="3"),
        conversation("Count.", "One, two, three, four, five.", where="4"),
    ]


@pytest.fixture(autouse=True)
def same_random_state() -> Iterator[None]:
    """Every test draws the same numbers, and leaves the generator alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


@pytest.fixture
def project(tiny_folder: Path, tmp_path: Path) -> Path:
    """A folder of its own with `model` and conversations in `data.json`."""
    shutil.copytree(tiny_folder, tmp_path / "model")
    write_rows(tmp_path / "data.json")
    return tmp_path


@pytest.fixture(scope="session")
def trained_team(
    tiny_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> "GLPFT":
    """A project with the stages of alpha-umi; not to be changed."""
    from tiny_teams import train_team

    project = tmp_path_factory.mktemp("team")
    shutil.copytree(tiny_folder, project / "model")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return train_team(project)
