# -*- coding: utf-8 -*-
"""A message hub: what one agent says, all the others hear.

Keeps no conversation of its own and changes no agent's words: memory is the
agents'. Raises ConfigError for participants that cannot share a hub, and
GenerationError where someone has to answer before the talk can go on.
"""

import asyncio
import re
from collections import Counter, deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Self, TypeAlias

from agentscope import logger
from agentscope.agent import Agent
from agentscope.event import (
    AgentEvent,
    ExternalExecutionResultEvent,
    UserConfirmResultEvent,
    UserInterruptEvent,
)
from agentscope.message import DataBlock, Msg, TextBlock, UserMsg
from agentscope.types import ReplyFinishedReason

from local_llm.errors import ConfigError, GenerationError

Answer: TypeAlias = (
    UserConfirmResultEvent | ExternalExecutionResultEvent | UserInterruptEvent
)
Inputs: TypeAlias = Msg | list[Msg] | Answer | None
_INTERRUPTED = ReplyFinishedReason.INTERRUPTED
_UNSAID = (_INTERRUPTED, ReplyFinishedReason.ERROR)


@dataclass(eq=False)
class _Seat:
    """A participant, and what it has yet to hear."""

    agent: Agent
    speaking: bool = False
    inbox: deque[Msg] = field(default_factory=deque)
    hearing: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def parked(self) -> bool:
        """Whether its reply waits for the user or an external result."""
        return self.agent.state.has_awaiting_tool_calls(self.agent.name)

    @property
    def has_news(self) -> bool:
        """Whether it heard anything since its own last words."""
        context, own = self.agent.state.context, ("assistant", self.agent.name)
        return bool(context) and (context[-1].role, context[-1].name) != own

    def knows(self, msg: Msg) -> bool:
        """Whether it said or heard the message before, in any hub."""
        # Its own memory tells, so overlapping hubs need no common record.
        return any(known.id == msg.id for known in self.agent.state.context)


