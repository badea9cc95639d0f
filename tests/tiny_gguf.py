# -*- coding: utf-8 -*-
"""Random models of every family that can be written as GGUF, and the kinds of
tokenizers that they come with."""

import json
from pathlib import Path
from typing import Any

import torch
from tiny_models import (
    DIMENSIONS,
    LOUD,
    SPECIAL,
    TURN_MARKS,
    VOCABULARY,
    gemma,
    gemma3,
    make_tokenizer,
)
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
)
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)
from transformers.tokenization_utils_base import generate_merges
from trl.chat_template_utils import gemma_chat_template

from local_llm.gguf_vocabulary import LLAMA_3_SPLIT

SPACE = "\u2581"
PIECES = [
    *"th he in er an re on at en is or the and ing ion ent".split(),
    *(f"{SPACE}{one}" for one in "t a s the o w c th".split()),
    *(SPACE * count for count in range(2, 9)),
    *"Ha Hal llo llo,".split(),
]
"""More than one character each; what two of them make may be a third."""

LLAMA_3_SCALING = {
    "rope_type": "llama3",
    "rope_theta": 10000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}

TEXTS = [
    "What is the capital of France?",
    "  two spaces before, and after  ",
    "one\ntwo\n\n\nthree\t\ttabs\r\n",
    "emoji \U0001f642 and \U0001f468\u200d\U0001f469\u200d\U0001f467, \u00e9t\u00e9, \u6f22\u5b57",
    "a" + " " * 11 + "b",
    "x <end_of_turn>\n<start_of_turn>model\ny",
    "1234567 don't WE'LL 3.14 ---- ...",
    "a1b22 c\u00bd \u2163x \u0664\u0665 12\u00b2 x 123",
]


def sentencepiece(*, prefix_space: bool = False) -> PreTrainedTokenizerFast:
    """A vocabulary as sentencepiece makes it, with bytes for the rest.

    Args:
        prefix_space (`bool`, optional):
            Whether a text begins with a space, as in Llama 2, or does not,
            as in Gemma.
    """
    letters = sorted({one for piece in PIECES for one in piece})
    others = [chr(code) for code in range(33, 127) if chr(code) not in letters]
    named = [*SPECIAL, *TURN_MARKS]
    alphabet = [f"<0x{byte:02X}>" for byte in range(256)]
    pieces = dict.fromkeys([*PIECES, *letters, *others])
    tokens = [*named, *alphabet, *pieces]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    merges = generate_merges(vocabulary, skip_tokens=[*named, *alphabet])
    backend = Tokenizer(
        models.BPE(
            vocab=vocabulary,
            merges=merges,
            unk_token="<unk>",
            byte_fallback=True,
            fuse_unk=True,
        ),
    )
    steps = [normalizers.Replace(" ", SPACE)]
    if prefix_space:
        steps.insert(0, normalizers.Prepend(SPACE))
    backend.normalizer = normalizers.Sequence(steps)
    backend.decoder = decoders.Sequence(
        [
            decoders.Replace(SPACE, " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
        ],
    )
    return _finished(backend)


def with_metaspace(scheme: str) -> PreTrainedTokenizerFast:
    """The same vocabulary, with the step that newer Llamas and Mistrals use
    instead: a space goes before texts "always", or "first" in a whole one."""
    tokenizer = sentencepiece()
    backend = tokenizer.backend_tokenizer
    backend.normalizer = normalizers.Sequence([])
    backend.pre_tokenizer = pre_tokenizers.Metaspace(
        prepend_scheme=scheme,
        split=False,
    )
    return tokenizer


def byte_level(*, like_llama_3: bool = True) -> PreTrainedTokenizerFast:
    """A byte-level vocabulary, split as Llama 3 or as GPT-2 does it."""
    trained = make_tokenizer(unflagged=())
    if like_llama_3:
        trained.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(LLAMA_3_SPLIT), "isolated"),
                pre_tokenizers.ByteLevel(
                    add_prefix_space=False,
                    use_regex=False,
                ),
            ],
        )
    return _finished(trained.backend_tokenizer)


