# -*- coding: utf-8 -*-
"""Finished runs on the tiny model, as fine-tuning leaves them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from tiny_agents import local_model
from tiny_models import request_for
from transformers import AutoModelForCausalLM, AutoTokenizer

from local_llm import adapters
from local_llm.atomic_files import sealed_folder
from local_llm.base_model import BaseModel
from local_llm.model_sources import LoadRequest
from local_llm.turns import Turn

PROMPTS = tuple(f"Question {number}?" for number in range(8))


def finished_run(project: Path, **changes: object) -> Path:
    """Fine-tune the model of a project; the folder of the run."""
    model = local_model(project, **changes)
    data = model.read_data()
    model.load_model()
    model.fine_tune(data)
    return model.output_folder()


def dense(source: Path) -> LoadRequest:
    """A request for a model in float32."""
    dtypes = {"bnb_4bit_compute_dtype": "float32"}
    return request_for(source, quantization=dtypes)


def drawn_run(
    base: BaseModel,
    lora_config: Mapping[str, Any],
    run: Path,
    std: float,
) -> str:
    """Save an adapter drawn by chance as a run; its name on the base."""
    adapter = adapters.add_adapter(base, lora_config)
    torch.manual_seed(3)
    for key, tensor in adapters.adapter_parameters(base, adapter).items():
        if "lora_A" not in key:
            tensor.data += torch.randn_like(tensor) * std
    with sealed_folder(run) as partial:
        adapters.save_adapter(base, adapter, partial)
        base.tokenizer.save_pretrained(partial)
    return adapter


def unmerged_replies(
    base: BaseModel,
    adapter: str | None,
    prompts: Sequence[str],
    new_tokens: int,
) -> list[list[int]]:
    """The ids that base and adapter, apart, say greedily; the bare base's
    without an adapter."""
    rendered = [
        base.chat_format.prompt_ids([Turn("user", prompt)])
        for prompt in prompts
    ]
    stop_ids = list(base.chat_format.stop_ids)
    with adapters.active_adapter(base, adapter):
        return _replies(
            base.model,
            rendered,
            max_new_tokens=new_tokens,
            eos_token_id=stop_ids,
            pad_token_id=base.tokenizer.pad_token_id,
        )


def replies_of_folder(
    folder: Path,
    prompts: Sequence[str],
    new_tokens: int,
) -> list[list[int]]:
    """The same of a saved model, loaded and asked as anybody would."""
    model = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    rendered = [
        tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt}],
            add_generation_prompt=True,
        )["input_ids"]
        for prompt in prompts
    ]
    return _replies(model, rendered, max_new_tokens=new_tokens)


def _replies(
    model: torch.nn.Module,
    prompts: Sequence[list[int]],
    **settings: Any,
) -> list[list[int]]:
    """All of them in one batch, which is several times as fast."""
    longest = max(map(len, prompts))
    rows = [[0] * (longest - len(ids)) + ids for ids in prompts]
    seen = [[0] * (longest - len(ids)) + [1] * len(ids) for ids in prompts]
    with torch.inference_mode():
        said = model.generate(
            input_ids=torch.tensor(rows),
            attention_mask=torch.tensor(seen),
            do_sample=False,
            **settings,
        )
    return said[:, longest:].tolist()
