# -*- coding: utf-8 -*-
"""Schema-Guided Dialogue as trajectories of planner, caller and summarizer.

Each trajectory is an excerpt around one turn of the system, with what led to
it. Its rationales are written from templates, which makes the planner's task
easier than the free texts of the paper. Knows no models. Raises DatasetError
with file and row.

The data: Rastogi et al. 2020, CC BY-SA 4.0. A call's dates are as in the
data, where today is 1 March 2019.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Literal

from .protocol import Tool, Trajectory, Utterance, write_call
from .reading import (
    LONGEST_OBSERVATION,
    faults_named,
    place_of,
    write_results,
)
from .schema_guided_dialogues import Act, Dialogue, Frame, read_dialogues
from .schema_guided_services import (
    ArgumentTexts,
    Intent,
    Services,
    offer,
    read_services,
)
from .schema_guided_words import (
    FAILED,
    call_words,
    reply_words,
    result_words,
)

Part = Literal["all", "seen", "unseen"]
"""Of the dialogues: `seen` where every service stands in the training schema,
`unseen` where one does not."""

_TOLD = ("OFFER", "INFORM", "CONFIRM")
"""The acts whose values must stand in what their speaker has read."""

_UNTOLD = ("true", "false", "dontcare")
"""Values that nobody says in these words."""


class Kind(StrEnum):
    """What an excerpt shows."""

    FAILED = "failed"
    ANSWERED = "answered"
    CALLED = "called"
    SAID = "said"


@dataclass(frozen=True, slots=True)
class Cut:
    """How much of a dialogue a trajectory has.

    Attributes:
        turns (`int`):
            Before the step, the user's last one included.
        tools (`int`):
            At most, the intents of the step's own service apart.
        distractors (`int`):
            Of these, at most so many from services foreign to the dialogue.
        texts (`ArgumentTexts`):
            How arguments read.
        results (`int`):
            The first ones that an observation has.
        observation (`int`):
            Its longest text, in characters.
    """

    turns: int = 13
    tools: int = 12
    distractors: int = 3
    texts: ArgumentTexts = "described"
    results: int = 3
    observation: int = LONGEST_OBSERVATION


FULL = Cut()
SMALL = Cut(
    turns=5,
    tools=4,
    distractors=3,
    texts="named",
    results=1,
    observation=200,
)
"""For models that read slowly: prompts of 900 characters on average."""


@dataclass(frozen=True, slots=True)
class Mix:
    """How often each kind of excerpt comes, as weights.

    Attributes:
        failed (`float`):
            A call that failed or found nothing, and giving up.
        answered (`float`):
            A call and the answer.
        called (`float`):
            A call alone: the excerpt ends before its result.
        said (`float`):
            An answer or a question without a call.
    """

    failed: float
    answered: float
    called: float
    said: float

    @property
    def total(self) -> float:
        """The sum of the weights."""
        return self.failed + self.answered + self.called + self.said


PAPER_MIX = Mix(failed=7, answered=9.5, called=57.5, said=9.5)
"""In a hundred steps 74 calls, 19 conclusions and 7 times giving up, as in
the paper's test set; half of the conclusions follow a call."""

_Excerpts = Mapping[Kind, list[Trajectory]]


def read_schema_guided(
    folder: Path,
    split: str,
    cut: Cut = FULL,
    part: Part = "all",
    mix: Mix | None = PAPER_MIX,
    limit: int | None = None,
) -> list[Trajectory]:
    """Trajectories of a part of the dataset, the same each time.

    The earlier turns of an excerpt are no decisions, so that no role learns
    them; what the last call before it returned stands among them. Left out
    are calls that do not fit their own schema, and steps whose values stand
    nowhere in what their speaker has read.

    Args:
        folder (`Path`):
            With `train.jsonl.gz` and `train_schema.json`, and so on; one
            dialogue a line, see `read_dialogues`.
        split (`str`):
            `train`, `dev` or `test`.
        cut (`Cut`, optional):
            How much of a dialogue a trajectory has.
        part (`Part`, optional):
            Which dialogues.
        mix (`Mix | None`, optional):
            How often each kind comes; as many trajectories are taken as the
            rarest kind allows. None takes all.
        limit (`int | None`, optional):
            The most trajectories.

    Returns:
        `list[Trajectory]`: In a mixed order; the first ones are a fair
        sample.

    Raises:
        `DatasetError`: A file is missing or cannot be read.
    """
    services = read_services(folder, split)
    known = frozenset(read_services(folder, "train"))
    found: dict[Kind, list[Trajectory]] = {kind: [] for kind in Kind}
    for dialogue in read_dialogues(folder, split):
        if part != "all" and is_seen(dialogue, known) != (part == "seen"):
            continue
        with faults_named(dialogue.where, "dialogue of this schema", _FIX):
            for kind, trajectory in _excerpts(dialogue, services, cut, split):
                found[kind].append(trajectory)
    ordered = {kind: _mixed(found[kind]) for kind in Kind}
    chosen = _every(ordered) if mix is None else _chosen(ordered, mix, limit)
    # What was chosen stands at the front of its kind: mixed anew.
    return _mixed(chosen, "order")[:limit]


def is_seen(dialogue: Dialogue, known: frozenset[str]) -> bool:
    """Whether all services of a dialogue are among the known ones."""
    return known.issuperset(dialogue.services)


# -- which excerpts -------------------------------------------------------