def like_smollm() -> PreTrainedTokenizerFast:
    """A byte-level vocabulary in which every digit stands alone, so that its
    merges of digits are never made."""
    tokenizer = byte_level(like_llama_3=False)
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    for pair in (["\u0120", "1"], ["1", "2"], ["2", "3"]):
        state["model"]["merges"].append(pair)
        vocabulary = state["model"]["vocab"]
        vocabulary["".join(pair)] = len(vocabulary)
    backend = Tokenizer.from_str(json.dumps(state))
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ],
    )
    return _finished(backend)


def _finished(backend: Tokenizer) -> PreTrainedTokenizerFast:
    """With control tokens, a beginning and Gemma's template."""
    backend.add_special_tokens(
        [AddedToken(one, special=True) for one in (*SPECIAL, *TURN_MARKS)],
    )
    backend.post_processor = processors.TemplateProcessing(
        single="<bos> $A",
        pair="<bos> $A <bos> $B",
        special_tokens=[("<bos>", backend.token_to_id("<bos>"))],
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="<pad>",
        eos_token="<eos>",
        bos_token="<bos>",
        unk_token="<unk>",
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = gemma_chat_template
    return tokenizer


def gemma2(**changes: Any) -> PreTrainedModel:
    """A random Gemma 2; its windows are shorter than the prompts here."""
    return _random(
        Gemma2ForCausalLM,
        Gemma2Config(
            **_dimensions(
                {
                    "sliding_window": 8,
                    "head_dim": 256,
                    "query_pre_attn_scalar": 256,
                    **changes,
                },
            ),
        ),
    )


def gemma3_of_six_layers(**changes: Any) -> PreTrainedModel:
    """A random Gemma 3 with its own pattern of layers, and a tied head."""
    return _with_norms(
        gemma3(
            **{
                "vocab_size": ROWS,
                "num_hidden_layers": 6,
                "layer_types": None,
                "tie_word_embeddings": True,
                "sliding_window": 8,
                "head_dim": 256,
                "query_pre_attn_scalar": 256,
                **changes,
            },
        ),
    )


def gemma3_with_images(**changes: Any) -> PreTrainedModel:
    """The same as a part of a model that sees images too."""
    text = gemma3_of_six_layers(**changes)
    config = Gemma3Config(
        text_config=text.config.to_dict(),
        vision_config={
            "hidden_size": 32,
            "intermediate_size": 32,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "image_size": 28,
            "patch_size": 14,
        },
        mm_tokens_per_image=4,
        tie_word_embeddings=text.config.tie_word_embeddings,
    )
    model = Gemma3ForConditionalGeneration(config)
    model.model.language_model.load_state_dict(text.model.state_dict())
    model.lm_head.load_state_dict(text.lm_head.state_dict())
    return model.eval()


def gemma1(**changes: Any) -> PreTrainedModel:
    """A random Gemma of the first generation."""
    return _with_norms(gemma(**{"vocab_size": ROWS, **changes}))


def llama(**changes: Any) -> PreTrainedModel:
    """A random Llama with a head of its own and grouped queries."""
    return _random(LlamaForCausalLM, LlamaConfig(**_dimensions(changes)))


def mistral(**changes: Any) -> PreTrainedModel:
    """A random Mistral without a window."""
    chosen = {"sliding_window": None, **changes}
    return _random(MistralForCausalLM, MistralConfig(**_dimensions(chosen)))


ROWS = 480
"""Rows of the embeddings; the tokenizers here have fewer tokens."""

assert ROWS > VOCABULARY


def save(
    folder: Path,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
) -> Path:
    """Write both as an export of the project lays them out."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _dimensions(changes: dict[str, Any]) -> dict[str, Any]:
    return {
        **DIMENSIONS,
        "vocab_size": ROWS,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "initializer_range": LOUD,
        **changes,
    }


def _random(model_class: type[PreTrainedModel], config: Any) -> Any:
    torch.manual_seed(3)
    return _with_norms(model_class(config))


def _with_norms(model: PreTrainedModel) -> PreTrainedModel:
    """Norms that differ from each other and from one."""
    generator = torch.Generator().manual_seed(4)
    for name, parameter in model.named_parameters():
        if "norm" in name:
            noise = torch.rand(parameter.shape, generator=generator)
            parameter.data += 0.5 * noise
    return model.eval()
