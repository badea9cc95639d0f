# -*- coding: utf-8 -*-
"""One step: who is asked what, what is passed on, and what it comes to."""

from itertools import accumulate, cycle, pairwise, takewhile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_roles import (
    QUESTION,
    TOOLS,
    ScriptedRole,
    heard,
    steps,
    team,
)

from alpha_umi.moves import BLANK_PLANS, Move, next_move
from alpha_umi.protocol import (
    Call,
    Decision,
    Plan,
    Utterance,
    up_to_decision,
)
from alpha_umi.roles import Role

pytestmark = pytest.mark.asyncio

CALL = "Action: add\nAction Input: {}"


# -- who speaks -----------------------------------------------------------


async def test_a_plan_to_call_comes_to_the_callers_call() -> None:
    planner = ScriptedRole("I add. Next: caller.")
    _, move = await steps(team(planner, ScriptedRole(CALL)))
    assert move == Move(
        Plan("I add. Next: caller.", Decision.CALL, True),
        call=Call("add", "{}"),
    )


async def test_a_plan_to_conclude_comes_to_the_summarizers_answer() -> None:
    planner = ScriptedRole("Done. Next: conclusion.")
    summarizer = ScriptedRole("\n It is 5. \n")
    _, move = await steps(team(planner, summarizer=summarizer))
    assert (move.call, move.answer) == (None, "It is 5.")


async def test_who_gives_up_asks_nobody_else() -> None:
    caller, summarizer = ScriptedRole(), ScriptedRole()
    planner = ScriptedRole("No way. Next: give up.")
    _, move = await steps(team(planner, caller, summarizer))
    assert move == Move(Plan("No way. Next: give up.", Decision.GIVE_UP, True))
    assert caller.asked == summarizer.asked == []


async def test_without_a_decision_it_is_the_callers_turn() -> None:
    planner, caller = ScriptedRole("I add.\n"), ScriptedRole(CALL)
    _, move = await steps(team(planner, caller))
    assert move.plan == Plan("I add. Next: caller.", Decision.CALL, False)
    assert "assistant: I add. Next: caller." in caller.asked[0].prompt


@pytest.mark.parametrize(
    ("text", "decision"),
    [
        ("Next: caller. Next: give up.", Decision.GIVE_UP),
        ("Next: conclusion. Next: give up.", Decision.GIVE_UP),
        ("Next: caller. Next: conclusion.", Decision.CONCLUDE),
        ("Next: conclusion. Next: caller.", Decision.CONCLUDE),
    ],
)
async def test_of_two_decisions_the_one_with_less_left_to_do_counts(
    text: str,
    decision: Decision,
) -> None:
    summarizer = ScriptedRole("The end.")
    _, move = await steps(team(ScriptedRole(text), summarizer=summarizer))
    assert move.plan.decision is decision


async def test_a_caller_that_calls_nothing_calls_no_tool() -> None:
    planner = ScriptedRole("Next: caller.")
    _, move = await steps(team(planner, ScriptedRole("")))
    assert move.call == Call("none", "{}")


async def test_an_empty_answer_is_asked_for_once_again() -> None:
    planner = ScriptedRole("Next: conclusion.")
    summarizer = ScriptedRole(" .\n", "Five.")
    _, move = await steps(team(planner, summarizer=summarizer))
    assert (move.call, move.answer) == (None, "Five.")
    assert [one.attempt for one in summarizer.asked] == [0, 1]


async def test_a_summarizer_that_stays_silent_gives_an_empty_answer() -> None:
    planner = ScriptedRole("Next: conclusion.")
    _, move = await steps(team(planner, summarizer=ScriptedRole([], "-")))
    assert (move.call, move.answer) == (None, "")


# -- blank plans ----------------------------------------------------------


async def test_a_planner_that_says_nothing_is_asked_the_same_again() -> None:
    planner = ScriptedRole("", " .,\n", "Next: give up.")
    _, move = await steps(team(planner))
    assert [one.attempt for one in planner.asked] == [0, 1, 2]
    assert len({one.prompt for one in planner.asked}) == 1
    assert move.plan.is_stated


async def test_a_planner_that_stays_silent_gives_up_after_five_more() -> None:
    planner = ScriptedRole(*["..."] * (1 + BLANK_PLANS))
    spoken, move = await steps(team(planner))
    assert len(planner.asked) == 6
    assert move == Move(Plan("Next: give up.", Decision.GIVE_UP, False))
    assert [one.attempt for one in spoken] == [0, 1, 2, 3, 4, 5]


# -- what is passed on ----------------------------------------------------


async def test_texts_come_as_they_are_said_with_their_tokens() -> None:
    planner = ScriptedRole(["I ", "add.", " Next: caller."])
    spoken, _ = await steps(team(planner, ScriptedRole(["Action: ", "now"])))
    assert [(one.role, one.text, one.tokens) for one in spoken] == [
        (Role.PLANNER, "I ", 1),
        (Role.PLANNER, "add.", 1),
        (Role.PLANNER, " Next: caller.", 1),
        (Role.CALLER, "Action: ", 1),
        (Role.CALLER, "now", 1),
    ]


