# -*- coding: utf-8 -*-
"""The arguments of trl's trainer: the user's over our defaults.

Above both stands what follows from the device and from how rows are rendered.
Trains nothing. Raises ConfigError for what the libraries refuse.
"""

import contextlib
import functools
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import Trainer
from trl import SFTConfig

from .base_model import BaseModel
from .devices import choose_device
from .errors import ConfigError
from .library_defaults import (
    DEFAULT_CADENCE,
    DEFAULT_TRAINING,
    ROWS_AT_ONCE,
)
from .schedules import PADDED_TO

if TYPE_CHECKING:
    from .settings import FineTuneSettings

REFUSED_BY_TRL = (
    AttributeError,
    ImportError,
    LookupError,
    TypeError,
    ValueError,
)
"""What it and transformers raise at arguments that do not fit together."""

_PLACE = "fine_tune_config.training_args"


def chosen_training(settings: "FineTuneSettings") -> dict[str, Any]:
    """The user's arguments over the defaults that hold on every device."""
    given = settings.training_args
    defaults = dict(DEFAULT_TRAINING)
    # A packed row is a whole batch already.
    packed = given.get("packing", False)
    defaults["per_device_train_batch_size"] = 1 if packed else ROWS_AT_ONCE
    patient = settings.early_stopping_patience is not None
    if patient or given.get("load_best_model_at_end"):
        defaults["eval_strategy"] = "steps"
    return {**defaults, **given}


def check_device(settings: "FineTuneSettings", device: str | None) -> None:
    """See, before anything is loaded, that nothing asks for a GPU in vain.

    Args:
        settings (`FineTuneSettings`):
            The user's choices.
        device (`str | None`):
            Where the model will be loaded; None lets the program choose.

    Raises:
        `ConfigError`: It would be loaded on a CPU, or there is no such
            device.
    """
    offloads = settings.training_args.get("activation_offloading")
    if offloads and choose_device(device) == "cpu":
        problem = "activation_offloading: wanted false on a CPU, found true"
        raise ConfigError(
            _PLACE,
            [problem],
            fix="leave it out: it moves activations from a GPU to the memory "
            "that they are in here",
        )


def check_arguments(settings: "FineTuneSettings", device: str | None) -> None:
    """See, before anything is loaded, that the libraries take the arguments
    and have the optimizer.

    Args:
        settings (`FineTuneSettings`):
            The user's choices.
        device (`str | None`):
            Where the model will be loaded; None lets the program choose.

    Raises:
        `ConfigError`: transformers or trl refuse them, or a package that the
            optimizer needs is not installed.
    """
    check_device(settings, device)
    on_cpu = choose_device(device).startswith("cpu")
    with _refusals_translated(), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        arguments = _CheckedAlone(**_merged(settings, on_cpu))
        try:
            stand_in = torch.nn.Module()
            Trainer.get_optimizer_cls_and_kwargs(arguments, stand_in)
        except ValueError:
            # These are looked for in the model, which is not there yet.
            if not arguments.optim_target_modules:
                raise


class _CheckedAlone(SFTConfig):
    """Arguments that check their values and leave accelerate's state, which
    others may be training with, as it is."""

    @functools.cached_property
    def _setup_devices(self) -> torch.device:
        self._n_gpu = 0
        return torch.device("cpu")


def evaluation_problems(
    settings: "FineTuneSettings",
    eval_strategy: str,
    has_rows: bool,
) -> list[str]:
    """What the settings want of evaluations that will not be made.

    Args:
        settings (`FineTuneSettings`):
            The user's choices.
        eval_strategy (`str`):
            When the held-out loss is measured, "no" for never.
        has_rows (`bool`):
            Whether rows are held out.
    """
    given = settings.training_args
    asked = []
    if settings.early_stopping_patience is not None:
        asked.append("early_stopping_patience")
    if given.get("load_best_model_at_end"):
        asked.append("training_args.load_best_model_at_end")
    if has_rows and eval_strategy != "no":
        return []
    if has_rows:
        return [f"{one}: wanted an eval_strategy, found 'no'" for one in asked]
    if given.get("eval_strategy", "no") != "no":
        asked.append("training_args.eval_strategy")
    if given.get("eval_on_start"):
        asked.append("training_args.eval_on_start")
    return [f"{one}: no rows are held out to evaluate on" for one in asked]


