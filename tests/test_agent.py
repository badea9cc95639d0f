# -*- coding: utf-8 -*-
"""The agent with real tools: solving, permissions, faults and limits."""

import inspect
import json

import pytest
from agentscope.agent import Agent, InjectionConfig, ReActConfig
from agentscope.event import (
    ReplyEndEvent,
    RequireUserConfirmEvent,
    TextBlockDeltaEvent,
    ThinkingBlockDeltaEvent,
)
from agentscope.message import Msg, UserMsg
from agentscope.middleware import MiddlewareBase
from agentscope.permission import PermissionBehavior, PermissionRule
from agentscope.tool import FunctionTool, Toolkit
from agentscope.types import ReplyFinishedReason
from pydantic import BaseModel
from scripted_chat_models import (
    CALL,
    CONCLUDE,
    GIVE_UP,
    Voice,
    answer_of,
    call,
    decide,
    events_of,
    results_of,
    solver,
    team,
    toolkit,
)

from alpha_umi.agent import AlphaUMiAgent
from alpha_umi.agent_model import GAVE_UP, STOPPED, AlphaUMiModel
from alpha_umi.limits import Limits, Outcome
from local_llm.errors import ConfigError

pytestmark = pytest.mark.asyncio

ADD = call("add", '{"a": 2, "b": 3}')
DOUBLE = call("double", '{"number": 5}')
STOPPED_EARLY = STOPPED[Outcome.STEP_LIMIT]


def two_calls(stream: bool = True) -> dict[str, Voice]:
    """Roles that solve a task with two calls."""
    return team(
        [f"I add. {CALL}", f"I double. {CALL}", f"I know. {CONCLUDE}"],
        [ADD, DOUBLE],
        ["It is 10."],
        stream,
    )


def kinds(events: list) -> list[str]:
    """The kinds of events and their order, deltas of one block as one."""
    found: list[str] = []
    for event in events:
        kind = getattr(event, "type", "MSG")
        if not (found and found[-1] == kind and kind.endswith("DELTA")):
            found.append(kind)
    return found


# -- solving -------------------------------------------------------------------


def steps_of(*blocks: str) -> list[str]:
    """The events of blocks that are streamed one after the other."""
    parts = ("START", "DELTA", "END")
    return [f"{block}_{part}" for block in blocks for part in parts]


@pytest.mark.parametrize("stream", [True, False])
async def test_a_task_is_solved_with_two_calls(stream: bool) -> None:
    agent = solver(two_calls(stream))
    agent.model.stream = stream
    events = await events_of(agent, "What is twice 2 + 3?")
    assert answer_of(events) == "It is 10."
    assert results_of(agent) == [("success", "5"), ("success", "10")]


async def test_the_events_come_in_the_order_of_what_happens() -> None:
    events = await events_of(solver(two_calls()), "What is twice 2 + 3?")
    call = [
        "MODEL_CALL_START",
        *steps_of("THINKING_BLOCK", "TOOL_CALL"),
        "MODEL_CALL_END",
        "TOOL_RESULT_START",
        "TOOL_RESULT_TEXT_DELTA",
        "TOOL_RESULT_END",
    ]
    answer = [
        "MODEL_CALL_START",
        *steps_of("THINKING_BLOCK", "TEXT_BLOCK"),
        "MODEL_CALL_END",
    ]
    expected = ["REPLY_START", *call, *call, *answer, "REPLY_END", "MSG"]
    assert kinds(events) == expected


async def test_a_reader_of_the_events_sees_who_speaks() -> None:
    shown = ""
    for event in await events_of(solver(two_calls()), "What is twice 2 + 3?"):
        if isinstance(event, ThinkingBlockDeltaEvent | TextBlockDeltaEvent):
            shown += event.delta
    assert shown == (
        f"planner: I add. {CALL}\ncaller: {ADD}"
        f"planner: I double. {CALL}\ncaller: {DOUBLE}"
        f"planner: I know. {CONCLUDE}\nsummarizer:It is 10."
    )


async def test_the_message_made_of_the_events_is_the_one_in_mind() -> None:
    agent = solver(two_calls())
    events = await events_of(agent, "What is twice 2 + 3?")
    rebuilt = Msg(name="Ada", role="assistant", content=[], id=events[-1].id)
    for event in events[:-1]:
        rebuilt.append_event(event)
    (mind,) = [one for one in agent.state.context if one.role == "assistant"]
    assert [_essence(one) for one in rebuilt.content] == [
        _essence(one) for one in mind.content
    ]


