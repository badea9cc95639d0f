# -*- coding: utf-8 -*-
"""The embedded Gemma 3 270M, written as GGUF and asked in llama.cpp."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from llama_cpp import Runtime
from tiny_gguf import TEXTS
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl.chat_template_utils import gemma_chat_template

from local_llm.atomic_files import MANIFEST_NAME
from local_llm.chat_format import ChatFormat
from local_llm.embedded_model import embedded_folder
from local_llm.gguf_export import write_gguf
from local_llm.surroundings import cache_folder
from local_llm.turns import Turn

CONVERSATIONS = (
    Path(__file__).resolve().parents[1] / "data/assistant_conversations.json"
)
QUESTIONS = [
    "What is a healthy breakfast?",
    "Name three colours.",
    "Explain rain to a child.",
]
NEW_TOKENS = 24


@dataclass(frozen=True)
class Exported:
    """The model's folder and its file, open in llama.cpp."""

    folder: Path
    file: Path
    runtime: Runtime
    chat_format: ChatFormat


@pytest.fixture(scope="module", name="exported")
def fixture_exported(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Exported]:
    """The embedded model with the template of the project."""
    place = tmp_path_factory.mktemp("embedded")
    folder = place / "model"
    folder.mkdir()
    stored = embedded_folder(cache_folder(os.environ), lambda doing: None)
    for path in stored.iterdir():
        if path.name != MANIFEST_NAME:
            (folder / path.name).symlink_to(path)
    (folder / "chat_template.jinja").write_text(gemma_chat_template)
    file = write_gguf(folder, place / "embedded.gguf", "f16")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    runtime = Runtime(file, threads=2)
    yield Exported(folder, file, runtime, ChatFormat(tokenizer))
    file.unlink()


def texts() -> list[str]:
    """Every text of the project's own conversations, and odd ones."""
    rows = json.loads(CONVERSATIONS.read_text(encoding="utf-8"))
    spoken = [turn for row in rows for turn in row["conversations"]]
    spaces = [f"a{' ' * count}b{chr(10) * count}c" for count in range(1, 70)]
    return [*spoken, *TEXTS, *spaces, CONVERSATIONS.read_text()[:20000]]


def test_llama_cpp_splits_every_text_as_transformers_does(
    exported: Exported,
) -> None:
    tokenizer = exported.chat_format.tokenizer
    wrong = [
        text
        for text in texts()
        if exported.runtime.ids(text) != tokenizer.encode(text)
    ]
    assert wrong == []


def test_llama_cpp_answers_with_the_tokens_of_transformers(
    exported: Exported,
) -> None:
    """In float32, so that transformers rounds less than the file does. Each
    token must be the likeliest after those before it."""
    model = AutoModelForCausalLM.from_pretrained(
        exported.folder,
        dtype=torch.float32,
    )
    for question in QUESTIONS:
        message = {"role": "user", "content": question}
        prompt = exported.runtime.prompt([message])
        ids = exported.chat_format.prompt_ids([Turn("user", question)])
        assert exported.runtime.ids(prompt) == ids
        found = exported.runtime.complete(ids, NEW_TOKENS)["tokens"]
        assert len(found) == NEW_TOKENS
        with torch.no_grad():
            logits = model(
                torch.tensor([ids + found[:-1]]),
                logits_to_keep=NEW_TOKENS,
            ).logits[0]
        assert found == logits.argmax(-1).tolist()
