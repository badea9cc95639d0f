# -*- coding: utf-8 -*-
"""Writes a merged, unquantized model folder as one GGUF file.

For runtimes that are built on llama.cpp. The tensors go through memory one at
a time; the file is there whole or not at all. Merges no adapter. Raises
WeightsError and CheckpointError.
"""

import math
from pathlib import Path
from typing import TYPE_CHECKING

import gguf
from gguf import GGUFWriter, LlamaFileType

from . import atomic_files, disk_room
from .errors import CheckpointError, WeightsError
from .gguf_families import describe, family_of, name_of, text_config
from .gguf_tensors import GgufTensor, Kind, load_tensor, plan_tensors
from .gguf_vocabulary import read_vocabulary
from .model_files import check_folder, load_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedTokenizerBase

_FILE_TYPES = {
    "f16": LlamaFileType.MOSTLY_F16,
    "q8_0": LlamaFileType.MOSTLY_Q8_0,
}
_ROOM_FOR_HEAD = 32_000_000
"""Bytes; Gemma's vocabulary of 262,144 tokens takes 7 MB."""


def write_gguf(folder: Path, target: Path, kind: Kind) -> Path:
    """Write a model folder as a GGUF file.

    A file that stood at `target` is replaced at the end, in one step.

    Args:
        folder (`Path`):
            A folder of `save_pretrained`, with safetensors and tokenizer.
        target (`Path`):
            The file to write; its name ends with `.gguf`.
        kind (`Literal["f16", "q8_0"]`):
            How matrices are stored: two bytes a value, or a little over one.

    Returns:
        `Path`: The file.

    Raises:
        `WeightsError`: The model is of a family, or has a tokenizer, that
            cannot be written; or its files are broken or incomplete.
        `CheckpointError`: The disk is full or read-only.
    """
    check_folder(folder)
    config = _load_config(folder)
    family = family_of(config, str(folder.absolute()))
    plan = plan_tensors(folder, config, family, kind)
    vocabulary = read_vocabulary(load_tokenizer(folder), config.vocab_size)
    _check_room(target, plan)
    with atomic_files.whole_file(target) as partial:
        writer = GGUFWriter(partial, name_of(family))
        try:
            _describe_origin(writer, folder, target, plan)
            describe(writer, config, family)
            vocabulary.describe(writer)
            writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
            writer.add_file_type(_FILE_TYPES[kind])
            _write(writer, plan)
        finally:
            writer.close()
    return target


def check_convertible(
    config: "PreTrainedConfig",
    tokenizer: "PreTrainedTokenizerBase",
    source: str,
) -> None:
    """Find out, before there are weights to write, whether they can be.

    Args:
        config (`PreTrainedConfig`):
            The model's configuration.
        tokenizer (`PreTrainedTokenizerBase`):
            The tokenizer that it will have.
        source (`str`):
            Where the model comes from, for messages.

    Raises:
        `WeightsError`: The family or the tokenizer is none that can be
            written.
    """
    config = text_config(config)
    family_of(config, source)
    read_vocabulary(tokenizer, config.vocab_size)


def _load_config(folder: Path) -> "PreTrainedConfig":
    from transformers import AutoConfig

    try:
        return text_config(AutoConfig.from_pretrained(folder))
    except (OSError, ValueError, KeyError) as error:
        raise WeightsError(
            f"the config.json of {folder.absolute()} cannot be used: {error}",
            fix="export the model again",
        ) from error


def _check_room(target: Path, plan: list[GgufTensor]) -> None:
    """Find a full disk before anything is written."""
    needed = sum(tensor.size for tensor in plan) + _ROOM_FOR_HEAD
    disk_room.check_writable(target)
    free = disk_room.free_bytes(target)
    if free < needed:
        raise CheckpointError(
            f"{target.absolute()} takes {needed / 1e9:.2f} GB, and "
            f"{free / 1e9:.2f} GB are free there",
            fix="free some disk space, or write q8_0 instead of f16",
        )


def _describe_origin(
    writer: GGUFWriter,
    folder: Path,
    target: Path,
    plan: list[GgufTensor],
) -> None:
    """What the file is, and the licence where the model card names one."""
    values = sum(math.prod(one.shape) for one in plan if one.file)
    writer.add_type(gguf.GGUFType.MODEL)
    writer.add_name(target.stem)
    writer.add_size_label(gguf.size_label(values, values, 0, 0))
    licence = _licence(folder / "README.md")
    if licence:
        writer.add_license(licence)


def _licence(card: Path) -> str | None:
    from huggingface_hub import metadata_load
    from yaml import YAMLError

    if not card.is_file():
        return None
    try:
        licence = (metadata_load(card) or {}).get("license")
    except (YAMLError, ValueError, AttributeError):
        return None  # a card that people wrote by hand must not be perfect
    return licence if isinstance(licence, str) else None


def _write(writer: GGUFWriter, plan: list[GgufTensor]) -> None:
    for tensor in plan:
        writer.add_tensor_info(
            tensor.name,
            tensor.stored_shape,
            tensor.dtype,
            tensor.size,
            raw_dtype=tensor.stored,
        )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for tensor in plan:
        writer.write_tensor_data(load_tensor(tensor))
