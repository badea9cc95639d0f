# -*- coding: utf-8 -*-
"""llama.cpp, from the package xllamacpp: asked over its server's loopback.

The server has a process of its own, which is killed: to free a server of this
package now and then waits for ever.
"""

import contextlib
import json
import subprocess
import sys
import threading
import urllib.request
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

TIMEOUT_S = 120.0


class Runtime:
    """One GGUF file, loaded by llama.cpp on the CPU."""

    def __init__(self, file: Path, *, threads: int = 1) -> None:
        process = subprocess.Popen(
            [sys.executable, __file__, str(file), str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        weakref.finalize(self, _end, process)
        with _limited(process):
            said = process.stdout.readline().split()
        if not said or said[0] != "address":
            raise RuntimeError(f"llama.cpp cannot load {file}: {said}")
        self._address = said[1]

    def ask(self, path: str, **body: Any) -> Any:
        """What the server answers to one request."""
        request = urllib.request.Request(
            f"{self._address}{path}",
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            return json.loads(answer.read())

    def ids(self, text: str, *, add_special: bool = True) -> list[int]:
        """The token ids of a text, control tokens in it included."""
        body = {"content": text, "parse_special": True}
        return self.ask("/tokenize", add_special=add_special, **body)["tokens"]

    def prompt(self, messages: list[dict[str, str]]) -> str:
        """A conversation in the template that is in the file."""
        return self.ask("/apply-template", messages=messages)["prompt"]

    def complete(self, ids: list[int], new_tokens: int) -> dict[str, Any]:
        """The likeliest continuation, and how it ended."""
        return self.ask(
            "/completion",
            prompt=ids,
            n_predict=new_tokens,
            temperature=0.0,
            repeat_penalty=1.0,
            cache_prompt=False,
            return_tokens=True,
        )

    def log_probabilities(self, ids: list[int], tokens: int) -> np.ndarray:
        """Of each token as the next one, shape (tokens,)."""
        # Half a character or an end would come back without probabilities, so
        # a letter is drawn; those are from before the bias.
        letter = self.ids("a", add_special=False)[-1]
        answer = self.ask(
            "/completion",
            prompt=ids,
            n_predict=1,
            temperature=0.0,
            cache_prompt=False,
            n_probs=tokens,
            logit_bias=[[letter, 1000.0]],
        )
        found = np.full(tokens, np.nan)
        for one in answer["completion_probabilities"][0]["top_logprobs"]:
            found[one["id"]] = one["logprob"]
        return found


def _end(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.wait(TIMEOUT_S)
    process.stdin.close()
    process.stdout.close()


@contextlib.contextmanager
def _limited(process: "subprocess.Popen[str]") -> Iterator[None]:
    timer = threading.Timer(TIMEOUT_S, process.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _serve(file: str, threads: str) -> None:
    """Tell the server's address, and serve until the parent has gone."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = file
    params.n_ctx = 512
    params.n_parallel = 1
    params.n_gpu_layers = 0
    params.cpuparams.n_threads = int(threads)
    params.warmup = False
    params.verbosity = -1
    server = xllamacpp.Server(params)
    print("address", server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    _serve(*sys.argv[1:])
