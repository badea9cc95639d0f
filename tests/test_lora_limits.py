# -*- coding: utf-8 -*-
"""What would change a shared base is refused, the rest of LoRA is not."""

from typing import Any

import pytest
from peft import LoraConfig

from local_llm.lora_limits import REFUSED_FIELDS, REFUSED_STARTS, refusals


@pytest.mark.parametrize("field", REFUSED_FIELDS)
def test_a_refused_field_is_one_of_peft_and_is_named(field: str) -> None:
    assert hasattr(LoraConfig(), field)
    (line,) = refusals({field: {}, "r": 4})
    assert line == f"{field}: cannot be set: {REFUSED_FIELDS[field]}"


@pytest.mark.parametrize("start", [*REFUSED_STARTS, "pissa_niter_4", "PiSSA"])
def test_a_start_that_rewrites_the_base_is_refused(start: str) -> None:
    (line,) = refusals({"init_lora_weights": start})
    assert line.startswith("init_lora_weights: wanted true, false")
    assert repr(start) in line


@pytest.mark.parametrize("bias", ["all", "lora_only"])
def test_biases_of_the_base_do_not_train(bias: str) -> None:
    (line,) = refusals({"bias": bias})
    assert line.startswith(f"bias: wanted 'none', found '{bias}'")


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"bias": "none", "init_lora_weights": "gaussian"},
        {"use_dora": True, "use_rslora": True, "ensure_weight_tying": False},
        {"init_lora_weights": False, "runtime_config": None},
    ],
)
def test_the_rest_passes(config: dict[str, Any]) -> None:
    assert refusals(config) == []


def test_the_defaults_of_peft_pass() -> None:
    assert refusals(LoraConfig().to_dict()) == []


def test_every_refusal_is_told_at_once() -> None:
    config = {"bias": "all", "init_lora_weights": "pissa", "kasa_config": {}}
    assert len(refusals(config)) == 3
