# -*- coding: utf-8 -*-
"""Compares what a merged model says with what base and adapter say apart.

    python benchmarks/merged_replies.py            runs/embedded, into reports/
    python benchmarks/merged_replies.py --run DIR  another run, only printed

Each model answers 8 prompts greedily, until it ends its turn. The base is
unquantized, as `python -m local_llm.export --merge` takes it; the merged one
is loaded as anybody would. Writes its figures to reports/merged_replies.json.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from embedded import PROMPTS, REPORTS, describe_machine

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from local_llm.adapters import active_adapter, load_adapter  # noqa: E402
from local_llm.base_model import load_private_model  # noqa: E402
from local_llm.chat_format import ChatFormat  # noqa: E402
from local_llm.errors import LocalLLMError  # noqa: E402
from local_llm.finished_runs import (  # noqa: E402
    read_run_folder,
    unquantized_base,
)
from local_llm.merged_model import write_merged_model  # noqa: E402
from local_llm.model_sources import LoadRequest  # noqa: E402
from local_llm.surroundings import cache_folder  # noqa: E402
from local_llm.turns import Turn  # noqa: E402

RUN = PROJECT / "runs" / "embedded"
COUNT = 8
NEW_TOKENS = 512
"""Of a reply that does not end by itself, unless --new-tokens says so."""

PAIRS = {
    "float32": ("float32 merged", "float32 apart"),
    "bfloat16": ("bfloat16 merged", "bfloat16 apart"),
    "bfloat16 for float32": ("bfloat16 merged", "float32 apart"),
}
"""Which models are compared, the second is what the first should say."""


@dataclass(frozen=True)
class Said:
    """What one model made of one prompt.

    Attributes:
        ids (`list[int]`):
            The reply, with the token that ends it.
        ended (`bool`):
            Whether it ended by itself.
        logits (`torch.Tensor`):
            Of its first token, shape (rows,).
    """

    ids: list[int]
    ended: bool
    logits: torch.Tensor


def main() -> None:
    """Compare, and write the report or print it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--run", type=Path, default=RUN)
    parser.add_argument("--new-tokens", type=int, default=NEW_TOKENS)
    arguments = parser.parse_args()
    run = arguments.run
    try:
        figures = measure(run, arguments.new_tokens)
    except LocalLLMError as error:
        raise SystemExit(f"error: {error}") from error
    text = json.dumps(figures, indent=1, ensure_ascii=False)
    if run.resolve() == RUN and arguments.new_tokens == NEW_TOKENS:
        path = REPORTS / "merged_replies.json"
        path.write_text(text + "\n", encoding="utf-8")
    print(text)


def measure(run: Path, new_tokens: int) -> dict[str, Any]:
    """Ask all models, one after the other, and compare them."""
    prompts = json.loads(PROMPTS.read_text(encoding="utf-8"))[:COUNT]
    found = read_run_folder(run)
    said = {}
    for precision in ("float32", "bfloat16"):
        request = unquantized_base(
            found,
            None,
            precision,
            cache_folder(os.environ),
            None,
        )
        for name, ask_it in (("apart", ask_apart), ("merged", ask_merged)):
            replies = ask_it(request, run, prompts, new_tokens)
            said[f"{precision} {name}"] = replies
    return {
        "command": "python benchmarks/merged_replies.py",
        "machine": describe_machine(),
        "new_tokens_at_most": new_tokens,
        "ended_by_themselves": {
            name: sum(one.ended for one in replies)
            for name, replies in said.items()
        },
        **{
            name: compare(said[merged], said[apart], prompts)
            for name, (merged, apart) in PAIRS.items()
        },
    }


def ask_apart(
    request: LoadRequest,
    run: Path,
    prompts: Sequence[str],
    new_tokens: int,
) -> list[Said]:
    """Ask the base with its adapter beside it."""
    base = load_private_model(request)
    with active_adapter(base, load_adapter(base, run)):
        return ask(
            base.model,
            base.chat_format,
            prompts,
            new_tokens,
            eos_token_id=list(base.chat_format.stop_ids),
            pad_token_id=base.tokenizer.pad_token_id,
        )


def ask_merged(
    request: LoadRequest,
    run: Path,
    prompts: Sequence[str],
    new_tokens: int,
) -> list[Said]:
    """Merge, save, and ask what was saved."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with tempfile.TemporaryDirectory() as folder:
        write_merged_model(run, request, Path(folder))
        model = AutoModelForCausalLM.from_pretrained(folder)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        chat_format = ChatFormat(tokenizer)
        return ask(model.eval(), chat_format, prompts, new_tokens)


def ask(
    model: Any,
    chat_format: ChatFormat,
    prompts: Sequence[str],
    new_tokens: int,
    **settings: Any,
) -> list[Said]:
    """The greedy replies of a model, one prompt at a time."""
    replies = []
    for prompt in prompts:
        ids = chat_format.prompt_ids([Turn("user", prompt)])
        with torch.inference_mode():
            row = torch.tensor([ids])
            logits = model(row, logits_to_keep=1).logits[0, -1].float()
            said = model.generate(
                row,
                do_sample=False,
                max_new_tokens=new_tokens,
                **settings,
            )
        reply = said[0, len(ids) :].tolist()
        ended = reply[-1] in chat_format.stop_ids
        replies.append(Said(reply, ended, logits))
    return replies


def compare(
    merged: Sequence[Said],
    apart: Sequence[Said],
    prompts: Sequence[str],
) -> Mapping[str, Any]:
    """How many replies are the same to the last token, where the others go
    apart (the first token is 1), and how far the logits are off at most, as
    a share of the largest of them."""
    pairs = list(zip(merged, apart, strict=True))
    return {
        "same": sum(one.ids == other.ids for one, other in pairs),
        "of": len(pairs),
        "tokens": [len(other.ids) for _, other in pairs],
        "apart_at": {
            prompt: first_difference(one.ids, other.ids)
            for prompt, (one, other) in zip(prompts, pairs, strict=True)
            if one.ids != other.ids
        },
        "largest_difference_of_logits": max(
            float((one.logits - other.logits).abs().max())
            / float(other.logits.abs().max())
            for one, other in pairs
        ),
    }


def first_difference(one: Sequence[int], other: Sequence[int]) -> int:
    """The place of the first token that differs, from 1."""
    same = [a == b for a, b in zip(one, other, strict=False)]
    return same.index(False) + 1 if False in same else len(same) + 1


if __name__ == "__main__":
    main()
