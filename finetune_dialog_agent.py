# -*- coding: utf-8 -*-
"""A dialog agent on a model that it can load and fine-tune.

`Finetune_DialogAgent` is an AgentScope `Agent` whose model is a
`HuggingFaceWrapper`; loading and fine-tuning are passed on to it. Raises the
errors of `local_llm`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentscope.agent import (
    Agent,
    ContextConfig,
    InjectionConfig,
    ModelConfig,
    ReActConfig,
)
from agentscope.message import HintBlock
from agentscope.middleware import MiddlewareBase
from agentscope.model import ChatModelBase
from agentscope.state import AgentState
from agentscope.tool import Toolkit
from agentscope.workspace import Offloader

from chat_models import load_chat_model, system_prompt_of
from huggingface_model import MODEL_CONFIGS, HuggingFaceWrapper
from local_llm.errors import ConfigError
from small_contexts import context_config_for

if TYPE_CHECKING:
    from local_llm.reports import Reply, RunReport
    from local_llm.run_folders import ExistingRun
    from local_llm.settings_data import DataPath


class Finetune_DialogAgent(Agent):  # noqa: N801 - the name users know
    """An agent that talks, and whose model can be fine-tuned."""

    def __init__(
        self,
        name: str,
        system_prompt: str,
        model: ChatModelBase,
        toolkit: Toolkit | None = None,
        middlewares: list[MiddlewareBase] | None = None,
        state: AgentState | None = None,
        offloader: Offloader | None = None,
        model_config: ModelConfig | None = None,
        context_config: ContextConfig | None = None,
        react_config: ReActConfig | None = None,
        injection_config: InjectionConfig | None = None,
    ) -> None:
        """Initialize the agent; the arguments are those of `Agent`.

        Args:
            name (`str`):
                The agent's name, under which others hear it.
            system_prompt (`str`):
                What it is told before every conversation; may be empty.
            model (`ChatModelBase`):
                Usually a `HuggingFaceWrapper`; loading and fine-tuning need
                one.
            toolkit (`Toolkit | None`, optional):
                The agent's tools.
            middlewares (`list[MiddlewareBase] | None`, optional):
                Changes to the agent's behaviour.
            state (`AgentState | None`, optional):
                A conversation to continue.
            offloader (`Offloader | None`, optional):
                Where compressed context goes.
            model_config (`ModelConfig | None`, optional):
                A fallback model, and retries.
            context_config (`ContextConfig | None`, optional):
                When and how the conversation is compressed; briefly by
                default where the model's context is small.
            react_config (`ReActConfig | None`, optional):
                The limits of the reasoning loop.
            injection_config (`InjectionConfig | None`, optional):
                What AgentScope adds to the conversation. Nothing by default:
                the time of day in every prompt is text that a model
                fine-tuned on conversations has never seen there.
        """
        super().__init__(
            name=name,
            system_prompt=system_prompt,
            model=model,
            toolkit=toolkit,
            middlewares=middlewares,
            state=state,
            offloader=offloader,
            model_config=model_config,
            context_config=context_config
            or context_config_for(model.context_size),
            react_config=react_config,
            injection_config=injection_config
            or InjectionConfig(inject_runtime_state=False),
        )

    @classmethod
    def from_config(
        cls,
        config_name: str,
        name: str = "assistant",
        system_prompt: str | None = None,
        model_configs: str | Path = MODEL_CONFIGS,
        **arguments: Any,
    ) -> "Finetune_DialogAgent":
        """Make an agent with the model of one entry of a config file.

        A local model is fine-tuned where the entry names data and no
        finished run of the very same base, data and settings is there; a
        served one is only talked to.

        Args:
            config_name (`str`):
                The name of the entry.
            name (`str`, defaults to `"assistant"`):
                The agent's name.
            system_prompt (`str | None`, optional):
                The entry's if empty; none if that has none either.
            model_configs (`str | Path`, optional):
                The file; the project's own if empty.
            **arguments (`Any`):
                Further keyword arguments of the constructor.

        Raises:
            `ConfigError`: The entry has problems; all are listed.
            `ModelAccessError`, `WeightsError`: The model cannot be loaded.
            `DatasetError`, `TrainingError`: It cannot be fine-tuned.
        """
        model = load_chat_model(config_name, model_configs)
        if system_prompt is None:
            system_prompt = system_prompt_of(model)
        return cls(
            name=name,
            system_prompt=system_prompt,
            model=model,
            **arguments,
        )

    def load_model(
        self,
        pretrained_model_name_or_path: str | None = None,
        local_model_path: str | Path | None = None,
        fine_tune_config: Mapping[str, Any] | None = None,
    ) -> None:
        """Load another model, see `HuggingFaceWrapper.load_model`."""
        self._local_model().load_model(
            pretrained_model_name_or_path,
            local_model_path,
            fine_tune_config,
        )

    def load_tokenizer(
        self,
        pretrained_model_name_or_path: str | None = None,
        local_tokenizer_path: str | Path | None = None,
    ) -> None:
        """Use another tokenizer, see `HuggingFaceWrapper.load_tokenizer`."""
        self._local_model().load_tokenizer(
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
        """Fine-tune the model, see `HuggingFaceWrapper.fine_tune`."""
        return self._local_model().fine_tune(
            data_path,
            output_dir,
            fine_tune_config,
            before,
            existing_run,
            accept_data_change,
        )

    def use_adapter(self, name: str | None) -> None:
        """Answer with another adapter from the next reply on.

        Other agents on the same model keep theirs, and nothing is loaded.

        Args:
            name (`str | None`):
                As in `HuggingFaceWrapper.load_adapter`; None for the bare
                base model.

        Raises:
            `ConfigError`: No adapter of that name is loaded.
        """
        self.model = self._local_model().with_adapter(name)

    async def compress_context(
        self,
        context_config: ContextConfig | None = None,
        instructions: HintBlock | None = None,
    ) -> None:
        """Compress as `Agent` does, but keep what is to be answered.

        `Agent` puts a long last message into the summary with all the others,
        or lets it go where there is no summary: the model would answer a
        question that it was not shown.

        Args:
            context_config (`ContextConfig | None`, optional):
                The agent's own if empty.
            instructions (`HintBlock | None`, optional):
                What a summary is to heed.
        """
        last = self.state.context[-1:]
        await super().compress_context(context_config, instructions)
        kept = {msg.id for msg in self.state.context}
        self.state.context += [
            msg for msg in last if msg.role == "user" and msg.id not in kept
        ]

    def _local_model(self) -> HuggingFaceWrapper:
        if isinstance(self.model, HuggingFaceWrapper):
            return self.model
        raise ConfigError(
            f"agent {self.name!r}",
            [
                f"its model is a {type(self.model).__name__}, which cannot "
                f"be loaded or fine-tuned here",
            ],
            fix="give the agent a HuggingFaceWrapper",
        )


FinetuneDialogAgent = Finetune_DialogAgent
"""The same class under a name in the usual style."""