def build_arguments(
    base: BaseModel,
    settings: "FineTuneSettings",
    output: Path,
    gradient_checkpointing: bool,
) -> SFTConfig:
    """Put together the arguments of a trainer.

    Args:
        base (`BaseModel`):
            The model that is trained.
        settings (`FineTuneSettings`):
            The user's choices.
        output (`Path`):
            Where trackers may write.
        gradient_checkpointing (`bool`):
            Used where the settings do not say.

    Raises:
        `ConfigError`: transformers or trl refuse them.
    """
    on_cpu = base.device.type == "cpu"
    half = base.model.dtype == torch.float16
    end_of_turn = base.chat_format.end_of_turn_id
    with _refusals_translated():
        return SFTConfig(
            **{
                "gradient_checkpointing": gradient_checkpointing,
                # Of experts some get no token in a step; all else is always
                # used.
                "ddp_find_unused_parameters": _has_experts(base),
                **_merged(settings, on_cpu, half),
                "eos_token": base.tokenizer.convert_ids_to_tokens(end_of_turn),
                "output_dir": str(output),
            },
        )


def _merged(
    settings: "FineTuneSettings",
    on_cpu: bool,
    half: bool = False,
) -> dict[str, Any]:
    """All but what only a loaded model says."""
    chosen = chosen_training(settings)
    return {
        **_device_defaults(on_cpu, half),
        **_layout_defaults(chosen),
        **chosen,
        **_owned(on_cpu, settings, chosen),
    }


def _device_defaults(on_cpu: bool, half: bool) -> dict[str, Any]:
    return {
        "bf16": not on_cpu and not half,
        "fp16": not on_cpu and half,
        # Few shapes: the CPU's kernels keep buffers for each they have seen.
        "pad_to_multiple_of": PADDED_TO if on_cpu else None,
    }


def _has_experts(base: BaseModel) -> bool:
    settings = base.model.config.get_text_config().to_dict()
    return any("num" in key and "experts" in key for key in settings)


def _layout_defaults(chosen: dict[str, Any]) -> dict[str, Any]:
    """How rows become batches, and when something is done between steps."""
    rows_at_once = chosen["per_device_train_batch_size"]
    one_line = not chosen.get("packing") and rows_at_once > 1
    defaults = {
        "padding_free": one_line,
        "per_device_eval_batch_size": rows_at_once,
        "optim": "adamw_torch",
        **DEFAULT_CADENCE,
    }
    if not chosen.get("padding_free", one_line) and not chosen.get("packing"):
        defaults["train_sampling_strategy"] = "group_by_length"
    return defaults


def _owned(
    on_cpu: bool,
    settings: "FineTuneSettings",
    chosen: dict[str, Any],
) -> dict[str, Any]:
    """What a user cannot choose otherwise."""
    return {
        "use_cpu": on_cpu,
        # Rows are cut when they are rendered; packing wants its own limit.
        "max_length": (
            settings.max_seq_length if chosen.get("packing") else None
        ),
        "dataset_kwargs": {"skip_prepare_dataset": True},
        "disable_tqdm": True,
        "logging_nan_inf_filter": False,
        "push_to_hub": False,
        "report_to": "none",  # ours write into the folder of the run
        # Ours keeps the best weights, whenever checkpoints are written.
        "load_best_model_at_end": False,
        # A run measures before its first step, once, whatever is asked.
        "eval_on_start": False,
        "save_only_model": False,
        "save_total_limit": None,
        # Workers have random states of their own, which no resume restores.
        "dataloader_num_workers": 0,
    }


@contextlib.contextmanager
def _refusals_translated() -> Iterator[None]:
    try:
        yield
    except REFUSED_BY_TRL as error:
        raise refused_arguments(error) from error


def refused_arguments(error: Exception) -> ConfigError:
    """What the libraries said against the user's arguments."""
    return ConfigError(_PLACE, [str(error)])
