# -*- coding: utf-8 -*-
"""Three chat models as one: what a step gives, with any models and choices."""

import json
from typing import Any

import pytest
from agentscope.message import (
    AssistantMsg,
    Msg,
    SystemMsg,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
    ToolResultBlock,
    UserMsg,
)
from agentscope.model import ChatResponse, ChatUsage, StructuredResponse
from agentscope.tool import ToolChoice
from pydantic import BaseModel
from scripted_chat_models import (
    CALL,
    CONCLUDE,
    GIVE_UP,
    Voice,
    call,
    team,
    toolkit,
)
from tiny_agents import wrapper

from alpha_umi.agent_model import GAVE_UP, STOPPED, AlphaUMiModel
from alpha_umi.agent_speech import plan_of
from alpha_umi.limits import Limits, Outcome
from alpha_umi.protocol import Utterance
from alpha_umi.roles import Role, role_prompt
from local_llm.errors import GenerationError

pytestmark = pytest.mark.asyncio

ADD = call("add", '{"a": 2, "b": 3}')
QUESTION = UserMsg("user", "What is 2 + 3?")
Parameters = AlphaUMiModel.Parameters


def added(result: str = "5", number: int = 1) -> list:
    """A whole step: the plan, the call and what it brought."""
    arguments = '{"a": 2, "b": 3}'
    return [
        ThinkingBlock(thinking="", plan=f"I add. {CALL}"),
        ToolCallBlock(id=f"{number}", name="add", input=arguments),
        ToolResultBlock(id=f"{number}", name="add", output=result),
    ]


def asked(*blocks: Any) -> list[Msg]:
    """A question and what came of it by now."""
    return [QUESTION, *([AssistantMsg("Ada", list(blocks))] if blocks else [])]


async def step(
    model: AlphaUMiModel,
    messages: list[Msg] | None = None,
    **more: Any,
) -> ChatResponse:
    """The whole response of one step."""
    tools = await toolkit().get_tool_schemas()
    arguments = {"tools": tools, **more}
    response = await model(
        asked() if messages is None else messages, **arguments
    )
    if isinstance(response, ChatResponse):
        return response
    return [part async for part in response][-1]


def kinds(response: ChatResponse) -> list[str]:
    return [block.type for block in response.content]


def text(response: ChatResponse) -> str:
    return "".join(
        block.text
        for block in response.content
        if isinstance(block, TextBlock)
    )


# -- what a step gives ---------------------------------------------------------


@pytest.mark.parametrize("stream", [True, False])
async def test_a_call_is_a_tool_call_of_agentscope(stream: bool) -> None:
    roles = team([f"I add. {CALL}"], [ADD], stream=stream)
    response = await step(AlphaUMiModel(**roles, stream=stream))
    thinking, block = response.content
    assert plan_of(thinking) == f"I add. {CALL}"
    assert thinking.thinking == f"planner: I add. {CALL}\ncaller: {ADD}"
    assert (block.name, json.loads(block.input)) == ("add", {"a": 2, "b": 3})
    assert block.state == "pending"


@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_is_text(stream: bool) -> None:
    roles = team([f"I know. {CONCLUDE}"], answers=["It is 5."], stream=stream)
    response = await step(AlphaUMiModel(**roles, stream=stream))
    assert kinds(response) == ["thinking", "text"]
    assert text(response) == "It is 5."


async def test_a_response_that_is_not_streamed_comes_at_once() -> None:
    roles = team(answers=["It is 5."])
    model = AlphaUMiModel(**roles, stream=False)
    assert isinstance(await model(asked()), ChatResponse)


async def test_the_parts_come_as_they_are_said() -> None:
    roles = team([f"I know. {CONCLUDE}"], answers=["It is 5."])
    said: list[str] = []
    async for part in await AlphaUMiModel(**roles)(asked()):
        if part.is_last:
            break
        said += [getattr(b, "thinking", None) or b.text for b in part.content]
        if said == ["planner: I"]:
            assert roles["summarizer"].asked == []
    planner = ["planner: I", " know.", " Next:", " conclusion."]
    assert said == [*planner, "\nsummarizer:", "It", " is", " 5."]


