# -*- coding: utf-8 -*-
"""What lies in the folder that a finished run, or an export, has left.

Checks it against its manifest and says whether it holds an adapter, a whole
model or a GGUF file, and on which base it was trained. Loads no weights.
Raises CheckpointError and WeightsError.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from . import atomic_files, model_files, reports
from .adapter_files import ADAPTER_FILE, BASE_FILE, NamedBase, noted_base
from .errors import CheckpointError, WeightsError
from .model_sources import LoadRequest

Holding = Literal["adapter", "model", "gguf"]
Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True)
class RunFolder:
    """The folder of a finished run, its files checked.

    Attributes:
        folder (`Path`):
            Where it is.
        holds (`Literal["adapter", "model", "gguf"]`):
            What training, or an export, has left there.
    """

    folder: Path
    holds: Holding


def read_run_folder(folder: Path) -> RunFolder:
    """Check a folder whole and say what it holds.

    Raises:
        `CheckpointError`: It is not a finished run, or was changed since.
    """
    if not atomic_files.is_sealed(folder):
        what = "is not a finished run" if folder.is_dir() else "does not exist"
        raise CheckpointError(
            f"{folder.absolute()} {what}",
            fix="give the folder that fine-tuning has left, output_dir in "
            "the config",
        )
    reports.check_run(folder)
    if (folder / ADAPTER_FILE).is_file():
        return RunFolder(folder, "adapter")
    if (folder / "config.json").is_file():
        model_files.check_folder(folder)
        return RunFolder(folder, "model")
    if any(folder.glob("*.gguf")):
        return RunFolder(folder, "gguf")
    raise CheckpointError(
        f"{folder.absolute()} holds neither an adapter nor a model",
        fix="give the folder that fine-tuning has left, output_dir in the "
        "config",
    )


def unquantized_base(
    run: RunFolder,
    base: str | None,
    precision: Precision,
    cache: Path,
    token: str | None,
) -> LoadRequest:
    """The request for the base model of an adapter, with dense weights.

    It is for the CPU, which has room where a GPU has not. The tokenizer is
    the run's own.

    Args:
        run (`RunFolder`):
            The run whose adapter goes onto it.
        base (`str | None`):
            Where it is; None takes what the run has noted. The revision is
            the noted one where the name is.
        precision (`Precision`):
            The number format to load it in.
        cache (`Path`):
            Where converted models are kept.
        token (`str | None`):
            For gated repositories.

    Raises:
        `WeightsError`: The run does not say where it is, or it is gone.
    """
    found = _base_of(run.folder, base)
    return LoadRequest(
        source=_existing(found.name),
        revision=found.revision,
        cache=cache,
        tokenizer=str(run.folder.absolute()),
        # Neither of the load_in_ keys: this one alone sets the format.
        quantization={"bnb_4bit_compute_dtype": precision},
        device="cpu",
        token=token,
    )


def _base_of(folder: Path, named: str | None) -> NamedBase:
    noted = noted_base(folder)
    if named and (noted is None or noted.name != named):
        return NamedBase(named)
    if noted is None:
        raise WeightsError(
            f"{(folder / BASE_FILE).absolute()} does not say which base "
            f"model the adapter belongs to",
            fix="name the base model with --base",
        )
    return noted


def _existing(name: str) -> str:
    """A path as an absolute one; anything else as it is."""
    path = Path(name).expanduser()
    if path.exists():
        return str(path.absolute())
    if model_files.is_local(name):
        raise WeightsError(
            f"the base model of the adapter is not at {path} any more",
            fix="name its folder, .gguf file or hub id with --base",
        )
    return name
