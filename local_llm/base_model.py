# -*- coding: utf-8 -*-
"""Loads base models and shares them inside a process.

A base model is the weights as published, quantized to 4 bits, with tokenizer
and chat format; adapters come on top elsewhere. Reads hub repositories, local
folders, GGUF files and the embedded model; of weights only safetensors and
GGUF, and never runs code of a repository. Raises WeightsError and
ModelAccessError.
"""

import contextlib
import hashlib
import json
import logging
import threading
import weakref
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from bitsandbytes.nn import Linear4bit

from . import model_files
from .chat_format import ChatFormat
from .devices import choose_device, choose_dtype
from .errors import LocalLLMError, WeightsError
from .exact_weights import ExactWeights
from .hub_access import explain_hub_error
from .model_lock import ModelLock
from .model_sources import LoadRequest, Progress, resolve

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import (
        PretrainedConfig,
        PreTrainedModel,
        PreTrainedTokenizerBase,
    )

log = logging.getLogger(__name__)

_PLAIN_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}Assistant: {% else %}User: "
    "{% endif %}{{ message['content'] | trim }}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}"
    "{{ '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}Assistant: {% endif %}"
)
"""For base models without a template and without turn marks: no new tokens,
a reply ends with the end-of-sequence token that the model knows."""

_FINGERPRINT_ROWS = 64


@dataclass(eq=False)
class BaseModel:
    """Weights in memory, and what is needed to use them.

    Attributes:
        model (`PreTrainedModel`):
            The weights; adapters wrap its layers in place.
        tokenizer (`PreTrainedTokenizerBase`):
            The tokenizer, with a chat template.
        chat_format (`ChatFormat`):
            Turns into ids.
        name (`str`):
            What was loaded, for people.
        fingerprint (`str`):
            sha256 of the architecture and of a sample of the weights.
        context_size (`int`):
            The longest sequence, in tokens.
        lock (`ModelLock`):
            Held by whoever uses the weights.
        weights (`ExactWeights`):
            Switches between the weights for training and for generation.
        peft_model (`PeftModel | None`):
            The same modules with their adapters, None without any.
        engine (`Any`):
            The worker that generates with it; made when first needed.
        named_adapters (`Any`):
            Its adapters by name, see `named_adapters`; made when first
            needed.
        revision (`str | None`):
            Branch, tag or commit of the hub, None for the newest or a path.
    """

    model: "PreTrainedModel"
    tokenizer: "PreTrainedTokenizerBase"
    chat_format: ChatFormat
    name: str
    fingerprint: str
    context_size: int
    lock: ModelLock
    weights: ExactWeights
    peft_model: "PeftModel | None" = None
    engine: Any = None
    named_adapters: Any = None
    revision: str | None = None

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.model.device


_loaded: "weakref.WeakValueDictionary[str, BaseModel]" = (
    weakref.WeakValueDictionary()
)
_loading = threading.Lock()


def load_base_model(
    request: LoadRequest,
    progress: Progress = lambda text: None,
) -> BaseModel:
    """Load a base model, or share the one that this process has.

    Args:
        request (`LoadRequest`):
            What to load, and how.
        progress (`Callable[[str], None]`, optional):
            Told what is going on, in a few words.

    Returns:
        `BaseModel`: Kept in memory as long as somebody holds it.

    Raises:
        `ModelAccessError`: The repository cannot be reached with this token.
        `WeightsError`: What is there cannot be loaded safely.
    """
    with _loading:
        base = _loaded.get(request.key())
        if base is None:
            base = _load(request, progress)
            _loaded[request.key()] = base
        return base


def load_private_model(
    request: LoadRequest,
    progress: Progress = lambda text: None,
) -> BaseModel:
    """Load weights that nobody else in this process will share.

    Raises:
        As `load_base_model`.
    """
    with _loading:
        return _load(request, progress)


def load_tokenizer(
    request: LoadRequest,
    progress: Progress = lambda text: None,
) -> "PreTrainedTokenizerBase":
    """Load a tokenizer alone, with a chat template and a padding token."""
    folder = resolve(request, progress)
    return _load_tokenizer(request, folder)


def load_config(
    request: LoadRequest,
    progress: Progress = lambda text: None,
) -> "PretrainedConfig":
    """Load what describes a model's architecture, without its weights."""
    from transformers import AutoConfig

    folder = resolve(request, progress)
    with translated_load_errors(request):
        return AutoConfig.from_pretrained(
            folder,
            revision=request.revision,
            token=request.token,
            trust_remote_code=False,
        )


def context_size(config: "PretrainedConfig") -> int:
    """The longest sequence of an architecture, in tokens."""
    text = config.get_text_config()
    return getattr(text, "max_position_embeddings", None) or 2048