def _essence(block: BaseModel) -> dict:
    essential = {"type", "text", "thinking", "name", "input", "state"}
    return block.model_dump(include=essential)


async def test_a_second_question_sees_the_answer_but_not_the_calls() -> None:
    roles = two_calls()
    agent = solver(roles)
    await events_of(agent, "What is twice 2 + 3?")
    await events_of(agent, "Sure?")
    history = roles["planner"].prompts[-1].split("\n\n")[1]
    assert history.startswith(
        "user: What is twice 2 + 3?\nconclusion: It is 10.\nuser: Sure?\n"
    )
    assert "caller:" not in history


async def test_a_conversation_goes_on_where_its_state_was_stored() -> None:
    roles = team([f"I add. {CALL}"], [ADD])
    first = solver(roles, toolkit(asks=True))
    events = await events_of(first, "What is 2 + 3?")
    stored = first.state.model_dump_json()
    roles = team([CONCLUDE], answers=["It is 5."])
    state = type(first.state).model_validate_json(stored)
    second = solver(roles, toolkit(asks=True), state=state)
    assert (
        answer_of(await events_of(second, decide(events, True))) == "It is 5."
    )
    assert f"assistant: I add. {CALL}\n" in roles["planner"].prompts[0]


async def test_structured_output_is_given_through_a_call() -> None:
    class Fact(BaseModel):
        """What is wanted."""

        sum: int

    roles = team([CALL], [call("GenerateStructuredOutput", '{"sum": 5}')])
    reply = await solver(roles).reply(UserMsg("user", "2 + 3?"), Fact)
    assert reply.structured_output == {"sum": 5}


async def test_structured_output_is_demanded_at_the_end() -> None:
    class Fact(BaseModel):
        """What is wanted."""

        sum: int

    wanted = call("GenerateStructuredOutput", '{"sum": 5}')
    roles = team([CONCLUDE], [wanted], ["It is 5."])
    config = ReActConfig(max_iters=1)
    agent = solver(roles, react_config=config)
    reply = await agent.reply(UserMsg("user", "2 + 3?"), Fact)
    assert reply.structured_output == {"sum": 5}


# -- permissions ---------------------------------------------------------------


async def test_a_tool_that_asks_is_called_after_the_users_yes() -> None:
    agent = solver(two_calls(), toolkit(asks=True))
    events = await events_of(agent, "What is twice 2 + 3?")
    assert results_of(agent) == []
    events = await events_of(agent, decide(events, True))
    assert results_of(agent) == [("success", "5")]
    events = await events_of(agent, decide(events, True))
    assert answer_of(events) == "It is 10."


async def test_a_call_that_is_denied_is_not_made_and_the_planner_hears_it() -> (
    None
):
    roles = team([CALL, GIVE_UP], [ADD])
    agent = solver(roles, toolkit(asks=True))
    events = await events_of(agent, "What is 2 + 3?")
    events = await events_of(agent, decide(events, False))
    ((state, _),) = results_of(agent)
    assert state == "denied"
    assert "denied by user" in roles["planner"].prompts[-1]
    assert answer_of(events) == GAVE_UP


async def test_a_rule_allows_a_tool_without_asking() -> None:
    agent = solver(team([CALL, CONCLUDE], [ADD], ["5."]), toolkit(asks=True))
    rule = PermissionRule(
        tool_name="add",
        rule_content=None,
        behavior=PermissionBehavior.ALLOW,
        source="test",
    )
    agent.state.permission_context.allow_rules["add"] = [rule]
    events = await events_of(agent, "What is 2 + 3?")
    assert not any(isinstance(one, RequireUserConfirmEvent) for one in events)
    assert results_of(agent) == [("success", "5")]


async def test_the_users_middlewares_see_permissions_and_steps() -> None:
    class Watch(MiddlewareBase):
        """Notes which hooks were reached."""

        seen: list[str] = []

        async def on_check_permission(self, agent, input_kwargs, next_handler):
            self.seen.append(input_kwargs["tool_call"].name)
            return await next_handler(**input_kwargs)

        async def on_model_call(self, agent, input_kwargs, next_handler):
            self.seen.append("step")
            return await next_handler(**input_kwargs)

    agent = solver(two_calls(), middlewares=[Watch()])
    await events_of(agent, "What is twice 2 + 3?")
    assert Watch.seen == ["step", "add", "step", "double", "step"]


# -- calls that cannot be made -------------------------------------------------


