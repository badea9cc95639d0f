# -*- coding: utf-8 -*-
"""Writes what is made of a finished run: a merged model, a GGUF file.

What can be found out without the weights is, before they are read. Errors
name the folders that people know. Puts the steps in order; what they do is
done elsewhere. Raises CheckpointError, ModelAccessError and WeightsError.
"""

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import filelock

from .adapter_files import noted_base
from .atomic_files import delete_partials, sealed_folder
from .base_model import load_config
from .disk_room import check_writable
from .errors import CheckpointError, LocalLLMError, WeightsError
from .export_cards import write_gguf_card, write_merged_card
from .finished_runs import Precision, RunFolder
from .merged_model import (
    check_disk,
    check_memory,
    count_parameters,
    write_merged_model,
)
from .model_files import load_tokenizer
from .model_sources import LoadRequest, Progress
from .ollama import write_modelfile

GGUF_BYTES = {"f16": 2.0, "q8_0": 34 / 32}
"""Of each weight; a block of 32 in q8_0 has a scale of 16 bits."""

MERGED_BYTES = {"float32": 4.0, "bfloat16": 2.0}


@dataclass(frozen=True)
class Export:
    """What is to be made of a run.

    Attributes:
        run (`RunFolder`):
            The run.
        request (`LoadRequest`):
            The base model of an adapter; of a whole model, the model itself.
        target (`Path`):
            Where to write, absolute.
        merges (`bool`):
            Whether the merged model is wanted.
        gguf (`Literal["f16", "q8_0"] | None`):
            The GGUF file that is wanted, if one is.
        dtype (`Literal["float32", "bfloat16"]`):
            The number format of merged weights.
        progress (`Callable[[str], None]`):
            Told what is going on, in a few words.
    """

    run: RunFolder
    request: LoadRequest
    target: Path
    merges: bool
    gguf: Literal["f16", "q8_0"] | None
    dtype: Precision
    progress: Progress

    @property
    def base(self) -> str:
        """The name of the base model, for people."""
        noted = noted_base(self.run.folder)
        return noted.name if noted else self.request.source


def check_export(export: Export) -> None:
    """Find out, before weights are read, what would be in the way.

    Raises:
        `CheckpointError`: Something is there already, or there is no room.
        `ModelAccessError`: The base model cannot be reached.
        `WeightsError`: It cannot be merged, or not written as wanted.
    """
    if export.target.exists():
        raise CheckpointError(
            f"{export.target} is there already",
            fix="remove or rename it, or choose another folder with --to",
        )
    check_writable(export.target)
    parameters = count_parameters(export.request, export.progress)
    if export.gguf:
        _check_gguf(export)
    _check_room(export, parameters)


def write_export(export: Export) -> None:
    """Write it: whole, or not at all.

    Raises:
        `CheckpointError`: It cannot be written, or another process does.
        `WeightsError`: Base and adapter do not give a model, or the model no
            GGUF file.
    """
    with _alone(export.target):
        if export.merges:
            _write_merged(export)
        else:
            _write_gguf_alone(export)


def _check_gguf(export: Export) -> None:
    from .gguf_export import check_convertible

    check_convertible(
        load_config(export.request, export.progress),
        load_tokenizer(export.run.folder),
        export.request.source,
    )


def _check_room(export: Export, parameters: int) -> None:
    each = GGUF_BYTES.get(export.gguf or "", 0.0)
    if export.run.holds == "adapter":
        check_memory(export.request, parameters)
        each += MERGED_BYTES[export.dtype]
    check_disk(export.target, int(parameters * each))


def _write_merged(export: Export) -> None:
    """A merged model is kept where only its GGUF file cannot be written."""
    failure = None
    with sealed_folder(export.target) as partial:
        _merge(export, partial)
        try:
            if export.gguf:
                _add_gguf(export, partial, partial)
        except LocalLLMError as error:
            failure = error
    if failure is not None:
        raise WeightsError(
            f"{export.target} is merged, but has no GGUF file: "
            f"{failure.message}",
            fix=failure.fix,
        ) from failure


def _write_gguf_alone(export: Export) -> None:
    run, base = export.run.folder, export.base
    with (
        sealed_folder(export.target) as partial,
        tempfile.TemporaryDirectory(prefix=".merged-", dir=partial) as scratch,
    ):
        model = run
        if export.run.holds == "adapter":
            model = Path(scratch)
            _merge(export, model)
        name, has_modelfile = _add_gguf(export, model, partial)
        write_gguf_card(run, base, name, partial, has_modelfile=has_modelfile)


def _merge(export: Export, folder: Path) -> None:
    run = export.run.folder
    with _named(folder, export.target):
        write_merged_model(run, export.request, folder, export.progress)
        # It names the licence, which goes into a GGUF file too.
        write_merged_card(run, export.base, export.dtype, folder)


def _add_gguf(export: Export, model: Path, folder: Path) -> tuple[str, bool]:
    """Write the GGUF file of a model; its name, and if it has a Modelfile."""
    from .gguf_export import write_gguf

    run, target = export.run.folder, export.target
    name = f"{run.name}-{export.gguf}.gguf"
    export.progress(f"writing {name}")
    known = target if model == folder else run
    try:
        with _named(folder, target), _named(model, known):
            write_gguf(model, folder / name, export.gguf)
            write_modelfile(model, name, folder)
    except WeightsError as error:
        if not (folder / name).is_file():
            raise
        export.progress(f"no Modelfile was written: {error}")
        return name, False
    return name, True


@contextlib.contextmanager
def _alone(target: Path) -> Iterator[None]:
    """Nobody else writes there, so what lies beside it half written is of
    processes that were killed, and goes."""
    path = target.with_name(f".{target.name}.lock")
    lock = filelock.FileLock(path)
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout as error:
        raise CheckpointError(
            f"another process is writing {target}",
            fix="wait until it has finished, or choose another folder with "
            "--to",
        ) from error
    try:
        delete_partials(target)
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink()
        lock.release()


@contextlib.contextmanager
def _named(place: Path, name: Path) -> Iterator[None]:
    """Let errors name a folder that stays, not the one it is made in."""
    try:
        yield
    except LocalLLMError as error:
        error.message = error.message.replace(str(place), str(name))
        raise
