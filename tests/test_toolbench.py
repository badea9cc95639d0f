# -*- coding: utf-8 -*-
"""Tasks of ToolBench become the published conversations, file by file."""

import gzip
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from published_files import bytes_of, objects_of, published
from raw_answers import (
    INSTRUCTION,
    SOLVED,
    SYSTEM,
    TASK,
    answer,
    assistant,
    finish,
    observed,
    write,
)

from alpha_umi.protocol import Utterance, trajectory_as_dict
from alpha_umi.records import records_of
from alpha_umi.roles import Role
from alpha_umi.toolbench import (
    KNOWN_FAULTS,
    read_toolbench,
    trajectory_of,
    write_objects,
)
from alpha_umi.toolbench_answers import Chain, read_answer
from local_llm.errors import CheckpointError, DatasetError

USER = ("user", INSTRUCTION)


def said(*messages: dict[str, Any]) -> list[tuple[str, str]]:
    """What stage 2 makes of messages, after the task."""
    chain = Chain((), INSTRUCTION, (SYSTEM, TASK, *messages), "here")
    first, *others = pairs(trajectory_of(chain).utterances)
    assert first == USER
    return others


def pairs(utterances: Iterable[Utterance]) -> list[tuple[str, str]]:
    return [(one.speaker, one.text) for one in utterances]


def answer_of(arguments: object, content: str | None = "Done.") -> str | None:
    """What a task ends with: the answer, or None where it is given up."""
    plan, *following = said(finish(arguments, content))
    if not following:
        assert plan[1].endswith(" Next: give up.")
        return None
    assert plan[1].endswith(" Next: conclusion.")
    ((speaker, text),) = following
    assert speaker == "conclusion"
    return text


def observation_of(content: object) -> str:
    ((speaker, text),) = said(observed(content))
    assert speaker == "observation"
    return text


# -- the published files --------------------------------------------------


def test_stage_2_of_every_published_task_is_the_published_conversation():
    found = read_toolbench(published("raw_data_stage_1"))
    theirs = objects_of("raw_data_stage_2")
    assert len(found) == 20
    for ours, wanted in zip(found, theirs, strict=True):
        assert trajectory_as_dict(ours) == wanted


@pytest.mark.parametrize(
    ("name", "count"),
    [("raw_data_stage_2", 20), ("out_of_domain_dev", 182)],
)
def test_published_conversations_are_read_and_written_as_they_were(
    name: str,
    count: int,
) -> None:
    found = read_toolbench(published(name))
    assert len(found) == count
    assert [trajectory_as_dict(one) for one in found] == objects_of(name)


def test_written_files_have_the_bytes_of_the_published_ones(
    tmp_path: Path,
) -> None:
    found = read_toolbench(published("raw_data_stage_1"))
    conversations = map(trajectory_as_dict, found)
    planners = [
        record.as_dict()
        for one in found
        for record in records_of(one, Role.PLANNER)
    ]
    path = write_objects(tmp_path / "a.json", conversations)
    assert path.read_bytes() == bytes_of("raw_data_stage_2")
    path = write_objects(tmp_path / "b.json.gz", planners)
    written = gzip.decompress(path.read_bytes())
    assert written == bytes_of("train_planner")


def test_the_test_set_gives_as_many_steps_as_it_has_decisions() -> None:
    found = read_toolbench(published("out_of_domain_dev"))
    steps = {
        role: sum(len(records_of(one, role)) for one in found) for role in Role
    }
    # One answer of the 137 is 'none', which no role learns.
    assert steps == {
        Role.BACKBONE: 705,
        Role.PLANNER: 706,
        Role.CALLER: 523,
        Role.SUMMARIZER: 136,
    }


# -- which stage a file is of ---------------------------------------------

STAGES = {
    "raw": answer(),
    "stage 1": read_answer(answer(), "here").as_dict(),
    "stage 2": trajectory_as_dict(trajectory_of(read_answer(answer(), "x"))),
}


