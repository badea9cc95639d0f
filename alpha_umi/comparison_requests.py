# -*- coding: utf-8 -*-
"""Which data a comparison is asked to use. Values only; raises nothing."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from .prompts import PromptStyle


class Source(NamedTuple):
    """Data of any kind.

    Attributes:
        reader (`str`):
            How they are read, one of `READERS`.
        path (`Path`):
            Where they are.
    """

    reader: str
    path: Path


@dataclass(frozen=True)
class DataRequest:
    """Which files, and how much of them.

    Attributes:
        schema_guided (`Path`):
            The folder of Schema-Guided Dialogue.
        toolbench (`Path | None`):
            Trajectories in the paper's format to ask.
        learned_also (`tuple[Source, ...]`):
            What is learned beside Schema-Guided Dialogue.
        train, test (`int | None`):
            The most trajectories to learn of each dataset, and to ask of
            each part; all for None.
        longest (`int`):
            Trajectories with a longer prompt are left out, in characters,
            but for those of Schema-Guided Dialogue, which are cut short.
        style (`PromptStyle`):
            In which prompts are measured.
    """

    schema_guided: Path
    toolbench: Path | None = None
    learned_also: tuple[Source, ...] = ()
    train: int | None = None
    test: int | None = None
    longest: int = 4000
    style: PromptStyle = "brief"
