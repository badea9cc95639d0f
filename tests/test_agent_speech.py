# -*- coding: utf-8 -*-
"""A step of the roles as content blocks."""

from collections.abc import Iterable

import pytest
from agentscope.message import TextBlock, ThinkingBlock, ToolCallBlock
from agentscope.model import ChatResponse

from alpha_umi.agent_speech import Speech, plan_of
from alpha_umi.moves import Spoken
from alpha_umi.protocol import Call, read_plan
from alpha_umi.roles import Role

PLANNER, CALLER, SUMMARIZER = Role.PLANNER, Role.CALLER, Role.SUMMARIZER


def said(speech: Speech, *spoken: tuple) -> list[ChatResponse]:
    """The parts of what roles say: role, text, and attempt where not 0."""
    return [
        part
        for role, text, *attempt in spoken
        for part in speech.spoken(Spoken(role, text, 1, *attempt))
    ]


def whole(parts: Iterable[ChatResponse]) -> list[tuple[str, str]]:
    """Kind and text of the blocks of a response, its parts put together."""
    response = ChatResponse(content=[], is_last=True)
    for part in parts:
        response.append_chat_response(part)
    return [
        (block.type, getattr(block, "thinking", None) or block.text)
        for block in response.content
    ]


def test_planner_and_caller_share_a_block_each_behind_its_name() -> None:
    parts = said(
        Speech(),
        (PLANNER, "I add."),
        (PLANNER, " Next: caller."),
        (CALLER, "Action: add\n"),
        (CALLER, "Action Input: {}"),
    )
    assert whole(parts) == [
        (
            "thinking",
            "planner: I add. Next: caller.\n"
            "caller: Action: add\nAction Input: {}",
        ),
    ]
    assert parts[1].content[0].thinking == " Next: caller."


def test_the_summarizer_is_named_outside_of_what_it_says() -> None:
    parts = said(
        Speech(),
        (PLANNER, "Next: conclusion."),
        (SUMMARIZER, " It is"),
        (SUMMARIZER, " 5. "),
    )
    assert whole(parts) == [
        ("thinking", "planner: Next: conclusion.\nsummarizer:"),
        ("text", "It is 5."),
    ]


def test_all_parts_are_of_one_response() -> None:
    speech = Speech()
    parts = [*said(speech, (PLANNER, "Hm."), (SUMMARIZER, "Yes."))]
    parts.append(speech.sentence("No."))
    assert len({part.id for part in parts}) == 1
    assert not any(part.is_last for part in parts)
    kinds = [part.content[0] for part in parts]
    assert len({one.id for one in kinds if isinstance(one, TextBlock)}) == 1


def test_attempts_without_a_word_are_not_shown() -> None:
    parts = said(
        Speech(),
        (PLANNER, " \n", 0),
        (PLANNER, "...", 0),
        (PLANNER, "", 1),
        (PLANNER, "I add.", 2),
    )
    assert [len(part.content) for part in parts] == [0, 0, 0, 1]
    assert whole(parts) == [("thinking", "planner: I add.")]


def test_a_sign_before_the_first_word_belongs_to_it() -> None:
    parts = said(Speech(), (SUMMARIZER, '"'), (SUMMARIZER, 'Yes"'))
    assert whole(parts)[-1] == ("text", '"Yes"')


def test_parts_without_anything_new_have_no_block() -> None:
    parts = said(
        Speech(),
        (PLANNER, "Next: caller."),
        (PLANNER, ""),
        (PLANNER, "\n"),
        (PLANNER, ""),
    )
    assert [len(part.content) for part in parts] == [1, 0, 0, 0]


def test_blanks_between_words_are_kept_wherever_the_parts_end() -> None:
    parts = said(Speech(), *((PLANNER, one) for one in "I add\n\n two. "))
    assert whole(parts) == [("thinking", "planner: I add\n\n two.")]


def test_a_sentence_of_the_agents_own_goes_before_the_summarizers() -> None:
    speech = Speech()
    parts = [speech.sentence("I had to stop.")]
    parts += said(speech, (SUMMARIZER, "It is 5."))
    assert whole(parts) == [("text", "I had to stop. It is 5.")]
    assert speech.has_answered


@pytest.mark.parametrize("role", [PLANNER, CALLER])
def test_thoughts_are_no_answer(role: Role) -> None:
    speech = Speech()
    said(speech, (role, "Action: add"))
    assert not speech.has_answered


def test_a_call_is_a_block_of_its_own_behind_the_marked_plan() -> None:
    speech = Speech()
    plan = read_plan("I add. Next: caller. And then")
    parts = said(speech, (PLANNER, "I add. Next: caller. And then"))
    parts += [speech.planned(plan), speech.called(Call("add", '{"a": 1}'))]
    response = ChatResponse(content=[], is_last=True)
    for part in parts:
        response.append_chat_response(part)
    thinking, call = response.content
    assert isinstance(call, ToolCallBlock)
    assert (call.name, call.input) == ("add", '{"a": 1}')
    assert plan_of(thinking) == "I add. Next: caller."


def test_every_call_has_an_id_of_its_own() -> None:
    speech = Speech()
    calls = [speech.called(Call("add", "{}")) for _ in range(2)]
    assert len({part.content[0].id for part in calls}) == 2


@pytest.mark.parametrize(
    "block",
    [
        ThinkingBlock(thinking="planner: I add"),
        ThinkingBlock(thinking="", signature="of another model"),
        ThinkingBlock(thinking="", plan=None),
    ],
)
def test_what_was_cut_short_or_is_anothers_has_no_plan(
    block: ThinkingBlock,
) -> None:
    assert plan_of(block) is None


def test_the_plan_outlives_being_stored() -> None:
    block = ThinkingBlock(thinking="planner: I add.", plan="I add.")
    stored = ThinkingBlock.model_validate_json(block.model_dump_json())
    assert plan_of(stored) == "I add."