def _mixed(
    trajectories: list[Trajectory],
    purpose: str = "choice",
) -> list[Trajectory]:
    return sorted(
        trajectories,
        key=lambda one: place_of(f"{purpose} {one.name}"),
    )


def _every(found: _Excerpts) -> list[Trajectory]:
    return [one for kind in Kind for one in found[kind]]


def _chosen(
    found: _Excerpts,
    mix: Mix,
    limit: int | None,
) -> list[Trajectory]:
    """As many of each kind as the weights say; answers that are too many
    are cut off and serve as calls."""
    failed, answered, called, said = (found[kind] for kind in Kind)
    calls = len(answered) + len(called)
    most = min(
        _ratio(len(failed), mix.failed),
        _ratio(len(answered), mix.answered),
        _ratio(calls, mix.answered + mix.called),
        _ratio(len(said), mix.said),
        _ratio(calls + len(failed) + len(said), mix.total),
        *([] if limit is None else [_ratio(limit, mix.total)]),
    )
    kept = int(most * mix.answered)
    cut_off = [_without_answer(one) for one in answered[kept:]]
    return [
        *failed[: int(most * mix.failed)],
        *answered[:kept],
        *_mixed([*called, *cut_off])[: int(most * mix.called)],
        *said[: int(most * mix.said)],
    ]


def _ratio(available: int, weight: float) -> float:
    return available / weight if weight else float("inf")


def _without_answer(trajectory: Trajectory) -> Trajectory:
    said = trajectory.utterances
    end = 1 + max(i for i, one in enumerate(said) if one.speaker == "caller")
    return replace(trajectory, utterances=said[:end])


# -- one excerpt ----------------------------------------------------------


def _excerpts(
    dialogue: Dialogue,
    services: Services,
    cut: Cut,
    split: str,
) -> Iterator[tuple[Kind, Trajectory]]:
    for index, turn in enumerate(dialogue.turns):
        if turn.speaker != "SYSTEM":
            continue
        frame = turn.frames[0]
        past = _past(dialogue, index, cut)
        seen = _read_so_far(past)
        if frame.method:
            kind, step = _call_step(dialogue, index, services, cut, seen)
        else:
            kind, step = _reply_step(frame, turn.text, seen)
        if not past or not step:
            continue
        yield (
            kind,
            Trajectory(
                _tools(dialogue, frame.service, services, cut),
                past[0].text,
                (*past, *step),
                f"sgd {split} {dialogue.name}:{index}",
            ),
        )


def _past(dialogue: Dialogue, index: int, cut: Cut) -> list[Utterance]:
    """The turns before, from a user's one on; without decisions."""
    start = max(0, index - cut.turns)
    start += dialogue.turns[start].speaker == "SYSTEM"
    window = dialogue.turns[start:index]
    calls = [i for i, one in enumerate(window) if one.frames[0].method]
    past = []
    for number, turn in enumerate(window):
        if calls and number == calls[-1]:
            past.append(_observation(turn.frames[0], cut))
        speaker = "user" if turn.speaker == "USER" else "assistant"
        past.append(Utterance(speaker, turn.text))
    return past


def _observation(frame: Frame, cut: Cut) -> Utterance:
    """What a call returned, what it did not say itself first."""
    results = [
        dict(sorted(one.items(), key=lambda item: item in given))
        for given in [frame.arguments.items()]
        for one in frame.results[: cut.results]
    ]
    text = write_results(results, frame.count, cut.observation)
    return Utterance("observation", text)


def _tools(
    dialogue: Dialogue,
    service: str,
    services: Services,
    cut: Cut,
) -> tuple[Tool, ...]:
    offered = offer(
        services,
        service,
        dialogue.services,
        dialogue.name,
        cut.distractors,
        cut.tools,
    )
    return tuple(intent.as_tool(cut.texts) for intent in offered)


def _call_step(
    dialogue: Dialogue,
    index: int,
    services: Services,
    cut: Cut,
    seen: str,
) -> tuple[Kind, list[Utterance]]:
    turn = dialogue.turns[index]
    frame = turn.frames[0]
    intent = services[frame.service][frame.method]
    user = _frame_of(dialogue.turns[index - 1].frames, frame.service)
    if not intent.accepts(frame.arguments) or not _is_known(
        intent, user, frame, seen
    ):
        return Kind.CALLED, []
    call = write_call(frame.method, frame.arguments)
    observation = _observation(frame, cut)
    step = [
        Utterance("assistant", call_words(intent, user, seen)),
        Utterance("caller", call.text),
        observation,
        Utterance("assistant", result_words(frame)),
    ]
    if frame.acts_of(FAILED):
        return Kind.FAILED, step
    if _is_told(frame.acts, f"{seen}\n{_read_so_far(step[1:3])}"):
        return Kind.ANSWERED, [*step, Utterance("conclusion", turn.text)]
    return Kind.CALLED, step[:2]


def _reply_step(
    frame: Frame,
    text: str,
    seen: str,
) -> tuple[Kind, list[Utterance]]:
    if not _is_told(frame.acts, seen):
        return Kind.SAID, []
    return Kind.SAID, [
        Utterance("assistant", reply_words(frame)),
        Utterance("conclusion", text),
    ]


def _frame_of(frames: tuple[Frame, ...], service: str) -> Frame:
    return next(one for one in frames if one.service == service)


# -- what stands in the text ----------------------------------------------


def _read_so_far(utterances: list[Utterance]) -> str:
    return "\n".join(one.text for one in utterances).lower()


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


_FIX = "take dialogues and schema of the same part of the dataset"
