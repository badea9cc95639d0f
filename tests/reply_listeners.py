# -*- coding: utf-8 -*-
"""What tests of replies share: requests, listeners, adapters that are heard."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import torch
from tiny_models import make_tokenizer, prompt

from local_llm.adapters import adapter_parameters, add_adapter
from local_llm.base_model import BaseModel
from local_llm.generation import (
    Delivery,
    Failure,
    Piece,
    Request,
    Sampling,
)

QUESTION = "What is the capital of France?"


def never_stop(base: BaseModel) -> None:
    base.model.generation_config.suppress_tokens = list(
        base.chat_format.stop_ids,
    )


def slow_down(
    monkeypatch: pytest.MonkeyPatch,
    base: BaseModel,
    seconds: float,
) -> list[int]:
    """Slows every forward with a head down; returns the rows of each."""
    rows: list[int] = []
    forward = base.model.forward

    def slowed(input_ids: torch.Tensor, **more: Any) -> Any:
        rows.append(len(input_ids))
        time.sleep(seconds)
        return forward(input_ids=input_ids, **more)

    monkeypatch.setattr(base.model, "forward", slowed)
    return rows


def adapters_of(base: BaseModel) -> list[str]:
    assert base.peft_model is not None
    return list(base.peft_model.peft_config)


def request_of(base: BaseModel, **more: Any) -> Request:
    return Request(
        prompt_ids=more.pop("prompt_ids", prompt(base, QUESTION)),
        deliver=more.pop("deliver", lambda delivery: None),
        **{"max_new_tokens": 8, "timeout_s": 60.0, **more},
    )


def seeded(seed: int) -> Sampling:
    return Sampling(do_sample=True, temperature=1.0, seed=seed)


def loud_adapter(base: BaseModel, seed: int, **config: Any) -> str:
    """A fresh adapter that changes every reply."""
    name = add_adapter(base, {"r": 4, **config})
    generator = torch.Generator().manual_seed(seed)
    for parameter in adapter_parameters(base, name).values():
        noise = torch.randn(parameter.shape, generator=generator)
        parameter.data = (noise * 0.3).to(parameter.dtype)
    return name


class Listener:
    """Collects what is delivered and waits for the end of it."""

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []
        self.ended = threading.Event()

    def __call__(self, delivery: Delivery) -> None:
        self.deliveries.append(delivery)
        last = isinstance(delivery, Failure) or delivery.finish_reason
        if last:
            self.ended.set()

    def pieces(self) -> list[Piece]:
        assert self.ended.wait(60)
        assert all(isinstance(one, Piece) for one in self.deliveries)
        return [one for one in self.deliveries if isinstance(one, Piece)]

    def text(self) -> str:
        return "".join(piece.text for piece in self.pieces())


def soon(is_so: Callable[[], bool]) -> bool:
    """Whether it becomes so; the worker may still be at its last lines."""
    deadline = time.monotonic() + 5
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def bytes_of(text: str) -> list[int]:
    """One token for each byte, however the tokenizer would merge them."""
    tokenizer = make_tokenizer()
    alphabet = [tokenizer.encode(chr(i))[0] for i in range(33, 127)]
    assert len(set(alphabet)) == 94
    pre = tokenizer.backend_tokenizer.pre_tokenizer
    ids = []
    for piece, _ in pre.pre_tokenize_str(text):
        ids += tokenizer.convert_tokens_to_ids(list(piece))
    return ids
