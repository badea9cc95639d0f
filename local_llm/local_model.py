# -*- coding: utf-8 -*-
"""A local model as a whole: loaded, fine-tuned and asked.

Where training and generation meet, under the base model's lock. Holds the
settings, a shared base model and the adapter in use. Knows no AgentScope.
Raises every error of this package.
"""

import dataclasses
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

from peft import LoraConfig

from . import (
    adapters,
    atomic_files,
    checkpoints,
    disk_room,
    processes,
    reports,
    run_folders,
    runs,
)
from .adapter_files import read_lora_config
from .base_model import BaseModel
from .chat_datasets import ChatData, load_chat_data
from .errors import ConfigError
from .fine_tuning import (
    FineTuning,
    check_same_config,
    choose_weights,
    nothing_to_continue,
    open_for_all,
)
from .loaded_model import LoadedModel, remove
from .model_shapes import ModelToTrain
from .reports import Reply, RunReport
from .resume_rules import RunRecord
from .run_folders import ExistingRun, OpenRun
from .settings import FineTuneSettings
from .settings_changes import for_training
from .settings_data import DataPath
from .surroundings import load_request
from .trackers import check_installed
from .training_arguments import check_arguments, chosen_training
from .workloads import disk_needed, model_to_train

log = logging.getLogger(__name__)


InitialFineTuning = Literal["reuse", "retrain", "off", "manual"]
"""What to do with `data_path` when a model is made: fine-tune unless a run of
the very same base, data and settings is there; fine-tune anyway; load alone;
nothing, not even load, until `load_model` is called."""


