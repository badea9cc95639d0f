# -*- coding: utf-8 -*-
"""A gemma-7b-shaped model on a GPU: trained for 20 steps, then asked.

    python benchmarks/gpu_smoke.py

The weights are random and made on the GPU; speed and memory do not depend on
their values. The lengths of the rows are those of LIMA's conversations, in
tokens of Gemma's vocabulary: lima_lengths.json has, for each, those without
and those with loss. Without a GPU it says so and ends with 0.
`--tiny` goes through the same steps with a small model on any device.
"""

import argparse
import dataclasses
import json
import random
import string
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

STEPS = 20
NEW_TOKENS = 64
MAX_TOKENS = 2048

GEMMA_7B = {
    "vocab_size": 256000,
    "hidden_size": 3072,
    "intermediate_size": 24576,
    "num_hidden_layers": 28,
    "num_attention_heads": 16,
    "num_key_value_heads": 16,
    "head_dim": 256,
    "max_position_embeddings": 8192,
}
"""The published configuration of google/gemma-7b."""

TINY = {
    **GEMMA_7B,
    "vocab_size": 512,
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "head_dim": 32,
}


def main() -> None:
    """Train, ask, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tiny", action="store_true")
    tiny = parser.parse_args().tiny
    import torch

    if not tiny and not torch.cuda.is_available():
        print("no GPU here: nothing was measured")
        return
    base = make_base_model(TINY if tiny else GEMMA_7B)
    figures = {"model": "tiny" if tiny else "gemma-7b, random weights"}
    figures["device"] = (
        torch.cuda.get_device_name() if base.device.type == "cuda" else "cpu"
    )
    figures.update(measure_training(base))
    print(json.dumps(figures, indent=1), flush=True)
    figures.update(measure_generation(base))
    print(json.dumps(figures, indent=1))


def make_base_model(shape: dict):
    """A Gemma with random weights in NF4, made layer by layer."""
    import torch
    from transformers import AutoModelForCausalLM, GemmaConfig

    from local_llm.base_model import BaseModel, load_base_model
    from local_llm.chat_format import ChatFormat
    from local_llm.devices import choose_device, choose_dtype
    from local_llm.exact_weights import ExactWeights
    from local_llm.library_defaults import DEFAULT_QUANTIZATION
    from local_llm.model_lock import ModelLock
    from local_llm.model_sources import LoadRequest

    device = choose_device(None)
    dtype = choose_dtype(device, None)
    tokenizer = make_tokenizer(shape["vocab_size"])
    config = GemmaConfig(**shape, dtype=dtype)
    torch.manual_seed(0)
    if shape is TINY:
        with tempfile.TemporaryDirectory() as folder:
            model = AutoModelForCausalLM.from_config(config)
            model.save_pretrained(folder)
            tokenizer.save_pretrained(folder)
            return load_base_model(LoadRequest(folder, cache=Path(folder)))
    model = make_quantized(config, device, dtype, DEFAULT_QUANTIZATION)
    return BaseModel(
        model=model,
        tokenizer=tokenizer,
        chat_format=ChatFormat(tokenizer),
        name="gemma-7b with random weights",
        fingerprint="random",
        context_size=shape["max_position_embeddings"],
        lock=ModelLock(),
        weights=ExactWeights(model),
    )


def make_quantized(config, device: str, dtype, quantization: dict):
    """Random weights, quantized one matrix at a time: the whole model in
    16 bits never exists."""
    import torch
    from bitsandbytes.nn import Linear4bit, Params4bit
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig
    from transformers.quantizers import AutoHfQuantizer

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=dtype)
    for parent in list(model.model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, torch.nn.Linear):
                weight = torch.randn(
                    child.out_features,
                    child.in_features,
                    device=device,
                    dtype=dtype,
                )
                layer = Linear4bit(
                    child.in_features,
                    child.out_features,
                    bias=False,
                    compute_dtype=dtype,
                    compress_statistics=True,
                    quant_type="nf4",
                    device="meta",
                )
                layer.weight = Params4bit(
                    weight * config.initializer_range,
                    requires_grad=False,
                    compress_statistics=True,
                    quant_type="nf4",
                    module=layer,
                ).to(device)
                setattr(parent, name, layer)
    fill_the_rest(model, config, device, dtype)
    model.is_loaded_in_4bit = True
    model.is_quantized = True
    record = BitsAndBytesConfig(**quantization)
    model.config.quantization_config = record
    model.hf_quantizer = AutoHfQuantizer.from_config(record)
    return model.eval()


def fill_the_rest(model, config, device: str, dtype) -> None:
    """Embedding, norms and the tables of positions, which stay dense."""
    import torch

    for module in model.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            if parameter.is_meta:
                values = torch.randn(
                    parameter.shape,
                    device=device,
                    dtype=dtype,
                )
                values *= config.initializer_range
                filled = torch.nn.Parameter(values, requires_grad=False)
                setattr(module, name, filled)
    rotary = type(model.model.rotary_emb)
    model.model.rotary_emb = rotary(config).to(device)
    scale = torch.tensor(config.hidden_size**0.5, device=device)
    model.model.embed_tokens.embed_scale = scale
    model.tie_weights()
    assert not any(buffer.is_meta for buffer in model.buffers())


def make_tokenizer(vocabulary: int):
    """One token for each byte, and Gemma's turn marks."""
    from tokenizers import AddedToken, Tokenizer, decoders, models
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import PreTrainedTokenizerFast
    from trl.chat_template_utils import gemma_chat_template

    marks = ["<pad>", "<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>"]
    tokens = [*marks, *sorted(ByteLevel.alphabet())]
    tokenizer = Tokenizer(
        models.BPE({token: i for i, token in enumerate(tokens)}, []),
    )
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(
        [AddedToken(mark, special=True, normalized=False) for mark in marks],
    )
    assert len(tokens) <= vocabulary
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="<eos>",
        bos_token="<bos>",
        chat_template=gemma_chat_template,
    )