class MsgHub:
    """A conversation of several agents and the user.

    Inside ``async with MsgHub(...) as hub``, ``await hub.speak(agent)`` lets
    an agent speak and the others hear it; ``launch_console(hub)`` plays whole
    rounds with the user. Text and data are heard, as a user turn: an agent's
    behind ``"Name: "``, because a model is not shown the name of a message,
    anyone else's (the user's, an announcement's) plain, as models are trained
    to read them. A message is heard once, whichever hubs deliver it, and not
    in the middle of the listener's own reply but after it.
    """

    def __init__(
        self,
        participants: Sequence[Agent],
        announcement: Msg | list[Msg] | None = None,
        enable_auto_broadcast: bool = True,
        name: str | None = None,
    ) -> None:
        """Initialize the hub.

        Args:
            participants (`Sequence[Agent]`):
                The agents, in the order in which they speak in a round.
            announcement (`Msg | list[Msg] | None`, optional):
                What all hear on entering, or else before the first reply.
            enable_auto_broadcast (`bool`, defaults to `True`):
                Whether the others hear what an agent says in the hub.
            name (`str | None`, optional):
                What errors and warnings call the hub.
        """
        self.name = name or "MsgHub"
        self.announcement = announcement
        self.enable_auto_broadcast = enable_auto_broadcast
        self.failures: list[tuple[str, Exception]] = []
        """The names of the listeners that missed a message, and why."""
        self._broadcasting = enable_auto_broadcast
        self._announced = False
        self._seats: dict[str, _Seat] = {}
        self._rest: list[_Seat] = []
        self.add(list(participants))

    @property
    def participants(self) -> list[Agent]:
        """The agents in the hub, in the order in which they speak."""
        return [seat.agent for seat in self._seats.values()]

    async def __aenter__(self) -> Self:
        """Start broadcasting, with the announcement."""
        self._broadcasting = self.enable_auto_broadcast
        await self._announce()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Stop broadcasting; the agents keep what they heard."""
        self._broadcasting = False

    def add(self, participant: Agent | list[Agent]) -> None:
        """Let agents join; they hear what is said from now on."""
        joining = _agents(participant)
        names = Counter([*self._seats, *(agent.name for agent in joining)])
        twice = [f"{n!r} is there twice" for n, k in names.items() if k > 1]
        if twice:
            fix = "add each agent once, under a name of its own"
            raise ConfigError(self.name, twice, fix=fix)
        self._seats.update({agent.name: _Seat(agent) for agent in joining})

    def delete(self, participant: Agent | list[Agent]) -> None:
        """Let agents leave; one that is not in the hub costs a warning."""
        for agent in _agents(participant):
            if agent in self.participants:
                del self._seats[agent.name]
            else:
                logger.warning("%s: %r is not in it", self.name, agent.name)

    def set_auto_broadcast(self, enable: bool) -> None:
        """Set whether the others hear what an agent says in the hub."""
        self.enable_auto_broadcast = self._broadcasting = enable

    async def broadcast(self, msg: Msg | list[Msg]) -> None:
        """Let all participants hear messages, in order.

        Authors hear them too, but for an agent whose reply it was. A listener
        that fails is logged and kept in :attr:`failures`.

        Args:
            msg (`Msg | list[Msg]`):
                The messages.
        """
        await self._deliver(msg, [*self._seats.values()])

    async def speak(self, agent: Agent, msg: Inputs = None) -> Msg:
        """Let a participant reply, and the others hear the reply.

        Args:
            agent (`Agent`):
                The participant.
            msg (`Inputs`, optional):
                What it alone hears first, or the answer that its parked reply
                waits for.

        Returns:
            `Msg`:
                The reply. Others do not hear it if it is empty, interrupted,
                in error or parked.
        """
        if agent not in self.participants:
            stranger = f"{agent.name!r} is not a participant"
            raise ConfigError(self.name, [stranger], fix="add() it first")
        await self._announce()
        reply = None
        async for item in self._turn(self._seats[agent.name], msg):
            reply = item if isinstance(item, Msg) else reply
        if reply is None:
            raise GenerationError(
                f"{agent.name!r} ended its turn without a reply",
                fix="check what its on_reply middlewares let through",
            )
        return reply

    async def reply_stream(
        self,
        inputs: Inputs = None,
    ) -> AsyncGenerator[AgentEvent, None]:
        """Play a round: all hear the inputs, then each answers in turn.

        Those speak who are there at the start, still there at their turn, and
        heard anything new. A reply that waits for an answer stops the round
        until it comes; an interruption ends the round.

        Args:
            inputs (`Inputs`, optional):
                The user's messages, or the answer that a reply waits for;
                `None` plays a round among the agents.

        Yields:
            `AgentEvent`:
                The events of the speakers, as they come.
        """
        turns = await self._plan(inputs)
        while turns:
            seat, answer = turns.popleft()
            if not self._may_speak(seat, answer):
                continue
            try:
                async with aclosing(self._turn(seat, answer)) as turn:
                    async for item in turn:
                        if not isinstance(item, Msg):
                            yield item
                        elif item.finished_reason == _INTERRUPTED:
                            # Other parked replies still have to be closed.
                            turns = deque(t for t in turns if t[1])
            finally:
                # Also after an error: the answer may be sent once more.
                self._rest = [s for s, _ in turns] if seat.parked else []
            if seat.parked:
                return

    async def _plan(
        self,
        inputs: Inputs,
    ) -> deque[tuple[_Seat, Answer | None]]:
        """Who speaks because of the inputs, and with which answer."""
        seats = [*self._seats.values()]
        parked = {s.agent.state.reply_id: s for s in seats if s.parked}
        if isinstance(inputs, UserInterruptEvent):
            return deque(
                (seat, UserInterruptEvent(reply_id=reply_id))
                for reply_id, seat in parked.items()
            )
        if not (inputs is None or isinstance(inputs, Msg | list)):
            if inputs.reply_id not in parked:
                raise GenerationError(
                    f"{self.name}: no reply {inputs.reply_id!r} is waiting",
                    fix="answer with the reply_id of the request",
                )
            rest: list[tuple[_Seat, None]] = [(s, None) for s in self._rest]
            return deque([(parked[inputs.reply_id], inputs), *rest])
        if not seats:
            fix = "pass agents to MsgHub(...), or add() them"
            raise ConfigError(self.name, ["it has no participants"], fix=fix)
        # An agent would refuse too, but only after the others heard it.
        if parked:
            names = ", ".join(seat.agent.name for seat in parked.values())
            raise GenerationError(
                f"{self.name}: a reply of {names} still waits for its answer",
                fix="send the answer it asks for, or a UserInterruptEvent",
            )
        await self._announce()
        await self._deliver(inputs or [], seats)
        return deque((seat, None) for seat in seats)

    def _may_speak(self, seat: _Seat, answer: Answer | None) -> bool:
        """Whether a planned turn is still to be played."""
        if not self._has(seat):
            return False
        if answer is None and not seat.has_news:
            logger.warning("%r heard nothing to answer", seat.agent.name)
            return False
        return True

    def _has(self, seat: _Seat) -> bool:
        """Whether the seat's agent has not left since it took the seat."""
        return self._seats.get(seat.agent.name) is seat

    async def _turn(
        self,
        seat: _Seat,
        inputs: Inputs,
    ) -> AsyncGenerator[AgentEvent | Msg, None]:
        """Let one agent reply, then the others hear it."""
        await self._hand_over(seat)
        if isinstance(inputs, Msg | list):
            news = [view for view in _heard(inputs) if not seat.knows(view)]
            inputs = news or None
        reply: Msg | None = None
        seat.speaking = True
        try:
            events = seat.agent.reply_stream(inputs, yield_final_msg=True)
            async for item in events:
                reply = item if isinstance(item, Msg) else reply
                yield item
        finally:
            seat.speaking = False
            await self._hand_over(seat)
        # Who left while speaking is no longer heard.
        if reply and self._has(seat) and not seat.parked:
            if self._broadcasting and reply.finished_reason not in _UNSAID:
                others = [s for s in self._seats.values() if s is not seat]
                await self._deliver(reply, others)

    async def _announce(self) -> None:
        """Broadcast the announcement, the first time."""
        if self.announcement is not None and not self._announced:
            self._announced = True
            await self.broadcast(self.announcement)

    async def _deliver(
        self,
        msg: Msg | list[Msg],
        listeners: list[_Seat],
    ) -> None:
        """Put messages into the listeners' inboxes, and let them hear."""
        views = _heard(msg)
        for seat in listeners:
            seat.inbox.extend(views)
        await asyncio.gather(*map(self._hand_over, listeners))

    async def _hand_over(self, seat: _Seat) -> None:
        """Let a listener hear its inbox, unless it is in a reply."""
        # Amid a reply a message would part tool calls from their results.
        # The lock keeps the messages of two broadcasts in order.
        async with seat.hearing:
            while seat.inbox and not seat.speaking and not seat.parked:
                msg, name = seat.inbox[0], seat.agent.name
                try:
                    if not seat.knows(msg):
                        await seat.agent.observe(msg)
                # Whatever one listener's own code raises must cost the
                # others neither the message nor the conversation.
                except Exception as error:  # noqa: BLE001
                    self.failures.append((name, error))
                    logger.warning("%r missed a message: %r", name, error)
                # Only now, so that a cancelled delivery is made up for later.
                seat.inbox.popleft()


