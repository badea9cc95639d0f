# -*- coding: utf-8 -*-
"""Loads base models and shares them inside a process.

A base model is the weights as published, quantized to 4 bits, with tokenizer
and chat format; adapters come on top elsewhere. Reads hub repositories, local
folders, GGUF files and the embedded model; of weights only safetensors and
GGUF, and never runs code of a repository. Raises WeightsError and
ModelAccessError.
"""

import hashlib
import json
import logging
import threading
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from . import model_files
from .chat_format import ChatFormat
from .cpu_threads import give_back_threads
from .decoding_parts import decoding_parts, make_head_input_contiguous
from .errors import WeightsError
from .exact_weights import ExactWeights
from .memory import give_back_freed_memory
from .model_lock import ModelLock
from .model_sources import LoadRequest, Progress, resolve
from .model_weights import load_weights, translated_load_errors

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
        cuda_graphs (`bool`):
            Whether its replies may come from captured steps.
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
    cuda_graphs: bool = False

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
    model = load_weights(request, folder, progress)
    _check_vocabulary(tokenizer, model, request.source)
    make_head_input_contiguous(model)
    # Replies are computed in another thread.
    give_back_threads()
    give_back_freed_memory()
    return BaseModel(
        model=model,
        tokenizer=tokenizer,
        chat_format=chat_format,
        name=request.source,
        fingerprint=_fingerprint(model),
        context_size=context_size(model.config),
        lock=ModelLock(),
        weights=ExactWeights(model, decoding_parts(model, request.fast_head)),
        revision=request.revision,
        cuda_graphs=request.cuda_graphs,
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
