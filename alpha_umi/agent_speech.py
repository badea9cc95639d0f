# -*- coding: utf-8 -*-
"""One step of the roles as AgentScope's blocks, and read back from them.

Planner and caller speak in a thinking block, each behind its name; the call
is a tool call block; the summarizer speaks in a text block, which alone others
hear. Knows no models and no history. Raises nothing.
"""

from collections.abc import Iterator
from uuid import uuid4

from agentscope.message import TextBlock, ThinkingBlock, ToolCallBlock
from agentscope.model import ChatResponse

from .moves import Spoken
from .protocol import Call, Plan, is_blank
from .roles import Role


class Speech:
    """Writes a step as parts of one streamed response.

    What a reader sees of a step that calls a tool::

        thinking   planner: I need the weather. Next: caller.
                   caller: Action: weather
                   Action Input: {"city": "Paris"}
        tool_call  weather {"city": "Paris"}

    and of one that answers::

        thinking   planner: I know the weather now. Next: conclusion.
                   summarizer:
        text       It is sunny in Paris.

    AgentScope's agents join thinking blocks that follow each other in their
    events, so planner and caller share one. When the step is over the block
    gets an attribute `plan`, the planner's text as the protocol has it: what
    an interruption cut short has none, and is no step.
    """

    def __init__(self) -> None:
        self._response_id = uuid4().hex
        self._thinking_id = uuid4().hex
        self._text_id = uuid4().hex
        self._speaker: tuple[Role, int] | None = None
        self._held = ""
        self._has_begun = False
        self._has_thought = False
        self.has_answered = False
        """Whether the text block has words."""

    def spoken(self, spoken: Spoken) -> Iterator[ChatResponse]:
        """What a role says, as it comes.

        Blanks around its words are left out, and attempts without a word.
        """
        words = self._new_words(spoken)
        begins = bool(words) and not self._has_begun
        self._has_begun = self._has_begun or begins
        if not words:
            yield self._part()
        elif spoken.role is not Role.SUMMARIZER:
            name = f"{self._line()}{spoken.role}: " if begins else ""
            yield self._thought(f"{name}{words}")
        elif begins and self.has_answered:
            yield self._answered(f" {words}")
        else:
            if begins:
                yield self._thought(f"{self._line()}{spoken.role}:")
            yield self._answered(words)

    def sentence(self, text: str) -> ChatResponse:
        """Words of the agent's own, in the text block."""
        return self._answered(text)

    def planned(self, plan: Plan) -> ChatResponse:
        """The end of a step that is not an answer."""
        return self._part(
            ThinkingBlock(thinking="", id=self._thinking_id, plan=plan.text),
        )

    def called(self, call: Call) -> ChatResponse:
        """The call that AgentScope is to make."""
        return self._part(
            ToolCallBlock(
                id=uuid4().hex,
                name=call.name,
                input=call.arguments,
            ),
        )

    def _new_words(self, spoken: Spoken) -> str:
        """What can be shown of what a role has said by now."""
        if (spoken.role, spoken.attempt) != self._speaker:
            self._speaker = spoken.role, spoken.attempt
            self._held, self._has_begun = "", False
        text = self._held + spoken.text
        hidden = not self._has_begun and is_blank(text)
        words = "" if hidden else text.rstrip()
        self._held = text[len(words) :]
        return words if self._has_begun else words.lstrip()

    def _line(self) -> str:
        return "\n" if self._has_thought else ""

    def _thought(self, text: str) -> ChatResponse:
        self._has_thought = True
        return self._part(ThinkingBlock(thinking=text, id=self._thinking_id))

    def _answered(self, text: str) -> ChatResponse:
        self.has_answered = True
        return self._part(TextBlock(text=text, id=self._text_id))

    def _part(
        self,
        *blocks: TextBlock | ThinkingBlock | ToolCallBlock,
    ) -> ChatResponse:
        return ChatResponse(
            content=list(blocks),
            is_last=False,
            id=self._response_id,
        )


def plan_of(block: ThinkingBlock) -> str | None:
    """The planner's text of a whole step; None for any other thinking."""
    plan = (block.model_extra or {}).get("plan")
    return plan if isinstance(plan, str) else None
