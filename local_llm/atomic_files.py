# -*- coding: utf-8 -*-
"""Files and folders that are there whole or not at all.

A folder is written beside its place, sealed with a manifest of sizes and
sha256 sums, brought to the disk and renamed. What stood there before is kept
aside. Knows nothing of what is in the files. Raises CheckpointError.
"""

import contextlib
import glob
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from .errors import CheckpointError

MANIFEST_NAME = "manifest.json"
_BLOCK_BYTES = 1 << 20
_FOLDER_MODE, _FILE_MODE = 0o755, 0o644
"""What others may do, less what the user's umask forbids."""


def write_text(path: Path, text: str) -> Path:
    """Write a text file in one step; a reader sees the old or the new one."""
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    try:
        with partial.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
        _flush(path.parent)
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
    # Half a surrogate pair, as in the name of a file that is not UTF-8, is
    # no UTF-8; its escape is JSON and reads back as the same.
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return write_text(path, text + "\n")


@contextlib.contextmanager
def whole_file(target: Path) -> Iterator[Path]:
    """Give a path to write a file to; put it in place at the end.

    Where the body raises, nothing is left behind and `target` is as it was.

    Args:
        target (`Path`):
            Where the file will stand; one that stands there is replaced.

    Yields:
        `Path`: The path to write to, beside the target.
    """
    partial = target.with_name(f".{target.name}.partial-{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        os.replace(partial, target)
    except OSError as error:
        raise CheckpointError(
            f"cannot write {target.absolute()}: {error.strerror or error}",
            fix="free some disk space or choose another place",
        ) from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()


def sha256_of(path: Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


@contextlib.contextmanager
def placed_folder(target: Path) -> Iterator[Path]:
    """Give a folder to fill; bring it to the disk and in place at the end.

    Where the body raises, nothing is left behind and `target` is as it was;
    a process that is killed leaves at most a `.<name>.partial-<random>`.

    Args:
        target (`Path`):
            Where the folder will stand; by then nothing may stand there.

    Yields:
        `Path`: The folder to write into, beside the target.
    """
    with _folder_beside(target) as partial:
        yield partial
        _flush_tree(partial)
        _place(partial, target)


@contextlib.contextmanager
def sealed_folder(target: Path) -> Iterator[Path]:
    """Give a folder to fill; seal it and put it in place at the end.

    As `placed_folder`, but with a manifest, and a folder that stood at
    `target` is kept as `<name>.previous-<n>`.

    Args:
        target (`Path`):
            Where the folder will stand.

    Yields:
        `Path`: The folder to write into, beside the target.
    """
    with _folder_beside(target) as partial:
        yield partial
        _write_manifest(partial)
        _flush_tree(partial)
        set_aside(target, "previous")
        _place(partial, target)


def set_aside(path: Path, word: str) -> Path | None:
    """Rename what stands at a path, so that nothing is lost.

    Args:
        path (`Path`):
            A file or folder, which may be missing.
        word (`str`):
            Why it is renamed, for its new name: `<name>.<word>-<n>`.

    Returns:
        `Path | None`: Where it stands now, None where there was nothing.

    Raises:
        `CheckpointError`: It cannot be renamed.
    """
    if not os.path.lexists(path):
        return None
    number = 1
    while os.path.lexists(
        aside := path.with_name(f"{path.name}.{word}-{number}"),
    ):
        number += 1
    try:
        os.rename(path, aside)
    except OSError as error:
        raise CheckpointError(
            f"cannot rename {path.absolute()}: {error.strerror}",
            fix="choose a folder that you may write to",
        ) from error
    return aside


def delete_partials(target: Path) -> None:
    """Delete what killed processes have left beside a path.

    Args:
        target (`Path`):
            Where they wanted to place a folder; nobody may be about to.
    """
    pattern = glob.escape(_partial_prefix(target)) + "*"
    for partial in target.parent.glob(pattern):
        shutil.rmtree(partial, ignore_errors=True)


def is_sealed(folder: Path) -> bool:
    """Whether a folder was finished; does not read its files."""
    return (folder / MANIFEST_NAME).is_file()


def is_whole(folder: Path) -> bool:
    """Whether a sealed folder has all its files in their sizes; reads none."""
    try:
        return all(
            child(folder, name).stat().st_size == size
            for name, (size, _) in _read_manifest(folder).items()
        )
    except (CheckpointError, OSError):
        return False


def check_manifest(folder: Path, but: Collection[str] = ()) -> None:
    """Compare every file of a sealed folder with its manifest, but some.

    Raises:
        `CheckpointError`: A file is missing or its bytes changed, or there
            is no manifest to read.
    """
    for name, (size, sha256) in _read_manifest(folder).items():
        path = child(folder, name)
        if name in but:
            continue
        try:
            size_found = path.stat().st_size if path.is_file() else None
            same = size_found == size and sha256_of(path) == sha256
        except OSError as error:
            raise CheckpointError(
                f"{path} cannot be read: {error.strerror}",
            ) from error
        if size_found is None:
            raise CheckpointError(f"{path} is missing")
        if not same:
            raise CheckpointError(
                f"{path} is not the file that was written "
                f"(sha256 differs from {MANIFEST_NAME})",
                fix="restore the folder from a copy, or train again",
            )


def check_nothing_else(folder: Path) -> None:
    """See that a sealed folder holds files of its manifest and no others.

    Raises:
        `CheckpointError`: It is empty, or has a file more, or a link.
    """
    listed = {*_read_manifest(folder), MANIFEST_NAME}
    if listed == {MANIFEST_NAME}:
        raise CheckpointError(f"{folder.absolute()} is empty")
    for path in (folder, *sorted(folder.rglob("*"))):
        if path.is_symlink():
            raise CheckpointError(f"{path.absolute()} is a link")
        name = path.relative_to(folder).as_posix()
        if not path.is_dir() and name not in listed:
            raise CheckpointError(
                f"{path.absolute()} was not there when it was written",
            )


def child(folder: Path, name: str) -> Path:
    """A path inside a folder.

    Raises:
        `CheckpointError`: The name would leave the folder, or is none.
    """
    try:
        path = (folder / name).resolve()
    # A link to itself is a RuntimeError here, a NUL byte a ValueError.
    except (OSError, RuntimeError, ValueError) as error:
        raise CheckpointError(
            f"{name!r} is no name of a file in {folder}: {error}",
        ) from error
    if not path.is_relative_to(folder.resolve()):
        raise CheckpointError(f"{name!r} leaves the folder {folder}")
    return path


@contextlib.contextmanager
def _folder_beside(target: Path) -> Iterator[Path]:
    """A folder that is gone at the end, unless it was placed elsewhere."""
    name = _partial_prefix(target) + secrets.token_hex(8)
    partial = target.with_name(name)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial.mkdir(_FOLDER_MODE)
        yield partial
    except OSError as error:
        raise CheckpointError(
            f"cannot write {target.absolute()}: {error.strerror or error}",
            fix="free some disk space or choose another folder",
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _partial_prefix(target: Path) -> str:
    return f".{target.name}.partial-"


def _place(partial: Path, target: Path) -> None:
    """Let others read it too, where the user lets them read what he writes:
    safetensors writes for the owner alone."""
    allowed = partial.stat().st_mode
    for path in partial.rglob("*"):
        path.chmod(allowed & (_FOLDER_MODE if path.is_dir() else _FILE_MODE))
    os.rename(partial, target)
    _flush(target.parent)


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
    except (
        OSError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        RecursionError,
    ) as e:
        raise CheckpointError(
            f"{path.absolute()} cannot be read: {type(e).__name__}: {e}",
            fix="restore the folder from a copy, or train again",
        ) from e


def _flush_tree(folder: Path) -> None:
    """Bring every file to the disk, and each folder after what is in it."""
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_file() or path.is_dir():
            _flush(path)
    _flush(folder)


def _flush(path: Path) -> None:
    """Wait until a file's bytes, or a folder's names, are on the disk."""
    if os.name == "nt":  # opens no folders, and flushes no file opened to read
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