async def test_giving_up_is_said_honestly() -> None:
    response = await step(AlphaUMiModel(**team([f"No. {GIVE_UP}"])))
    assert text(response) == GAVE_UP


async def test_a_planner_that_says_nothing_gives_up() -> None:
    roles = team([" ..."])
    response = await step(AlphaUMiModel(**roles))
    assert [block.text for block in response.content] == [GAVE_UP]
    assert len(roles["planner"].asked) == 6


async def test_a_summarizer_that_says_nothing_is_no_answer() -> None:
    response = await step(AlphaUMiModel(**team([CONCLUDE], answers=["..."])))
    assert text(response) == GAVE_UP


async def test_usage_is_that_of_all_roles() -> None:
    roles = team([f"I add. {CALL}"], [ADD])
    response = await step(AlphaUMiModel(**roles))
    words = len(f"I add. {CALL} {ADD}".split())
    assert response.usage == ChatUsage(20, words, 1.0)


async def test_a_call_of_no_tool_is_a_call_too() -> None:
    response = await step(AlphaUMiModel(**team([CALL], ["I cannot."])))
    block = response.content[-1]
    assert (block.name, block.input) == ("none", "{}")


async def test_arguments_that_no_reader_survives_are_not_passed_on() -> None:
    roles = team([CALL], [call("add", "[" * 100_000)])
    response = await step(AlphaUMiModel(**roles))
    assert response.content[-1].input == "(nested too deeply)"


# -- who is asked, and what ----------------------------------------------------


async def test_each_role_reads_its_own_prompt() -> None:
    roles = team([f"I add. {CALL}", CONCLUDE], [ADD], ["It is 5."])
    model = AlphaUMiModel(**roles)
    await step(model)
    await step(model, asked(*added()))
    first, second = roles["planner"].prompts
    assert first.startswith("Tools:\nadd(a: integer, The one.,")
    assert first.endswith("Next: conclusion or Next: give up.")
    assert "observation: 5" in second
    assert f"assistant: I add. {CALL}\n" in roles["caller"].prompts[0]
    summary = roles["summarizer"].prompts[0]
    assert summary.startswith("user: What is 2 + 3?\n")
    assert "Tools:" not in summary


async def test_the_paper_style_is_asked_for() -> None:
    roles = team()
    model = AlphaUMiModel(**roles, parameters=Parameters(style="paper"))
    await step(model)
    assert roles["planner"].prompts[0].startswith("You have assess to the")


async def test_the_system_prompt_reaches_every_role_before_its_prompt() -> (
    None
):
    roles = team([f"I add. {CALL}", CONCLUDE], [ADD], ["It is 5."])
    model = AlphaUMiModel(**roles)
    for _ in range(2):
        await step(model, [SystemMsg("system", "Be kind."), QUESTION])
    for voice in roles.values():
        told, prompt = voice.asked[0]
        assert (told.role, told.get_text_content()) == ("system", "Be kind.")
        assert "Be kind." not in prompt.get_text_content()


async def test_one_model_may_play_all_roles() -> None:
    voice = Voice(f"I add. {CALL}", ADD, CONCLUDE, "It is 5.")
    model = AlphaUMiModel(voice)
    assert kinds(await step(model)) == ["thinking", "tool_call"]
    assert text(await step(model, asked(*added()))) == "It is 5."
    assert model.model == "voice"


async def test_the_smallest_context_of_the_roles_is_that_of_all() -> None:
    model = AlphaUMiModel(Voice(""), Voice("", context_size=512))
    assert model.context_size == 512


async def test_the_planners_prompt_is_counted_by_its_model(project) -> None:
    planner = wrapper(project)
    model = AlphaUMiModel(planner, Voice(""), Voice(""))
    question = Utterance("user", "What is 2 + 3?")
    prompt = role_prompt(Role.PLANNER, "brief", (), [question])
    expected = await planner.count_tokens([UserMsg("user", prompt)])
    assert await model.count_tokens([QUESTION]) == expected
    schemas = await toolkit().get_tool_schemas()
    assert await model.count_tokens(asked(*added()), schemas) > expected