class LocalModel(LoadedModel):
    """A loaded model that can be fine-tuned; see `LoadedModel`."""

    def start(self, initial_fine_tuning: InitialFineTuning) -> None:
        """Check what is cheap, then load, then train.

        Raises:
            `ConfigError`: There is no such way to start.
            `CheckpointError`: What is trained could not be written.
        """
        if initial_fine_tuning not in get_args(InitialFineTuning):
            raise ConfigError(
                "HuggingFaceWrapper",
                [f"initial_fine_tuning is {initial_fine_tuning!r}"],
                fix=f"use one of {', '.join(get_args(InitialFineTuning))}",
            )
        if initial_fine_tuning == "manual":
            return
        wanted = self.settings.data_path is not None
        if not wanted or initial_fine_tuning == "off":
            self.load_model()
            return
        if initial_fine_tuning == "retrain":
            self.check_output("set_aside")
        # A finished run may be of these settings, and is only read then.
        elif not atomic_files.is_sealed(self.output_folder()):
            self.check_output(self._existing_run())
        data = self.read_data()
        self.load_model()
        if initial_fine_tuning == "retrain":
            self.fine_tune(data)
        else:
            self.ensure_fine_tuned(data)

    # -- fine-tuning -------------------------------------------------------

    def read_data(
        self,
        data_path: DataPath | None = None,
        fine_tune_config: Mapping[str, Any] | None = None,
    ) -> ChatData:
        """Read and check the conversations, without any weights.

        Raises:
            `ConfigError`: No data is named, a tracker or an optimizer is not
                installed, or the training arguments are refused.
            `DatasetError`: They cannot be trained on.
            `ModelAccessError`: The hub refuses.
        """
        data_path = data_path or self.settings.data_path
        if data_path is None:
            problem = "data_path is missing: a hub dataset, a file or a folder"
            raise ConfigError(self.settings.config_name, [problem])
        chosen = for_training(self.settings, fine_tune_config)
        check_installed(chosen.training_args.get("report_to"))
        check_arguments(chosen, self.settings.device)
        return load_chat_data(
            data_path,
            token=self.surroundings.token,
            base=self.surroundings.folder,
            held_out_share=chosen.held_out_share,
            held_out_rows=chosen.held_out_rows,
            strict=chosen.strict_data,
            merge_same_role=chosen.merge_same_role,
            data_format=chosen.data_format,
            columns=chosen.columns,
        )

    def output_folder(self, output_dir: str | Path | None = None) -> Path:
        """Where the finished run stands or will stand."""
        wanted = output_dir or self.settings.output_dir
        wanted = wanted or Path("runs") / Path(self.settings.config_name).name
        return self.surroundings.path(wanted)

    def check_output(
        self,
        existing_run: ExistingRun,
        output_dir: str | Path | None = None,
        fine_tune_config: Mapping[str, Any] | None = None,
    ) -> None:
        """Find out, before anything is loaded, whether a run can begin.

        Raises:
            `ConfigError`: There is no adapter to continue, or of another
                configuration.
            `CheckpointError`: The folder cannot be written, its disk is too
                small, or something is in the way.
        """
        if processes.is_main():
            output = self.output_folder(output_dir)
            run_folders.check_output(output, existing_run)
            chosen = for_training(self.settings, fine_tune_config)
            needed = self._disk_needed(chosen)
            disk_room.check_disk_space(output, needed)

    def model_to_train(self, chosen: FineTuneSettings) -> ModelToTrain:
        """What a run would load and train; no weights are read.

        Args:
            chosen (`FineTuneSettings`):
                How.

        Raises:
            `ConfigError`: There is no adapter to continue, or of another
                configuration.
            `WeightsError`: There is no such model.
        """
        return model_to_train(
            load_request(self.base_settings(), self.surroundings),
            self._lora_config(chosen),
            chosen.training_args,
            self.surroundings.listener.on_status,
        )

    def use_finished_run(
        self,
        data: ChatData,
        output_dir: str | Path | None = None,
    ) -> RunReport | None:
        """Use the adapter of a run of the very same base, data and settings.

        Returns:
            `RunReport | None`: Its report, None where there is none.

        Raises:
            `CheckpointError`: There is, but a file of it was changed.
        """
        folder = self.output_folder(output_dir)
        processes.connect(self.base.device.type)
        chosen = for_training(self.settings, None)
        return self._use_run(folder, self._run_key(data, chosen), chosen)

    def ensure_fine_tuned(
        self,
        data: ChatData,
        before: Mapping[str, Reply] | None = None,
    ) -> RunReport:
        """Use the finished run of these settings, or make it; go on with it
        where it was interrupted."""
        report = self.use_finished_run(data)
        if report is not None:
            return report
        existing_run = processes.from_main(self._existing_run)
        return self.fine_tune(data, before=before, existing_run=existing_run)

    def fine_tune(
        self,
        data: ChatData,
        output_dir: str | Path | None = None,
        fine_tune_config: Mapping[str, Any] | None = None,
        before: Mapping[str, Reply] | None = None,
        existing_run: ExistingRun = "set_aside",
        accept_data_change: bool = False,
    ) -> RunReport:
        """Train, answer with what was trained, and leave a finished run.

        Args:
            data (`ChatData`):
                What to learn from.
            output_dir (`str | Path | None`, optional):
                Where the run will stand.
            fine_tune_config (`Mapping[str, Any] | None`, optional):
                Keys that replace those of the settings.
            before (`Mapping[str, Reply] | None`, optional):
                Prompts with the replies before, to be answered again.
            existing_run (`ExistingRun`, optional):
                What to do with a run that is there already.
            accept_data_change (`bool`, optional):
                Whether a resumed run may go on with other data.

        Returns:
            `RunReport`: What was done and what came out.

        Raises:
            `CheckpointError`: The run cannot be written, begun or resumed.
            `DatasetError`: No row has anything to learn.
            `TrainingError`: It had to stop; the model answers as before.
        """
        chosen = for_training(self.settings, fine_tune_config)
        output = self.output_folder(output_dir)
        processes.check_launch()
        processes.connect(self.base.device.type)
        processes.from_main(
            lambda: self.check_output(existing_run, output, fine_tune_config),
        )
        job = FineTuning(
            self._run_key(data, chosen),
            data,
            chosen,
            output,
            self.surroundings,
        )
        if existing_run == "resume":
            report = self._use_run(output, job.key, chosen)
            if report is not None:
                return report
        with open_for_all(
            output,
            self._record(data, chosen),
            existing_run,
            accept_data_change,
        ) as run:
            # The main process speaks, also with the prompts of before.
            asked = before if processes.is_main() else None
            return self._run(job, run, asked or {})

    # -- steps of fine-tuning ----------------------------------------------

    def _existing_run(self) -> ExistingRun:
        """How to go on where nobody has said it: with what was begun."""
        folder = checkpoints.unfinished_folder(self.output_folder())
        return "resume" if checkpoints.has_progress(folder) else "set_aside"

    def _disk_needed(self, chosen: FineTuneSettings) -> int:
        wanted = self.model_to_train(chosen)
        return disk_needed(wanted, chosen_training(chosen))

    def _lora_config(self, chosen: FineTuneSettings) -> dict[str, Any] | None:
        """Of the adapter that a run would train; None for all weights."""
        if chosen.trains_all_weights:
            return None
        continued = self._continued(chosen)
        if continued is not None:
            check_same_config(continued, chosen)
            return continued.to_dict()
        if chosen.lora_config is None:
            raise nothing_to_continue()
        return chosen.lora_config

    def _continued(self, chosen: FineTuneSettings) -> LoraConfig | None:
        """The configuration of the adapter that would be trained further."""
        if not chosen.continue_lora_finetuning:
            return None
        if self._adapter is not None:
            return adapters.config_of(self.base, self._adapter)
        folder = self._adapter_folder(self.settings)
        return None if folder is None else read_lora_config(folder)

    def _run_key(self, data: ChatData, chosen: FineTuneSettings) -> str:
        base = self._starting_point(chosen)
        return runs.run_key(base, data, chosen, self._start(chosen))

    def _record(self, data: ChatData, chosen: FineTuneSettings) -> RunRecord:
        base = self._starting_point(chosen)
        return runs.run_record(base, data, chosen, self._start(chosen))

    def _starting_point(self, chosen: FineTuneSettings) -> BaseModel:
        """The base model of a run. All weights are trained from those of the
        settings, also where a model that came out of that is in use."""
        in_use = self.report if self._adapter is None else None
        if in_use is None or not chosen.trains_all_weights:
            return self.base
        origin = in_use.base["fingerprint"]
        return dataclasses.replace(self.base, fingerprint=origin)

    def _start(self, chosen: FineTuneSettings) -> str | None:
        """The run whose adapter is trained on, or what others have made."""
        if not chosen.continue_lora_finetuning or self._adapter is None:
            return None
        if self.report is not None:
            return self.report.key
        return adapters.fingerprint(self.base, self._adapter)

    def _use_run(
        self,
        folder: Path,
        key: str,
        chosen: FineTuneSettings,
    ) -> RunReport | None:
        """Use a finished run, where it is the one of that key.

        Another machine than the main process's may not have its folder, and
        need not: it answers nobody.
        """
        report = processes.from_main(
            lambda: reports.finished_run(folder, key),
        )
        if report is not None and (processes.is_main() or folder.is_dir()):
            self._load_finished(folder, report, chosen)
            if processes.is_main():
                runs.discard_unfinished(folder, key)
            log.info("finished run used folder=%s", folder)
        return report

    def _run(
        self,
        job: FineTuning,
        run: OpenRun,
        before: Mapping[str, Reply],
    ) -> RunReport:
        """Train, ask again, publish; where that fails, all is as before."""
        weights = choose_weights(
            self.base,
            self._adapter,
            job.settings,
            lambda: self._whole_model(job.settings),
        )
        old = self._in_use
        try:
            result = job.train(weights, run)
            self._in_use = weights.base, weights.adapter, None
            replies = {
                prompt: (reply, self.reply(prompt))
                for prompt, reply in before.items()
            }
            self.report = job.publish(weights, run, result, replies)
        except BaseException:
            self._in_use = old
            weights.release()
            raise
        remove(*old)
        if weights.adapter is None:
            # A model of its own from here on: its name, its fingerprint.
            self._load_finished(job.output, self.report, job.settings)
        log.info("run finished folder=%s", job.output)
        return self.report
