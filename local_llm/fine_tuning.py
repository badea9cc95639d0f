# -*- coding: utf-8 -*-
"""One fine-tuning from the choice of the weights to the finished run.

Puts training, checkpoints and the report together; neither loads data nor
generates. Raises CheckpointError, ConfigError and what training raises.
"""

import contextlib
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from peft import LoraConfig

from . import adapters, checkpoints, processes, runs
from .base_model import BaseModel, load_private_model
from .chat_datasets import ChatData
from .errors import CheckpointError, ConfigError
from .library_defaults import DEFAULT_SEED
from .model_sources import LoadRequest
from .reports import Reply, RunReport
from .resume_rules import RunRecord
from .run_folders import ExistingRun, OpenRun, open_run
from .settings import FineTuneSettings
from .surroundings import Surroundings
from .trained_weights import AdapterWeights, AllWeights, TrainedWeights
from .training import TrainingResult, train

Replies = Mapping[str, tuple[Reply, Reply]]


@dataclass(frozen=True)
class FineTuning:
    """What is to be done.

    Attributes:
        key (`str`):
            See `runs.run_key`.
        data (`ChatData`):
            What to learn from.
        settings (`FineTuneSettings`):
            How.
        output (`Path`):
            Where the finished run will stand.
        surroundings (`Surroundings`):
            Where paths begin, and who is told of the steps.
    """

    key: str
    data: ChatData
    settings: FineTuneSettings
    output: Path
    surroundings: Surroundings

    def train(
        self,
        weights: TrainedWeights,
        run: OpenRun,
    ) -> TrainingResult:
        """Train to the end, from the run's checkpoint where there is one."""
        return train(
            weights,
            self.data.train,
            self.data.held_out,
            self.settings,
            run.folder,
            self.surroundings.listener.on_step,
            run.checkpoint,
        )

    def publish(
        self,
        weights: TrainedWeights,
        run: OpenRun,
        result: TrainingResult,
        replies: Replies,
    ) -> RunReport:
        """Leave the finished run in place of the unfinished one."""
        report = runs.build_report(
            self.key,
            weights.base,
            self.data,
            self.settings,
            result,
            replies,
            self.surroundings,
            run.changes,
        )

        def leave() -> None:
            runs.publish(weights, report, self.output, run.folder)
            checkpoints.discard(run.folder)

        processes.from_main(leave)
        return report


@contextlib.contextmanager
def open_for_all(
    output: Path,
    record: RunRecord,
    existing: ExistingRun,
    accept_data_change: bool,
) -> Iterator[OpenRun]:
    """Begin a run or go on with one, the same one in every process.

    Raises:
        `CheckpointError`: It cannot be begun or resumed.
        `ConfigError`: This process has another run than the main one.
    """
    _check_same(record, processes.from_main(lambda: record))
    with contextlib.ExitStack() as stack:
        opened = open_run(output, record, existing, accept_data_change)
        run = processes.from_main(lambda: stack.enter_context(opened))
        _check_is_here(run)
        yield run


def _check_same(own: RunRecord, main: RunRecord) -> None:
    """Other data, or products of another format, on another machine would
    train along without a word."""
    here, there = own.as_dict(), main.as_dict()
    here, there = ({**one, **one["options"]} for one in (here, there))
    differing = [
        name
        for name in sorted({*here, *there} - {"libraries", "options"})
        if here.get(name) != there.get(name)
    ]
    if differing:
        raise ConfigError(
            f"process {processes.local_rank() + 1} on {socket.gethostname()}",
            [f"{name}: is not the main process's" for name in differing],
            fix="give every machine the same config, data and model; "
            "bnb_4bit_compute_dtype sets number_format",
        )


def _check_is_here(run: OpenRun) -> None:
    """Every process goes on from the checkpoint, so each must see it."""
    if run.checkpoint is not None and not run.checkpoint.is_dir():
        raise CheckpointError(
            f"{run.checkpoint} is not on {socket.gethostname()}, where a "
            "part of the run trains",
            fix="copy the folder of the unfinished run there, or put "
            "output_dir on a disk that all machines share",
        )


def choose_weights(
    base: BaseModel,
    adapter: str | None,
    settings: FineTuneSettings,
    whole_model: Callable[[], LoadRequest],
) -> TrainedWeights:
    """The weights that the settings ask to train.

    Args:
        base (`BaseModel`):
            The model in use.
        adapter (`str | None`):
            The adapter in use.
        settings (`FineTuneSettings`):
            What to train.
        whole_model (`Callable[[], LoadRequest]`):
            What to load where all weights are trained: they are a copy of
            their own, since others may use the loaded ones.

    Raises:
        `ConfigError`: There is nothing to continue, or peft refuses.
    """
    if settings.trains_all_weights:
        return AllWeights(load_private_model(_unquantized(whole_model())))
    if not settings.continue_lora_finetuning:
        return _fresh_adapter(base, settings)
    if adapter is not None:
        # A copy, so that a run that fails leaves the one in use as it was.
        check_same_config(adapters.config_of(base, adapter), settings)
        return AdapterWeights(base, adapters.copy_adapter(base, adapter))
    if settings.lora_config is not None:
        return _fresh_adapter(base, settings)
    raise nothing_to_continue()


def nothing_to_continue() -> ConfigError:
    """There is no adapter to train further, and none is described."""
    return ConfigError(
        "fine_tune_config",
        ["continue_lora_finetuning: no adapter is in use to continue"],
        fix="name the adapter's folder in local_model_path, or give "
        "lora_config for a new one",
    )


def check_same_config(own: LoraConfig, settings: FineTuneSettings) -> None:
    """An adapter that is continued keeps its own configuration.

    Args:
        own (`LoraConfig`):
            The adapter's.
        settings (`FineTuneSettings`):
            What to train.

    Raises:
        `ConfigError`: The settings have another.
    """
    differing = adapters.differing_keys(own, settings.lora_config)
    if differing:
        raise ConfigError(
            "fine_tune_config.lora_config",
            [
                f"{key}: the adapter to continue has {has!r}, found {wanted!r}"
                for key, (has, wanted) in differing.items()
            ],
            fix="leave lora_config out: the adapter's own is used",
        )


def _unquantized(request: LoadRequest) -> LoadRequest:
    arguments = request.quantization_arguments()
    for key in ("load_in_4bit", "load_in_8bit"):
        if arguments.get(key):
            raise ConfigError(
                "fine_tune_config",
                [f"bnb_config.{key}: quantized weights cannot be trained"],
                fix="give lora_config for an adapter, or leave bnb_config out",
            )
    return request


def _fresh_adapter(
    base: BaseModel,
    settings: FineTuneSettings,
) -> AdapterWeights:
    seed = settings.training_args.get("seed", DEFAULT_SEED)
    name = adapters.add_adapter(base, settings.lora_config, seed)
    return AdapterWeights(base, name)
