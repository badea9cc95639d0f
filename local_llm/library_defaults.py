# -*- coding: utf-8 -*-
"""What this package takes where a section of a library leaves a key out.

Tables only; what trains and the generated reference both read them. Raises
nothing.
"""

from typing import Any

DEFAULT_SEED = 7

ROWS_AT_ONCE = 4

DEFAULT_TRAINING: dict[str, Any] = {
    "learning_rate": 2e-4,  # QLoRA, Dettmers et al. 2023, table 9
    "lr_scheduler_type": "cosine",
    "warmup_steps": 0.05,  # below 1: the share of all steps
    "num_train_epochs": 3,
    "logging_steps": 1,
    "seed": DEFAULT_SEED,
}

DEFAULT_CADENCE: dict[str, Any] = {
    "save_strategy": "steps",
    "save_steps": 0.1,  # of all steps, between two checkpoints
    "eval_steps": 0.1,
    "save_total_limit": 2,
}

DEFAULT_LORA: dict[str, Any] = {
    "r": 16,
    "lora_alpha": 32,
    "target_modules": "all-linear",
    "task_type": "CAUSAL_LM",
}

DEFAULT_QUANTIZATION: dict[str, Any] = {
    "load_in_4bit": True,
    "bnb_4bit_quant_type": "nf4",
    "bnb_4bit_use_double_quant": True,
}
"""NF4 with double quantization, Dettmers et al. 2023, arXiv 2305.14314; only
where there is no `bnb_config` at all."""

DEFAULTS: dict[str, dict[str, Any]] = {
    "training_args": {**DEFAULT_TRAINING, **DEFAULT_CADENCE},
    "lora_config": DEFAULT_LORA,
}
"""The values of keys that are left out, by section; of all other keys it is
the library's own, but for those that are chosen."""

_BY_DEVICE = "by device and weights"

CHOSEN: dict[str, dict[str, str]] = {
    "training_args": {
        "bf16": _BY_DEVICE,
        "fp16": _BY_DEVICE,
        "gradient_checkpointing": "by the free memory",
        "padding_free": "true from two rows at once, false with `packing`",
        "per_device_train_batch_size": f"{ROWS_AT_ONCE}, with `packing` 1",
        "per_device_eval_batch_size": "as `per_device_train_batch_size`",
        "eval_strategy": '`"steps"` where a key wants evaluations, else '
        '`"no"`',
        "load_best_model_at_end": "true where evaluations are made",
        "pad_to_multiple_of": "32 on a CPU, else none",
    },
    "bnb_config": {
        "bnb_4bit_compute_dtype": "the fastest of the device",
    },
}
"""How the values of keys are found that are left out and have no fixed one."""
