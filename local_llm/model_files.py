# -*- coding: utf-8 -*-
"""Checks the files of a model before anything loads them.

Says what is missing or unsafe: only safetensors are read, since a pickle runs
code when it is opened. Raises WeightsError and ModelAccessError.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import WeightsError
from .hub_access import HubRepository, translated_hub_errors

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")
_CONVERTER = (
    "convert the weights with `safetensors.torch.save_file`, or use a "
    "repository that has safetensors"
)


def is_local(source: str) -> bool:
    """Whether a source names a place on this machine, not on the hub."""
    return source.startswith((".", "~")) or Path(source).is_absolute()


def check_folder(folder: Path) -> None:
    """Check that a folder has what a model needs.

    Raises:
        `WeightsError`: It does not exist, a file is missing, the weights are
            pickles, or the index points to a missing or an outside file.
    """
    _check_is_folder(folder, "model")
    if not (folder / "config.json").is_file():
        raise WeightsError(
            f"{folder.resolve()} has no config.json",
            fix="give the folder that `save_pretrained` wrote",
        )
    source = str(folder.resolve())
    _refuse_remote_code(_read_config(folder / "config.json", source), source)
    if not any(folder.glob("*.safetensors")):
        _refuse_without_safetensors(folder)
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        _check_index(index)


def check_tokenizer_folder(folder: Path) -> None:
    """Check that a folder has a tokenizer.

    Raises:
        `WeightsError`: It does not exist or has none.
    """
    _check_is_folder(folder, "tokenizer")
    names = ("tokenizer.json", "tokenizer.model", "tokenizer_config.json")
    if not any((folder / name).is_file() for name in names):
        raise WeightsError(
            f"{folder.resolve()} has no tokenizer; looked for "
            f"{', '.join(names)}",
            fix="give the folder that the tokenizer was saved to",
        )


def load_tokenizer(folder: Path) -> "PreTrainedTokenizerBase":
    """The tokenizer of a folder.

    Raises:
        `WeightsError`: There is none, or its files are broken.
    """
    from transformers import AutoTokenizer

    check_tokenizer_folder(folder)
    try:
        return AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError, KeyError) as error:
        raise WeightsError(
            f"the tokenizer of {folder.absolute()} cannot be used: {error}",
            fix="give the folder that `save_pretrained` wrote",
        ) from error


def check_hub_repository(repository: HubRepository) -> None:
    """Fetch the small configuration first: access is found out now, and not
    after gigabytes.

    Raises:
        `ModelAccessError`: The repository cannot be reached with this token.
        `WeightsError`: It has no configuration, or wants its code to be run.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import RemoteEntryNotFoundError

    with translated_hub_errors(repository):
        try:
            path = hf_hub_download(
                repository.repo_id,
                "config.json",
                revision=repository.revision,
                token=repository.token,
            )
        except RemoteEntryNotFoundError as error:
            raise WeightsError(
                f"{repository.repo_id} has no config.json",
                fix="use a repository with the files of `save_pretrained`; "
                "of a GGUF repository, download the file and name its path",
            ) from error
    config = _read_config(Path(path), repository.repo_id)
    _refuse_remote_code(config, repository.repo_id)


def _check_is_folder(folder: Path, what: str) -> None:
    if not folder.exists():
        raise WeightsError(
            f"the {what} folder does not exist: {folder.absolute()}",
            fix="correct the path; a relative one counts from the project",
        )
    if not folder.is_dir():
        raise WeightsError(
            f"{folder.absolute()} is not a folder",
            fix=f"give the folder of the {what}, or a .gguf file",
        )


def _refuse_without_safetensors(folder: Path) -> None:
    pickles = [file.name for kind in _PICKLES for file in folder.glob(kind)]
    if pickles:
        raise WeightsError(
            f"{folder.resolve()} has pickled weights only "
            f"({', '.join(sorted(pickles))}); opening them could run code",
            fix=_CONVERTER,
        )
    raise WeightsError(
        f"{folder.resolve()} has no weights (*.safetensors)",
        fix="download the model again, whole",
    )


def _check_index(index: Path) -> None:
    try:
        shards = set(json.loads(index.read_text())["weight_map"].values())
        names = sorted(shards)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise _no_index(index) from error
    if not all(isinstance(name, str) for name in names):
        raise _no_index(index)
    for shard in names:
        path = (index.parent / shard).resolve()
        if path.parent != index.parent.resolve() or not path.is_file():
            raise WeightsError(
                f"{index.name} names {shard!r}, which is not in "
                f"{index.parent.resolve()}",
                fix="download the model again, whole",
            )


def _no_index(index: Path) -> WeightsError:
    return WeightsError(
        f"{index} is not a weight index",
        fix="download the model again, whole",
    )


def _read_config(path: Path, source: str) -> dict:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise WeightsError(
            f"the config.json of {source} is not JSON: {error}",
            fix="download the model again, whole",
        ) from error
    if not isinstance(config, dict):
        raise WeightsError(f"the config.json of {source} is not an object")
    return config


def _refuse_remote_code(config: dict, source: str) -> None:
    if config.get("auto_map") and not _is_known(config):
        raise WeightsError(
            f"{source} can only be loaded by running its own code, which "
            f"this program never does",
            fix="use a model whose architecture transformers has",
        )


def _is_known(config: dict) -> bool:
    from transformers import CONFIG_MAPPING

    return config.get("model_type") in CONFIG_MAPPING