# -- limits and searches -------------------------------------------------------


async def test_a_call_that_brings_the_same_again_and_again_ends_it() -> None:
    roles = team([CALL], [ADD], ["It may be 5."])
    model = AlphaUMiModel(
        **roles, parameters=Parameters(limits=Limits(repeats=2))
    )
    response = await step(model, asked(*added("5", 1), *added("5", 2)))
    stopped = STOPPED[Outcome.REPEATED_STATE]
    assert text(response) == f"{stopped} It may be 5."
    assert roles["planner"].asked == []


async def test_a_call_that_brings_something_new_goes_on() -> None:
    roles = team([CALL], [ADD])
    model = AlphaUMiModel(
        **roles, parameters=Parameters(limits=Limits(repeats=2))
    )
    response = await step(model, asked(*added("5", 1), *added("6", 2)))
    assert kinds(response) == ["thinking", "tool_call"]


async def test_where_no_step_is_left_the_summarizer_says_what_is_known() -> (
    None
):
    roles = team([CALL], [ADD], ["It may be 5."])
    model = AlphaUMiModel(
        **roles, parameters=Parameters(limits=Limits(steps=1))
    )
    response = await step(model, asked(*added()))
    assert text(response) == f"{STOPPED[Outcome.STEP_LIMIT]} It may be 5."


async def test_a_summarizer_that_is_silent_at_a_limit_is_left_out() -> None:
    roles = team([CALL], [ADD], [""])
    model = AlphaUMiModel(
        **roles, parameters=Parameters(limits=Limits(steps=1))
    )
    response = await step(model, asked(*added()))
    assert text(response) == STOPPED[Outcome.STEP_LIMIT]


SEARCH = Parameters(mode="dfsdt")


async def test_a_search_goes_on_after_giving_up_and_says_nothing_yet() -> None:
    model = AlphaUMiModel(**team([f"No. {GIVE_UP}"]), parameters=SEARCH)
    response = await step(model, asked(*added()))
    (thinking,) = response.content
    assert plan_of(thinking) == f"No. {GIVE_UP}"


async def test_a_search_that_gave_up_tries_another_call() -> None:
    roles = team([f"I add again. {CALL}"], [call("double", '{"number": 2}')])
    model = AlphaUMiModel(**roles, parameters=SEARCH)
    gave_up = ThinkingBlock(thinking="", plan=f"No. {GIVE_UP}")
    response = await step(model, asked(*added(), gave_up))
    assert kinds(response) == ["thinking", "tool_call"]
    prompt = roles["planner"].prompts[0]
    assert "Tried here without success:\n- add " in prompt
    assert "observation" not in prompt and "No." not in prompt


async def test_a_search_with_nothing_left_to_try_is_given_up() -> None:
    model = AlphaUMiModel(**team([f"No. {GIVE_UP}"]), parameters=SEARCH)
    gave_up = ThinkingBlock(thinking="", plan=f"No. {GIVE_UP}")
    messages = asked(*added(), gave_up, *added("6", 2))
    assert text(await step(model, messages)) == GAVE_UP
    messages[-1].content.append(gave_up)
    assert text(await step(model, messages)) == GAVE_UP


async def test_an_empty_answer_is_an_attempt_given_up_in_a_search() -> None:
    roles = team([CONCLUDE], answers=[""])
    model = AlphaUMiModel(**roles, parameters=SEARCH)
    (thinking,) = (await step(model, asked(*added()))).content
    assert plan_of(thinking) == GIVE_UP


async def test_a_search_that_must_answer_and_cannot_is_over() -> None:
    model = AlphaUMiModel(**team(answers=[""]), parameters=SEARCH)
    messages = [*asked(*added()), UserMsg("user", "Answer!")]
    none = ToolChoice(mode="none")
    assert text(await step(model, messages, tool_choice=none)) == GAVE_UP


