# -*- coding: utf-8 -*-
"""The chat model of a config entry: loaded in this process, or served.

`huggingface` entries give a `HuggingFaceWrapper`, `openai_chat` entries a
`ServedChatModel`, which talks to a server of the OpenAI API: `transformers
serve` or vLLM over what fine-tuning has left. Raises the errors of
`local_llm`.
"""

import dataclasses
import os
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agentscope.credential import OpenAICredential
from agentscope.message import Msg
from agentscope.model import ChatResponse, OpenAIChatModel
from agentscope.tool import ToolChoice
from pydantic import SecretStr

from huggingface_formatter import ServedChatFormatter
from huggingface_model import MODEL_CONFIGS, HuggingFaceWrapper
from local_llm.errors import ConfigError, GenerationError
from local_llm.hub_access import http_error
from local_llm.served_settings import ServedModelSettings, load_any_settings
from local_llm.settings import project_folder

_NO_KEY = "none is needed"
"""Sent where no key is named; a server of one's own does not look at it."""

_OWN_PARAMETERS = ("max_tokens", "temperature", "top_p")
"""Of `generate_args`, what AgentScope sends itself; the rest goes along."""


class ServedChatModel(OpenAIChatModel):
    """AgentScope's OpenAI chat model, with the errors of this package.

    Args:
        settings (`ServedModelSettings`):
            Which server, which model, and how it is asked.
        environment (`Mapping[str, str] | None`, optional):
            Where a key is looked for; that of the process if empty.

    Raises:
        `ConfigError`: The variable that holds the key is not set.
    """

    def __init__(
        self,
        settings: ServedModelSettings,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Initialize the model; reaches no server."""
        chosen = dataclasses.asdict(settings.generate_args)
        given = {k: v for k, v in chosen.items() if v is not None}
        own = {k: given.pop(k) for k in _OWN_PARAMETERS if k in given}
        key = _api_key(settings, environment or os.environ)
        super().__init__(
            credential=OpenAICredential(
                api_key=key,
                base_url=settings.client_args.base_url,
            ),
            model=settings.model_name,
            parameters=self.Parameters(**own),
            stream=settings.stream,
            max_retries=0,  # the client does that, see `client_args`
            context_size=settings.context_size,
            formatter=ServedChatFormatter(folds_system=settings.folds_system),
            client_kwargs={
                "timeout": settings.client_args.timeout,
                "max_retries": settings.client_args.max_retries,
            },
            extra_body=given or None,
        )
        self.settings = settings

    async def _call_api(
        self,
        model_name: str,
        messages: list[Msg],
        tools: list[dict] | None = None,
        tool_choice: ToolChoice | None = None,
        **generate_kwargs: Any,
    ) -> ChatResponse | AsyncGenerator[ChatResponse, None]:
        """Ask the server, as `OpenAIChatModel` does.

        Args:
            model_name (`str`):
                What the server calls the model.
            messages (`list[Msg]`):
                The system prompt and the conversation.
            tools (`list[dict] | None`, optional):
                Tools that the model may call.
            tool_choice (`ToolChoice | None`, optional):
                Which of them it must.
            **generate_kwargs (`Any`):
                Further fields of the request.

        Returns:
            `ChatResponse | AsyncGenerator[ChatResponse, None]`:
                The reply, or its parts as they come if `stream` is set.

        Raises:
            `GenerationError`: The server cannot be reached, or refuses.
        """
        with self._translated_errors():
            reply = await super()._call_api(
                model_name,
                messages,
                tools,
                tool_choice,
                **generate_kwargs,
            )
        return reply if isinstance(reply, ChatResponse) else self._parts(reply)

    async def _parts(
        self,
        parts: AsyncGenerator[ChatResponse, None],
    ) -> AsyncGenerator[ChatResponse, None]:
        with self._translated_errors():
            async for part in parts:
                yield part

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        import openai

        try:
            yield
        # The latter where a server dies in the middle of a reply; both
        # clients, of the hub and of OpenAI, are on one HTTP library.
        except (openai.APIError, http_error()) as error:
            raise self._explained(error) from error

    def _explained(self, error: Exception) -> GenerationError:
        import openai

        client = self.settings.client_args
        url = client.base_url
        # First, since to the client it is a failed connection as well.
        if isinstance(error, openai.APITimeoutError):
            return GenerationError(
                f"the server at {url} said nothing for {client.timeout:g} s",
                fix="raise client_args.timeout, lower "
                "generate_args.max_tokens, or look at the server's log",
            )
        if isinstance(error, openai.APIConnectionError):
            return GenerationError(
                f"no server answers at {url}",
                fix=f"start one, for example: transformers serve "
                f"{self.model}; or correct client_args.base_url",
            )
        return GenerationError(
            f"the server at {url} gave no reply: {_told_by(error)}",
            fix="compare model_name with what the server was started with, "
            "and look at its log",
        )


def load_chat_model(
    config_name: str,
    model_configs: str | Path = MODEL_CONFIGS,
) -> HuggingFaceWrapper | ServedChatModel:
    """Make the chat model of one entry of a config file.

    A local model is loaded, and fine-tuned where its entry names data; no
    server is asked yet.

    Args:
        config_name (`str`):
            The name of the entry.
        model_configs (`str | Path`, optional):
            The file; the project's own if empty.

    Raises:
        `ConfigError`: The entry has problems; all are listed.
        `ModelAccessError`, `WeightsError`: A local model cannot be loaded.
        `DatasetError`, `TrainingError`: It cannot be fine-tuned.
    """
    path = Path(model_configs)
    settings = load_any_settings(path, config_name)
    if isinstance(settings, ServedModelSettings):
        return ServedChatModel(settings)
    return HuggingFaceWrapper(
        config=settings,
        base_folder=project_folder(path),
    )


def system_prompt_of(model: HuggingFaceWrapper | ServedChatModel) -> str:
    """What a config entry tells its model before every conversation."""
    local = isinstance(model, HuggingFaceWrapper)
    settings = model.local.settings if local else model.settings
    return settings.system_prompt or ""


def _told_by(error: Exception) -> str:
    """What a server says of an error; `detail` is how FastAPI says it."""
    body = getattr(error, "body", None)
    told = body.get("detail") if isinstance(body, Mapping) else None
    return f"{error}; {told}" if told else str(error)


def _api_key(
    settings: ServedModelSettings,
    environment: Mapping[str, str],
) -> SecretStr:
    name = settings.api_key_variable
    if name is None:
        return SecretStr(_NO_KEY)
    key = environment.get(name, "").strip()
    if not (key and key.isascii() and key.isprintable()):
        raise ConfigError(
            settings.config_name,
            [f"api_key_variable: {name} is not set to a key"],
            fix=f"export {name}=..., or leave api_key_variable out",
        )
    return SecretStr(key)