made: list[dict] = []


def note(text: str, count: int = 1) -> str:
    """Note a text.

    Args:
        text (`str`):
            The text.
        count (`int`):
            How often.
    """
    made.append({"text": text, "count": count})
    return "noted"


@pytest.mark.parametrize(
    ("name", "arguments", "reason"),
    [
        ("noet", '{"text": "a"}', "There is no tool noet. Did you mean note?"),
        ("note", "text = a", "The arguments of note are no JSON"),
        ("note", '{"text": "half of', "The arguments of note are no JSON"),
        ("note", '{"text": "a"} and', "The arguments of note are no JSON"),
        ("note", '["a"]', "must be a JSON object"),
        ("note", "{}", "'text' is a required property"),
        ("note", '{"text": "a", "count": "2"}', "is not of type 'integer'"),
        ("note", "[" * 5000, "are no JSON"),
    ],
)
async def test_a_call_that_cannot_be_made_is_observed_and_never_made(
    name: str,
    arguments: str,
    reason: str,
) -> None:
    made.clear()
    right = call("note", '{"text": "a"}')
    roles = team(
        [CALL, CALL, CONCLUDE], [call(name, arguments), right], ["Done."]
    )
    agent = solver(roles, toolkit(note, asks=True))
    events = await events_of(agent, "Note a.")
    assert reason in roles["planner"].prompts[1]
    assert made == []
    (request,) = decide(events, True).confirm_results
    assert json.loads(request.tool_call.input) == {"text": "a"}
    assert answer_of(await events_of(agent, decide(events, True))) == "Done."
    assert made == [{"text": "a", "count": 1}]


async def test_a_tool_that_raises_is_observed() -> None:
    def broken() -> str:
        """Break."""
        raise OSError("the disk is full")

    roles = team([CALL, GIVE_UP], [call("broken", "{}")])
    agent = solver(roles, toolkit(broken))
    assert answer_of(await events_of(agent, "Go.")) == GAVE_UP
    assert "observation: the disk is full" in roles["planner"].prompts[1]


async def test_a_tool_that_says_too_much_is_cut() -> None:
    def long() -> str:
        """Say much."""
        return "x" * 1_000_000

    roles = team([CALL, CONCLUDE], [call("long", "{}")], ["Much."])
    await events_of(solver(roles, toolkit(long)), "Go.")
    assert "x" * 1024 + "..." in roles["planner"].prompts[1]
    assert len(roles["planner"].prompts[1]) < 1400


async def test_a_caller_that_calls_nothing_is_observed() -> None:
    roles = team([CALL, GIVE_UP], ["I would rather not."])
    await events_of(solver(roles), "Go.")
    expected = "observation: No tool was called. Tools: add, double."
    assert expected in roles["planner"].prompts[1]


async def test_an_agent_without_tools_answers() -> None:
    roles = team([CONCLUDE], answers=["Hello."])
    agent = solver(roles, Toolkit())
    assert answer_of(await events_of(agent, "Hi.")) == "Hello."


# -- limits --------------------------------------------------------------------


def counter() -> FunctionTool:
    """A tool that says something new each time."""
    numbers = iter(range(1000))

    def count() -> int:
        """Count."""
        return next(numbers)

    return toolkit(count).tool_groups[0].tools[0]


def ends(events: list) -> list[str]:
    return [e.finished_reason for e in events if isinstance(e, ReplyEndEvent)]


@pytest.mark.parametrize("by_agentscope", [True, False])
async def test_where_the_steps_end_what_is_known_is_said(
    by_agentscope: bool,
) -> None:
    roles = team([CALL], [call("count", "{}")], ["I counted."])
    more = (
        {"react_config": ReActConfig(max_iters=3)}
        if by_agentscope
        else {"parameters": AlphaUMiModel.Parameters(limits=Limits(steps=3))}
    )
    agent = solver(roles, Toolkit(tools=[counter()]), **more)
    events = await events_of(agent, "Count.")
    assert answer_of(events) == f"{STOPPED_EARLY} I counted."
    assert len(results_of(agent)) == len(roles["planner"].asked) == 3
    assert ends(events) == [ReplyFinishedReason.EXCEED_MAX_ITERS]


async def test_a_round_has_as_many_steps_as_the_papers_runs() -> None:
    roles = team([CALL], [call("count", "{}")], ["I counted."])
    agent = solver(roles, Toolkit(tools=[counter()]))
    await events_of(agent, "Count.")
    assert len(results_of(agent)) == 12


