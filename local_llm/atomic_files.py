# -*- coding: utf-8 -*-
"""Files and folders that are there whole or not at all.

A folder is written beside its place, sealed with a manifest of sizes and
sha256 sums, and renamed. What stood there before is kept aside. Knows nothing
of what is in the files. Raises CheckpointError.
"""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .errors import CheckpointError

MANIFEST_NAME = "manifest.json"
_BLOCK_BYTES = 1 << 20


def write_text(path: Path, text: str) -> Path:
    """Write a text file in one step; a reader sees the old or the new one."""
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    try:
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise CheckpointError(
            f"cannot write {path.absolute()}: {error.strerror}",
            fix="free some disk space or choose another output_dir",
        ) from error
    return path


def write_json(path: Path, value: Any) -> Path:
    """Write a value as indented JSON, in one step."""
    text = json.dumps(value, indent=2, ensure_ascii=False, sort_keys=False)
    return write_text(path, text + "\n")


def sha256_of(path: Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def check_writable(folder: Path) -> None:
    """Find out now whether a folder can be created, written and renamed in.

    Raises:
        `CheckpointError`: It cannot.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        probe = tempfile.mkdtemp(prefix=".probe-", dir=folder.parent)
        moved = Path(f"{probe}-moved")
        os.rename(probe, moved)
        moved.rmdir()
    except OSError as error:
        raise CheckpointError(
            f"cannot write in {folder.parent.resolve()}: {error.strerror}",
            fix="choose an output_dir that you may write to",
        ) from error


@contextlib.contextmanager
def sealed_folder(target: Path) -> Iterator[Path]:
    """Give a folder to fill; seal it and put it in place at the end.

    Where the body raises, nothing is left behind and `target` is as it was.
    A folder that stood at `target` is kept as `<name>.previous-<n>`.

    Args:
        target (`Path`):
            Where the folder will stand.

    Yields:
        `Path`: The folder to write into, beside the target.
    """
    prefix = f".{target.name}.partial-"
    partial = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=prefix, dir=target.parent))
        yield partial
        partial.chmod(0o755)
        _write_manifest(partial)
        _set_aside(target)
        os.rename(partial, target)
    except OSError as error:
        raise CheckpointError(
            f"cannot write {target.absolute()}: {error.strerror}",
            fix="free some disk space or choose another folder",
        ) from error
    finally:
        if partial is not None:
            shutil.rmtree(partial, ignore_errors=True)


def is_sealed(folder: Path) -> bool:
    """Whether a folder was finished; does not read its files."""
    return (folder / MANIFEST_NAME).is_file()


def check_manifest(folder: Path) -> None:
    """Compare every file of a sealed folder with its manifest.

    Raises:
        `CheckpointError`: A file is missing or its bytes changed, or there
            is no manifest to read.
    """
    for name, (size, sha256) in _read_manifest(folder).items():
        path = child(folder, name)
        if not path.is_file():
            raise CheckpointError(f"{path.resolve()} is missing")
        if path.stat().st_size != size or sha256_of(path) != sha256:
            raise CheckpointError(
                f"{path.resolve()} is not the file that was written "
                f"(sha256 differs from {MANIFEST_NAME})",
                fix="restore the folder from a copy, or train again",
            )


def child(folder: Path, name: str) -> Path:
    """A path inside a folder.

    Raises:
        `CheckpointError`: The name would leave the folder.
    """
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise CheckpointError(f"{name!r} leaves the folder {folder}")
    return path


def _write_manifest(folder: Path) -> None:
    files = {
        path.relative_to(folder).as_posix(): {
            "bytes": path.stat().st_size,
            "sha256": sha256_of(path),
        }
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    write_json(folder / MANIFEST_NAME, {"files": files})


def _read_manifest(folder: Path) -> dict[str, tuple[int, str]]:
    """Size and sha256 of each file, by name."""
    path = folder / MANIFEST_NAME
    try:
        files = json.loads(path.read_text(encoding="utf-8"))["files"]
        return {
            name: (record["bytes"], record["sha256"])
            for name, record in files.items()
        }
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as e:
        raise CheckpointError(
            f"{path.absolute()} cannot be read: {type(e).__name__}: {e}",
            fix="restore the folder from a copy, or train again",
        ) from e


def _set_aside(target: Path) -> None:
    """Rename what stands at the target, so that nothing is lost."""
    if not target.exists():
        return
    number = 1
    while (
        aside := target.with_name(f"{target.name}.previous-{number}")
    ).exists():
        number += 1
    os.rename(target, aside)
