# -*- coding: utf-8 -*-
"""What roles say is read whatever it is, and trajectories or errors come of
files."""

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from alpha_umi.protocol import (
    Call,
    Decision,
    Plan,
    Tool,
    Trajectory,
    Utterance,
    decides,
    gives_up,
    is_blank,
    read_call,
    read_plan,
    read_tool,
    read_trajectory,
    trajectory_as_dict,
    up_to_decision,
    without_decision,
    write_call,
)
from local_llm.errors import DatasetError

MARKS = [
    *("Next: ", "caller", "conclusion", "give up", ".", "\n", " ", "</s>"),
    *(one.phrase for one in Decision),
    *("Action:", "Action Input:", "Action", "none", "{}", '{"a": 1}', "\x1f"),
]
TEXTS = st.lists(
    st.sampled_from(MARKS) | st.text(max_size=5),
    max_size=8,
).map("".join)
FUZZ = settings(max_examples=1000, derandomize=True, deadline=None)


def plan(text: str) -> tuple[str, Decision]:
    found = read_plan(text)
    assert found.is_stated
    return found.text, found.decision


# -- plans ----------------------------------------------------------------


@pytest.mark.parametrize("decision", list(Decision))
def test_a_plan_ends_with_its_decision(decision: Decision) -> None:
    said = f"I think.\n {decision.phrase}."
    assert plan(f"{said} And so on.") == (said, decision)


def test_a_decision_without_its_full_stop_is_one() -> None:
    assert plan("x Next: caller y") == ("x Next: caller", Decision.CALL)


@pytest.mark.parametrize(
    ("text", "end", "decision"),
    [
        ("Next: caller. Next: give up. a", "give up.", Decision.GIVE_UP),
        ("Next: conclusion. Next: give up.", "give up.", Decision.GIVE_UP),
        ("Next: conclusion. Next: caller.", "clusion.", Decision.CONCLUDE),
        ("Next: caller. Next: conclusion.", "clusion.", Decision.CONCLUDE),
    ],
)
def test_giving_up_comes_before_concluding_and_that_before_calling(
    text: str,
    end: str,
    decision: Decision,
) -> None:
    found = read_plan(text)
    assert (found.decision, found.text.endswith(end)) == (decision, True)


@pytest.mark.parametrize("text", ["I add.", "I add. \n", "I add. next: x"])
def test_a_plan_without_a_decision_gets_the_callers(text: str) -> None:
    said = f"{text.rstrip()} Next: caller."
    assert read_plan(text) == Plan(said, Decision.CALL, False)


@FUZZ
@given(TEXTS)
@example("")
@example("Next: caller")
def test_any_text_is_a_plan_that_reads_back_as_itself(text: str) -> None:
    found = read_plan(text)
    assert found.decision.phrase in found.text[-len("Next: conclusion.") :]
    assert plan(found.text) == (found.text, found.decision)
    assert not found.is_stated or text.startswith(found.text)


@FUZZ
@given(TEXTS)
def test_what_comes_up_to_the_first_decision_starts_the_plan(
    text: str,
) -> None:
    early = up_to_decision(text)
    assert text.startswith(early)
    if read_plan(text).is_stated:
        assert read_plan(text).text.startswith(early)
        assert any(early.rstrip(".").endswith(one.phrase) for one in Decision)
    else:
        assert early == text


@FUZZ
@given(TEXTS)
def test_a_rationale_has_no_decision(text: str) -> None:
    rationale = without_decision(text)
    assert not read_plan(rationale).is_stated
    assert rationale == rationale.strip()


@pytest.mark.parametrize(
    ("text", "rationale"),
    [
        ("I add.\n Next: caller.", "I add."),
        ("\n I add. ", "I add."),
        (" Next: caller.", ""),
        ("a Next: caller. b Next: give up.", "a"),
    ],
)
def test_a_rationale_is_what_stands_before_the_decision(
    text: str,
    rationale: str,
) -> None:
    assert without_decision(text) == rationale


@pytest.mark.parametrize(
    ("speaker", "text", "is_decision", "is_end"),
    [
        ("assistant", "Next: give up.", True, True),
        ("assistant", "Next: caller.", True, False),
        ("assistant", "Hm.", False, False),
        ("user", "Next: give up.", False, False),
    ],
)
def test_only_a_planner_decides(
    speaker: Any,
    text: str,
    is_decision: bool,
    is_end: bool,
) -> None:
    said = Utterance(speaker, text)
    assert (decides(said), gives_up(said)) == (is_decision, is_end)