async def test_the_same_call_with_the_same_result_ends_the_round() -> None:
    agent = solver(team([CALL], [ADD], ["It may be 5."]))
    events = await events_of(agent, "What is 2 + 3?")
    stopped = STOPPED[Outcome.REPEATED_STATE]
    assert answer_of(events) == f"{stopped} It may be 5."
    assert results_of(agent) == [("success", "5")] * 3
    assert ends(events) == [ReplyFinishedReason.COMPLETED]


async def test_a_next_question_has_all_its_steps() -> None:
    roles = team([CALL] * 3 + [CALL, CONCLUDE], [ADD], ["No.", "It is 5."])
    agent = solver(roles)
    await events_of(agent, "What is 2 + 3?")
    assert answer_of(await events_of(agent, "Again?")) == "It is 5."


async def test_a_search_goes_back_and_solves_it() -> None:
    plans = [CALL, f"Not this. {GIVE_UP}", CALL, CONCLUDE]
    roles = team(plans, [DOUBLE, ADD], ["It is 5."])
    parameters = AlphaUMiModel.Parameters(mode="dfsdt")
    agent = solver(roles, parameters=parameters)
    events = await events_of(agent, "What is 2 + 3?")
    assert answer_of(events) == "It is 5."
    assert "Not this." not in roles["planner"].prompts[2]
    assert "- double " in roles["planner"].prompts[2]


async def test_a_search_that_finds_nothing_ends() -> None:
    plans = [CALL, GIVE_UP]
    roles = team(plans * 20, [ADD, DOUBLE] * 20)
    parameters = AlphaUMiModel.Parameters(mode="dfsdt")
    events = await events_of(solver(roles, parameters=parameters), "2 + 3?")
    assert answer_of(events) == GAVE_UP
    assert len(roles["caller"].asked) == 2


async def test_of_a_full_context_question_and_last_step_are_kept() -> None:
    def long(number: int) -> str:
        """Say much."""
        return f"number {number} " + "word " * 300

    calls = [call("long", f'{{"number": {n}}}') for n in range(3)]
    roles = team([CALL] * 3 + [CONCLUDE], calls, ["Done."])
    roles["planner"].context_size = 700
    agent = solver(roles, toolkit(long))
    assert answer_of(await events_of(agent, "The question?")) == "Done."
    seen = [
        [n for n in range(3) if f"observation: number {n}" in prompt]
        for prompt in roles["planner"].prompts
    ]
    assert seen == [[], [0], [1], [2]]
    for prompt in roles["planner"].prompts:
        assert "user: The question?\n" in prompt


# -- the constructor -----------------------------------------------------------


async def test_the_constructor_takes_agents_arguments_in_their_order() -> None:
    theirs = list(inspect.signature(Agent.__init__).parameters)
    ours = list(inspect.signature(AlphaUMiAgent.__init__).parameters)
    assert ours[: len(theirs)] == theirs


async def test_what_is_not_named_is_played_by_the_model() -> None:
    model, caller = Voice(""), Voice("")
    agent = AlphaUMiAgent("Ada", model=model, caller=caller)
    roles = agent.model
    assert (roles.planner, roles.summarizer) == (model, model)
    assert roles.caller is caller


async def test_a_model_that_is_a_team_is_taken_as_it_is() -> None:
    model = AlphaUMiModel(Voice(""))
    assert AlphaUMiAgent("Ada", "", model).model is model


async def test_a_model_that_is_a_team_takes_no_other_roles() -> None:
    model = AlphaUMiModel(Voice(""))
    with pytest.raises(ConfigError) as caught:
        AlphaUMiAgent(
            "Ada",
            model=model,
            caller=Voice(""),
            parameters=AlphaUMiModel.Parameters(),
        )
    assert [one.split(":")[0] for one in caught.value.problems] == [
        "caller",
        "parameters",
    ]


async def test_an_agent_without_a_planner_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        AlphaUMiAgent("Ada", caller=Voice(""))
    assert "'Ada'" in str(caught.value)
    assert len(caught.value.problems) == 2


async def test_nothing_is_added_to_the_conversation_unless_asked_for() -> None:
    roles = team([CONCLUDE], answers=["Hello."])
    await events_of(solver(roles), "Hi.")
    assert "time" not in roles["planner"].prompts[0]
    injection = InjectionConfig(inject_runtime_state=True)
    await events_of(solver(roles, injection_config=injection), "Hi.")
    assert "<current-time>" in roles["planner"].prompts[1]
