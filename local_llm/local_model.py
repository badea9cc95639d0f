# -*- coding: utf-8 -*-
"""A local model as a whole: loaded, fine-tuned and asked.

Where training and generation meet, under the base model's lock. Holds the
settings, a shared base model and the adapter in use. Knows no AgentScope.
Raises every error of this package.
"""

import dataclasses
import logging
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from . import adapters, atomic_files, base_model, reports, runs
from .base_model import BaseModel, load_base_model
from .chat_datasets import ChatData, load_chat_data
from .chat_format import Turn
from .errors import ConfigError, GenerationError, WeightsError
from .generation import Delivery, Request, Sampling, engine_of
from .reports import Reply, RunReport
from .settings import (
    FineTuneSettings,
    GenerationSettings,
    ModelSettings,
)
from .settings_changes import for_training, with_fine_tuning, with_model
from .surroundings import Listener, Surroundings, load_request
from .training import TrainingResult, train

log = logging.getLogger(__name__)


class LocalModel:
    """A base model, the adapter in use, and the settings of both.

    Args:
        settings (`ModelSettings`):
            What to load and how to use it.
        surroundings (`Surroundings`):
            Folders, token and listener.
    """

    def __init__(
        self,
        settings: ModelSettings,
        surroundings: Surroundings,
    ) -> None:
        self.settings = settings
        self._configured = settings
        self.surroundings = surroundings
        self.report: RunReport | None = None
        self._base: BaseModel | None = None
        self._adapter: str | None = None

    @property
    def base(self) -> BaseModel:
        """The loaded base model.

        Raises:
            `WeightsError`: Nothing was loaded yet.
        """
        if self._base is None:
            raise WeightsError("no model is loaded", fix="call load_model")
        return self._base

    @property
    def is_fine_tuned(self) -> bool:
        """Whether replies come from an adapter."""
        return self._adapter is not None

    @property
    def context_size(self) -> int:
        """The longest sequence, in tokens."""
        size = self.base.context_size
        return min(size, self.settings.context_size or size)

    def listen(self, listener: Listener) -> None:
        """Tell somebody else how far things are from now on."""
        self.surroundings = dataclasses.replace(
            self.surroundings,
            listener=listener,
        )

    # -- loading -----------------------------------------------------------

    def load_model(
        self,
        pretrained_model_name_or_path: str | None = None,
        local_model_path: str | Path | None = None,
        fine_tune_config: Mapping[str, Any] | None = None,
    ) -> None:
        """Load a base model; the config's own again if none is named.

        The folder of a finished run is loaded as an adapter on the base model
        of the settings. Where loading fails, the model loaded before goes on
        answering.

        Raises:
            `ConfigError`: Two models are named.
            `ModelAccessError`: The hub refuses.
            `WeightsError`: What is there cannot be loaded.
        """
        settings = with_model(
            self._configured,
            pretrained_model_name_or_path,
            local_model_path,
        )
        if fine_tune_config is not None:
            settings = with_fine_tuning(settings, fine_tune_config)
        if local_model_path is not None:
            folder = self.surroundings.path(local_model_path)
            if (folder / adapters.ADAPTER_FILE).is_file():
                self.load_adapter(folder)
                return
        base = load_base_model(
            load_request(settings, self.surroundings),
            self.surroundings.listener.on_status,
        )
        self._drop_adapter()
        self._base, self.settings = base, settings
        log.info("model loaded name=%s device=%s", base.name, base.device)

    def load_adapter(self, folder: Path) -> None:
        """Answer with the adapter of a finished run.

        Raises:
            `CheckpointError`: A file of the run is missing or was changed.
            `WeightsError`: It was trained on another base model.
        """
        if self._base is None:
            self.load_model()
        report = reports.read_report(folder)
        atomic_files.check_manifest(folder)
        self._use(adapters.load_adapter(self.base, folder), report)
        log.info("adapter loaded folder=%s", folder)

    def load_tokenizer(
        self,
        pretrained_model_name_or_path: str | None = None,
        local_tokenizer_path: str | Path | None = None,
    ) -> None:
        """Use another tokenizer with the loaded weights.

        It serves everybody in this process who shares the weights. Without
        arguments the settings' own is loaded again.

        Raises:
            `ModelAccessError`: The hub refuses.
            `WeightsError`: It does not fit the weights; the one before stays.
        """
        settings = self.settings
        if pretrained_model_name_or_path or local_tokenizer_path:
            path = local_tokenizer_path and Path(local_tokenizer_path)
            settings = dataclasses.replace(
                with_model(
                    self._configured,
                    pretrained_model_name_or_path,
                    None,
                ),
                local_tokenizer_path=path,
            )
        request = load_request(settings, self.surroundings)
        tokenizer = base_model.load_tokenizer(request)
        base_model.use_tokenizer(self.base, tokenizer)

    # -- fine-tuning -------------------------------------------------------

    def read_data(
        self,
        data_path: str | None = None,
        fine_tune_config: Mapping[str, Any] | None = None,
    ) -> ChatData:
        """Read and check the conversations, without any weights.

        Raises:
            `DatasetError`: They cannot be trained on.
            `ModelAccessError`: The hub refuses.
        """
        data_path = data_path or self.settings.data_path
        if data_path is None:
            problem = "data_path is missing: a hub dataset, a file or a folder"
            raise ConfigError(self.settings.config_name, [problem])
        chosen = for_training(self.settings, fine_tune_config)
        return load_chat_data(
            data_path,
            token=self.surroundings.token,
            base=self.surroundings.folder,
            held_out_share=chosen.held_out_share,
            held_out_rows=chosen.held_out_rows,
            strict=chosen.strict_data,
            merge_same_role=chosen.merge_same_role,
        )

    def output_folder(self, output_dir: str | Path | None = None) -> Path:
        """Where the finished run stands or will stand."""
        wanted = output_dir or self.settings.output_dir
        wanted = wanted or Path("runs") / Path(self.settings.config_name).name
        return self.surroundings.path(wanted)

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
        key = self._run_key(data, for_training(self.settings, None))
        report = reports.finished_run(folder, key)
        if report is not None:
            self._use(adapters.load_adapter(self.base, folder), report)
            log.info("adapter reused folder=%s", folder)
        return report

    def ensure_fine_tuned(
        self,
        data: ChatData,
        before: Mapping[str, Reply] | None = None,
    ) -> RunReport:
        """Use the finished run of these settings, or make it."""
        report = self.use_finished_run(data)
        return report or self.fine_tune(data, before=before)

    def fine_tune(
        self,
        data: ChatData,
        output_dir: str | Path | None = None,
        fine_tune_config: Mapping[str, Any] | None = None,
        before: Mapping[str, Reply] | None = None,
    ) -> RunReport:
        """Train an adapter, use it, and leave a finished run.

        Args:
            data (`ChatData`):
                What to learn from.
            output_dir (`str | Path | None`, optional):
                Where the run will stand; what stands there is kept aside.
            fine_tune_config (`Mapping[str, Any] | None`, optional):
                As in the config file; its keys replace those of the settings.
            before (`Mapping[str, Reply] | None`, optional):
                Demonstration prompts with the replies of the model before;
                they are answered again afterwards.

        Returns:
            `RunReport`: What was done and what came out.

        Raises:
            `CheckpointError`: The output folder cannot be written.
            `DatasetError`: No row has anything to learn.
            `TrainingError`: The run had to stop; the model answers as before.
        """
        chosen = for_training(self.settings, fine_tune_config)
        folder = self.output_folder(output_dir)
        atomic_files.check_writable(folder)
        key = self._run_key(data, chosen)
        adapter = self._adapter_to_train(chosen)
        try:
            result = self._train(adapter, data, chosen)
            replies = {
                prompt: (reply, self._reply(prompt, adapter))
                for prompt, reply in (before or {}).items()
            }
            report = runs.build_report(
                key,
                self.base,
                data,
                chosen,
                result,
                replies,
            )
            runs.publish(self.base, adapter, report, folder)
        except BaseException:
            adapters.remove_adapter(self.base, adapter)
            raise
        self._use(adapter, report)
        log.info("adapter written folder=%s", folder)
        return report

    # -- asking ------------------------------------------------------------

    def count_tokens(self, turns: Sequence[Turn]) -> int:
        """The exact length of the prompt that these turns become."""
        return len(self.base.chat_format.prompt_ids(turns))

    def request(
        self,
        turns: Sequence[Turn],
        deliver: Callable[[Delivery], None],
        max_new_tokens: int | None = None,
        generation: GenerationSettings | None = None,
    ) -> Request:
        """What to submit to the engine for a reply to these turns.

        Raises:
            `GenerationError`: The prompt does not fit into the context.
        """
        prompt_ids = self.base.chat_format.prompt_ids(turns)
        if len(prompt_ids) >= self.context_size:
            raise GenerationError(
                f"the prompt has {len(prompt_ids)} tokens, the context only "
                f"{self.context_size}",
                fix="shorten the conversation or the system prompt",
            )
        sampling = asdict(generation or self.settings.generation)
        timeout_s = sampling.pop("request_timeout_s")
        room = self.context_size - len(prompt_ids)
        wanted = max_new_tokens or self.settings.max_length
        return Request(
            prompt_ids=prompt_ids,
            deliver=deliver,
            max_new_tokens=min(room, wanted),
            sampling=Sampling(**sampling),
            adapter=self._adapter,
            timeout_s=timeout_s,
        )

    def submit(self, request: Request) -> None:
        """Queue a request for the worker of this model."""
        engine_of(self.base).submit(request)

    def reply(self, prompt: str) -> Reply:
        """The whole reply to one prompt, with its figures."""
        return self._reply(prompt, self._adapter)

    # -- steps -------------------------------------------------------------

    def _run_key(self, data: ChatData, chosen: FineTuneSettings) -> str:
        start = self.report if chosen.continue_lora_finetuning else None
        return runs.run_key(self.base, data, chosen, start and start.key)

    def _adapter_to_train(self, chosen: FineTuneSettings) -> str:
        """A copy of the adapter in use, or a fresh one, as the settings say.

        A copy, so that a run that fails leaves the one in use as it was.
        """
        if chosen.continue_lora_finetuning and self._adapter is not None:
            return adapters.copy_adapter(self.base, self._adapter)
        seed = chosen.training_args.get("seed", adapters.DEFAULT_SEED)
        return adapters.add_adapter(self.base, chosen.lora_config, seed)

    def _train(
        self,
        adapter: str,
        data: ChatData,
        chosen: FineTuneSettings,
    ) -> TrainingResult:
        with tempfile.TemporaryDirectory(prefix="fine-tuning-") as scratch:
            return train(
                self.base,
                adapter,
                data.train,
                data.held_out,
                chosen,
                Path(scratch),
                self.surroundings.listener.on_step,
            )

    def _reply(self, prompt: str, adapter: str | None) -> Reply:
        request = self.request([Turn("user", prompt)], lambda piece: None)
        request.adapter = adapter
        start = time.perf_counter()
        pieces = list(engine_of(self.base).stream(request))
        return Reply(
            text="".join(piece.text for piece in pieces).strip(),
            finish_reason=str(pieces[-1].finish_reason),
            tokens=pieces[-1].output_tokens,
            seconds=time.perf_counter() - start,
        )

    def _use(self, adapter: str, report: RunReport) -> None:
        self._drop_adapter()
        self._adapter, self.report = adapter, report

    def _drop_adapter(self) -> None:
        if self._base is not None and self._adapter is not None:
            adapters.remove_adapter(self._base, self._adapter)
        self._adapter, self.report = None, None
