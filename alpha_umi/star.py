# -*- coding: utf-8 -*-
"""STAR as trajectories of planner, caller and summarizer.

Each trajectory is what the wizard does until it speaks, queries and reply,
with what led to it. Rationales are written from templates. Knows no models.
Raises DatasetError with file and row.

The data: Mosig et al. 2020, MIT licence. Left out are queries by comparison,
`at most 500`, and those whose values stand nowhere in the dialogue before.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from .excerpts import FULL, Cut, Kind, Mix, choose, offer
from .protocol import (
    Decision,
    Tool,
    Trajectory,
    Utterance,
    write_call,
)
from .reading import faults_named, place_of, write_results
from .star_apis import FREE_TEXT, Api, Argument, read_apis
from .star_dialogues import Dialogue, Event, read_dialogues
from .tool_texts import call_rationale, rationale

Split = Literal["all", "train", "test"]
"""The dataset has no parts; a tenth of its dialogues, told by their names, is
for tests."""

STAR_MIX = Mix(failed=1, answered=9.5, called=63.5, said=9.5)
"""Four fifths calls, a fifth conclusions and as many times giving up as the
data have, which is one in a hundred; see `PAPER_MIX`."""

_TEST_SHARE = 0.1

_MOST_CALLS = 3
"""Before a reply: wizards who query more often than that are trying."""

_CHOSEN = ("RequestType", "Boolean", FREE_TEXT)
"""Types of arguments whose values need not stand in the dialogue."""

_WAITS = "The user waits for an answer"


@dataclass(frozen=True, slots=True)
class _Scene:
    """What a wizard does between two utterances, and what it has read."""

    past: tuple[Utterance, ...]
    queries: tuple[Event, ...]
    reply: Event | None


def read_star(
    folder: Path,
    split: Split = "train",
    cut: Cut = FULL,
    mix: Mix | None = STAR_MIX,
    limit: int | None = None,
) -> list[Trajectory]:
    """Trajectories of a part of the dataset, the same each time.

    Args:
        folder (`Path`):
            The dataset, see `read_apis` and `read_dialogues`.
        split (`Split`, optional):
            Which dialogues.
        cut (`Cut`, optional):
            How much of a dialogue a trajectory has.
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
    apis = read_apis(folder)
    tools = {name: api.as_tool(cut.texts) for name, api in apis.items()}
    found: dict[Kind, list[Trajectory]] = {kind: [] for kind in Kind}
    for dialogue in read_dialogues(folder):
        if split != "all" and _split_of(dialogue) != split:
            continue
        with faults_named(dialogue.where, "dialogue of these APIs", _FIX):
            offered = _offered(dialogue, tools, cut)
            for number, scene in enumerate(_scenes(dialogue, cut)):
                kind, step = _step(scene, apis, cut)
                if not step:
                    continue
                found[kind].append(
                    Trajectory(
                        offered,
                        scene.past[0].text,
                        (*scene.past, *step),
                        f"star {dialogue.name}:{number}",
                    ),
                )
    return choose(found, mix, limit)


def _split_of(dialogue: Dialogue) -> Split:
    place = place_of(f"star {dialogue.name}")
    return "test" if place < _TEST_SHARE else "train"


def _offered(
    dialogue: Dialogue,
    tools: dict[str, Tool],
    cut: Cut,
) -> tuple[Tool, ...]:
    own = [tools[name] for name in dialogue.tasks]
    return tuple(offer(own, (), tools.values(), dialogue.name, cut))


def _scenes(dialogue: Dialogue, cut: Cut) -> Iterator[_Scene]:
    said: list[Utterance] = []
    queries: list[Event] = []
    for event in dialogue.events:
        if event.kind == "query":
            queries = [*_others(queries, event), event]
            continue
        reply = event if event.kind == "reply" else None
        past = _past(said, cut)
        if past and (queries or reply):
            yield _Scene(past, tuple(queries), reply)
        if queries:
            said = [one for one in said if one.speaker != "observation"]
            said.append(_observation(queries[-1], {}, cut))
        queries = []
        speaker = "user" if event.kind == "user" else "assistant"
        said.append(Utterance(speaker, event.text))
    past = _past(said, cut)
    if past and queries:
        yield _Scene(past, tuple(queries), None)


def _others(queries: Sequence[Event], event: Event) -> Sequence[Event]:
    """Those before, without the same query just before."""
    if not queries:
        return queries
    last = queries[-1]
    same = (last.api, last.constraints) == (event.api, event.constraints)
    return queries[:-1] if same else queries


def _past(said: Sequence[Utterance], cut: Cut) -> tuple[Utterance, ...]:
    """The last turns, from a user's one on; without decisions."""
    turns = [i for i, one in enumerate(said) if one.speaker != "observation"]
    for start in turns[-cut.turns :]:
        if said[start].speaker == "user":
            return tuple(said[start:])
    return ()


def _observation(query: Event, given: dict[str, Any], cut: Cut) -> Utterance:
    """What a query returned; what it did not say itself comes first."""
    fields = query.item or {}
    first = dict(sorted(fields.items(), key=lambda one: one in given.items()))
    results = [] if query.item is None else [first]
    text = write_results(results, query.count, cut.observation)
    return Utterance("observation", text)


def _step(
    scene: _Scene,
    apis: dict[str, Api],
    cut: Cut,
) -> tuple[Kind, list[Utterance]]:
    """What the scene shows, and what is said in it; nothing where a query
    cannot be learned."""
    if not scene.queries:
        return Kind.SAID, _answer(scene.reply, _reason(scene.reply))
    if len(scene.queries) > _MOST_CALLS:
        return Kind.CALLED, []
    said: list[Utterance] = []
    for query in scene.queries:
        call = _call(query, apis[query.api], (*scene.past, *said), cut)
        if not call:
            return Kind.CALLED, []
        said += call
    name = scene.queries[-1].api
    if scene.queries[-1].item is None:
        end = rationale(f"{name} gave nothing", Decision.GIVE_UP)
        return Kind.FAILED, [*said, Utterance("assistant", end)]
    if scene.reply is None:
        return Kind.CALLED, said[:-1]
    return Kind.ANSWERED, [
        *said,
        *_answer(scene.reply, f"{name} has answered"),
    ]


def _call(
    query: Event,
    api: Api,
    read: Sequence[Utterance],
    cut: Cut,
) -> list[Utterance]:
    try:
        arguments = api.read_query(query.constraints)
    except ValueError:
        return []
    seen = _letters(" ".join(one.text for one in read))
    kinds = api.arguments
    if not all(_stands(kinds[n], one, seen) for n, one in arguments.items()):
        return []
    known = {
        name: one if isinstance(one, str) else json.dumps(one)
        for name, one in arguments.items()
        if kinds[name].kind != FREE_TEXT
    }
    return [
        Utterance("assistant", call_rationale(api.name, known)),
        Utterance("caller", write_call(api.name, arguments).text),
        _observation(query, arguments, cut),
    ]


def _answer(reply: Event, reason: str) -> list[Utterance]:
    return [
        Utterance("assistant", rationale(reason, Decision.CONCLUDE)),
        Utterance("conclusion", reply.text),
    ]


def _reason(reply: Event) -> str:
    words = reply.label.replace("_", " ")
    return f"To say: {words}" if words else _WAITS


def _stands(argument: Argument, value: object, seen: str) -> bool:
    """Whether a value stands in the text; of a choice its first word."""
    if argument.kind in _CHOSEN:
        return True
    words = str(value).split() or [""]
    return _letters(words[0] if argument.values else str(value)) in seen


def _letters(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


_FIX = "take dialogues and APIs of the same dataset"
