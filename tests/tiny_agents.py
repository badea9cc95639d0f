# -*- coding: utf-8 -*-
"""Settings, wrappers and agents over the tiny models.

A project is a folder with a saved model in `model` and conversations in
`data.json`, as the fixture of that name makes it.
"""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agentscope.message import Msg, UserMsg
from agentscope.model import ChatResponse

from finetune_dialog_agent import Finetune_DialogAgent
from huggingface_model import HuggingFaceWrapper
from local_llm.local_model import LocalModel
from local_llm.settings import parse_settings
from local_llm.surroundings import Surroundings

TRAINING: dict[str, Any] = {
    "max_steps": 6,
    "learning_rate": 5e-2,
    "per_device_train_batch_size": 2,
    "warmup_steps": 0,
}
"""Enough for a reply that differs; takes a second."""

FINE_TUNING: dict[str, Any] = {
    "held_out_rows": 2,
    "lora_config": {"r": 4, "lora_alpha": 8, "lora_dropout": 0.0},
    "training_args": TRAINING,
}


def write_rows(path: Path, count: int = 8, answer: str = "Answer") -> Path:
    """Write conversations in LIMA's schema."""
    rows = [
        {"conversations": [f"Question {i}?", f"{answer} number {i}."]}
        for i in range(count)
    ]
    path.write_text(json.dumps(rows))
    return path


def entry(**changes: Any) -> dict[str, Any]:
    """The config of a project's model; None takes a key out."""
    values = {
        "config_name": "tiny",
        "model_type": "huggingface",
        "local_model_path": "model",
        "device": "cpu",
        "max_length": 12,
        "fine_tune_config": FINE_TUNING,
        **changes,
    }
    return {key: one for key, one in values.items() if one is not None}


def tuned_entry(**changes: Any) -> dict[str, Any]:
    """The same, fine-tuned on the project's conversations."""
    return entry(**{"data_path": "data.json", "output_dir": "run", **changes})


def fine_tuning(**training: Any) -> dict[str, Any]:
    """The fine-tuning settings with other training arguments."""
    return {**FINE_TUNING, "training_args": {**TRAINING, **training}}


def local_model(project: Path, **changes: Any) -> LocalModel:
    """The model of a project, nothing loaded yet."""
    settings = parse_settings(tuned_entry(**changes), "the test")
    return LocalModel(settings, Surroundings(project, project / "cache"))


def wrapper(
    project: Path,
    config: dict[str, Any] | None = None,
    **arguments: Any,
) -> HuggingFaceWrapper:
    """A chat model over a project's model, not fine-tuned unless told so."""
    return HuggingFaceWrapper(
        config=config or entry(),
        base_folder=project,
        **arguments,
    )


def dialog_agent(
    model: Any,
    name: str = "Alice",
    system_prompt: str = "",
    **arguments: Any,
) -> Finetune_DialogAgent:
    """The agent under test."""
    return Finetune_DialogAgent(name, system_prompt, model, **arguments)


def asked(text: str) -> list[Msg]:
    """A conversation of one question."""
    return [UserMsg("user", text)]


async def respond(
    model: HuggingFaceWrapper,
    text: str,
    **arguments: Any,
) -> ChatResponse:
    """The last response to one question, streamed or not."""
    response = await model(asked(text), **arguments)
    if isinstance(response, ChatResponse):
        return response
    return [chunk async for chunk in response][-1]


def text_of(response: ChatResponse) -> str:
    """The words of a response."""
    return "".join(block.text for block in response.content)


async def answer(model: HuggingFaceWrapper, text: str, **more: Any) -> str:
    """What the model says to one question."""
    return text_of(await respond(model, text, **more))


@contextmanager
def messages_of(name: str, level: int = logging.INFO) -> Iterator[list[str]]:
    """What is logged under a name, whatever the root logger does."""
    seen: list[str] = []
    handler = logging.Handler(level)
    handler.emit = lambda record: seen.append(record.getMessage())
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(level)
    logger.addHandler(handler)
    try:
        yield seen
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
