# -*- coding: utf-8 -*-
"""What the planner says at a turn of Schema-Guided Dialogue.

Rationales are written from templates: the acts of the turn itself and the
state that the user has given so far go in, nothing later. Raises nothing.
"""

from collections.abc import Callable

from .protocol import Decision
from .schema_guided_dialogues import Act, Frame
from .schema_guided_services import Intent
from .tool_texts import call_rationale, rationale

FAILED = "NOTIFY_FAILURE"
"""The act of a system that tells of a call without success."""


def call_words(intent: Intent, user: Frame, seen: str) -> str:
    """Why something is called: what the user wants, and what is known.

    Args:
        intent (`Intent`):
            What is called.
        user (`Frame`):
            Of the user's last turn.
        seen (`str`):
            The text before, in small letters; of several wordings of a value
            one that stands in it is taken.
    """
    known = {
        slot: _wording(user.state[slot], seen)
        for slot in intent.slots
        if user.state.get(slot)
    }
    return call_rationale(intent.name, known)


def result_words(frame: Frame) -> str:
    """What follows from what a call returned."""
    if frame.acts_of(FAILED):
        what = "has failed" if frame.count else "gave nothing"
        return rationale(f"{frame.method} {what}", Decision.GIVE_UP)
    if frame.acts_of("NOTIFY_SUCCESS"):
        return rationale(f"{frame.method} has succeeded", Decision.CONCLUDE)
    noun = "result" if frame.count == 1 else "results"
    return rationale(f"{frame.count} {noun} to offer", Decision.CONCLUDE)


def reply_words(frame: Frame) -> str:
    """Why the system speaks without a call."""
    for name, words in _REPLIES.items():
        if acts := frame.acts_of(name):
            return rationale(words(acts), Decision.CONCLUDE)
    return rationale("The user waits for an answer", Decision.CONCLUDE)


def _wording(values: tuple[str, ...], seen: str) -> str:
    return next((one for one in values if one.lower() in seen), values[0])


def _slots(acts: tuple[Act, ...]) -> str:
    return ", ".join(dict.fromkeys(act.slot for act in acts))


def _values(acts: tuple[Act, ...]) -> str:
    return ", ".join(value for act in acts for value in act.values)


_REPLIES: dict[str, Callable[[tuple[Act, ...]], str]] = {
    "REQUEST": lambda acts: f"Missing: {_slots(acts)}",
    "CONFIRM": lambda acts: "All is known, the user has to confirm it",
    "OFFER": lambda acts: "There is another result to offer",
    "INFORM": lambda acts: f"The results tell {_slots(acts)}",
    "OFFER_INTENT": lambda acts: f"Offer {_values(acts)}",
    "REQ_MORE": lambda acts: "Done, ask what else the user wants",
    "GOODBYE": lambda acts: "The user is done",
}
"""By the act that says most, in this order."""
