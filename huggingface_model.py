# -*- coding: utf-8 -*-
"""An AgentScope chat model on open weights that can be fine-tuned.

`HuggingFaceWrapper` loads a causal language model in 4-bit, fine-tunes it with
QLoRA and answers, calls tools and fills schemas, so that every AgentScope agent
can run on it. The work is done by `local_llm`, which is loaded when a model is.
Importing this module reads no environment and touches no GPU. Raises the errors
of `local_llm`.
"""

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from agentscope.formatter import FormatterBase
from pydantic import ValidationError, model_validator

from huggingface_adapters import AdapterNames
from huggingface_catalog import MODEL_CONFIGS, ListedModels
from huggingface_chat import HuggingFaceChat
from huggingface_credential import HuggingFaceCredential
from huggingface_formatter import HuggingFaceChatFormatter
from huggingface_parameters import ReplyParameters, problem_of
from local_llm.settings import (
    ModelSettings,
    hub_token,
    load_settings,
    project_folder,
)
from local_llm.settings_changes import settings_of, with_context_size

if TYPE_CHECKING:
    from local_llm.local_model import InitialFineTuning, LocalModel
    from local_llm.reports import Reply, RunReport
    from local_llm.run_folders import ExistingRun
    from local_llm.settings_data import DataPath
    from local_llm.surroundings import Listener

log = logging.getLogger(__name__)