def use_tokenizer(
    base: BaseModel,
    tokenizer: "PreTrainedTokenizerBase",
) -> None:
    """Give loaded weights another tokenizer.

    Raises:
        `WeightsError`: It does not fit; the one before stays.
    """
    chat_format = ChatFormat(tokenizer)
    _check_vocabulary(tokenizer, base.model, base.name)
    base.tokenizer, base.chat_format = tokenizer, chat_format


def _load(request: LoadRequest, progress: Progress) -> BaseModel:
    folder = resolve(request, progress)
    tokenizer = _load_tokenizer(request, folder)
    chat_format = ChatFormat(tokenizer)
    progress("loading the weights")
    model = _load_weights(request, folder)
    _check_vocabulary(tokenizer, model, request.source)
    _make_head_input_contiguous(model)
    return BaseModel(
        model=model,
        tokenizer=tokenizer,
        chat_format=chat_format,
        name=request.source,
        fingerprint=_fingerprint(model),
        context_size=context_size(model.config),
        lock=ModelLock(),
        weights=ExactWeights(model),
        revision=request.revision,
    )


def _load_tokenizer(
    request: LoadRequest,
    folder: str,
) -> "PreTrainedTokenizerBase":
    from transformers import AutoTokenizer

    if request.tokenizer is not None:
        folder = request.tokenizer
        model_files.check_tokenizer_folder(Path(folder))
    with translated_load_errors(request):
        tokenizer = AutoTokenizer.from_pretrained(
            folder,
            revision=request.revision,
            token=request.token,
            trust_remote_code=False,
        )
    if not tokenizer.chat_template:
        tokenizer.chat_template = _template_for(tokenizer)
    if tokenizer.pad_token_id is None:
        # Harmless where it is also a stop token: padding is masked by the
        # attention mask and by label -100, never by token id.
        tokenizer.pad_token = tokenizer.unk_token or tokenizer.eos_token
    return tokenizer


def _template_for(tokenizer: "PreTrainedTokenizerBase") -> str:
    vocabulary = tokenizer.get_vocab()
    if {"<start_of_turn>", "<end_of_turn>"} <= vocabulary.keys():
        from trl.chat_template_utils import gemma_chat_template

        return gemma_chat_template
    return _PLAIN_TEMPLATE


def _load_weights(request: LoadRequest, folder: str) -> "PreTrainedModel":
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    device = choose_device(request.device)
    arguments = request.quantization_arguments()
    wanted = request.dtype or arguments.get("bnb_4bit_compute_dtype")
    dtype = choose_dtype(device, wanted, request.cache)
    quantized = arguments.get("load_in_4bit") or arguments.get("load_in_8bit")
    if quantized:
        arguments.setdefault("bnb_4bit_compute_dtype", dtype)
    with translated_load_errors(request):
        model, report = AutoModelForCausalLM.from_pretrained(
            folder,
            revision=request.revision,
            token=request.token,
            dtype=dtype,
            device_map={"": device},
            quantization_config=(
                BitsAndBytesConfig(**arguments) if quantized else None
            ),
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    _check_complete(model, report["missing_keys"], request.source)
    return model.eval()


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


def _check_vocabulary(
    tokenizer: "PreTrainedTokenizerBase",
    model: "PreTrainedModel",
    source: str,
) -> None:
    rows = model.get_input_embeddings().weight.shape[0]
    if max(tokenizer.get_vocab().values()) >= rows:
        raise WeightsError(
            f"the tokenizer of {source} has {len(tokenizer)} tokens, its "
            f"weights only {rows}",
            fix="use the tokenizer that belongs to these weights",
        )


def _make_head_input_contiguous(model: "PreTrainedModel") -> None:
    """Spare the CPU a copy of the whole head at each prompt.

    transformers hands the head a slice of the last position. For its strides
    torch's CPU matmul expands the weight: 600 ms instead of 12 ms for Gemma
    3 270M's head of 262,144 x 640 in bfloat16 on two cores.
    """
    if model.device.type != "cpu":
        return

    def contiguous(module: torch.nn.Module, arguments: tuple) -> tuple:
        hidden = arguments[0]
        return (hidden.clone(memory_format=torch.contiguous_format),)

    model.get_output_embeddings().register_forward_pre_hook(contiguous)


def _fingerprint(model: "PreTrainedModel") -> str:
    """sha256 of the shape of the model and of values that no adapter and no
    quantization changes: rows of the embedding, and all norms."""
    config = model.config.get_text_config()
    digest = hashlib.sha256()
    shape = [
        config.model_type,
        config.num_hidden_layers,
        config.hidden_size,
        config.vocab_size,
    ]
    digest.update(json.dumps(shape).encode())
    embedding = model.get_input_embeddings().weight
    step = max(1, embedding.shape[0] // _FINGERPRINT_ROWS)
    samples = [embedding[::step]]
    samples += [
        parameter
        for name, parameter in model.named_parameters()
        if "norm" in name
    ]
    for sample in samples:
        values = sample.detach().to("cpu", torch.bfloat16).view(torch.int16)
        digest.update(values.numpy().tobytes())
    return digest.hexdigest()
