# -*- coding: utf-8 -*-
"""Where a search stands follows from its log alone.

The logs are written in letters: a call `a`, `b`, ... brings `A`, `B`, ...;
`!` gives up, `.` answers, `_` answers nothing, `?` is a turn of the user.
"""

import gzip
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpha_umi.limits import Limits, Outcome
from alpha_umi.protocol import Utterance, write_call
from alpha_umi.search import SearchMode, Visible, visible_history

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
PUBLISHED = DATA / "alpha_umi_toolbench"

LIMITS = Limits(steps=4, width=2, repeats=3)
GAVE_UP, ANSWERED = Outcome.GAVE_UP, Outcome.ANSWERED


def log_of(letters: str) -> list[Utterance]:
    """A log, the first turn of the user left out."""
    return [Utterance("user", "?"), *(u for c in letters for u in _said(c))]


def _said(letter: str) -> list[Utterance]:
    if letter == "?":
        return [Utterance("user", "?")]
    if letter == "!":
        return [Utterance("assistant", "Next: give up.")]
    if letter in "._":
        text = "Sunny." if letter == "." else ""
        return [
            Utterance("assistant", "Next: conclusion."),
            Utterance("conclusion", text),
        ]
    return [
        Utterance("assistant", "Next: caller."),
        Utterance("caller", write_call(letter, {}).text),
        Utterance("observation", letter.upper()),
    ]


def stand(
    letters: str,
    mode: SearchMode = "dfsdt",
    limits: Limits = LIMITS,
) -> Visible:
    return visible_history(log_of(letters), mode, limits, "brief")


def way(visible: Visible) -> str:
    """The letters of a history; what was tried stands in brackets."""
    letters = []
    for one in visible.history[1:]:
        if one.speaker == "observation":
            letters.append(one.text.lower())
        elif one.speaker == "user" and one.text != "?":
            letters.append(f"[{''.join(re.findall('- ([a-z])', one.text))}]")
        elif one.speaker == "user":
            letters.append("?")
        elif one.speaker == "conclusion":
            letters.append("." if one.text else "_")
        elif "give up" in one.text:
            letters.append("!")
    return "".join(letters)


# -- a chain --------------------------------------------------------------


@pytest.mark.parametrize(
    ("letters", "end"),
    [
        ("", None),
        ("a", None),
        ("aa", None),
        ("aba", None),
        ("abc", None),
        ("!", GAVE_UP),
        ("ab!", GAVE_UP),
        (".", ANSWERED),
        ("a.", ANSWERED),
        ("a_", GAVE_UP),
        ("abcd", Outcome.STEP_LIMIT),
        ("aaa", Outcome.REPEATED_STATE),
    ],
)
def test_a_chain_is_its_log_until_it_ends(
    letters: str, end: Outcome | None
) -> None:
    assert stand(letters, "chain") == Visible(tuple(log_of(letters)), end)


def test_two_calls_in_turn_repeat_themselves() -> None:
    limits = Limits(repeats=3)
    assert stand("abab", "chain", limits).end is None
    assert stand("ababa", "chain", limits).end is Outcome.REPEATED_STATE


def test_a_call_that_brings_something_else_does_not_repeat_itself() -> None:
    step = log_of("a")[1:]
    busy = [*step[:2], Utterance("observation", "busy")]
    log = [*log_of("a"), *busy, *step]
    assert visible_history(log, "chain", LIMITS, "brief").end is None


# -- going back -----------------------------------------------------------


@pytest.mark.parametrize(
    ("letters", "expected"),
    [
        ("a!", "[a]"),
        ("ab!", "a[b]"),
        ("abc!", "ab[c]"),
        ("a!b", "[a]b"),
        ("a!bc", "[a]bc"),
        ("ab!c!", "[a]"),
        ("ab!c!d", "[a]d"),
        ("ab!c!d!", "[a]d!"),
        ("a!bc!", "b[c]"),
        ("ab_", "a[b]"),
        ("abcd", "abc[d]"),
        ("abcde", "ab[c]"),
        ("aaa", "aa[a]"),
        ("aaab", "aa[a]b"),
        ("a!b.", "[a]b."),
    ],
)
def test_giving_up_goes_back_to_the_last_point_with_a_call_left(
    letters: str,
    expected: str,
) -> None:
    assert way(stand(letters)) == expected


@pytest.mark.parametrize(
    ("letters", "end"),
    [
        ("!", GAVE_UP),
        ("a!!", GAVE_UP),
        ("a!b!", GAVE_UP),
        ("ab!c!de!f!", GAVE_UP),
        ("a!b.", ANSWERED),
        ("a!", None),
        ("ab!c!d", None),
    ],
)
def test_a_search_ends_where_the_first_point_has_no_call_left(
    letters: str,
    end: Outcome | None,
) -> None:
    assert stand(letters).end is end


def test_an_other_call_that_brings_nothing_new_is_given_up_at_once() -> None:
    assert stand("a!a").end is Outcome.REPEATED_STATE
    assert way(stand("ab!a")) == "[a]"
    assert way(stand("ab!c")) == "a[b]c"


def test_a_point_lists_all_that_was_tried() -> None:
    limits = Limits(width=3)
    assert way(stand("a!b!", limits=limits)) == "[ab]"
    assert way(stand("ab!c!", limits=limits)) == "a[bc]"


