# -*- coding: utf-8 -*-
"""How a local model answers AgentScope: replies, calls, structured output.

Knows a loaded model and how it is asked, not how it is loaded or trained.
Raises GenerationError, and what AgentScope's base class raises.
"""

import logging
from collections.abc import AsyncGenerator, Mapping
from typing import TYPE_CHECKING, Any, Type

from agentscope.formatter import FormatterBase
from agentscope.message import Msg
from agentscope.model import (
    ChatModelBase,
    ChatResponse,
    StructuredResponse,
)
from agentscope.tool import ToolChoice
from pydantic import BaseModel

from huggingface_asking import Asking
from huggingface_offers import offer_of
from huggingface_parameters import ReplyParameters, changed
from huggingface_replies import begun_reply, reply_stream, whole_reply
from huggingface_structured import structured_reply
from local_llm.errors import ConfigError, GenerationError, NotACall
from local_llm.grammars import INSTALLING, is_installed
from local_llm.turns import Turn

if TYPE_CHECKING:
    from local_llm.local_model import LocalModel

log = logging.getLogger(__name__)

_ROLES = ("system", "user", "assistant")


class HuggingFaceChat(ChatModelBase):
    """The answering half of `HuggingFaceWrapper`.

    Attributes:
        local (`LocalModel`):
            The model.
        formatter (`FormatterBase`):
            Turns messages into turns.
        parameters (`ReplyParameters`):
            How replies are generated; goes before the config.
    """

    local: "LocalModel"
    formatter: FormatterBase
    parameters: ReplyParameters
    _has_told_what_is_missing = False

    async def count_tokens(
        self,
        messages: list[Msg],
        tools: list[dict] | None = None,
    ) -> int:
        """Count the tokens of the prompt, exactly.

        Args:
            messages (`list[Msg]`):
                The messages of the prompt.
            tools (`list[dict] | None`, optional):
                The tools that it shows.

        Returns:
            `int`: The length of the rendered prompt, in tokens.
        """
        asking = await self._asking(messages, {})
        turns = offer_of(tools).put_before(asking.turns)
        return self.local.count_tokens(turns, asking.generation)

    async def _call_api(
        self,
        model_name: str,
        messages: list[Msg],
        tools: list[dict] | None = None,
        tool_choice: ToolChoice | None = None,
        **generate_kwargs: Any,
    ) -> ChatResponse | AsyncGenerator[ChatResponse, None]:
        """Generate a reply in the model's worker thread.

        Args:
            model_name (`str`):
                The name of this model.
            messages (`list[Msg]`):
                The system prompt and the conversation.
            tools (`list[dict] | None`, optional):
                What the model may call, as OpenAI writes schemas.
            tool_choice (`ToolChoice | None`, optional):
                Which of them, and whether one must be called. Then the reply
                is held to the tool's schema, where llguidance is installed;
                else it is asked for in words, and checked.
            **generate_kwargs (`Any`):
                Fields of `Parameters` for this reply alone.

        Returns:
            `ChatResponse | AsyncGenerator[ChatResponse, None]`:
                The reply; if `stream` is set its parts as they come, from the
                first on, and then the whole.

        Raises:
            `GenerationError`: The prompt does not fit, or fine-tuning is in
                progress, or the model failed.
            `ValueError`: The choice names a tool that is not there.
        """
        self._validate_tool_choice(tool_choice, tools)
        offer = offer_of(tools, tool_choice)
        asking = await self._asking(messages, generate_kwargs)
        parts = reply_stream(asking, offer)
        answer = begun_reply if self.stream else whole_reply
        return await answer(parts)

    async def _call_api_with_structured_output(
        self,
        model_name: str,
        messages: list[Msg],
        structured_model: Type[BaseModel] | dict,
        tool_choice: ToolChoice | None = None,
        **kwargs: Any,
    ) -> StructuredResponse:
        """Make one attempt to get an object of a schema.

        With llguidance it succeeds: the reply is held to the schema. Without
        it, or for a schema that no grammar can be made of, the model is asked
        to call a tool, as AgentScope does it.

        Args:
            model_name (`str`):
                The name of this model.
            messages (`list[Msg]`):
                The system prompt and the conversation.
            structured_model (`Type[BaseModel] | dict`):
                What is wanted.
            tool_choice (`ToolChoice | None`, optional):
                How the tool is called where the reply cannot be held.
            **kwargs (`Any`):
                Fields of `Parameters` for this reply alone.

        Raises:
            `StructuredOutputError`: This attempt has failed.
            `GenerationError`: No object may fit the context, or the model
                failed.
        """
        if self._can_hold():
            asking = await self._asking(messages, kwargs)
            try:
                return await structured_reply(asking, structured_model)
            except ConfigError as error:
                log.warning("%s: asked for in words: %s", model_name, error)
        return await super()._call_api_with_structured_output(
            model_name,
            messages,
            structured_model,
            tool_choice,
            **kwargs,
        )

    def _get_disable_thinking_kwargs(self) -> dict[str, Any]:
        """How to ask for an answer without thoughts, where that is another
        one."""
        has_switch = self.local.base.chat_format.thinking_switch is not None
        return {"thinking_enable": False} if has_switch else {}

    @classmethod
    def _get_structured_output_fallback_exceptions(
        cls,
    ) -> tuple[type[Exception], ...]:
        """After which the next way to ask is tried."""
        return (NotACall,)

    async def _asking(
        self,
        messages: list[Msg],
        changes: Mapping[str, Any],
    ) -> Asking:
        turns = await self._turns(messages)
        return Asking(self.local, turns, changed(self.parameters, changes))

    async def _turns(self, messages: list[Msg]) -> list[Turn]:
        formatted = await self.formatter.format(messages)
        return [self._turn(one) for one in formatted]

    def _turn(self, formatted: Mapping[str, Any]) -> Turn:
        role, content = formatted.get("role"), formatted.get("content")
        if role not in _ROLES or not isinstance(content, str):
            raise GenerationError(
                f"{type(self.formatter).__name__} makes of a message what is "
                f"no text of {', '.join(_ROLES)}: {str(formatted)[:200]}",
                fix="let the model have its own formatter",
            )
        return Turn(role, content)

    def _can_hold(self) -> bool:
        """Whether replies can be held to schemas; tells once if not."""
        if not is_installed() and not self._has_told_what_is_missing:
            self._has_told_what_is_missing = True
            log.warning(
                "%s is asked for structured output in words, which small "
                "models often miss; to hold it to the schema: %s",
                self.model,
                INSTALLING,
            )
        return is_installed()