@pytest.mark.parametrize(
    "script",
    [
        ["I add. Next: caller.", " Action: x"],
        ["I add. Next: caller. Action: x"],
        ["I add. Next: call", "er", ". Action", ": x"],
        [*"I add. Next: caller. Next: caller."],
    ],
)
async def test_text_after_a_decision_is_not_spoken_but_counted(
    script: list[str],
) -> None:
    planner = ScriptedRole(script)
    spoken, move = await steps(team(planner, ScriptedRole(CALL)))
    assert heard(spoken, Role.PLANNER) == "I add. Next: caller."
    assert move.plan.text == "I add. Next: caller."
    said = [one for one in spoken if one.role is Role.PLANNER]
    assert sum(one.tokens for one in said) == len(script)


PARTS = ["Next: ", "caller", "conclusion", "give up", ".", "Next", " ", "I"]


@given(
    st.lists(st.sampled_from(PARTS), min_size=1).map("".join),
    st.lists(st.integers(1, 12), min_size=1),
)
async def test_however_a_plan_comes_it_is_spoken_up_to_its_decision(
    text: str, lengths: list[int]
) -> None:
    starts = accumulate(cycle(lengths), initial=0)
    cuts = [*takewhile(lambda start: start < len(text), starts), len(text)]
    planner = ScriptedRole(*[[text[a:b] for a, b in pairwise(cuts)]] * 6)
    spoken, _ = await steps(
        team(planner, ScriptedRole(CALL), ScriptedRole("Five."))
    )
    first = [one for one in spoken if one.attempt == 0]
    assert heard(first, Role.PLANNER) == up_to_decision(text)


async def test_a_decision_in_another_roles_text_ends_nothing() -> None:
    planner = ScriptedRole("Next: conclusion.")
    answer = "He wrote Next: caller. and left."
    summarizer = ScriptedRole(["He wrote Next: caller.", " and left."])
    spoken, move = await steps(team(planner, summarizer=summarizer))
    assert heard(spoken, Role.SUMMARIZER) == move.answer == answer


async def test_a_listener_that_leaves_closes_the_stream_of_who_speaks() -> (
    None
):
    planner = ScriptedRole("Next: caller.")
    caller = ScriptedRole(["Action: ", "add", "\nAction Input: {}"])
    moves = next_move(team(planner, caller), TOOLS, QUESTION)
    async for one in moves:
        if one.role is Role.CALLER:
            break
    assert (planner.closed, caller.closed) == (1, 0)
    await moves.aclose()
    assert caller.closed == 1


# -- what each role sees --------------------------------------------------

HISTORY = (
    *QUESTION,
    Utterance("assistant", "I look. Next: caller."),
    Utterance("caller", "Action: now\nAction Input: {}"),
    Utterance("observation", "noon"),
)


async def test_the_planner_sees_the_tools_and_all_that_was_said() -> None:
    planner = ScriptedRole("Next: give up.")
    await steps(team(planner), HISTORY)
    assert planner.asked[0].prompt == (
        "Tools:\n"
        "add(a: number, one, b: number, other) Adds numbers.\n"
        "now() Tells the time.\n\n"
        "user: What is 2 + 3?\n"
        "assistant: I look. Next: caller.\n"
        "caller: Action: now\nAction Input: {}\n"
        "observation: noon\n"
        "Plan the next step, then say Next: caller, Next: conclusion or "
        "Next: give up."
    )


async def test_the_caller_sees_the_plan_up_to_its_decision() -> None:
    planner = ScriptedRole("I add. Next: caller. Never mind.")
    caller = ScriptedRole(CALL)
    await steps(team(planner, caller))
    assert caller.asked[0].prompt.endswith(
        "user: What is 2 + 3?\nassistant: I add. Next: caller.\n"
        "Write the call: Action and Action Input."
    )


async def test_the_caller_alone_is_offered_the_tools() -> None:
    planner = ScriptedRole("Next: caller.", "Next: conclusion.")
    caller, summarizer = ScriptedRole(CALL), ScriptedRole("5")
    players = team(planner, caller, summarizer)
    await steps(players)
    await steps(players)
    assert caller.asked[0].tools == TOOLS
    assert planner.asked[0].tools == summarizer.asked[0].tools == ()


async def test_the_summarizer_sees_what_was_said_and_no_tools() -> None:
    planner = ScriptedRole("It is noon. Next: conclusion.")
    summarizer = ScriptedRole("Noon.")
    await steps(team(planner, summarizer=summarizer), HISTORY)
    prompt = summarizer.asked[0].prompt
    assert prompt.startswith("user: What is 2 + 3?\n")
    assert prompt.endswith("It is noon. Next: conclusion.\nAnswer the user.")
    assert "Tells the time" not in prompt


async def test_a_team_is_asked_in_its_style() -> None:
    planner = ScriptedRole("Next: give up.")
    await steps(team(planner, style="paper"))
    assert planner.asked[0].prompt.startswith("You have assess to")


# -- what a step adds to the history --------------------------------------


@pytest.mark.parametrize(
    ("move", "speakers"),
    [
        (Move(Plan("a", Decision.GIVE_UP, True)), ["assistant"]),
        (
            Move(Plan("a", Decision.CALL, True), call=Call("now", "{}")),
            ["assistant", "caller"],
        ),
        (
            Move(Plan("a", Decision.CONCLUDE, True), answer=""),
            ["assistant", "conclusion"],
        ),
    ],
)
async def test_a_move_adds_the_plan_and_what_followed_it(
    move: Move,
    speakers: list[str],
) -> None:
    assert [one.speaker for one in move.utterances] == speakers
