# -*- coding: utf-8 -*-
"""A real `transformers serve` over a tiny model, on the loopback."""

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tiny_models import gemma, request_for, save_model

from local_llm.base_model import load_private_model

LIMIT_S = 120


def servable(folder: Path) -> Path:
    """A tiny model with its template and the tokens that end a reply, as an
    export leaves it."""
    plain = save_model(folder / "plain", gemma())
    base = load_private_model(
        request_for(plain, quantization={"bnb_4bit_compute_dtype": "float32"}),
    )
    generation = base.model.generation_config
    generation.eos_token_id = list(base.chat_format.stop_ids)
    base.model.save_pretrained(folder / "served")
    base.tokenizer.save_pretrained(folder / "served")
    return folder / "served"


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextmanager
def silent_server() -> Iterator[str]:
    """The address of a server that takes requests and never answers."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        one.listen()
        yield f"http://127.0.0.1:{one.getsockname()[1]}/v1"


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """A server over a model folder; its address. It ends with the block."""
    port = free_port()
    log = folder.with_name("server.log")
    command = [str(Path(sys.executable).with_name("transformers")), "serve"]
    place = ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    with log.open("wb") as output:
        server = subprocess.Popen(
            [*command, str(folder), *place],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait(server, f"http://127.0.0.1:{port}/health", log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.kill()
        server.wait(timeout=LIMIT_S)


def _wait(server: subprocess.Popen, address: str, log: Path) -> None:
    """Until it answers."""
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise AssertionError(f"no server at {address}:\n{log.read_text()}")
