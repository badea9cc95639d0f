# -*- coding: utf-8 -*-
"""Converts a GGUF file into tokenizer files and bfloat16 safetensors.

Each half runs in a process of its own: the two take half the time on two
cores, and what the readers of the file leave in memory goes with them. Raises
WeightsError.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from .errors import WeightsError

_TOKENIZER_CONFIG = "tokenizer_config.json"
_PACKAGE_PARENT = Path(__file__).resolve().parents[1]

_TIMEOUT_S = 3600.0
"""Far beyond the 40 s that a model of 270M parameters takes."""


def convert_gguf(gguf_file: Path, folder: Path) -> None:
    """Write config, tokenizer and weights of a GGUF file into a folder.

    Args:
        gguf_file (`Path`):
            The file.
        folder (`Path`):
            An existing folder to write into.

    Raises:
        `WeightsError`: The file is broken, or of an unknown architecture.
    """
    halves = [_start(half, gguf_file, folder) for half in _HALVES]
    try:
        for half in halves:
            _finish(half, gguf_file)
    finally:
        for half in halves:
            half.kill()
            half.communicate(timeout=_TIMEOUT_S)


def convert_tokenizer(gguf_file: Path, folder: Path) -> None:
    """Write the tokenizer's files."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(
        str(gguf_file.parent),
        gguf_file=gguf_file.name,
    )
    tokenizer.save_pretrained(folder)
    _make_quick_to_read(folder)


def convert_weights(gguf_file: Path, folder: Path) -> None:
    """Write the configuration and the weights, in bfloat16."""
    import torch
    from transformers import AutoModelForCausalLM, GgufConfig

    model = AutoModelForCausalLM.from_pretrained(
        str(gguf_file.parent),
        gguf_file=gguf_file.name,
        quantization_config=GgufConfig(dequantize=True),
        dtype=torch.bfloat16,
    )
    # The weights are dense now; with the record of the file's own
    # quantization save_pretrained refuses to write them.
    model.hf_quantizer = None
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.save_pretrained(folder)


def _make_quick_to_read(folder: Path) -> None:
    """Write a tokenizer's files so that they take half the time to read.

    transformers reads tokenizer.json, 33 MB for 262,144 tokens, once more
    where the added tokens do not stand in tokenizer_config.json; and more
    than half of it is blanks.
    """
    path, config_path = folder / "tokenizer.json", folder / _TOKENIZER_CONFIG
    whole = json.loads(path.read_text(encoding="utf-8"))
    config = json.loads(config_path.read_text(encoding="utf-8"))
    config["added_tokens_decoder"] = {
        str(token["id"]): {k: v for k, v in token.items() if k != "id"}
        for token in whole["added_tokens"]
    }
    config_path.write_text(json.dumps(config, indent=2), encoding="utf-8")
    text = json.dumps(whole, ensure_ascii=False, separators=(",", ":"))
    path.write_text(text, encoding="utf-8")


_HALVES = {"tokenizer": convert_tokenizer, "weights": convert_weights}


def _start(half: str, gguf_file: Path, folder: Path) -> subprocess.Popen:
    """Begin one half in a process that finds this package."""
    paths = [str(_PACKAGE_PARENT), os.environ.get("PYTHONPATH", "")]
    arguments = [half, str(gguf_file), str(folder)]
    return subprocess.Popen(
        [sys.executable, "-m", __name__, *arguments],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            "OMP_NUM_THREADS": "1",  # each half has a core
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
    )


def _finish(half: subprocess.Popen, gguf_file: Path) -> None:
    _, said = half.communicate(timeout=_TIMEOUT_S)
    if half.returncode != 0:
        lines = said.strip().splitlines() or [f"status {half.returncode}"]
        raise WeightsError(
            f"{gguf_file} cannot be converted: {lines[-1]}",
            fix="use a complete GGUF file of a model family that "
            "transformers reads, and see that the disk is not full",
        )


if __name__ == "__main__":
    _HALVES[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))
