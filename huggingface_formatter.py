# -*- coding: utf-8 -*-
"""Turns AgentScope messages into the turns of a local or a served model.

Calls and results become the text that they are in fine-tuning data. Knows roles
and content blocks, no tokens: for a local model, folding the system text and
merging turns is the chat format's part. Raises GenerationError for content that
a text model cannot be given.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from agentscope.formatter import FormatterBase
from agentscope.message import (
    ContentBlock,
    DataBlock,
    HintBlock,
    Msg,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
    ToolResultBlock,
)

from local_llm.errors import GenerationError
from local_llm.tool_calls import (
    CALL_END,
    CALL_START,
    ToolCall,
    call_of,
    decode,
    render_call,
    render_result,
)
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
        # A model's own thoughts are not shown to it again.
        blocks = [
            block
            for block in msg.get_content_blocks()
            if not isinstance(block, ThinkingBlock)
        ]
        if msg.role == "assistant":
            yield from self._assistant_turns(msg, blocks)
            return
        for block in blocks:
            yield Turn(msg.role, self._text_of(block))

    def _assistant_turns(
        self,
        msg: Msg,
        blocks: Sequence[ContentBlock],
    ) -> Iterator[Turn]:
        """What is said and called, and the results, as they take turns."""
        calls = [one.id for one in blocks if isinstance(one, ToolCallBlock)]
        for kind, group in groupby(blocks, _kind):
            if kind is ToolResultBlock:
                yield self._results(group, calls)
            elif kind is HintBlock:
                for block in group:
                    yield Turn("user", self._text_of(block))
            else:
                yield self._said(group)

    def _said(self, blocks: Iterable[ContentBlock]) -> Turn:
        words: list[str] = []
        calls: list[str] = []
        for block in blocks:
            is_call = isinstance(block, ToolCallBlock)
            (calls if is_call else words).append(self._text_of(block))
        said = "\n\n".join(one for one in words if one.strip())
        return Turn("assistant", "\n".join(filter(None, [said, *calls])))

    def _results(
        self,
        blocks: Iterable[ContentBlock],
        calls: Sequence[str],
    ) -> Turn:
        """Results in the order of their calls, not of their coming."""
        results = sorted(
            blocks,
            key=lambda one: (
                calls.index(one.id) if one.id in calls else len(calls)
            ),
        )
        return Turn("user", "\n".join(map(self._text_of, results)))

    def _text_of(self, block: object) -> str:
        """What a model that reads text is told of a block."""
        if isinstance(block, TextBlock):
            return block.text
        if isinstance(block, HintBlock):
            parts = block.hint
            if isinstance(parts, str):
                return parts
            return "\n".join(self._text_of(part) for part in parts)
        if isinstance(block, ToolCallBlock):
            return _call_text(block)
        if isinstance(block, ToolResultBlock):
            return render_result(self._output_of(block))
        kind = type(block).__name__
        if isinstance(block, DataBlock):
            kind = f"{block.source.media_type} data"
        raise GenerationError(
            f"a message holds {kind}, and this model reads text only",
            fix="leave it out, or describe it in words",
        )

    def _output_of(self, block: ToolResultBlock) -> str:
        output, _ = self.convert_tool_result_to_string(block.output)
        return output


class HuggingFaceMultiAgentFormatter(HuggingFaceChatFormatter):
    """Several speakers: what others said reaches the model as the user's
    words with the speaker's name, what it said itself as its own.

    Attributes:
        agent_name (`str`):
            The name of the agent that the model speaks for.
    """

    agent_name: str

    def _assistant_turns(
        self,
        msg: Msg,
        blocks: Sequence[ContentBlock],
    ) -> Iterator[Turn]:
        if msg.name == self.agent_name:
            yield from super()._assistant_turns(msg, blocks)
            return
        for block in blocks:
            text = self._heard(msg.name, block)
            if text.strip():
                yield Turn("user", text)

    def _heard(self, name: str, block: ContentBlock) -> str:
        """What another agent said or did, in words: its calls are not to be
        taken for those of the model, nor for an example of them."""
        if isinstance(block, ToolCallBlock):
            return f"{name} calls {block.name}: {block.input}"
        if isinstance(block, ToolResultBlock):
            return f"{block.name} answers {name}: {self._output_of(block)}"
        text = self._text_of(block)
        if isinstance(block, HintBlock) or not text.strip():
            return text
        return f"{name}: {text}"


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


def _kind(block: ContentBlock) -> type | None:
    """Results and hints are turns of their own kind; the rest is said."""
    kind = type(block)
    return kind if kind in (ToolResultBlock, HintBlock) else None


def _call_text(block: ToolCallBlock) -> str:
    """A call as it is in fine-tuning data; one that could not be read as it
    was written."""
    value = decode(block.input) if block.input.strip() else {}
    call = call_of({"name": block.name, "arguments": value})
    if isinstance(call, ToolCall):
        return render_call(call)
    written = value if isinstance(value, str) else block.input
    return f"{CALL_START}\n{written}\n{CALL_END}"