def test_with_a_width_of_one_a_search_is_a_chain() -> None:
    limits = Limits(width=1)
    for letters in ("a", "a!", "ab.", "aaa"):
        chain = stand(letters, "chain", limits)
        assert stand(letters, "dfsdt", limits) == chain


def test_the_newest_request_alone_stays() -> None:
    # The first call was given up, then one below the second.
    history = stand("a!bc!").history
    requests = [one for one in history[1:] if one.speaker == "user"]
    assert len(requests) == 1
    assert "- c {}" in requests[0].text


# -- several tasks in one conversation ------------------------------------


def test_a_turn_of_the_user_begins_a_new_search() -> None:
    assert stand("a.?") == Visible(tuple(log_of("a.?")))
    assert stand("abc?d", "chain").end is None
    assert way(stand("a.?b!")) == "a.?[b]"


def test_a_new_search_sees_the_way_of_the_last_and_no_other() -> None:
    assert way(stand("a!b.?c")) == "b.?c"
    assert way(stand("a!b!?c")) == "b!?c"


def test_what_is_said_after_the_end_does_not_change_it() -> None:
    sorry = Utterance("conclusion", "I could not find out.")
    log = [*log_of("a!b!"), sorry]
    visible = visible_history(log, "dfsdt", LIMITS, "brief")
    assert visible.end is GAVE_UP
    assert visible.history[-1] == sorry


def test_a_call_that_has_no_observation_yet_is_seen() -> None:
    log = log_of("ab")[:-1]
    assert visible_history(log, "dfsdt", LIMITS, "brief").history == tuple(log)


# -- the turn that asks for another call ----------------------------------


def test_the_short_request_has_call_and_result_on_a_line() -> None:
    log = log_of("a!")
    log[3] = Utterance("observation", "no\nluck " + "x" * 200)
    hint = visible_history(log, "dfsdt", LIMITS, "brief").history[-1]
    assert hint.text == (
        "Tried here without success:\n"
        f"- a {{}} -> no luck {'x' * 92}...\n"
        "Do something else."
    )


def test_the_published_request_names_the_observation_before_it() -> None:
    at_first = visible_history(log_of("a!"), "dfsdt", LIMITS, "paper")
    assert "again, your former observation" not in at_first.history[-1].text
    later = visible_history(log_of("ab!"), "dfsdt", LIMITS, "paper")
    assert "\n]\nagain, your former observation: A\n\nRemember you" in (
        later.history[-1].text
    )


def published_requests() -> list[tuple[str, dict, str | None]]:
    """All there are, with the candidate and the observation in each."""
    found = []
    for name in ("raw_data_stage_2", "out_of_domain_dev"):
        path = PUBLISHED / f"{name}.json.gz"
        for raw in json.loads(gzip.decompress(path.read_bytes())):
            for one in raw["conversations"][1:]:
                if one["from"] == "user":
                    found.append(_read_request(one["value"]))
    return found


def _read_request(text: str) -> tuple[str, dict, str | None]:
    match = re.search(
        r":\n(\[\n.*?\n\])\n(?:again, your former observation: (.*)\n)?\nRem",
        text,
        re.DOTALL,
    )
    assert match is not None
    (candidate,) = json.loads(match[1])
    return text, candidate, match[2]


@pytest.mark.skipif(not PUBLISHED.exists(), reason="no published records")
def test_the_request_is_byte_for_byte_that_of_the_published_records() -> None:
    requests = published_requests()
    assert len(requests) == 118
    for text, candidate, observation in requests:
        start = [] if observation is None else log_of("z")[1:3]
        if observation is not None:
            start = [*start, Utterance("observation", observation)]
        tried = write_call(candidate["name"], {})
        call = tried.text.replace("{}", candidate["arguments"])
        log = [
            Utterance("user", "?"),
            *start,
            Utterance("assistant", "Next: caller."),
            Utterance("caller", call),
            Utterance("observation", candidate["function_output"]),
            Utterance("assistant", "Next: give up."),
        ]
        hint = visible_history(log, "dfsdt", LIMITS, "paper").history[-1]
        # Older runs of ToolBench wrote another value of what was pruned.
        value = '"mento-carlo-action-value": '
        assert hint.text == text.replace(f"{value}-10000", f"{value}0.0")


# -- any log --------------------------------------------------------------

letters_of_a_log = st.text(st.sampled_from("abc!._?"), max_size=40)


@given(letters_of_a_log, st.integers(1, 3))
def test_a_log_read_on_never_sees_what_was_not_said(
    letters: str,
    width: int,
) -> None:
    limits = Limits(steps=4, width=width, repeats=2)
    log = log_of(letters)
    visible = visible_history(log, "dfsdt", limits, "brief")
    said = [one for one in visible.history if not one.text.startswith("Tried")]
    rest = iter(log)
    assert all(one in rest for one in said)  # in the log's own order
    last_task = letters.rpartition("?")[2]
    if not last_task:
        assert visible.end is None


@given(letters_of_a_log)
def test_a_chain_sees_its_log_whatever_it_is(letters: str) -> None:
    log = log_of(letters)
    visible = visible_history(log, "chain", LIMITS, "paper")
    assert visible.history == tuple(log)
