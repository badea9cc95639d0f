# -*- coding: utf-8 -*-
"""A process that kills itself at a named point while it keeps checkpoints.

Run as `python dying_writer.py FOLDER POINT`: begins a run, commits steps 5,
10 and 15, of which two are kept, and discards it. The kill is a real SIGKILL.
"""

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from local_llm import atomic_files, checkpoints  # noqa: E402

CONTENT = bytes(range(256)) * 64
POINTS = {
    "before the folder of the run": None,
    "before the first checkpoint": None,
    "before the first file": 10,
    "in the middle of a file": 10,
    "before the manifest": 10,
    "in the middle of the manifest": 10,
    "before the rename": 10,
    "after the rename": 15,
    "before pruning": 15,
    "in the middle of pruning": 15,
    "after pruning": 15,
    "before discarding": 15,
    "in the middle of discarding": None,
}
"""The points, each with the step to go on from afterwards."""


def die() -> None:
    """End as `kill -9` ends a process."""
    os.kill(os.getpid(), signal.SIGKILL)


def write(folder: Path, step: int, point: str) -> None:
    """Write the files of a checkpoint; the last one may not be finished."""
    last = step == 15
    if last and point == "before the first file":
        die()
    (folder / "inner").mkdir()
    (folder / "inner" / "state").write_text(str(step))
    with (folder / "weights.bin").open("wb") as file:
        file.write(CONTENT[:5000])
        if last and point == "in the middle of a file":
            file.flush()
            die()
        file.write(CONTENT[5000:])
    if last and point == "before the manifest":
        die()


def die_around_renames(point: str) -> None:
    """Kill at the renames that the points are about."""
    rename, replace = os.rename, os.replace
    before = {
        "before the folder of the run": "run.unfinished",
        "before the rename": "checkpoint-15",
        "before pruning": ".checkpoint-5.deleted",
        "before discarding": ".run.unfinished.deleted",
    }.get(point)
    after = {"after the rename": "checkpoint-15"}.get(point)

    def dying(source: Path, target: Path) -> None:
        if Path(target).name == before:
            die()
        rename(source, target)
        if Path(target).name == after:
            die()

    def dying_replace(source: Path, target: Path) -> None:
        if (
            point == "in the middle of the manifest"
            and Path(target).name == atomic_files.MANIFEST_NAME
            and "checkpoint-15" in str(target)
        ):
            die()
        replace(source, target)

    os.rename, os.replace = dying, dying_replace


def die_in_deletions(point: str) -> None:
    """Kill when a folder is deleted by half."""
    wanted = {
        "in the middle of pruning": ".checkpoint-5.deleted",
        "in the middle of discarding": ".run.unfinished.deleted",
    }.get(point)
    delete: Callable[..., None] = shutil.rmtree

    def dying(folder: Path, **options: bool) -> None:
        if Path(folder).name == wanted and Path(folder).exists():
            next(
                one for one in Path(folder).rglob("*") if one.is_file()
            ).unlink()
            die()
        delete(folder, **options)

    shutil.rmtree = dying


def main(folder: Path, point: str) -> None:
    """Keep checkpoints until the point is reached."""
    die_around_renames(point)
    die_in_deletions(point)
    checkpoints.begin(folder, {"made of": "something"})
    if point == "before the first checkpoint":
        die()
    for step in (5, 10, 15):
        checkpoints.commit(
            folder,
            step,
            lambda partial, step=step: write(partial, step, point),
        )
    if point == "after pruning":
        die()
    checkpoints.discard(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