@pytest.mark.parametrize("stage", STAGES)
def test_a_task_is_the_same_whichever_stage_it_is_read_from(
    tmp_path: Path,
    stage: str,
) -> None:
    path = write(tmp_path / "a.json", [STAGES["stage 2"], STAGES[stage]])
    first, second = read_toolbench(path)
    assert second.name == f"{path} row 2"
    assert trajectory_as_dict(first) == trajectory_as_dict(second)
    assert pairs(second.utterances) == [
        USER,
        ("assistant", "I look.\n Next: caller."),
        (
            "caller",
            'Action: weather_for_sky\nAction Input: {\n  "city": "Rome"\n}',
        ),
        ("observation", "{'warm': 21}"),
        ("assistant", "Done.\n Next: conclusion."),
        ("conclusion", "21 degrees."),
    ]


@pytest.mark.parametrize("name", ["7_x.json", "."])
def test_raw_answers_are_read_from_a_file_or_a_folder(
    tmp_path: Path,
    name: str,
) -> None:
    write(tmp_path / "7_x.json", answer())
    (found,) = read_toolbench(tmp_path / name)
    assert trajectory_as_dict(found) == STAGES["stage 2"]


@pytest.mark.parametrize("row", [{}, [], "text", None, {"history": []}])
def test_an_object_of_no_stage_is_an_error_with_its_number(
    tmp_path: Path,
    row: object,
) -> None:
    path = write(tmp_path / "a.json", [STAGES["raw"], row])
    with pytest.raises(DatasetError) as caught:
        read_toolbench(path)
    assert caught.value.message == f"{path} row 2 is of no stage of ToolBench"
    assert "conversations, chains, answer_generation" in str(caught.value.fix)


def test_a_file_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="cannot write"):
        write_objects(tmp_path / "file" / "a.json", [])


def test_the_same_objects_give_the_same_compressed_bytes(
    tmp_path: Path,
) -> None:
    one = write_objects(tmp_path / "a.json.gz", [STAGES["raw"]])
    other = write_objects(tmp_path / "b.json.gz", [STAGES["raw"]])
    assert one.read_bytes() == other.read_bytes()


# -- plans and calls ------------------------------------------------------


def test_a_call_without_a_thought_has_a_plan_of_its_decision_alone() -> None:
    assert said(assistant(None, "now_for_sky", "")) == [
        ("assistant", " Next: caller."),
        ("caller", "Action: now_for_sky\nAction Input: "),
    ]


def test_an_empty_thought_leaves_its_line() -> None:
    assert said(assistant("", "now"))[0] == ("assistant", "\n Next: caller.")


def test_a_thought_without_a_call_is_left_out() -> None:
    null = {**assistant("Hm."), "function_call": None}
    assert said(assistant("Hm."), null, SOLVED[2]) == said(SOLVED[2])


def test_hints_of_the_search_stay_where_they_are() -> None:
    hint = {"role": "user", "content": "Try another.", "valid": False}
    assert said(hint, SOLVED[2], hint) == [
        ("user", "Try another."),
        *said(SOLVED[2]),
        ("user", "Try another."),
    ]


def test_later_prompts_of_the_system_are_left_out() -> None:
    assert said(SYSTEM, SOLVED[2]) == said(SOLVED[2])


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        ({"role": "user"}, "KeyError: 'content'"),
        ({"role": "function"}, "KeyError: 'content'"),
        ({**assistant("a"), "function_call": {}}, "KeyError: 'name'"),
        ({**assistant("a"), "function_call": "f"}, "TypeError"),
        (
            {**assistant("a"), "function_call": {"name": 5, "arguments": ""}},
            "the function that is called has no name",
        ),
    ],
)
def test_a_message_that_lacks_something_is_an_error_with_its_number(
    message: dict[str, Any],
    problem: str,
) -> None:
    with pytest.raises(DatasetError) as caught:
        said(SOLVED[2], message)
    assert caught.value.message.startswith("here message 4 cannot be read")
    assert problem in caught.value.message and caught.value.fix