# -- tool choice ---------------------------------------------------------------


@pytest.mark.parametrize("mode", ["required", "double"])
async def test_a_call_that_is_demanded_is_made(mode: str) -> None:
    roles = team([CONCLUDE], [call("double", '{"number": 2}')])
    model = AlphaUMiModel(**roles)
    response = await step(model, tool_choice=ToolChoice(mode=mode))
    assert response.content[-1].name == "double"
    assert response.content[0].thinking.startswith("caller: Action: double")
    assert roles["planner"].asked == []
    offered = roles["caller"].prompts[0].split("\n\n")[0]
    assert ("add(" in offered) == (mode == "required")


async def test_a_call_that_is_demanded_is_made_at_a_limit_too() -> None:
    roles = team([CONCLUDE], [ADD])
    limits = Parameters(limits=Limits(steps=1))
    model = AlphaUMiModel(**roles, parameters=limits)
    required = ToolChoice(mode="required")
    response = await step(model, asked(*added()), tool_choice=required)
    assert response.content[-1].name == "add"


async def test_where_no_call_may_be_made_the_summarizer_answers() -> None:
    roles = team([CALL], [ADD], ["It is 5."])
    none = ToolChoice(mode="none")
    response = await step(AlphaUMiModel(**roles), tool_choice=none)
    assert text(response) == "It is 5."
    assert roles["planner"].asked == []


async def test_an_answer_for_want_of_more_steps_says_so() -> None:
    roles = team([CALL], [ADD], ["It may be 5."])
    none = ToolChoice(mode="none")
    response = await step(
        AlphaUMiModel(**roles), asked(*added()), tool_choice=none
    )
    assert text(response) == f"{STOPPED[Outcome.STEP_LIMIT]} It may be 5."


async def test_tools_that_are_not_to_be_called_are_not_offered() -> None:
    roles = team([CALL], [ADD])
    only = ToolChoice(mode="auto", tools=["double"])
    await step(AlphaUMiModel(**roles), tool_choice=only)
    assert "add(" not in roles["planner"].prompts[0]


async def test_a_choice_of_no_tool_that_is_there_is_refused() -> None:
    with pytest.raises(ValueError, match="Invalid tool name 'sub'"):
        await step(AlphaUMiModel(**team()), tool_choice=ToolChoice(mode="sub"))


# -- what goes wrong, and structured output ------------------------------------


@pytest.mark.parametrize("role", ["planner", "caller", "summarizer"])
async def test_what_a_role_raises_is_raised(role: str) -> None:
    plan = CONCLUDE if role == "summarizer" else CALL
    roles = {
        **team([plan], [ADD], ["Yes."]),
        role: Voice(GenerationError(role)),
    }
    with pytest.raises(GenerationError, match=role):
        await step(AlphaUMiModel(**roles))


async def test_what_the_planner_refuses_is_refused_before_there_is_a_stream() -> (
    None
):
    model = AlphaUMiModel(**team([GenerationError("busy")]))
    with pytest.raises(GenerationError, match="busy"):
        await model(asked(), tools=[])


async def test_an_attempt_after_a_failure_begins_afresh() -> None:
    roles = team([GenerationError("busy"), CONCLUDE], answers=["It is 5."])
    model = AlphaUMiModel(**roles)
    with pytest.raises(GenerationError):
        await step(model)
    assert text(await step(model)) == "It is 5."


class Fact(BaseModel):
    """A structured output."""

    sum: int


async def test_structured_output_is_the_summarizers() -> None:
    class Structured(Voice):
        async def generate_structured_output(self, messages, structured_model):
            return StructuredResponse(content={"sum": len(messages)})

    model = AlphaUMiModel(Voice(""), summarizer=Structured(""))
    response = await model.generate_structured_output(asked(), Fact)
    assert response.content == {"sum": 1}


async def test_a_local_summarizer_gives_structured_output(project) -> None:
    model = AlphaUMiModel(wrapper(project))
    response = await model.generate_structured_output(asked(), Fact)
    assert Fact.model_validate(response.content)
