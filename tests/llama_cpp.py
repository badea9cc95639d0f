# -*- coding: utf-8 -*-
"""llama.cpp, from the package xllamacpp: asked over its server's loopback."""

import json
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import xllamacpp

TIMEOUT_S = 120.0


class Runtime:
    """One GGUF file, loaded by llama.cpp on the CPU."""

    def __init__(self, file: Path, *, threads: int = 1) -> None:
        params = xllamacpp.CommonParams()
        params.model.path = str(file)
        params.n_ctx = 512
        params.n_parallel = 1
        params.n_gpu_layers = 0
        params.cpuparams.n_threads = threads
        params.warmup = False
        params.verbosity = -1
        self._server = xllamacpp.Server(params)

    def ask(self, path: str, **body: Any) -> Any:
        """What the server answers to one request."""
        request = urllib.request.Request(
            f"{self._server.listening_address}{path}",
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
