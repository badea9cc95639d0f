# -*- coding: utf-8 -*-
"""Which data a comparison is asked to use. Values only; raises nothing."""

from dataclasses import dataclass
from pathlib import Path

from .prompts import PromptStyle


@dataclass(frozen=True)
class DataRequest:
    """Which files, and how much of them.

    Attributes:
        schema_guided (`Path`):
            The folder of Schema-Guided Dialogue.
        toolbench (`Path | None`):
            Trajectories in the paper's format to ask.
        toolbench_train (`Path | None`):
            Trajectories in the paper's format to learn.
        train, test (`int | None`):
            The most trajectories to learn from Schema-Guided Dialogue, and
            to ask of each part; all for None.
        longest (`int`):
            ToolBench trajectories with a longer prompt are left out, in
            characters.
        style (`PromptStyle`):
            In which prompts are measured.
    """

    schema_guided: Path
    toolbench: Path | None = None
    toolbench_train: Path | None = None
    train: int | None = None
    test: int | None = None
    longest: int = 4000
    style: PromptStyle = "brief"