@pytest.mark.parametrize("text", ["", " ", ".", " ,;\n", "...", "</>"])
def test_a_text_without_a_word_is_blank(text: str) -> None:
    assert is_blank(text)


@pytest.mark.parametrize("text", ["a", "5", " Next: caller.", "\u4f60"])
def test_a_text_with_a_word_is_not_blank(text: str) -> None:
    assert not is_blank(text)


# -- calls ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "name", "arguments"),
    [
        ('Action: add\nAction Input: {"a": 1}', "add", '{"a": 1}'),
        ("Action: now", "now", "{}"),
        ("Action: now\nAction Input:", "now", "{}"),
        ("Action Input: {1}", "none", "{1}"),
        ("Action:\nAction Input: {}", "none", "{}"),
        ("I call add.", "none", "{}"),
        ("", "none", "{}"),
        (
            "Action: a\nAction Input: {}\nAction: b\nAction Input: {2}",
            *("b", "{2}"),
        ),
    ],
)
def test_a_call_is_read_from_its_last_lines_with_defaults(
    text: str,
    name: str,
    arguments: str,
) -> None:
    assert read_call(text) == Call(name, arguments)


@FUZZ
@given(TEXTS)
@example("")
@example("Action Input: Action: a")
@example("Action: Action Input: Action: ")
def test_any_text_is_a_call_that_reads_back_as_itself(text: str) -> None:
    call = read_call(text)
    assert call.name == call.name.strip() != ""
    assert call.arguments == call.arguments.strip() != ""
    assert read_call(call.text) == call


@FUZZ
@given(st.dictionaries(st.text(), st.text() | st.integers() | st.none()))
def test_written_arguments_are_read_back(arguments: dict[str, Any]) -> None:
    call = write_call("add", arguments)
    assert json.loads(call.arguments) == arguments


def test_arguments_are_written_as_people_read_them() -> None:
    call = write_call("add", {"caf\u00e9": 1})
    assert call.text == 'Action: add\nAction Input: {"caf\u00e9": 1}'


# -- trajectories ---------------------------------------------------------


def raw(**changed: Any) -> dict[str, Any]:
    return {
        "tools": [{"Name": "add", "function": "Adds.", "input": {"a": "n"}}],
        "instruction": "Add.",
        "conversations": [{"from": "user", "value": "Add."}],
        **changed,
    }


def test_a_trajectory_is_read_and_written_as_it_was() -> None:
    found = read_trajectory(raw(), "a.json row 1")
    assert found == Trajectory(
        (Tool("add", "Adds.", {"a": "n"}),),
        "Add.",
        (Utterance("user", "Add."),),
        "a.json row 1",
    )
    assert trajectory_as_dict(found) == raw()


def test_a_schema_stays_out_of_a_tools_document() -> None:
    tool = Tool("add", "Adds.", {"a": "n"}, {"type": "object"})
    assert read_tool(tool.as_document()) == Tool("add", "Adds.", {"a": "n"})


@pytest.mark.parametrize(
    ("written", "speaker"),
    [
        ("planner", "assistant"),
        ("asssitant", "assistant"),
        ("dispath", "assistant"),
        ("summarizer", "conclusion"),
        ("caller", "caller"),
    ],
)
def test_other_names_of_a_speaker_are_known(
    written: str,
    speaker: str,
) -> None:
    said = [{"from": written, "value": ""}]
    found = read_trajectory(raw(conversations=said), "here")
    assert found.utterances[0].speaker == speaker


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (None, "no trajectory"),
        ([], "no trajectory"),
        ("text", "no trajectory"),
        ({"tools": []}, "KeyError: 'instruction'"),
        (raw(tools=None), "no trajectory"),
        (raw(tools=[{"Name": "add"}]), "KeyError: 'function'"),
        (raw(tools=[{**raw()["tools"][0], "input": []}]), "'items'"),
        (raw(conversations=[{"from": "user"}]), "KeyError: 'value'"),
        (raw(conversations=["Hi"]), "no trajectory"),
        (
            raw(conversations=[{"from": "user", "value": None}]),
            "a value is NoneType, want text",
        ),
        (raw(conversations=[{"from": [], "value": ""}]), "unhashable"),
        (
            raw(conversations=[{"from": "judge", "value": ""}]),
            "nobody is called 'judge'",
        ),
    ],
)
def test_what_is_no_trajectory_is_an_error_with_its_place(
    value: object,
    problem: str,
) -> None:
    with pytest.raises(DatasetError) as caught:
        read_trajectory(value, "a.json row 7")
    assert caught.value.message.startswith("a.json row 7: ")
    assert problem in caught.value.message and caught.value.fix
