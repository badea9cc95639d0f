# -*- coding: utf-8 -*-
"""Merges an adapter into its base model, and saves that as a model.

The base is reloaded unquantized: added to 4-bit weights, an adapter would be
rounded away in part. What is saved is an ordinary model folder, which ends
its replies by itself. Raises WeightsError and CheckpointError.
"""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from peft.tuners.lora import LoraLayer

from .adapters import load_adapter, peft_model
from .base_model import BaseModel, load_private_model
from .errors import CheckpointError, WeightsError
from .memory import total_memory_bytes
from .model_sources import LoadRequest, Progress, resolve
from .model_weights import translated_load_errors

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

_ROOM_FOR_THE_REST = 200 * 10**6
"""Bytes for tokenizer, configuration and report."""


def write_merged_model(
    run: Path,
    request: LoadRequest,
    folder: Path,
    progress: Progress = lambda text: None,
) -> None:
    """Merge the adapter of a run and save the model.

    Args:
        run (`Path`):
            The folder with the adapter.
        request (`LoadRequest`):
            The unquantized base model, see `finished_runs.unquantized_base`.
        folder (`Path`):
            An existing folder to write into.
        progress (`Callable[[str], None]`, optional):
            Told what is going on, in a few words.

    Raises:
        `WeightsError`: The base cannot be loaded, is not the adapter's, or
            the two do not add up.
        `CheckpointError`: The disk has filled up.
    """
    base = load_private_model(request, progress)
    adapter = load_adapter(base, run)
    progress("merging the adapter")
    model = _merged(base, adapter)
    _end_replies(model, base)
    progress("saving the merged model")
    _save(model, base, folder)


def count_parameters(
    request: LoadRequest,
    progress: Progress = lambda text: None,
) -> int:
    """How many weights a base model has, from its configuration alone.

    Raises:
        `ModelAccessError`: The repository cannot be reached with this token.
        `WeightsError`: What is there is no model, or stored quantized.
    """
    from transformers import AutoConfig, AutoModelForCausalLM

    source = resolve(request, progress)
    with translated_load_errors(request), torch.device("meta"):
        config = AutoConfig.from_pretrained(
            source,
            revision=request.revision,
            token=request.token,
            trust_remote_code=False,
        )
        _refuse_quantized(config, request.source)
        return AutoModelForCausalLM.from_config(config).num_parameters()


def check_memory(request: LoadRequest, parameters: int) -> None:
    """Find out, before it is loaded, whether a model fits into memory.

    Raises:
        `WeightsError`: It does not.
    """
    name = request.quantization_arguments()["bnb_4bit_compute_dtype"]
    wanted = parameters * getattr(torch, name).itemsize
    if wanted > total_memory_bytes():
        raise WeightsError(
            f"{request.source} takes {wanted / 1e9:.0f} GB in {name}, this "
            f"machine has {total_memory_bytes() / 1e9:.0f} GB of memory",
            fix="use --dtype bfloat16, or a machine with more memory",
        )


def check_disk(target: Path, wanted: int) -> None:
    """Find out, before anything is written, whether there is room for it.

    Args:
        target (`Path`):
            What will be written.
        wanted (`int`):
            The bytes of its weights.

    Raises:
        `CheckpointError`: The disk is too full.
    """
    wanted += _ROOM_FOR_THE_REST
    folder = next(one for one in target.absolute().parents if one.is_dir())
    free = shutil.disk_usage(folder).free
    if wanted > free:
        raise CheckpointError(
            f"{target.absolute()} needs {wanted / 1e9:.1f} GB, and "
            f"{free / 1e9:.1f} GB are free there",
            fix="free some disk space, or choose another folder with --to",
        )


def _refuse_quantized(config: "PreTrainedConfig", source: str) -> None:
    if getattr(config, "quantization_config", None):
        raise WeightsError(
            f"the weights of {source} are stored quantized, so that a merged "
            f"adapter would be rounded away in part",
            fix="name the model that they were made from with --base",
        )


def _merged(base: BaseModel, adapter: str) -> "PreTrainedModel":
    _untie(base.model)
    try:
        # The safe way looks for NaN in each product before it is used.
        return peft_model(base).merge_and_unload(
            safe_merge=True,
            adapter_names=[adapter],
        )
    except ValueError as error:
        raise WeightsError(
            f"the adapter cannot be merged into {base.name}: {error}",
            fix="restore the run from a copy, or train again",
        ) from error


def _untie(model: "PreTrainedModel") -> None:
    """Give the head weights of its own, where it shares the embedding's and
    the adapter changes but one of the two, or each in another way."""
    ends = [model.get_input_embeddings(), model.get_output_embeddings()]
    if not any(isinstance(one, LoraLayer) for one in ends):
        return
    embedding, head = (getattr(one, "base_layer", one) for one in ends)
    if head.weight is embedding.weight:
        head.weight = torch.nn.Parameter(embedding.weight.detach().clone())
        model.config.tie_word_embeddings = False


def _save(model: "PreTrainedModel", base: BaseModel, folder: Path) -> None:
    try:
        model.save_pretrained(folder)
        base.tokenizer.save_pretrained(folder)
    # What the file system refuses is another exception in each library, and
    # tokenizers raises nothing narrower.
    except Exception as error:
        raise CheckpointError(
            f"cannot write {folder.absolute()}: {error}",
            fix="free some disk space, or choose another folder with --to",
        ) from error


def _end_replies(model: "PreTrainedModel", base: BaseModel) -> None:
    """Put the tokens that end a reply where `generate` looks for them."""
    generation = model.generation_config
    generation.eos_token_id = list(base.chat_format.stop_ids)
    generation.pad_token_id = base.tokenizer.pad_token_id
    generation.bos_token_id = base.tokenizer.bos_token_id
    # Else `generate` would take the tokens of config.json instead.
    generation._from_model_config = False
