# -*- coding: utf-8 -*-
"""Loads the weights of a model, quantized, from its files or a kept copy.

Checks that what the configuration promises is there. Knows no tokenizer and
shares nothing. Raises WeightsError, ModelAccessError and ConfigError.
"""

import contextlib
import logging
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

import torch
from bitsandbytes.nn import Linear4bit

from . import model_files
from .devices import choose_device, choose_dtype
from .errors import LocalLLMError, WeightsError
from .hub_access import explain_hub_error
from .model_sources import LoadRequest, Progress
from .quantized_copies import QuantizedCopy, copy_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel

log = logging.getLogger(__name__)


def load_weights(
    request: LoadRequest,
    folder: str,
    progress: Progress,
) -> "PreTrainedModel":
    """Load a model for replies, on the device that the request asks for.

    Args:
        request (`LoadRequest`):
            What to load, and how.
        folder (`str`):
            What `resolve` made of its source.
        progress (`Callable[[str], None]`):
            Told what is going on.

    Raises:
        `ConfigError`: The device is not there.
        `ModelAccessError`: The hub refuses.
        `WeightsError`: What is there cannot be loaded.
    """
    device = choose_device(request.device)
    arguments = request.quantization_arguments()
    wanted = request.dtype or arguments.get("bnb_4bit_compute_dtype")
    dtype = choose_dtype(device, wanted, request.cache)
    if arguments.get("load_in_4bit") or arguments.get("load_in_8bit"):
        arguments.setdefault("bnb_4bit_compute_dtype", dtype)
    else:
        arguments = {}
    shared: dict[str, Any] = {"dtype": dtype, "device_map": {"": device}}
    copy = copy_of(request, folder, arguments, str(dtype), device)
    if copy is not None and copy.is_usable():
        model = _from_copy(copy, request, folder, shared)
        if model is not None:
            return model
    model = _from_source(request, folder, arguments, shared)
    # Who changes the files meanwhile gets no copy of something in between.
    if copy == copy_of(request, folder, arguments, str(dtype), device):
        _keep(copy, model, progress)
    return model


def _from_source(
    request: LoadRequest,
    folder: str,
    quantization: dict[str, Any],
    shared: dict[str, Any],
) -> "PreTrainedModel":
    from transformers import BitsAndBytesConfig

    if quantization:
        config = BitsAndBytesConfig(**quantization)
        shared = {**shared, "quantization_config": config}
    access = {"revision": request.revision, "token": request.token}
    return _pretrained(request, folder, {**shared, **access})


def _from_copy(
    copy: QuantizedCopy,
    request: LoadRequest,
    folder: str,
    shared: dict[str, Any],
) -> "PreTrainedModel | None":
    """The model of a copy, None where the libraries refuse it."""
    try:
        model = _pretrained(request, str(copy.folder), shared)
    except WeightsError as error:
        log.warning("4-bit weights are made anew: %s", error.message)
        copy.remove()
        return None
    # What adapters name as their base is the model, not its copy.
    model.name_or_path = model.config._name_or_path = folder
    return model


def _pretrained(
    request: LoadRequest,
    folder: str,
    arguments: dict[str, Any],
) -> "PreTrainedModel":
    from transformers import AutoModelForCausalLM

    with translated_load_errors(request):
        model, report = AutoModelForCausalLM.from_pretrained(
            folder,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
            **arguments,
        )
    _check_complete(model, report["missing_keys"], request.source)
    return model.eval()


def _keep(
    copy: QuantizedCopy | None,
    model: "PreTrainedModel",
    progress: Progress,
) -> None:
    if copy is not None and copy.is_wanted(model):
        progress("keeping the 4-bit weights for the next load (once)")
        copy.keep(model)


@contextlib.contextmanager
def translated_load_errors(request: LoadRequest) -> Iterator[None]:
    """Turn whatever a loader raises into one error of this package.

    One of the places that catch everything: the loaders of transformers,
    safetensors, tokenizers and bitsandbytes raise plain Exception among
    others.
    """
    try:
        yield
    except LocalLLMError:
        raise
    except Exception as error:  # noqa: BLE001
        raise _explain_load_error(error, request) from error


def _explain_load_error(
    error: Exception,
    request: LoadRequest,
) -> LocalLLMError:
    source = request.source
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return WeightsError(
            f"{source} does not fit into memory: {error}",
            fix="load it in 4-bit, or use a smaller model",
        )
    if not model_files.is_local(source):
        explained = explain_hub_error(error, request.repository)
        if explained is not None:
            return explained
    return WeightsError(
        f"{source} cannot be loaded: {type(error).__name__}: {error}",
        fix="check that the model is complete and that this version of "
        "transformers has its architecture",
    )


def _check_complete(
    model: "PreTrainedModel",
    missing: Collection[str],
    source: str,
) -> None:
    """Refuse files that do not hold what the configuration promises: what
    they lack would be random numbers, of another shape it would be used."""
    wrong = [
        f"{name}.weight"
        for name, layer in model.named_modules()
        if isinstance(layer, Linear4bit)
        and layer.quant_state is not None
        and tuple(layer.quant_state.shape)
        != (layer.out_features, layer.in_features)
    ]
    wrong = sorted({*missing, *wrong})
    if wrong:
        raise WeightsError(
            f"{source} lacks {len(wrong)} of the tensors that its config.json "
            f"describes, first {wrong[0]}",
            fix="download the model again, whole",
        )