def _heard(msg: Msg | list[Msg]) -> list[Msg]:
    """The messages as listeners hear them, without those that say nothing."""
    views = []
    for one in msg if isinstance(msg, list) else [msg]:
        blocks = [
            block
            for block in one.content
            if isinstance(block, DataBlock)
            or (isinstance(block, TextBlock) and block.text.strip())
        ]
        if one.role == "assistant":
            blocks = _with_name(one.name, blocks)
        if blocks:
            views.append(UserMsg(one.name, blocks, one.metadata, id=one.id))
    return views


def _with_name(
    name: str,
    blocks: list[TextBlock | DataBlock],
) -> list[TextBlock | DataBlock]:
    """Put the speaker's name before its words, once.

    A name with nothing said behind it is nothing.
    """
    if not blocks or isinstance(blocks[0], DataBlock):
        return [TextBlock(text=f"{name}:"), *blocks] if blocks else []
    # A model that reads names in its context begins to emit its own.
    emitted = rf"\A\s*(?:{re.escape(name)}\s*:\s*)*"
    said = re.sub(emitted, "", blocks[0].text, flags=re.IGNORECASE)
    if not said:
        return _with_name(name, blocks[1:])
    return [TextBlock(text=f"{name}: {said}"), *blocks[1:]]


def _agents(one_or_more: Agent | list[Agent]) -> list[Agent]:
    """A list of agents, from one agent or a list of them."""
    return one_or_more if isinstance(one_or_more, list) else [one_or_more]
