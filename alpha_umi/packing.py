# -*- coding: utf-8 -*-
"""A trained team small enough to hand on: its adapters alone, in bfloat16.

Leaves out the tokenizers, pictures and checkpoints of the runs, and names no
place of this machine. Trains and loads nothing. Raises CheckpointError for a
team that is not there or was changed.
"""

from pathlib import Path

import torch
from safetensors.torch import save_file

from local_llm import atomic_files
from local_llm.adapter_files import ADAPTER_FILE, read_tensors
from local_llm.errors import CheckpointError
from local_llm.public_files import public_texts
from local_llm.report_pages import PAGE_NAME
from local_llm.reports import CARD_NAME, check_run

from .trained_team import read_team, write_team


def pack_team(folder: Path, arm_name: str, target: Path) -> int:
    """Write what is needed to use a team, and nothing else.

    Half of the bits of a weight are left out: replies can differ from those
    of the trained adapters where two tokens are nearly as likely.

    Args:
        folder (`Path`):
            Where the arm was trained.
        arm_name (`str`):
            Which arm.
        target (`Path`):
            A folder that gets one for each role.

    Returns:
        `int`: How large it is, in bytes.

    Raises:
        `CheckpointError`: The arm is not trained there, a file of it was
            changed, or the target holds something or cannot be written.
    """
    record = read_team(folder, arm_name)
    _check_free(target)
    for stage in dict.fromkeys(record.arm.plays.values()):
        check_run(folder / stage)
        with atomic_files.sealed_folder(target / stage) as place:
            _pack(folder / stage, place)
    write_team(target, record)
    return sum(
        one.stat().st_size for one in target.rglob("*") if one.is_file()
    )


def _check_free(target: Path) -> None:
    """What stood there would count as packed, or be set aside."""
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise CheckpointError(
            f"{target.absolute()} holds something already",
            fix="choose a folder that is not there yet",
        )


def _pack(run: Path, place: Path) -> None:
    """The files of one adapter; the page of its report has a picture, which
    is left out."""
    texts = public_texts(run)
    texts[CARD_NAME] = (run / CARD_NAME).read_bytes()
    texts.pop(PAGE_NAME, None)
    for name, content in texts.items():
        (place / name).write_bytes(content)
    halved = {
        name: tensor.to(torch.bfloat16)
        for name, tensor in read_tensors(run).items()
    }
    save_file(halved, place / ADAPTER_FILE, metadata={"format": "pt"})