# -- how a task ends ------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ('{"return_type": "give_answer", "final_answer": "5\\n6"}', "5\n6"),
        ('{"return_type": "give_answer"}', "none"),
        ('{"return_type": "give_answer", "final_answer": null}', "none"),
        ('{"return_type": "give_answer", "final_answer": ""}', ""),
        ('{"return_type": "give_answer", "final_answer": [5]}', "[5]"),
        ({"return_type": "give_answer", "final_answer": "5"}, "5"),
        ('{"return_type": "give_up_and_restart"}', None),
        ('{"return_type": "give_up_and_restart", "final_answer": "5"}', None),
        ({"return_type": "give_up_and_restart"}, None),
    ],
)
def test_a_task_ends_with_the_final_answer_or_is_given_up(
    arguments: object,
    text: str | None,
) -> None:
    assert answer_of(arguments) == text


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ('{"return_type": "give_answer", "final_answer": "It is', "It is"),
        ('{"return_type": "a", "final_answer": "a\nb"}', "a\nb"),
        ('{\n  "return_type": "a",\n  "final_answer": "a\nb"\n}', "a\nb"),
        ('{"final_answer": "5"}', "5"),
        ({"final_answer": "5"}, "5"),
        ('"final_answer": 5 apples}', "5 apples"),
        ('{"return_type": "give_up_and_restart', None),
        ('["give_up_and_restart"]', None),
        ('{"return_type": "give_answer', "Done."),
        ("[]", "Done."),
        ("", "Done."),
        (None, "Done."),
    ],
)
def test_an_answer_in_broken_arguments_is_searched_for(
    arguments: object,
    text: str | None,
) -> None:
    assert answer_of(arguments) == text


def test_without_answer_and_thought_the_answer_is_none() -> None:
    assert answer_of('{"return_type": "give_answer', content=None) == "none"


def test_giving_up_has_nothing_after_it() -> None:
    given_up = '{"return_type": "give_up_and_restart"}'
    assert said(finish(given_up, None)) == [("assistant", " Next: give up.")]


# -- what a tool gave -----------------------------------------------------


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ('{"error": "", "response": "{\'a\': 1}"}', "{'a': 1}"),
        ('{"error": "", "response": {"a": 1}}', '{"a": 1}'),
        ('{"error": "", "response": null}', ""),
        ({"error": "", "response": "5"}, "5"),
        ('{"error": "", "response": "cut of...', ' "cut of...'),
        ('{"error": "no such function"}', ""),
        ('{"error": "none at al', ""),
        ('["a"]', ""),
        ("", ""),
        (None, ""),
        ('{"a": ' + "9" * 5000 + "}", ""),
        ("[" * 100_000, ""),
    ],
)
def test_an_observation_is_the_response_alone(
    content: object,
    text: str,
) -> None:
    assert observation_of(content) == text


# -- whatever the messages hold -------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                [
                    "return_type",
                    "final_answer",
                    "response",
                    "name",
                    "arguments",
                ],
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)
VALUES = JSON | JSON.map(json.dumps) | JSON.map(lambda x: json.dumps(x)[:-1])
MESSAGES = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "user", "assistant", "function"])},
    optional={
        "content": VALUES,
        "function_call": VALUES
        | st.fixed_dictionaries(
            {"name": st.sampled_from(["Finish", "f"]), "arguments": VALUES},
        ),
    },
)


@settings(max_examples=500, derandomize=True, deadline=None)
@given(st.lists(MESSAGES, max_size=4))
@example([assistant("a", "f", ["x"]), finish({"return_type": 5})])
def test_any_messages_are_texts_with_records_or_an_error(
    messages: list[dict[str, Any]],
) -> None:
    chain = Chain((), INSTRUCTION, (SYSTEM, TASK, *messages), "here")
    try:
        found = trajectory_of(chain)
    except DatasetError as error:
        assert error.message.startswith("here message ") and error.fix
        return
    assert all(isinstance(one.text, str) for one in found.utterances)
    for role in Role:
        assert all(record.input for record in records_of(found, role))


# -- the table of faults --------------------------------------------------


def test_every_fault_says_what_is_wrong_and_what_is_done() -> None:
    assert KNOWN_FAULTS
    for fault in KNOWN_FAULTS.values():
        assert fault.released and fault.ours
