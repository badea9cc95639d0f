# -*- coding: utf-8 -*-
"""Random Gemma models of two layers, and the tokenizer that belongs to them.

Real files that the real loaders read; only the size and the weights differ
from what people load. Every dimension is a multiple of 32, as in Gemma.
"""

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    pre_tokenizers,
    trainers,
)
from transformers import (
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GemmaConfig,
    GemmaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from local_llm.base_model import BaseModel, LoadRequest, load_base_model
from local_llm.chat_datasets import Conversation
from local_llm.chat_trainer import ChatTrainer
from local_llm.generation import Piece, Request, engine_of
from local_llm.model_restoration import restored_for_replies
from local_llm.settings import FineTuneSettings
from local_llm.trained_weights import TrainedWeights
from local_llm.training import TrainingRun
from local_llm.training_history import TrainingHistory
from local_llm.training_rows import TrainingRows
from local_llm.turns import Turn

SPECIAL = ["<pad>", "<eos>", "<bos>", "<unk>"]
TURN_MARKS = ["<start_of_turn>", "<end_of_turn>"]
UNFLAGGED = "<start_of_image>"
VOCABULARY = 352
CONTEXT = 512
LOUD = 0.2
"""Of the random weights; with 0.02 so small a model's logits are all alike."""

CHATML = (
    "{% for message in messages %}<start_of_turn>{{ message['role'] }}\n"
    "{{ message['content'] }}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>assistant\n{% endif %}"
)
"""A template that takes a system role and turns in any order."""

ALWAYS_THINKING = CHATML.replace("assistant\n", "assistant\n<think>\n")
"""A template whose prompts end where thoughts begin."""

THINKING = CHATML.replace(
    "assistant\n",
    "assistant\n{% if enable_thinking is defined and not enable_thinking %}"
    "<think>\n\n</think>\n\n{% endif %}",
)
"""A template after which a model thinks, unless it is told not to."""

EXACT: dict[str, Any] = {
    "dtype": "float32",
    "quantization": {"load_in_4bit": False},
}
"""Arguments of `load_own`: a model whose replies do not depend on what else
is computed at the same time."""

_CORPUS = [
    "The user asks and the model answers in the user's own words.",
    "What is the capital of France? The capital of France is Paris.",
    "model user system assistant turn please begin and continue",
]

DIMENSIONS: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 32,
    "max_position_embeddings": CONTEXT,
    "pad_token_id": 0,
    "eos_token_id": 1,
    "bos_token_id": 2,
}


def make_tokenizer(
    *,
    unflagged: tuple[str, ...] = (UNFLAGGED,),
    special: tuple[str, ...] = (*SPECIAL, *TURN_MARKS),
) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer with Gemma's control tokens, no template.

    Args:
        unflagged (`tuple[str, ...]`, optional):
            Added tokens that are not flagged as special.
        special (`tuple[str, ...]`, optional):
            Control tokens; the first four are pad, eos, bos and unk.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        special_tokens=[AddedToken(one, special=True) for one in special],
        show_progress=False,
    )
    tokenizer.train_from_iterator(_CORPUS, trainer)
    tokenizer.add_tokens(
        [AddedToken(one, normalized=False) for one in unflagged],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="<eos>",
        bos_token="<bos>",
        unk_token="<unk>",
        clean_up_tokenization_spaces=False,
    )


def gemma(**changes: Any) -> PreTrainedModel:
    """A random Gemma of the first generation, the same on every call."""
    torch.manual_seed(changes.pop("seed", 1))
    config = {**DIMENSIONS, "initializer_range": LOUD, **changes}
    return GemmaForCausalLM(GemmaConfig(**config))


def gemma3(**changes: Any) -> PreTrainedModel:
    """A random Gemma 3 without images, the same on every call."""
    torch.manual_seed(changes.pop("seed", 2))
    config = {
        **DIMENSIONS,
        "initializer_range": LOUD,
        "sliding_window": 64,
        # Tied, so small a model only ever repeats its last token.
        "tie_word_embeddings": False,
        "layer_types": ["sliding_attention", "full_attention"],
        **changes,
    }
    return Gemma3ForCausalLM(Gemma3TextConfig(**config))


def save_model(folder: Path, model: PreTrainedModel) -> Path:
    """Write a model and its tokenizer as `save_pretrained` lays them out."""
    model.save_pretrained(folder)
    make_tokenizer().save_pretrained(folder)
    return folder


def change_config(folder: Path, **changes: Any) -> None:
    """Edit entries of a saved model's config.json; None takes one out."""
    path = folder / "config.json"
    config = {**json.loads(path.read_text()), **changes}
    kept = {key: value for key, value in config.items() if value is not None}
    path.write_text(json.dumps(kept))


def request_for(folder: Path, **more: Any) -> LoadRequest:
    """A request for a saved model, in 4-bit on the CPU unless told other."""
    return LoadRequest(
        str(folder),
        **{"cache": folder.parent / "cache", "device": "cpu", **more},
    )


def load_own(folder: Path, place: Path, **more: Any) -> BaseModel:
    """A base model that no other test uses: a process shares those of one
    path, so this one is a copy below a place of its own."""
    own = shutil.copytree(folder, place / "own model")
    return load_base_model(request_for(own, **more))


def conversation(*texts: str, where: str = "row 1") -> Conversation:
    """Texts of the user and the assistant in turn, the user first."""
    roles = ("user", "assistant")
    turns = tuple(
        Turn(roles[index % 2], text) for index, text in enumerate(texts)
    )
    return Conversation(turns, where)


def prompt(base: BaseModel, text: str) -> list[int]:
    """The prompt of a conversation with one question."""
    return base.chat_format.prompt_ids([Turn("user", text)])


def generate(base: BaseModel, text: str, **more: Any) -> list[Piece]:
    """All pieces of the reply to one question, when its worker has left the
    model."""
    request = Request(
        prompt_ids=prompt(base, text),
        deliver=lambda delivery: None,
        **{"max_new_tokens": 12, "timeout_s": 60.0, **more},
    )
    pieces = list(engine_of(base).stream(request))
    with base.lock.generating(60.0):
        return pieces


def reply(base: BaseModel, text: str, **more: Any) -> str:
    """The reply to one question."""
    return "".join(piece.text for piece in generate(base, text, **more))


@contextlib.contextmanager
def trainer_of(
    weights: TrainedWeights,
    rows: TrainingRows,
    folder: Path,
    held_out: TrainingRows | None = None,
    max_seq_length: int = 512,
    **training_args: Any,
) -> Iterator[ChatTrainer]:
    """The trainer that a run would build, on a model that may be trained."""
    run = TrainingRun(
        weights,
        rows,
        held_out or TrainingRows([], 0, []),
        FineTuneSettings(
            training_args={"save_strategy": "no", **training_args},
            max_seq_length=max_seq_length,
        ),
        folder,
        TrainingHistory(),
    )
    with restored_for_replies(weights), weights.trainable():
        yield run.build_trainer()