def make_conversations():
    """Random letters, as long as LIMA's conversations are in tokens."""
    from local_llm.chat_datasets import Conversation
    from local_llm.turns import Turn

    draw = random.Random(0)
    lengths = json.loads(
        (PROJECT / "benchmarks/lima_lengths.json").read_text(),
    )

    def text(length: int) -> str:
        return "".join(draw.choices(string.ascii_letters, k=max(1, length)))

    return [
        Conversation(
            (Turn("user", text(asked)), Turn("assistant", text(answered))),
            f"row {number}",
        )
        for number, (asked, answered) in enumerate(lengths, start=1)
    ]


def measure_training(base) -> dict:
    """20 steps of the shipped gemma-7b-lima settings."""
    from local_llm.adapters import add_adapter
    from local_llm.settings import load_settings
    from local_llm.trained_weights import AdapterWeights
    from local_llm.training import train

    path = PROJECT / "configs" / "model_configs.json"
    settings = load_settings(path, "gemma-7b-lima").fine_tune_config
    arguments = {
        **settings.training_args,
        "max_steps": STEPS,
        "eval_strategy": "no",
        "save_strategy": "no",
    }
    if base.device.type == "cpu":
        arguments.update(bf16=False, gradient_checkpointing=False)
    settings = dataclasses.replace(
        settings,
        training_args=arguments,
        max_seq_length=MAX_TOKENS,
        early_stopping_patience=None,
    )
    adapter = add_adapter(base, settings.lora_config, seed=7)
    with tempfile.TemporaryDirectory() as scratch:
        result = train(
            AdapterWeights(base, adapter),
            make_conversations(),
            [],
            settings,
            Path(scratch),
        )
    return {
        "training_steps": result.steps,
        "training_tokens_per_s": round(result.tokens_per_second, 1),
        "training_peak_gb": round(result.peak_memory_bytes / 1e9, 2),
        "losses": result.losses,
    }


def measure_generation(base) -> dict:
    """64 tokens, twice; the second time is the figure."""
    from local_llm.generation import Request, engine_of
    from local_llm.turns import Turn

    prompt = base.chat_format.prompt_ids([Turn("user", "a" * 200)])
    base.chat_format.stop_ids = (base.tokenizer.eos_token_id,)
    for _ in range(2):
        start = time.perf_counter()
        request = Request(prompt, print, max_new_tokens=NEW_TOKENS)
        pieces = list(engine_of(base).stream(request))
        seconds = time.perf_counter() - start
    return {
        "generated_tokens": pieces[-1].output_tokens,
        "generated_tokens_per_s": round(
            pieces[-1].output_tokens / seconds,
            1,
        ),
    }


if __name__ == "__main__":
    main()
