# -*- coding: utf-8 -*-
"""What the keys of an entry must not say together.

Each function looks at values that are right by themselves and returns one
line for each contradiction; it raises nothing and reads nothing else.
"""

from collections.abc import Callable, Mapping
from typing import Any

from local_llm.settings_values import EMBEDDED_MODELS

Values = Mapping[str, Any]

_HUB = "pretrained_model_name_or_path"
_LOCAL = "local_model_path"
_LORA = "fine_tune_config.lora_config"
_TRAINING = "fine_tune_config.training_args"
_BNB = "fine_tune_config.bnb_config"


def entry_problems(raw: Values, values: Values) -> list[str]:
    """The contradictions of an entry.

    Args:
        raw (`Mapping[str, Any]`): The entry as it was found.
        values (`Mapping[str, Any]`): Those of its values that are right,
            those of `fine_tune_config` included.
    """
    missing = [
        f"{key}: is missing"
        for key in ("config_name", "model_type")
        if key not in raw
    ]
    checks = (_revision, _length, _device, _continued)
    return missing + _model(raw) + _found(checks, values)


def fine_tune_problems(values: Values) -> list[str]:
    """The contradictions of `fine_tune_config`.

    Args:
        values (`Mapping[str, Any]`): Those of its values that are right.
    """
    checks = (_quantization, _precision, _best_model, _evaluation, _steps)
    return _found(checks, values)


def _found(
    checks: tuple[Callable[[Values], str], ...],
    values: Values,
) -> list[str]:
    return [problem for check in checks if (problem := check(values))]


def _model(raw: Values) -> list[str]:
    given = [key for key in (_HUB, _LOCAL) if raw.get(key) is not None]
    if len(given) == 2:
        return [f"{_HUB} and {_LOCAL}: wanted one of the two, found both"]
    if not given:
        return [f"{_HUB} or {_LOCAL}: wanted one of the two, found neither"]
    return []


def _revision(values: Values) -> str:
    if values.get("revision") is None:
        return ""
    if _LOCAL in values or values.get(_HUB) in EMBEDDED_MODELS:
        return f"revision: wanted a model of the hub ({_HUB}) with it"
    return ""


def _length(values: Values) -> str:
    context_size = values.get("context_size")
    max_length = values.get("max_length", 256)
    if context_size is None or max_length < context_size:
        return ""
    return (
        f"max_length: wanted less than context_size ({context_size}), which "
        f"holds the prompt too, found {max_length}"
    )


def _device(values: Values) -> str:
    training = _section(values.get("fine_tune_config"), "training_args")
    if values.get("device") == "cpu" and training.get("fp16"):
        return (
            f"{_TRAINING}.fp16: wanted false with device 'cpu', which trains "
            "in bfloat16 or float32, found true"
        )
    return ""


def _continued(values: Values) -> str:
    fine_tune = values.get("fine_tune_config") or {}
    if not fine_tune.get("continue_lora_finetuning"):
        return ""
    if fine_tune.get("lora_config") is None and not values.get("output_dir"):
        return (
            "fine_tune_config.continue_lora_finetuning: wanted output_dir, "
            f"which holds the adapter, or {_LORA}, found neither"
        )
    return ""


def _quantization(values: Values) -> str:
    bnb = _section(values, "bnb_config")
    if bnb.get("load_in_4bit") and bnb.get("load_in_8bit"):
        return (
            f"{_BNB}.load_in_4bit and {_BNB}.load_in_8bit: wanted at most one "
            "of the two, found both true"
        )
    return ""


def _precision(values: Values) -> str:
    training = _section(values, "training_args")
    if training.get("fp16") and training.get("bf16"):
        return (
            f"{_TRAINING}.fp16 and {_TRAINING}.bf16: wanted at most one of "
            "the two, found both true"
        )
    return ""


def _best_model(values: Values) -> str:
    training = _section(values, "training_args")
    if not training.get("load_best_model_at_end"):
        return ""
    place = f"{_TRAINING}.load_best_model_at_end"
    evaluated = training.get("eval_strategy", "no")
    saved = training.get("save_strategy", "steps")
    if evaluated == "no":
        return f"{place}: wanted an eval_strategy with it, found none"
    if saved not in (evaluated, "best"):
        return (
            f"{place}: wanted the same eval_strategy and save_strategy, "
            f"found {evaluated!r} and {saved!r}"
        )
    return ""


def _evaluation(values: Values) -> str:
    evaluated = _section(values, "training_args").get("eval_strategy", "no")
    rows = values.get("held_out_rows")
    kept = values.get("held_out_share", 0.1) if rows is None else rows
    if evaluated != "no" and not kept:
        return (
            f"{_TRAINING}.eval_strategy: wanted rows to evaluate on, found "
            "fine_tune_config.held_out_share or held_out_rows at 0"
        )
    return ""


def _steps(values: Values) -> str:
    for key in ("logging_steps", "eval_steps", "save_steps"):
        number = _section(values, "training_args").get(key)
        if number is not None and number > 1 and number != int(number):
            return (
                f"{_TRAINING}.{key}: wanted whole steps, or a share below 1 "
                f"of them, found {number}"
            )
    return ""


def _section(values: Values | None, name: str) -> Values:
    return (values or {}).get(name) or {}
