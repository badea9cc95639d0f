# -*- coding: utf-8 -*-
"""Turns AgentScope messages into the turns of a local or a served model.

Knows roles and content blocks, no tokens: for a local model, folding the
system text and merging turns is the chat format's part. Raises GenerationError for content that a text
model cannot be given.
"""

from collections.abc import Iterator

from agentscope.formatter import FormatterBase
from agentscope.message import (
    DataBlock,
    HintBlock,
    Msg,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
    ToolResultBlock,
)

from local_llm.errors import GenerationError
from local_llm.turns import (
    Turn,
    ending_with_the_user,
    fold_system,
    merge_same_role,
    starting_with_the_user,
)


class HuggingFaceChatFormatter(FormatterBase):
    """One user and one assistant, told apart by their roles."""

    async def format(self, msgs: list[Msg]) -> list[dict[str, str]]:
        """Turn messages into dictionaries with `role` and `content`.

        Args:
            msgs (`list[Msg]`):
                The system prompt and the conversation.

        Returns:
            `list[dict[str, str]]`: One for each turn, none of them empty.

        Raises:
            `GenerationError`: A message has an image, audio or a file.
        """
        self.assert_list_of_msgs(msgs)
        return [
            {"role": turn.role, "content": turn.text}
            for msg in msgs
            for turn in self._turns(msg)
            if turn.text.strip()
        ]

    def _turns(self, msg: Msg) -> Iterator[Turn]:
        for block in msg.get_content_blocks():
            text = self._text_of(block)
            if isinstance(block, (HintBlock, ToolResultBlock)):
                yield Turn("user", text)
            elif msg.role == "assistant":
                yield self._assistant_turn(msg, text)
            else:
                yield Turn(msg.role, text)

    def _assistant_turn(self, msg: Msg, text: str) -> Turn:
        return Turn("assistant", text)

    def _text_of(self, block: object) -> str:
        """What a model that reads text is told of a block."""
        if isinstance(block, TextBlock):
            return block.text
        if isinstance(block, ThinkingBlock):
            return ""  # a model's own thoughts are not shown to it again
        if isinstance(block, HintBlock):
            parts = block.hint
            if isinstance(parts, str):
                return parts
            return "\n".join(self._text_of(part) for part in parts)
        if isinstance(block, ToolCallBlock):
            return f"[call of {block.name}: {block.input}]"
        if isinstance(block, ToolResultBlock):
            output, _ = self.convert_tool_result_to_string(block.output)
            return f"[result of {block.name}: {output}]"
        kind = type(block).__name__
        if isinstance(block, DataBlock):
            kind = f"{block.source.media_type} data"
        raise GenerationError(
            f"a message holds {kind}, and this model reads text only",
            fix="leave it out, or describe it in words",
        )


class HuggingFaceMultiAgentFormatter(HuggingFaceChatFormatter):
    """Several speakers: what others said reaches the model as the user's
    words with the speaker's name, what it said itself as its own.

    Attributes:
        agent_name (`str`):
            The name of the agent that the model speaks for.
    """

    agent_name: str

    def _assistant_turn(self, msg: Msg, text: str) -> Turn:
        if msg.name == self.agent_name or not text.strip():
            return Turn("assistant", text)
        return Turn("user", f"{msg.name}: {text}")


class ServedChatFormatter(HuggingFaceChatFormatter):
    """The turns as a server's chat template takes them: alternating, the user
    first and last. A server answers others with an error.

    Attributes:
        folds_system (`bool`):
            Whether the system text goes before the user's first words.
    """

    folds_system: bool = True

    async def format(self, msgs: list[Msg]) -> list[dict[str, str]]:
        """Turn messages into dictionaries with `role` and `content`.

        Args:
            msgs (`list[Msg]`):
                The system prompt and the conversation.

        Returns:
            `list[dict[str, str]]`: One for each turn.

        Raises:
            `GenerationError`: A message has an image, audio or a file.
        """
        formatted = await super().format(msgs)
        turns = [Turn(one["role"], one["content"]) for one in formatted]
        if self.folds_system:
            turns = fold_system(turns)
        turns = starting_with_the_user(merge_same_role(turns))
        return [
            {"role": turn.role, "content": turn.text.strip()}
            for turn in ending_with_the_user(turns)
        ]
