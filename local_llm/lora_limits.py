# -*- coding: utf-8 -*-
"""What of peft's LoraConfig cannot be used where adapters share one base.

Several ways to begin an adapter rewrite the weights below it, which others in
this process use and which nobody has when the adapter is loaded elsewhere.
Imports no library and raises nothing.
"""

from collections.abc import Mapping
from typing import Any

_CHANGES_BASE = "it would change the base model, which adapters share"
_OWN_STEPS = "it wants steps of its own before training"

REFUSED_FIELDS: dict[str, str] = {
    "alora_invocation_tokens": "an adapter here serves the whole prompt",
    "arrow_config": "it combines adapters; it does not train one",
    "corda_config": "the weights are not prepared for it here",
    "ensure_weight_tying": "what it trains could not be loaded again",
    "eva_config": "the weights are not prepared for it here",
    "kasa_config": _CHANGES_BASE,
    "layer_replication": _CHANGES_BASE,
    "lora_ga_config": "the weights are not prepared for it here",
    "megatron_config": "the models here are not those of Megatron",
    "monteclora_config": "its part of the loss is not computed here",
    "runtime_config": "it is no part of an adapter",
    "use_bdlora": "it serves inference that is spread over several GPUs",
    "velora_config": "4-bit layers do not have it",
}
"""Fields of which only the default can be used, and why."""

REFUSED_STARTS: dict[str, str] = {
    "corda": _CHANGES_BASE,
    "eva": _OWN_STEPS,
    "loftq": _CHANGES_BASE,
    "lora_ga": _CHANGES_BASE,
    "mica": _CHANGES_BASE,
    "olora": _CHANGES_BASE,
    "pissa": _CHANGES_BASE,
}
"""Beginnings of `init_lora_weights` that cannot be used, and why."""


def refusals(lora_config: Mapping[str, Any]) -> list[str]:
    """What a LoRA configuration asks that cannot be done, a line each.

    Args:
        lora_config (`Mapping[str, Any]`):
            Fields of peft's `LoraConfig`.
    """
    found = [
        f"{key}: cannot be set: {reason}"
        for key, reason in REFUSED_FIELDS.items()
        if lora_config.get(key) not in (None, False)
    ]
    bias = lora_config.get("bias", "none")
    if bias != "none":
        found.append(
            f"bias: wanted 'none', found {bias!r}: {_CHANGES_BASE}",
        )
    start = lora_config.get("init_lora_weights", True)
    for name, reason in REFUSED_STARTS.items():
        if isinstance(start, str) and start.lower().startswith(name):
            found.append(
                "init_lora_weights: wanted true, false or 'gaussian', found "
                f"{start!r}: {reason}",
            )
    return found
