# -*- coding: utf-8 -*-
"""A local model that is loaded and asked: a base model, perhaps an adapter.

Holds the settings and what is in use; trains nothing. Knows no AgentScope.
Raises ConfigError, WeightsError, ModelAccessError, CheckpointError and
GenerationError.
"""

import copy
import dataclasses
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from . import adapters, atomic_files, base_model, reports
from .adapter_files import is_adapter, named_base
from .base_model import BaseModel, LoadRequest, load_base_model
from .chat_format import ChatFormat
from .errors import GenerationError, WeightsError
from .generation import Delivery, Request, Sampling, engine_of
from .named_adapters import NamedAdapter, named_adapters
from .reports import Reply, RunReport
from .settings import (
    FineTuneSettings,
    GenerationSettings,
    ModelSettings,
)
from .settings_changes import with_fine_tuning, with_model
from .surroundings import Listener, Surroundings, load_request
from .turns import Turn

log = logging.getLogger(__name__)

InUse = tuple[BaseModel | None, str | None, NamedAdapter | None]
"""What replies come from: a base model, what its adapter is called on it, and
the same adapter where others know it by a name."""


class LoadedModel:
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
        self._named: NamedAdapter | None = None

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
    def adapter(self) -> str | None:
        """What the adapter in use is called on the base model, None for the
        bare base model."""
        return self._adapter

    @property
    def adapter_name(self) -> str | None:
        """What people call the adapter in use, None for one without a
        name."""
        return self._named.name if self._named else None

    @property
    def is_fine_tuned(self) -> bool:
        """Whether replies come from an adapter or a model trained here."""
        return self._adapter is not None or self.report is not None

    @property
    def context_size(self) -> int:
        """The longest sequence, in tokens."""
        size = self.base.context_size
        return min(size, self.settings.context_size or size)

    def base_settings(self) -> ModelSettings:
        """The settings of the weights themselves: of those below an adapter,
        where that is what the settings name.

        Raises:
            `WeightsError`: The adapter does not say what it was trained on.
        """
        folder = self._adapter_folder(self.settings)
        if folder is None:
            return self.settings
        return self._settings_below(folder, self.settings)

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

        An adapter's folder is loaded on the base model that is in use, else
        on the one of the settings or, where they name the adapter itself, on
        the one it was trained on. Where loading fails, the model loaded
        before goes on answering.

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
        folder = self._adapter_folder(settings)
        if folder is None:
            self._load_base(settings)
            return
        if self._base is None or local_model_path is None:
            self._load_base(self._settings_below(folder, settings))
        self.load_adapter(folder)

    def load_adapter(self, folder: Path) -> None:
        """Answer with the adapter of a finished run, or of peft.

        Raises:
            `CheckpointError`: A file of the run is missing or was changed.
            `WeightsError`: It was trained on another base model.
        """
        if self._base is None:
            self.load_model()
        report = None
        if atomic_files.is_sealed(folder):
            report = reports.read_report(folder)
            reports.check_run(folder)
        self._load_finished(folder, report)
        log.info("adapter loaded folder=%s", folder)

    def unload_adapter(self) -> None:
        """Answer with the bare base model again; the adapter is freed, unless
        others know it by a name."""
        self._use(self.base, None)

    def with_adapter(self, name: str | None) -> Self:
        """The same model with another adapter; this one stays as it is.

        Args:
            name (`str | None`):
                What the adapter is called; None for the bare base model.

        Returns:
            `Self`: A view on the same weights, in which nothing is loaded
                again.

        Raises:
            `ConfigError`: No adapter of that name is loaded.
        """
        named = None
        if name is not None:
            named = named_adapters(self.base).find(name)
        view = copy.copy(self)
        view._named = named
        view._adapter = named.internal if named else None
        if named is not None or self._adapter is not None:
            view.report = named.report if named else None
        return view

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

    # -- asking ------------------------------------------------------------

    def chat_format(
        self,
        generation: GenerationSettings | None = None,
    ) -> ChatFormat:
        """How prompts and replies are written; see `ChatFormat`."""
        chosen = generation or self.settings.generation
        return self.base.chat_format.with_thinking(chosen.thinking_enable)

    def count_tokens(
        self,
        turns: Sequence[Turn],
        generation: GenerationSettings | None = None,
    ) -> int:
        """The exact length of the prompt that these turns become."""
        return len(self.chat_format(generation).prompt_ids(turns))

    def request(
        self,
        turns: Sequence[Turn],
        deliver: Callable[[Delivery], None],
        max_new_tokens: int | None = None,
        generation: GenerationSettings | None = None,
        grammar: str | None = None,
    ) -> Request:
        """What to submit to the engine for a reply to these turns.

        Args:
            turns (`Sequence[Turn]`):
                The conversation.
            deliver (`Callable[[Delivery], None]`):
                Gets the pieces of the reply.
            max_new_tokens (`int | None`, optional):
                The longest reply, in tokens; the settings' if empty.
            generation (`GenerationSettings | None`, optional):
                How the reply is made; the settings' if empty.
            grammar (`str | None`, optional):
                What the reply follows; see `Request`. It says where the
                reply ends, so that stop strings do not count.

        Raises:
            `GenerationError`: The prompt does not fit into the context, or
                thinking cannot be switched.
        """
        prompt_ids = self.chat_format(generation).prompt_ids(turns)
        if len(prompt_ids) >= self.context_size:
            raise GenerationError(
                f"the prompt has {len(prompt_ids)} tokens, the context only "
                f"{self.context_size}",
                fix="shorten the conversation or the system prompt",
            )
        chosen = generation or self.settings.generation
        names = (one.name for one in dataclasses.fields(Sampling))
        room = self.context_size - len(prompt_ids)
        wanted = max_new_tokens or self.settings.max_length
        return Request(
            prompt_ids=prompt_ids,
            deliver=deliver,
            max_new_tokens=min(room, wanted),
            sampling=Sampling(**{one: getattr(chosen, one) for one in names}),
            adapter=self._adapter,
            timeout_s=chosen.request_timeout_s,
            grammar=grammar,
            stop_strings=() if grammar else tuple(chosen.stop),
        )

    def submit(self, request: Request) -> None:
        """Queue a request for the worker of this model.

        Raises:
            `GenerationError`: It cannot be taken, or its adapter was
                unloaded.
        """
        with named_adapters(self.base).kept_for(self._named, request):
            engine_of(self.base).submit(request)

    def reply(self, prompt: str) -> Reply:
        """The whole reply to one prompt, with its figures."""
        request = self.request([Turn("user", prompt)], lambda piece: None)
        start = time.perf_counter()
        with named_adapters(self.base).in_use(self._named):
            pieces = list(engine_of(self.base).stream(request))
        return Reply(
            text="".join(piece.text for piece in pieces).strip(),
            finish_reason=str(pieces[-1].finish_reason),
            tokens=pieces[-1].output_tokens,
            seconds=time.perf_counter() - start,
        )

    # -- steps of loading --------------------------------------------------

    def _load_base(self, settings: ModelSettings) -> None:
        base = load_base_model(
            load_request(settings, self.surroundings),
            self.surroundings.listener.on_status,
        )
        self._use(base, None)
        self.settings = settings
        log.info("model loaded name=%s device=%s", base.name, base.device)

    def _adapter_folder(self, settings: ModelSettings) -> Path | None:
        if settings.local_model_path is None:
            return None
        folder = self.surroundings.path(settings.local_model_path)
        return folder if is_adapter(folder) else None

    def _settings_below(
        self,
        folder: Path,
        settings: ModelSettings,
    ) -> ModelSettings:
        """The settings that load the base model of an adapter."""
        if self._adapter_folder(self._configured) != folder:
            return self._configured
        base = named_base(folder)
        return dataclasses.replace(
            with_model(settings, base.name, None),
            revision=base.revision,
        )

    def _load_finished(
        self,
        folder: Path,
        report: RunReport | None,
        chosen: FineTuneSettings | None = None,
    ) -> None:
        """Answer with a finished run: an adapter, or a model of its own."""
        if is_adapter(folder):
            self._use(self.base, adapters.load_adapter(self.base, folder))
        else:
            whole = self._whole_model(chosen or self.settings.fine_tune_config)
            # Not shared: another run may have stood in this folder before.
            request = dataclasses.replace(
                whole,
                source=str(folder),
                tokenizer=None,
                revision=None,
            )
            self._use(base_model.load_private_model(request), None)
        self.report = report

    def _whole_model(self, chosen: FineTuneSettings | None) -> LoadRequest:
        """What to load where not only an adapter is trained."""
        settings = dataclasses.replace(
            self.settings,
            fine_tune_config=chosen,
        )
        return load_request(settings, self.surroundings)

    def _use(self, base: BaseModel, adapter: str | None) -> None:
        old = self._in_use
        self._in_use, self.report = (base, adapter, None), None
        remove(*old)

    @property
    def _in_use(self) -> InUse:
        return self._base, self._adapter, self._named

    @_in_use.setter
    def _in_use(self, parts: InUse) -> None:
        self._base, self._adapter, self._named = parts


def remove(
    base: BaseModel | None,
    adapter: str | None,
    named: NamedAdapter | None,
) -> None:
    """Free an adapter that is no longer in use; one with a name is for
    others to unload."""
    if base is not None and adapter is not None and named is None:
        adapters.remove_adapter(base, adapter)
