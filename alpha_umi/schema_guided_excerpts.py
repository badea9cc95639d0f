# -*- coding: utf-8 -*-
"""Excerpts of Schema-Guided Dialogue, each around one turn of the system.

Rationales are written from templates, which makes the planner's task easier
than the free texts of the paper. Knows no files and no models. Raises
ValueError and KeyError where a dialogue does not fit its schema.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from .excerpts import Cut, Kind, lower_text
from .protocol import Tool, Trajectory, Utterance, write_call
from .reading import write_results
from .schema_guided_dialogues import Act, Dialogue, Frame, Turn
from .schema_guided_services import Intent, Services, offered, tool_of
from .schema_guided_words import (
    FAILED,
    call_words,
    reply_words,
    result_words,
)

_TOLD = ("OFFER", "INFORM", "CONFIRM")
"""The acts whose values must stand in what their speaker has read."""

_UNTOLD = ("true", "false", "dontcare")
"""Values that nobody says in these words."""


@dataclass(frozen=True, slots=True)
class _Scene:
    """A turn of the system, and what its speaker has read."""

    dialogue: Dialogue
    index: int
    services: Services
    cut: Cut
    past: tuple[Utterance, ...]

    @property
    def turn(self) -> Turn:
        return self.dialogue.turns[self.index]

    @property
    def frame(self) -> Frame:
        return self.turn.frames[0]

    @property
    def user(self) -> Frame:
        """The frame of the user's last turn for the same service."""
        for frame in self.dialogue.turns[self.index - 1].frames:
            if frame.service == self.frame.service:
                return frame
        raise ValueError(f"turn {self.index} calls what no user speaks of")


def excerpts(
    dialogue: Dialogue,
    services: Services,
    cut: Cut,
) -> Iterator[tuple[Kind, Trajectory]]:
    """The excerpts that a dialogue gives, one for each turn of the system.

    The earlier turns are no decisions, so that no role learns them; what the
    last call before the step returned stands among them. Left out are calls
    that do not fit their own schema, and steps whose values stand nowhere in
    what their speaker has read.

    Args:
        dialogue (`Dialogue`):
            The dialogue.
        services (`Services`):
            Of the same part of the data.
        cut (`Cut`):
            How much of it an excerpt has.

    Yields:
        `tuple[Kind, Trajectory]`: What an excerpt shows, and the excerpt,
        named after the dialogue and the number of the turn.

    Raises:
        `KeyError`: The services do not have what is called.
        `ValueError`: No user's turn stands before a call.
    """
    for index, turn in enumerate(dialogue.turns):
        if turn.speaker != "SYSTEM":
            continue
        past = _past(dialogue, index, cut)
        scene = _Scene(dialogue, index, services, cut, past)
        if not past:
            continue
        kind, step = _call(scene) if scene.frame.method else _reply(scene)
        if step:
            yield (
                kind,
                Trajectory(
                    _tools(scene),
                    past[0].text,
                    (*past, *step),
                    f"{dialogue.name}:{index}",
                ),
            )


def _past(dialogue: Dialogue, index: int, cut: Cut) -> tuple[Utterance, ...]:
    """The turns before, from a user's one on; without decisions."""
    start = max(0, index - cut.turns)
    start += dialogue.turns[start].speaker == "SYSTEM"
    window = dialogue.turns[start:index]
    calls = [i for i, one in enumerate(window) if one.frames[0].method]
    past = []
    for number, turn in enumerate(window):
        if number in calls[-1:]:
            past.append(_observation(turn.frames[0], cut))
        speaker = "user" if turn.speaker == "USER" else "assistant"
        past.append(Utterance(speaker, turn.text))
    return tuple(past)


def _observation(frame: Frame, cut: Cut) -> Utterance:
    """What a call returned; what the call did not say itself comes first."""
    given = frame.arguments.items()
    results = [
        dict(sorted(one.items(), key=lambda item: item in given))
        for one in frame.results[: cut.results]
    ]
    text = write_results(results, frame.count, cut.observation)
    return Utterance("observation", text)


def _tools(scene: _Scene) -> tuple[Tool, ...]:
    intents = offered(
        scene.services,
        scene.frame.service,
        scene.dialogue.services,
        scene.dialogue.name,
        scene.cut,
    )
    return tuple(tool_of(intent, scene.cut.texts) for intent in intents)


def _call(scene: _Scene) -> tuple[Kind, list[Utterance]]:
    frame, user, seen = scene.frame, scene.user, lower_text(scene.past)
    intent = scene.services[frame.service][frame.method]
    if not intent.accepts(frame.arguments):
        return Kind.CALLED, []
    if not _is_known(intent, user, frame, seen):
        return Kind.CALLED, []
    call = write_call(frame.method, frame.arguments)
    observation = _observation(frame, scene.cut)
    step = [
        Utterance("assistant", call_words(intent, user, seen)),
        Utterance("caller", call.text),
        observation,
        Utterance("assistant", result_words(frame)),
    ]
    if frame.acts_of(FAILED):
        return Kind.FAILED, step
    if _is_told(frame.acts, lower_text((*scene.past, *step[1:3]))):
        answer = Utterance("conclusion", scene.turn.text)
        return Kind.ANSWERED, [*step, answer]
    return Kind.CALLED, step[:2]


def _reply(scene: _Scene) -> tuple[Kind, list[Utterance]]:
    if not _is_told(scene.frame.acts, lower_text(scene.past)):
        return Kind.SAID, []
    return Kind.SAID, [
        Utterance("assistant", reply_words(scene.frame)),
        Utterance("conclusion", scene.turn.text),
    ]


def _is_known(intent: Intent, user: Frame, frame: Frame, seen: str) -> bool:
    """Whether all values of a rationale and its call stand in the text, in
    any of their wordings."""
    values = {name: (value,) for name, value in frame.arguments.items()}
    values |= {
        slot: user.state[slot] for slot in intent.slots if slot in user.state
    }
    return all(
        any(_stands(one, seen) for one in many) for many in values.values()
    )


def _is_told(acts: tuple[Act, ...], seen: str) -> bool:
    return all(
        _stands(value, seen)
        and (value.lower() not in _UNTOLD or act.slot in seen)
        for act in acts
        if act.name in _TOLD
        for value in act.values
    )


def _stands(value: str, seen: str) -> bool:
    return value.lower() in seen or value.lower() in _UNTOLD