class HuggingFaceWrapper(AdapterNames, ListedModels, HuggingFaceChat):
    """A chat model whose weights are loaded and fine-tuned in this process.

    Args:
        credential (`HuggingFaceCredential | None`, optional):
            The hub's token. Without one it is taken from the environment
            or from `.env`.
        model (`str`, defaults to `""`):
            The name of a card of `list_models`, which trains nothing, else
            a hub id or `embedded:gemma-3-270m`; not with `config`.
        parameters (`HuggingFaceWrapper.Parameters | None`, optional):
            How replies are generated; goes before the config.
        stream (`bool | None`, optional):
            Whether replies are streamed; the config's choice if empty.
        max_retries (`int`, defaults to `0`):
            Local errors do not pass by themselves, so none is repeated.
        retry_delay (`float`, defaults to `1.0`):
            Seconds between retries.
        context_size (`int | None`, optional):
            Tokens of prompt and reply; the model's own if empty.
        formatter (`FormatterBase | None`, optional):
            Turns messages into turns; `HuggingFaceChatFormatter` if
            empty.
        config (`ModelSettings | Mapping[str, Any] | None`, optional):
            An entry of `configs/model_configs.json`.
        base_folder (`Path | None`, optional):
            Where the config's relative paths begin; the working folder
            if empty.
        initial_fine_tuning (`InitialFineTuning`, defaults to `"reuse"`):
            What to do where the config names data.
        listener (`Listener | None`, optional):
            Is told how far loading and training are.

    Raises:
        `ConfigError`: The config has problems; all are listed.
        `ModelAccessError`: The hub refuses.
        `WeightsError`: The model cannot be loaded.
        `DatasetError`: The config's data cannot be trained on.
    """

    class Parameters(ReplyParameters):
        """How replies are generated."""

        @model_validator(mode="wrap")
        @classmethod
        def _told_what_is_refused(cls, values: Any, check: Any) -> Any:
            try:
                return check(values)
            except ValidationError as error:
                # A service tells nobody why it could not make a model.
                log.warning("parameters are refused: %s", problem_of(error))
                raise

    type: Literal["huggingface_chat"] = "huggingface_chat"
    """The type of the chat model."""

    def __init__(
        self,
        credential: HuggingFaceCredential | None = None,
        model: str = "",
        parameters: "HuggingFaceWrapper.Parameters | None" = None,
        stream: bool | None = None,
        max_retries: int = 0,
        retry_delay: float = 1.0,
        context_size: int | None = None,
        formatter: FormatterBase | None = None,
        config: ModelSettings | Mapping[str, Any] | None = None,
        base_folder: Path | None = None,
        initial_fine_tuning: "InitialFineTuning" = "reuse",
        listener: "Listener | None" = None,
    ) -> None:
        """Load the model, and fine-tune it where the config names data."""
        offer = self.catalog().find(model) if config is None else None
        if offer is not None:
            config = offer.settings
            base_folder = self.catalog().surroundings.folder
        settings = settings_of(model, config)
        if context_size is not None:
            settings = with_context_size(settings, context_size)
        super().__init__(
            credential=credential or HuggingFaceCredential(),
            model=settings.config_name,
            parameters=parameters or self.Parameters(),
            stream=settings.stream if stream is None else stream,
            max_retries=max_retries,
            retry_delay=retry_delay,
        )
        self.formatter = formatter or HuggingFaceChatFormatter()
        self.local: LocalModel = self._make_local_model(
            settings,
            base_folder,
            listener,
        )
        self.local.start(initial_fine_tuning)
        if offer is not None:
            self.local = self.catalog().use(self.local, offer)
        if initial_fine_tuning != "manual":
            self.context_size = self.local.context_size

    @classmethod
    def from_config(
        cls,
        config_name: str,
        model_configs: str | Path = MODEL_CONFIGS,
        **arguments: Any,
    ) -> "HuggingFaceWrapper":
        """Make the model of one entry of a config file.

        Args:
            config_name (`str`):
                The name of the entry.
            model_configs (`str | Path`, optional):
                The file; the project's own if empty.
            **arguments (`Any`):
                Keyword arguments of the constructor.
        """
        path = Path(model_configs)
        return cls(
            config=load_settings(path, config_name),
            base_folder=project_folder(path),
            **arguments,
        )

    # -- loading and fine-tuning -------------------------------------------

    def load_model(
        self,
        pretrained_model_name_or_path: str | None = None,
        local_model_path: str | Path | None = None,
        fine_tune_config: Mapping[str, Any] | None = None,
    ) -> None:
        """Load another model; the config's own again if none is named.

        Where it fails, the model loaded before goes on answering.

        Args:
            pretrained_model_name_or_path (`str | None`, optional):
                A hub id or `embedded:gemma-3-270m`.
            local_model_path (`str | Path | None`, optional):
                A folder with safetensors, a `.gguf` file, or the folder of a
                finished run, whose adapter goes onto the config's base model.
            fine_tune_config (`Mapping[str, Any] | None`, optional):
                Keys that replace those of the config, `bnb_config` for
                example.

        Raises:
            `ConfigError`: The arguments contradict each other.
            `ModelAccessError`: The hub refuses.
            `WeightsError`: What is there cannot be loaded.
        """
        self.local.load_model(
            pretrained_model_name_or_path,
            local_model_path,
            fine_tune_config,
        )
        self.context_size = self.local.context_size

    def load_tokenizer(
        self,
        pretrained_model_name_or_path: str | None = None,
        local_tokenizer_path: str | Path | None = None,
    ) -> None:
        """Use another tokenizer with the loaded weights.

        Args:
            pretrained_model_name_or_path (`str | None`, optional):
                A hub id.
            local_tokenizer_path (`str | Path | None`, optional):
                A folder that a tokenizer was saved to.

        Raises:
            `ModelAccessError`: The hub refuses.
            `WeightsError`: It does not fit the weights; the one before stays.
        """
        self.local.load_tokenizer(
            pretrained_model_name_or_path,
            local_tokenizer_path,
        )

    def fine_tune(
        self,
        data_path: "DataPath | None" = None,
        output_dir: str | Path | None = None,
        fine_tune_config: Mapping[str, Any] | None = None,
        before: "Mapping[str, Reply] | None" = None,
        existing_run: "ExistingRun" = "set_aside",
        accept_data_change: bool = False,
    ) -> "RunReport":
        """Fine-tune and answer with what was learned from then on.

        Blocks; in a coroutine, call it through `asyncio.to_thread`. A second
        call starts afresh, or trains on where the first one ended if
        `continue_lora_finetuning` is set.

        Args:
            data_path (`DataPath | None`, optional):
                A hub dataset, a file or a folder, or a list of them; the
                config's if empty.
            output_dir (`str | Path | None`, optional):
                Where the finished run will stand; the config's if empty.
            fine_tune_config (`Mapping[str, Any] | None`, optional):
                Keys that replace those of the config.
            before (`Mapping[str, Reply] | None`, optional):
                Prompts with their replies before, to answer again afterwards.
            existing_run (`ExistingRun`, defaults to `"set_aside"`):
                A run that stands there is kept under another name, else
                `"resume"`d, if unfinished, or a reason to `"refuse"`.
            accept_data_change (`bool`, defaults to `False`):
                Whether a run that is resumed may go on with other data.

        Returns:
            `RunReport`: What was done and what came out.

        Raises:
            `ConfigError`, `DatasetError`, `ModelAccessError`: At once.
            `CheckpointError`: The output folder cannot be written.
            `TrainingError`: The run had to stop, or a signal ended it; the
                replies stay as before.
        """
        data = self.local.read_data(data_path, fine_tune_config)
        return self.local.fine_tune(
            data,
            output_dir,
            fine_tune_config,
            before,
            existing_run,
            accept_data_change,
        )

    # -- steps -------------------------------------------------------------

    def _make_local_model(
        self,
        settings: ModelSettings,
        base_folder: Path | None,
        listener: "Listener | None",
    ) -> "LocalModel":
        from local_llm.local_model import LocalModel
        from local_llm.surroundings import (
            Listener,
            Surroundings,
            cache_folder,
        )

        token = self.credential.token or hub_token()
        surroundings = Surroundings(
            folder=(base_folder or Path.cwd()).absolute(),
            cache=cache_folder(os.environ),
            token=token and token.get_secret_value(),
            listener=listener or Listener(on_status=log.info),
        )
        return LocalModel(settings, surroundings)
