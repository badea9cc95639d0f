# -*- coding: utf-8 -*-
"""What the keys of an entry must not say together.

Each function looks at values that are right by themselves and returns one
line for each contradiction; it raises nothing and reads nothing else.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from local_llm.settings_file import join
from local_llm.settings_values import EMBEDDED_MODELS, RULES

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
    checks = (_revision, _length, _device, _continued, _all_weights)
    return missing + _model(raw) + _found(checks, values)


def fine_tune_problems(values: Values) -> list[str]:
    """The contradictions of `fine_tune_config`.

    Args:
        values (`Mapping[str, Any]`): Those of its values that are right.
    """
    checks = (
        _quantization,
        _precision,
        _evaluation,
        _schedule,
        _steps,
        _layers,
        _lora_bias,
    )
    return _found(checks, values) + _patterns(values)


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
    if fine_tune.get("lora_config") is None and not values.get(_LOCAL):
        return (
            f"fine_tune_config.continue_lora_finetuning: wanted {_LOCAL}, "
            f"the folder of an adapter, or {_LORA}, found neither"
        )
    return ""


def _all_weights(values: Values) -> str:
    """An entry may well quantize a model that it only asks."""
    fine_tune = values.get("fine_tune_config") or {}
    trains = "data_path" in values or "lora_config" in fine_tune
    if fine_tune.get("lora_config") is not None or not trains:
        return ""
    if fine_tune.get("continue_lora_finetuning"):
        return ""
    bnb = _section(fine_tune, "bnb_config")
    for key in ("load_in_4bit", "load_in_8bit"):
        if bnb.get(key):
            return (
                f"{_BNB}.{key}: wanted {_LORA} with it, since quantized "
                "weights cannot be trained themselves, found none"
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
    for use in ("", "_full_eval"):
        if training.get(f"fp16{use}") and training.get(f"bf16{use}"):
            return (
                f"{_TRAINING}.fp16{use} and {_TRAINING}.bf16{use}: wanted at "
                "most one of the two, found both true"
            )
    return ""


def _schedule(values: Values) -> str:
    training = _section(values, "training_args")
    schedule = training.get("lr_scheduler_type")
    if schedule not in ("reduce_lr_on_plateau", "greedy"):
        return ""
    if training.get("eval_strategy", "no") != "no":
        return ""
    return (
        f"{_TRAINING}.lr_scheduler_type: wanted an eval_strategy with "
        f"{schedule!r}, found none"
    )


def _layers(values: Values) -> str:
    lora = _section(values, "lora_config")
    layers, pattern = (
        lora.get(key) for key in ("layers_to_transform", "layers_pattern")
    )
    if layers is None and pattern is None:
        return ""
    if layers is None:
        return f"{_LORA}.layers_pattern: wanted layers_to_transform with it"
    if isinstance(lora.get("target_modules", "all-linear"), str):
        return (
            f"{_LORA}.layers_to_transform: wanted target_modules as a list "
            "of names with it"
        )
    return ""


def _lora_bias(values: Values) -> str:
    lora = _section(values, "lora_config")
    if not lora.get("lora_bias"):
        return ""
    if lora.get("use_dora"):
        return (
            f"{_LORA}.lora_bias and {_LORA}.use_dora: wanted at most one of "
            "the two, found both true"
        )
    chosen = lora.get("init_lora_weights", True)
    if isinstance(chosen, bool):
        return ""
    return (
        f"{_LORA}.init_lora_weights: wanted true or false with lora_bias, "
        f"found {chosen!r}"
    )


def _patterns(values: Values) -> list[str]:
    problems = []
    for path, pattern in _regular_expressions(_section(values, "lora_config")):
        try:
            re.compile(pattern)
        except (re.error, RecursionError, OverflowError) as error:
            problems.append(f"{path}: is no regular expression: {error}")
    return problems + _pattern_values(values)


def _regular_expressions(lora: Values) -> Iterator[tuple[str, str]]:
    for key in ("target_modules", "exclude_modules"):
        if isinstance(lora.get(key), str):
            yield f"{_LORA}.{key}", lora[key]
    for key in ("rank_pattern", "alpha_pattern"):
        for pattern in lora.get(key) or ():
            yield f"{_LORA}.{key}", pattern


def _pattern_values(values: Values) -> list[str]:
    """Each value of a pattern stands for that of the key without one."""
    lora = _section(values, "lora_config")
    problems = []
    for key, alone in (("rank_pattern", "r"), ("alpha_pattern", "lora_alpha")):
        rule = RULES["lora_config"][alone]
        problems += [
            f"{_LORA}.{join(key, name)}: wanted {rule.range()}, found {value}"
            for name, value in (lora.get(key) or {}).items()
            if not rule.allows(value)
        ]
    return problems


def _evaluation(values: Values) -> str:
    """What needs a held-out loss needs rows and a time to measure it."""
    training = _section(values, "training_args")
    evaluated = training.get("eval_strategy")
    asked = []
    if values.get("early_stopping_patience") is not None:
        asked.append("fine_tune_config.early_stopping_patience")
    if training.get("load_best_model_at_end"):
        asked.append(f"{_TRAINING}.load_best_model_at_end")
    if asked and evaluated == "no":
        return f"{asked[0]}: wanted an eval_strategy with it, found 'no'"
    if evaluated not in (None, "no"):
        asked.append(f"{_TRAINING}.eval_strategy")
    rows = values.get("held_out_rows")
    kept = values.get("held_out_share", 0.1) if rows is None else rows
    if asked and not kept:
        return (
            f"{asked[0]}: wanted rows to evaluate on, found "
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
